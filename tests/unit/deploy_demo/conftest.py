"""The demo edge on a real port in front of a recording sidecar, with a clock that stands still."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from deploy.demo.edge import create_edge, start_edge
from deploy.demo.issuer import AccessIssuer, SigningKey
from deploy.demo.people import Person, TokenKind
from deploy.demo.settings import EdgeSettings
from tests.fakes.clock import FrozenClock
from tests.unit.deploy_demo.recording_sidecar import RecordingSidecar, remove_content_type

TEAM_DOMAIN = "http://localhost:8000"
AUDIENCE = "a1b2c3d4" * 8


@dataclass(slots=True)
class Browser:
    """A client of the edge that keeps no cookie by itself and follows no redirect."""

    http: aiohttp.ClientSession
    port: int

    def request(
        self, method: str, target: str, *, token: str | None = None, **options: Any
    ) -> aiohttp.client._RequestContextManager:  # the type that aiohttp's own methods return
        headers = {"Host": "localhost:8000", **options.pop("headers", {})}
        if token is not None:
            headers["Cookie"] = f"theme=dark; CF_Authorization={token}"
        url = f"http://127.0.0.1:{self.port}{target}"
        return self.http.request(method, url, headers=headers, allow_redirects=False, **options)

    def get(
        self, target: str, *, token: str | None = None, **options: Any
    ) -> aiohttp.client._RequestContextManager:
        return self.request("GET", target, token=token, **options)

    async def choose(self, choice: Person | TokenKind, return_to: str = "/") -> str:
        """Sign in through the form; the token of the cookie that it sets."""
        form = {"choice": choice.key, "redirect_url": return_to}
        async with self.request("POST", "/cdn-cgi/access/login", data=form) as answer:
            assert answer.status == 303
            return answer.cookies["CF_Authorization"].value


@pytest.fixture(scope="session")
def signing_keys() -> tuple[SigningKey, SigningKey]:
    """Two real keys, made once: the third part of a second that they cost is not paid per test."""
    return SigningKey.generate(), SigningKey.generate()


@pytest.fixture(scope="session")
def third_key() -> SigningKey:
    """A key that no issuer publishes until a test rotates to it."""
    return SigningKey.generate()


@pytest.fixture
def clock() -> FrozenClock:
    return FrozenClock()


@pytest.fixture
def issuer(clock: FrozenClock, signing_keys: tuple[SigningKey, SigningKey]) -> AccessIssuer:
    return AccessIssuer(TEAM_DOMAIN, clock, keys=signing_keys)


@pytest.fixture
async def sidecar() -> AsyncIterator[RecordingSidecar]:
    recording = RecordingSidecar()
    app = web.Application(client_max_size=8 * 1024 * 1024)
    app.router.add_route("*", "/{anything:.*}", recording.handle)
    app.on_response_prepare.append(remove_content_type)
    runner = web.AppRunner(app, handler_cancellation=True, auto_decompress=False, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    recording.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield recording
    await runner.cleanup()


@pytest.fixture
def settings(sidecar: RecordingSidecar) -> EdgeSettings:
    return EdgeSettings(
        listen="127.0.0.1:0", upstream=sidecar.url, audience=AUDIENCE, team_domain=TEAM_DOMAIN
    )


@pytest.fixture
async def browser(settings: EdgeSettings, clock: FrozenClock, issuer: AccessIssuer) -> AsyncIterator[Browser]:
    runner = await start_edge(create_edge(settings, clock=clock, issuer=issuer, environment={}))
    async with aiohttp.ClientSession(
        cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False, skip_auto_headers=("User-Agent",)
    ) as http:
        yield Browser(http, runner.addresses[0][1])
    await runner.cleanup()
