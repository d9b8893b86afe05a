"""Running the listeners of a process: bind, say where, stop gracefully.

It binds nothing that a setting did not name, and a port that is taken is one clear line.
"""

import asyncio
import contextlib
import errno
import os
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from aiohttp import web

from service_kit.settings import Listen
from service_kit.telemetry.logging import get_logger

DRAIN_SECONDS: Final = 30.0
_BACKLOG: Final = 1024
_PARSER_LIMITS: Final[dict[str, Any]] = {
    # What the sidecar let pass must not be refused by the parser behind it.
    "max_line_size": 16 * 1024,
    "max_field_size": 32 * 1024,
    "max_headers": 256,
    "auto_decompress": False,  # a compressed body is no JSON and no form: it is refused as it is
}

_log = get_logger(__name__)


class PortInUseError(Exception):
    """Another process listens where this one should."""


@dataclass(frozen=True, slots=True)
class Site:
    """One listener: where, and what answers there."""

    name: str
    listen: Listen
    app: web.Application | web.Server
    options: dict[str, Any] = field(default_factory=dict)


@asynccontextmanager
async def serving(sites: Sequence[Site], *, drain_seconds: float = DRAIN_SECONDS) -> AsyncIterator[None]:
    """Listen while the block runs; then stop accepting and let running requests finish.

    Raises PortInUseError before anything is served when one of the addresses is taken.
    """
    runners: list[web.BaseRunner] = []
    try:
        for site in sites:
            runner = _runner(site, drain_seconds)
            runners.append(runner)
            await runner.setup()
            await _start(runner, site)
            _log.info("listening", listener=site.name, address=str(site.listen))
        yield
    finally:
        for runner in runners:
            await runner.cleanup()


def _runner(site: Site, drain_seconds: float) -> web.BaseRunner:
    options = {"shutdown_timeout": drain_seconds, "handle_signals": False, **site.options}
    if isinstance(site.app, web.Application):
        return web.AppRunner(site.app, access_log=None, **_PARSER_LIMITS, **options)
    return web.ServerRunner(site.app, **options)


async def _start(runner: web.BaseRunner, site: Site) -> None:
    listen = site.listen
    try:
        if listen.path:
            _make_room(listen.path)
            await web.UnixSite(runner, listen.path, backlog=_BACKLOG).start()
            _close_to_others(listen.path)
        else:
            await web.TCPSite(runner, listen.host, listen.port, backlog=_BACKLOG).start()
    except socket.gaierror as error:
        raise PortInUseError(f"{site.name}: {listen.host} is no address of this machine") from error
    except OSError as error:
        if error.errno in (errno.EADDRINUSE, errno.EADDRNOTAVAIL, errno.EACCES):
            raise PortInUseError(
                f"{site.name}: cannot listen on {listen}: {os.strerror(error.errno)}"
            ) from error
        raise


def _make_room(path: str) -> None:
    """A socket file outlives its process. Anything else at that path is a mistake, and stays."""
    if not Path(path).is_socket():
        return
    with socket.socket(socket.AF_UNIX) as probe, contextlib.suppress(BlockingIOError):
        probe.setblocking(False)  # noqa: FBT003 - the method's only argument
        try:
            probe.connect(path)
        except ConnectionRefusedError:  # nobody listens behind it any more
            Path(path).unlink(missing_ok=True)
            return
    raise OSError(errno.EADDRINUSE, "another process listens there")


def _close_to_others(path: str) -> None:
    Path(path).chmod(0o660)


def run_service(main: Callable[[asyncio.Event], Awaitable[None]]) -> None:
    """Run `main` on the fastest loop there is until SIGTERM or SIGINT sets its event.

    Files that the process makes, databases above all, are for its own user alone.
    """
    os.umask(0o077)
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(_until_stopped(main))


async def _until_stopped(main: Callable[[asyncio.Event], Awaitable[None]]) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await main(stop)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop  # noqa: PLC0415 - a platform without it still runs
    except ImportError:
        return None
    return uvloop.new_event_loop
