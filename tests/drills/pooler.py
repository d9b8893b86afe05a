"""A real PgBouncer in transaction mode before a PostgreSQL that listens on a unix socket."""

import asyncio
import os
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

from tests.fixtures.ports import free_port
from tests.fixtures.standalone import LOCAL

PATH = f"{os.environ.get('PATH', '')}:/usr/sbin"
SERVER_CONNECTIONS = 3


def require_pgbouncer() -> str:
    """The program. Without it the test is skipped on a developer's machine, and fails in CI."""
    found = shutil.which("pgbouncer", path=PATH)
    if found is None and os.environ.get("SALLYPORT_REQUIRE_ALL"):
        pytest.fail("pgbouncer is not installed")
    if found is None:
        pytest.skip("pgbouncer is not installed")
    return found


@asynccontextmanager
async def pooled(*urls: str) -> AsyncIterator[list[str]]:
    """The same databases through it, with three connections to each, however many ask."""
    program, port = require_pgbouncer(), free_port()
    folder = Path(tempfile.mkdtemp(prefix="pgb", dir="/tmp"))
    parsed = [make_url(url) for url in urls]
    socket = str(parsed[0].query["host"])
    owner = Path(socket).stat().st_uid if os.geteuid() == 0 else None  # it refuses to run as root
    folder.chmod(0o777)
    databases = "\n".join(f"{url.database} = host={socket} user={url.username}" for url in parsed)
    (folder / "pgbouncer.ini").write_text(
        f"[databases]\n{databases}\n"
        f"[pgbouncer]\nlisten_addr = {LOCAL}\nlisten_port = {port}\nunix_socket_dir =\n"
        f"auth_type = any\npool_mode = transaction\ndefault_pool_size = {SERVER_CONNECTIONS}\n"
    )
    with (folder / "log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *(program, str(folder / "pgbouncer.ini")), user=owner, stdout=log, stderr=log
        )
    try:
        await _until_it_listens(port)
        yield [f"postgresql://{url.username}@{LOCAL}:{port}/{url.database}?pgbouncer=true" for url in parsed]
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        await process.wait()
        shutil.rmtree(folder)


async def _until_it_listens(port: int) -> None:
    async with asyncio.timeout(20):
        while True:
            with suppress(OSError):
                _, writer = await asyncio.open_connection(LOCAL, port)
                writer.close()
                return
            await asyncio.sleep(0.05)
