"""The real process: `admin-service run` on real sockets, from start to SIGTERM."""

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from aiohttp import UnixConnector

from service_kit.clock import SystemClock
from service_kit.identity.keys import public_jwks
from service_kit.identity.model import Scope
from tests.fixtures.identities import Vouch
from tests.fixtures.stopwatch import Stopwatch
from tests.integration.admin_service.admin_process import FEED

pytestmark = pytest.mark.stack


@asynccontextmanager
async def running(folder: Path, environ: dict[str, str]) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "admin_service", "run", env=environ, stderr=asyncio.subprocess.PIPE
    )
    try:
        async with asyncio.timeout(20):
            while not _is_listening(folder / "ops.sock") and process.returncode is None:
                await asyncio.sleep(0.05)
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


def _is_listening(path: Path) -> bool:
    """A socket's file is there a moment before anybody listens."""
    with socket.socket(socket.AF_UNIX) as connection:
        return connection.connect_ex(str(path)) == 0


@pytest.fixture
def vouch() -> Vouch:
    return Vouch(SystemClock())


@pytest.fixture
def environ(tmp_path: Path, vouch: Vouch) -> dict[str, str]:
    jwks = tmp_path / "jwks.json"
    jwks.write_text(json.dumps(public_jwks([vouch.key])))
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(Path(__file__).parents[3]),
        "ADMIN_DATABASE_URL": f"sqlite:///{tmp_path}/admin.db",
        "ADMIN_SERVICE_LISTEN": f"unix:{tmp_path}/admin.sock",
        "ADMIN_SERVICE_OPS_LISTEN": f"unix:{tmp_path}/ops.sock",
        "TENANT_SERVICE_URL": f"http+unix://{tmp_path}/tenant.sock",
        "INTERNAL_JWKS_FILE": str(jwks),
        "ADMIN_HOST": "admin.example.com",
    }


def client(path: Path) -> aiohttp.ClientSession:
    return aiohttp.ClientSession("http://service", connector=UnixConnector(str(path)))


async def test_start_serve_and_stop(tmp_path: Path, environ: dict[str, str], vouch: Vouch) -> None:
    """Ready with its own database alone (R-006), streams the roster, stops soon after SIGTERM."""
    async with running(tmp_path, environ) as process, client(tmp_path / "ops.sock") as ops:
        async with ops.get("/readyz") as response:
            assert response.status == 200, await response.text()
        async with ops.get("/metrics") as response:
            assert "admin_service_roster_version" in await response.text()
        headers = vouch.headers(None, audience="admin_service", target=FEED, scope=Scope.ROSTER)
        async with client(tmp_path / "admin.sock") as internal, internal.get(FEED, headers=headers) as feed:
            assert json.loads(await feed.content.readline())["operators"] == []
            started = Stopwatch()
            process.send_signal(signal.SIGTERM)

            assert await process.wait() == 0
            assert started.awake < 15  # half of what a drain may take


async def test_it_is_ready_when_its_listener_is_open(tmp_path: Path, environ: dict[str, str]) -> None:
    """Who asks whether it is ready is told no until the internal listener takes requests."""
    keys = Path(environ["INTERNAL_JWKS_FILE"])
    text = keys.read_text()
    keys.unlink()
    async with running(tmp_path, environ) as process, client(tmp_path / "ops.sock") as ops:
        async with ops.get("/readyz") as response:
            before = {each["name"]: each["ready"] for each in (await response.json())["checks"]}
        keys.write_text(text)
        status = 503
        async with asyncio.timeout(20):
            while status != 200:
                async with ops.get("/readyz") as response:
                    status = response.status
        assert _is_listening(tmp_path / "admin.sock")
        process.send_signal(signal.SIGTERM)
        assert process.stderr is not None
        said = await process.stderr.read()

    assert before["identity_keys"] is False
    assert before["open"] is False or b"opened_unready" in said


async def test_a_second_process_on_one_sqlite_file_is_refused(
    tmp_path: Path, environ: dict[str, str]
) -> None:
    """SQLite serves one process: the second exits 1 with one clear line (the replay memory is not shared)."""
    async with running(tmp_path, environ):
        second = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "admin_service", "run", env=environ, stderr=asyncio.subprocess.PIPE
        )
        _, complaint = await second.communicate()

    assert second.returncode == 1
    assert b"served by another process" in complaint
