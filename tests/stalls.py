"""Runs a command on a machine that stands still now and then, as busy and paused hosts do.

    python -m tests.stalls [--seconds 0.7] [--every 4] [--share 1] -- python -m pytest tests/integration -n 2

Everything that the command started is stopped for a while, and goes on: a test that fails here, and not
alone, trusts a quiet machine. With a share below one, each process stands still with that probability while
the others go on, as when they wait for a processor: a test that fails then trusts that one comes to its turn
before another. What a test left behind as a daemon (a database server) is not stopped with it.
Ends with the status of the command.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from typing import Final

from benchmarks.machine import family

_LEAST: Final = 0.3
"""Of a mean: pauses and what lies between them are spread from here to the same distance above it."""


def main(words: Sequence[str]) -> int:
    """The status of the command."""
    parser = argparse.ArgumentParser(prog="python -m tests.stalls", description=__doc__)
    parser.add_argument("--seconds", type=float, default=0.7, help="how long it stands still, on average")
    parser.add_argument("--every", type=float, default=4.0, help="seconds between two times, on average")
    parser.add_argument(
        "--share", type=float, default=1.0, help="the part of the processes that stands still"
    )
    parser.add_argument("command", nargs="+")
    options = parser.parse_args(words)
    with subprocess.Popen(options.command) as process:
        while not _has_ended(process, within=_about(options.every)):
            still = [pid for pid in family(process.pid) if random.random() < options.share]
            _stand_still(still, _about(options.seconds))
        return process.returncode


def _has_ended(process: subprocess.Popen[bytes], *, within: float) -> bool:
    try:
        process.wait(within)
    except subprocess.TimeoutExpired:
        return False
    return True


def _stand_still(pids: Sequence[int], seconds: float) -> None:
    _tell(pids, signal.SIGSTOP)
    try:
        time.sleep(seconds)
    finally:
        _tell(reversed(pids), signal.SIGCONT)


def _tell(pids: Iterable[int], number: signal.Signals) -> None:
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue  # it has ended meanwhile


def _about(mean: float) -> float:
    return random.uniform(_LEAST * mean, (2 - _LEAST) * mean)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
