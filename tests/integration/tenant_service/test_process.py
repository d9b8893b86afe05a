"""The process: it starts, says when it is ready, refuses to share a SQLite file, and ends when told to."""

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from service_kit.identity.keys import load_signing_keys, new_signing_key, public_jwks
from service_kit.identity.model import Role
from tenant_service.app import MIGRATIONS
from tests.fixtures.databases import newest_revision
from tests.fixtures.identities import Vouch
from tests.fixtures.ports import free_port
from tests.integration.tenant_service.tenant_process import AUDIENCE, TENANTS, new_tenant

pytestmark = pytest.mark.stack
ROOT = Path(__file__).parents[3]


@pytest.fixture
def environ(tmp_path: Path) -> Mapping[str, str]:
    """The settings of a service whose keys are not there yet."""
    return {
        "PATH": os.environ["PATH"],
        "TENANT_DATABASE_URL": f"sqlite:///{tmp_path}/data/tenant.db",
        "TENANT_SERVICE_LISTEN": f"127.0.0.1:{free_port()}",
        "TENANT_PUBLIC_LISTEN": f"127.0.0.1:{free_port()}",
        "TENANT_SERVICE_OPS_LISTEN": f"127.0.0.1:{free_port()}",
        "INTERNAL_JWKS_FILE": str(tmp_path / "jwks.json"),
    }


async def start(environ: Mapping[str, str], *command: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tenant_service",
        *(command or ("run",)),
        cwd=ROOT,
        env=dict(environ),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def ended(process: asyncio.subprocess.Process) -> tuple[int, str]:
    """The exit status and everything that was said."""
    async with asyncio.timeout(20):
        out, err = await process.communicate()
    return process.returncode or 0, (out + err).decode()


@asynccontextmanager
async def running(environ: Mapping[str, str]) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await start(environ)
    try:
        await until_it_answers(f"http://{environ['TENANT_SERVICE_OPS_LISTEN']}/livez")
        yield process
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGKILL)
            await process.communicate()


async def until_it_answers(url: str, status: int = 200) -> str:
    async with asyncio.timeout(20), aiohttp.ClientSession() as session:
        while True:
            try:
                async with session.get(url) as answer:
                    if answer.status == status:
                        return await answer.text()
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(0.05)


async def test_a_service_from_its_first_start_to_its_end(environ: Mapping[str, str], tmp_path: Path) -> None:
    """It migrates, is ready once it has its keys, creates a tenant, and ends cleanly on SIGTERM."""
    ops = f"http://{environ['TENANT_SERVICE_OPS_LISTEN']}"
    async with running(environ) as process:
        not_ready = await until_it_answers(f"{ops}/readyz", 503)
        new_signing_key(tmp_path / "key.pem")
        [key] = load_signing_keys(tmp_path / "key.pem")
        (tmp_path / "jwks.json").write_bytes(json.dumps(public_jwks([key])).encode())
        ready = await until_it_answers(f"{ops}/readyz")
        async with aiohttp.ClientSession() as session:
            made = await session.post(
                f"http://{environ['TENANT_SERVICE_LISTEN']}{TENANTS}",
                json=new_tenant(),
                headers=Vouch(key=key).headers(
                    Role.SUPPORT, audience=AUDIENCE, method="POST", target=TENANTS
                ),
            )
            body = await made.json()
        process.send_signal(signal.SIGTERM)
        status, said = await ended(process)

    assert '"identity_keys", "ready": false' in not_ready
    assert '"open", "ready": false' in not_ready or "opened_unready" in said
    assert '"open", "ready": true' in ready
    assert '"database", "ready": true' in ready
    assert made.status == 201
    assert status == 0
    assert body["invitationId"] not in said


async def test_a_second_process_on_one_sqlite_file_is_refused(environ: Mapping[str, str]) -> None:
    """It ends at once with one clear line; the first goes on."""
    second_ports = {
        "TENANT_SERVICE_LISTEN": f"127.0.0.1:{free_port()}",
        "TENANT_PUBLIC_LISTEN": f"127.0.0.1:{free_port()}",
        "TENANT_SERVICE_OPS_LISTEN": f"127.0.0.1:{free_port()}",
    }
    async with running(environ) as first:
        for command in ("run", "migrate"):
            status, said = await ended(await start({**environ, **second_ports}, command))
            assert status == 1
            assert "is served by another process" in said
            assert "Traceback" not in said

        assert first.returncode is None


async def test_a_port_in_use_is_one_clear_line(environ: Mapping[str, str]) -> None:
    """The listener and the address are named, without a trace."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        taken = f"127.0.0.1:{holder.getsockname()[1]}"
        status, said = await ended(await start({**environ, "TENANT_SERVICE_LISTEN": taken}))

    assert status == 1
    assert f"internal: cannot listen on {taken}" in said
    assert "Traceback" not in said


async def test_migrating_by_hand_says_the_revision(environ: Mapping[str, str]) -> None:
    """`tenant-service migrate` prepares the database and serves nothing."""
    assert await ended(await start(environ, "migrate")) == (
        0,
        f"the database is at revision {newest_revision(MIGRATIONS)}\n",
    )


async def test_the_audit_log_is_proven_by_hand(environ: Mapping[str, str]) -> None:
    """R-030: `tenant-service audit verify` beside a service, and after it; 1 without a log."""
    nowhere, said = await ended(await start(environ, "audit", "verify"))
    assert (nowhere, "no database at that path" in said) == (1, True)
    async with running(environ):
        beside = await ended(await start(environ, "audit", "verify"))
    after = await ended(await start(environ, "audit", "verify", "--json"))

    assert beside[0] == 0
    assert beside[1].endswith("The audit log is as it was written.\n")
    assert (after[0], json.loads(after[1])["ok"]) == (0, True)


async def test_wrong_settings_are_told_together(environ: Mapping[str, str]) -> None:
    """One line for each variable on standard error, exit status 2, no value repeated."""
    wrong = {**environ, "TENANT_DATABASE_URL": "mysql://u:geheim@h/d", "TENANT_SERVICE_LISTEN": "nowhere"}

    status, said = await ended(await start(wrong))

    assert status == 2
    assert sorted(line.split(":")[0] for line in said.splitlines()) == [
        "TENANT_DATABASE_URL",
        "TENANT_SERVICE_LISTEN",
    ]
    assert "geheim" not in said
