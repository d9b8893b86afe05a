"""`auth-proxy keys` and SIGHUP on sidecars that run: what is rotated is published, and nothing ends."""

import asyncio
import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import pytest
from aiohttp.test_utils import TestClient, TestServer

from auth_proxy.commands.explain import Question
from service_kit.identity.keys import key_file_name, load_signing_keys, new_signing_key, parse_public_jwks
from tests.fixtures.examined import Examined, examined, gate_of
from tests.fixtures.ports import free_port

__all__ = ["examined"]

JWKS = "/.well-known/jwks.json"
OPERATOR = 'operators = [{ email = "super_admin@example.com", role = "support" }]'
NOBODY = 'operators = [{ email = "nobody@example.com", role = "support" }]'


async def command(
    *arguments: str, environ: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """`python -m auth_proxy keys …`; it needs no configuration."""
    return await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "auth_proxy", "keys", *arguments],
        env={"PATH": os.environ["PATH"], **(environ or {})},
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )


async def test_a_key_is_made_rotated_and_listed(tmp_path: Path) -> None:
    """The life of a folder, as a person types it; statuses 0, and 1 for a rotation that comes too soon."""
    folder = tmp_path / "keys"
    hour_ago = key_file_name(datetime.now(UTC) - timedelta(hours=1))
    made = await command("new", str(folder / hour_ago))
    rotated = await command("rotate", str(folder))
    again = await command("rotate", str(folder))
    forced = await command("rotate", "--force", str(folder))
    listed = await command("list", str(folder))
    kids = [key.kid for key in load_signing_keys(folder)]

    assert made.stdout == f"{kids[0]}  {folder / hour_ago}\n"
    assert [line.split()[0] for line in rotated.stdout.splitlines()] == ["signing", "published", "removed"]
    assert (rotated.returncode, again.returncode, forced.returncode) == (0, 1, 0)
    assert again.stderr.startswith(f"auth-proxy: {kids[1]} was made at ")
    assert [line.split("  ")[0] for line in listed.stdout.splitlines()] == kids
    assert [line.split("  ")[2].split(",")[0] for line in listed.stdout.splitlines()] == [
        "signing",
        "published",
        "published",
    ]
    assert "PRIVATE" not in made.stdout + rotated.stdout + forced.stdout + listed.stdout


async def test_the_lead_time_is_the_sidecars(tmp_path: Path) -> None:
    """INTERNAL_SIGNING_LEAD_SECONDS decides when a key signs, and so when an old one may go."""
    new_signing_key(tmp_path / key_file_name(datetime.now(UTC) - timedelta(seconds=90)))
    slow = await command("rotate", str(tmp_path), environ={"INTERNAL_SIGNING_LEAD_SECONDS": "3600"})
    wrong = await command("list", str(tmp_path), environ={"INTERNAL_SIGNING_LEAD_SECONDS": "soon"})
    usual = await command("rotate", str(tmp_path))

    assert (slow.returncode, usual.returncode) == (1, 0)
    assert (wrong.returncode, wrong.stderr) == (
        2,
        "auth-proxy: INTERNAL_SIGNING_LEAD_SECONDS: must be 1 to 3600\n",
    )


@pytest.mark.parametrize("arguments", [("rotate", "/none"), ("list", "/none"), ("new", "/proc/none/x.pem")])
async def test_a_path_that_cannot_be_used_is_one_line(arguments: tuple[str, str]) -> None:
    """Status 2 and no trace."""
    ran = await command(*arguments)

    assert ran.returncode == 2
    assert ran.stderr.startswith(f"auth-proxy: {arguments[1]}"[:20])
    assert len(ran.stderr.splitlines()) == 1


async def test_a_reload_publishes_a_new_key_at_once(examined: Examined) -> None:
    """A key that was written a moment ago is in the JWKS after the reload, without waiting for a look."""
    async with gate_of(examined) as gate, TestClient(TestServer(gate.sidecar.ops)) as ops:
        kid = new_signing_key(examined.keys / key_file_name(datetime.now(UTC)))
        before = parse_public_jwks(await (await ops.get(JWKS)).read())
        gate.sidecar.reload()
        after = parse_public_jwks(await (await ops.get(JWKS)).read())

    assert kid not in before
    assert {*before, kid} == set(after)


async def test_a_reload_reads_the_roster_at_once(examined: Examined, tmp_path: Path) -> None:
    """R-064: who was taken out of the file is refused from the reload on; a broken file changes nothing."""
    roster = tmp_path / "roster.toml"
    roster.write_text(OPERATOR)
    services = {"ADMIN_SERVICE_URL": "", "TENANT_SERVICE_URL": ""}
    statuses = []
    async with gate_of(examined, AUTH_PROXY_ROSTER=f"file:{roster}", **services) as gate:
        for text in (OPERATOR, "operators = [", NOBODY):
            roster.write_text(text)
            gate.sidecar.reload()
            statuses.append((await gate.send(Question("/", token=examined.token())))[0])

    # 404 is the frontend's own answer: the request went through.
    assert statuses == [404, 404, 403]


@asynccontextmanager
async def process_of(environ: Mapping[str, str], log: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """`python -m auth_proxy run`, until its operations listener answers."""
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "auth_proxy", "run"),
            env={**environ, "PATH": os.environ["PATH"]},
            stdout=output,
            stderr=output,
        )
    try:
        await until(log, "listening.*gate|gate.*listening")
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def until(log: Path, pattern: str) -> None:
    """Wait for a line of the log."""
    async with asyncio.timeout(20):
        while not re.search(pattern, log.read_text()):
            await asyncio.sleep(0.02)


async def test_sighup_reloads_instead_of_ending_the_process(examined: Examined, tmp_path: Path) -> None:
    """SIGHUP, twice: the process lives, says so in its log, and publishes what `rotate` wrote."""
    environ = {
        **examined.environ,
        "AUTH_PROXY_LISTEN": f"127.0.0.1:{free_port()}",
        "AUTH_PROXY_DRAIN_SECONDS": "0",
    }
    log = tmp_path / "log"
    jwks = f"http://{environ['AUTH_PROXY_OPS_LISTEN']}{JWKS}"
    async with process_of(environ, log) as process, aiohttp.ClientSession() as session:
        process.send_signal(signal.SIGHUP)
        await until(log, "reload_requested")
        rotated = await command("rotate", str(examined.keys))
        process.send_signal(signal.SIGHUP)
        await until(log, r'"reloaded"')
        async with session.get(jwks) as response:
            published = parse_public_jwks(await response.read())
        alive = process.returncode is None

    assert rotated.returncode == 0, rotated.stderr
    assert set(published) == {key.kid for key in load_signing_keys(examined.keys)}
    assert len(published) == 2
    assert alive
    assert process.returncode == 0
