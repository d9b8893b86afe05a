"""Memory of the sidecar: idle connections, long bodies, stalled readers.

Every number is resident memory (RSS) of the sidecar's processes together, in millions of bytes.
"""

import resource
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final

from benchmarks.contenders import sidecar
from benchmarks.given import Given
from benchmarks.interleaved import Bench
from benchmarks.machine import resident_bytes
from benchmarks.memory_clients import (
    ClientError,
    Look,
    download,
    idle_connections,
    stalled_readers,
    still_open,
    upload,
)
from benchmarks.paced import rotation
from benchmarks.process import Command, Running, free_port, serving
from benchmarks.result import Result
from benchmarks.wrk import begin

IDLE: Final = 10_000
_GIGABYTE: Final = 10**9
_QUICK: Final = 100  # a smoke run takes a hundredth of everything
_STALLED, _STALLED_BYTES = 60, 16 * 1024 * 1024
_SPARE_FILES: Final = 1000


def memory(bench: Bench, given: Given, result: Result) -> None:
    """All of it, each part with a sidecar of its own."""
    for part in (_idle, _bulk):
        try:
            part(bench, given, result)
        except (ClientError, OSError) as error:
            result.skipped[f"memory, {part.__name__.strip('_')}"] = str(error)


def _idle(bench: Bench, given: Given, result: Result) -> None:
    count = how_many_idle(bench, result)
    with own_sidecar(
        bench, given, "idle", given.upstream, AUTH_PROXY_MAX_CONNECTIONS=str(2 * IDLE)
    ) as running:
        result.measures["memory.fresh_mb"] = megabytes(running)
        with idle_connections(running.port, count, requests_in_rotation(bench, given)) as connections:
            result.measures["memory.idle_mb"] = megabytes(running)
            load = begin(
                *(running.port, given.load()),
                seconds=bench.seconds,
                first_number=bench.numbers.next(),
                cores=[bench.cores.load],
            ).told()
            result.measures["memory.idle_and_load_mb"] = megabytes(running)
            result.measures["memory.idle_connections"] = still_open(connections)
    bench.tell(f"  memory: {count} idle connections, then {load.requests} requests beside them")


def how_many_idle(bench: Bench, result: Result) -> int:
    """As many idle connections as are wanted, or as this process may have."""
    count = min(IDLE // (_QUICK if bench.is_quick else 1), _most_connections())
    if count < IDLE and not bench.is_quick:
        result.skipped[f"{IDLE} idle connections"] = f"the limit of open files allows {count}"
    return count


def _bulk(bench: Bench, given: Given, result: Result) -> None:
    length = _GIGABYTE // (_QUICK if bench.is_quick else 1)
    token = given.tokens.read_text(encoding="ascii").split()[0]
    with (
        _bulk_upstream(bench, given) as upstream,
        own_sidecar(bench, given, "bulk", upstream.port, AUTH_PROXY_MAX_BODY=str(2 * _GIGABYTE)) as running,
    ):
        download(running.port, token, 10_000_000, _no_look)  # what the first body needs is no growth
        for name, send in (("upload", upload), ("download", download)):
            started = time.monotonic()
            grown = _growth(running, partial(send, running.port, token, length))
            result.measures[f"memory.{name}_growth_mb"] = grown
            bench.tell(f"  memory: {name} of {length:,} bytes in {time.monotonic() - started:.1f} s")
        result.measures["memory.stalled_growth_mb"] = _growth_while_stalled(running, token)


def _growth_while_stalled(running: Running, token: str) -> float:
    def stall(look: Look) -> None:
        with stalled_readers(running.port, token, _STALLED, _STALLED_BYTES):
            for _ in range(20):
                time.sleep(0.1)
                look()

    return _growth(running, stall)


def _growth(running: Running, work: Callable[[Look], None]) -> float:
    before = megabytes(running)
    seen = [before]
    work(lambda: seen.append(megabytes(running)))
    seen.append(megabytes(running))
    return max(seen) - before


@contextmanager
def own_sidecar(bench: Bench, given: Given, name: str, upstream: int, **changes: str) -> Iterator[Running]:
    """A sidecar that nobody else asks, while the block runs."""
    own = given.folder / f"memory-{name}"
    own.mkdir()
    command = sidecar.command(replace(given, upstream=upstream), own, free_port(), **changes)
    with serving(command, own / "log", bench.cores.proxy) as running:
        yield running


@contextmanager
def _bulk_upstream(bench: Bench, given: Given) -> Iterator[Running]:
    port = free_port()
    command = Command((sys.executable, "-m", "benchmarks.bulk_upstream", str(port)), port)
    with serving(command, Path(given.folder / "bulk-upstream.log"), bench.cores.load) as running:
        yield running


def requests_in_rotation(bench: Bench, given: Given) -> Iterator[bytes]:
    """The requests of the other rows, one after the other."""
    load = given.load()
    with load.head.open(encoding="ascii", newline="") as file:
        head = file.read()
    return rotation(head, load.tokens.read_text(encoding="ascii").split(), bench.numbers.next())


def _most_connections() -> int:
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0] - _SPARE_FILES


def megabytes(running: Running) -> float:
    """What its processes have in memory now."""
    return resident_bytes(running.pids) / 1e6


def _no_look() -> None:
    """Nobody looks."""
