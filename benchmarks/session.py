"""One run from its start to its end: everybody is started, proven, measured row by row, and ended."""

import contextlib
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.contenders.contender import Contender
from benchmarks.contenders.everybody import EVERYBODY, chosen
from benchmarks.contenders.nginx import NGINX, upstream_command
from benchmarks.contenders.sidecar import SIDECAR
from benchmarks.given import Given, given
from benchmarks.interleaved import Bench, Tell
from benchmarks.machine import Cores, allow_many_files, choose_cores, describe
from benchmarks.process import Running, StartError, free_port, serving
from benchmarks.proof import ProofError, prove
from benchmarks.result import Result
from benchmarks.rows.bodies import bodies
from benchmarks.rows.get import get
from benchmarks.rows.latency import latency
from benchmarks.rows.memory import memory
from benchmarks.rows.refusals import refusals
from benchmarks.rows.soak import soak
from benchmarks.rows.workers import workers
from benchmarks.versions import commit, versions
from benchmarks.wrk import Numbers, WrkError, require_wrk
from service_kit.clock import SystemClock

_REPEAT_SECONDS: Final = 400.0

Row = Callable[[Bench, Given, Result], None]
ROWS: Final[Mapping[str, Row]] = {
    "get": get,
    "bodies": bodies,
    "refusals": refusals,
    "latency": latency,
    "workers": workers,
    "memory": memory,
    "soak": soak,
}


@dataclass(frozen=True, slots=True)
class Options:
    """What a person asked for."""

    rows: Sequence[str]
    peers: Sequence[str]
    rounds: int
    seconds: float
    is_quick: bool = False
    soak_minutes: float = 0.0


def measure(options: Options, tell: Tell) -> Result:
    """Raises WrkError when the load generator or the upstream is not there, or the sidecar is wrong."""
    require_wrk()
    if not NGINX.is_there:
        raise WrkError(f"make bench needs nginx as the upstream of everybody ({NGINX.install})")
    allow_many_files()
    result = Result(
        when=SystemClock().now().date().isoformat(),
        commit=commit(),
        rounds=options.rounds,
        seconds=options.seconds,
        machine=describe(),
    )
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        cores = choose_cores()
        upstream = stack.enter_context(_upstream(folder, cores))
        work = stack.enter_context(given(folder, upstream.port))
        running = _start_all(work, options, cores, result, stack)
        result.versions = versions([one for one in EVERYBODY if one.name in running])
        bench = Bench(
            upstream,
            running,
            cores,
            Numbers(),
            options.rounds,
            options.seconds,
            tell,
            options.soak_minutes,
            options.is_quick,
            repeat_until=time.monotonic() + _REPEAT_SECONDS,
        )
        for row in options.rows:
            tell(f"{row}:")
            ROWS[row](bench, work, result)
    return result


@contextmanager
def _upstream(folder: Path, cores: Cores) -> Iterator[Running]:
    own = folder / "upstream"
    own.mkdir()
    with serving(upstream_command(own, free_port()), own / "log", cores.load) as running:
        yield running


def _start_all(
    work: Given, options: Options, cores: Cores, result: Result, stack: contextlib.ExitStack
) -> dict[str, Running]:
    running: dict[str, Running] = {}
    for contender in chosen(options.peers):
        if not contender.is_there:
            result.skipped[contender.title] = f"not installed ({contender.install})"
            continue
        try:
            running[contender.name] = _start(work, contender, cores, stack)
        except (StartError, ProofError) as error:
            if contender is SIDECAR:
                raise WrkError(f"the sidecar cannot be measured: {error}") from error
            result.skipped[contender.title] = str(error)
    return running


def _start(work: Given, contender: Contender, cores: Cores, stack: contextlib.ExitStack) -> Running:
    own = work.folder / contender.name
    own.mkdir()
    command = contender.command(work, own, free_port())
    running = stack.enter_context(serving(command, own / "log", cores.proxy))
    prove(work, running.port, verifies=contender.verifies)
    return running
