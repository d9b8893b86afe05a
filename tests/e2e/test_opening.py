"""A sidecar that starts: nobody is let in to be refused, and nobody is kept out for ever."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from deploy.demo.issuer import SigningKey
from tests.fixtures.crews import Ground, ask_strictly, ground
from tests.fixtures.ports import free_port
from tests.fixtures.standalone import LOCAL

pytestmark = [pytest.mark.stack, pytest.mark.timeout(90)]


@pytest.fixture
async def here(access_key: SigningKey, tmp_path: Path) -> AsyncIterator[Ground]:
    async with ground(access_key, tmp_path) as found:
        yield found


async def test_what_is_missing_is_told_after_a_while(here: Ground) -> None:
    """Without keys the gate stays closed for two seconds and is not ready; then it says why it refuses."""
    nobody = f"http://{LOCAL}:{free_port()}"
    async with here.sidecar(ready=False, CF_ACCESS_TEAM_DOMAIN=nobody, AUTH_PROXY_WORKERS="1") as crew:
        closed: dict[str, str] = {}
        async with asyncio.timeout(30):
            while not closed:
                with contextlib.suppress(OSError):
                    _, closed = await crew.ready()
        was_open = bool(crew.lines("opened_unready"))
        await crew.until(lambda: any(line["listener"] == "gate" for line in crew.lines("listening")))
        status = await ask_strictly(crew.port, here.token, is_ours=False)
        _, open_now = await crew.ready()

    assert status == 403  # a token of another team: somebody answers
    assert was_open or closed["open"] == "nobody is let in yet"
    assert "open" not in open_now
    assert "access_keys" in open_now
    assert [(line["listener"], line["waiting"]) for line in crew.lines("opened_unready")] == [
        ("gate", ["access_keys"])
    ]
