"""What lives as long as the process: opened in order, closed in the other, asked whether it is ready.

It knows no part by name and makes none.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from typing import Protocol

from aiohttp import web

from service_kit.db.session import Database
from service_kit.errors import UnavailableError
from service_kit.web.ops import Readiness, ReadinessCheck


class Part(Protocol):
    """Something that works beside the requests."""

    async def start(self) -> None: ...

    async def close(self) -> None: ...


class Streaming(Protocol):
    """Something that holds responses open which never end by themselves."""

    async def close(self) -> None: ...


def running(
    parts: Sequence[Part], opened: AsyncExitStack
) -> Callable[[web.Application], AsyncIterator[None]]:
    """For `cleanup_ctx`: starts the parts one after the other; `opened` is closed last."""

    async def run_all(_app: web.Application) -> AsyncIterator[None]:
        async with opened as stack:
            for part in parts:
                stack.push_async_callback(part.close)
                await part.start()
            yield

    return run_all


def ending(*streams: Streaming) -> Callable[[web.Application], Awaitable[None]]:
    """For `on_shutdown`: without this a graceful stop would wait for open streams in vain."""

    async def end(_app: web.Application) -> None:
        for stream in streams:
            await stream.close()

    return end


def database_check(database: Database) -> ReadinessCheck:
    async def check() -> Readiness:
        try:
            await database.ping()
        except UnavailableError:
            return Readiness("database", ready=False, detail="the database does not answer")
        return Readiness("database", ready=True)

    return check
