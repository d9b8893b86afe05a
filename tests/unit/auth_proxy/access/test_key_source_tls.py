"""Proves that `auth_proxy.access.key_source` believes nobody without a good certificate (attacks.md 4)."""

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from auth_proxy.access.errors import KeyRefreshError, RefreshOutcome
from auth_proxy.access.key_source import HttpKeySource, open_jwks_session
from tests.fakes import jwks_server
from tests.fakes.clock import FrozenClock
from tests.fakes.jwks_server import JwksServer
from tests.fixtures.authority import TODAY, YEAR, Authority


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority.found()


async def test_a_good_certificate_is_believed(
    authority: Authority, tmp_path: Path, clock: FrozenClock
) -> None:
    """The session factory is the place for a private authority: with it, the fetch works."""
    tls = authority.server_context(tmp_path, host="localhost", until=TODAY + YEAR)
    async with JwksServer(jwks_server.body(b"{}"), tls=tls) as server:
        source = HttpKeySource(server.url, clock=clock, session_factory=authority.trusting_session)

        assert await source.read() == b"{}"


@pytest.mark.parametrize(
    "host, until",
    [("localhost", TODAY - timedelta(days=1)), ("other.example", TODAY + YEAR)],
    ids=["expired", "wrong_host"],
)
async def test_a_bad_certificate_is_refused(
    authority: Authority, tmp_path: Path, clock: FrozenClock, host: str, until: datetime
) -> None:
    """An expired certificate, or another host's, ends the fetch before a request is sent."""
    tls = authority.server_context(tmp_path, host=host, until=until)
    async with JwksServer(jwks_server.body(b"{}"), tls=tls) as server:
        source = HttpKeySource(server.url, clock=clock, session_factory=authority.trusting_session)
        with pytest.raises(KeyRefreshError) as caught:
            await source.read()

        assert caught.value.outcome is RefreshOutcome.UNREACHABLE
        assert server.requests == []


async def test_an_unknown_authority_is_refused(
    authority: Authority, tmp_path: Path, clock: FrozenClock
) -> None:
    """The default session verifies against the machine's authorities: a private one is nobody."""
    tls = authority.server_context(tmp_path, host="localhost", until=TODAY + YEAR)
    async with JwksServer(jwks_server.body(b"{}"), tls=tls) as server:
        source = HttpKeySource(server.url, clock=clock, session_factory=open_jwks_session)
        with pytest.raises(KeyRefreshError) as caught:
            await source.read()

        assert caught.value.outcome is RefreshOutcome.UNREACHABLE
        assert server.requests == []
