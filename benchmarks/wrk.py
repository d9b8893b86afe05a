"""Runs wrk, the load generator, and reads what it tells.

It takes no figure from wrk's text for people: the script of the load prints them as one JSON object.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.machine import pinned

CONNECTIONS: Final = 64
_SCRIPT: Final = Path(__file__).with_name("load.lua")
# So far apart that no two runs ever send the same Cf-Ray or the same distinct token.
_NUMBERS_OF_A_RUN: Final = 10_000_000


class WrkError(Exception):
    """The load generator is not there, or it told nothing."""


@dataclass(frozen=True, slots=True)
class Load:
    """What is sent: the file of a request's head, the file of tokens, and how many connections send it."""

    head: Path
    tokens: Path
    connections: int = CONNECTIONS
    pause_ms: int = 0
    """What each connection waits between an answer and its next request: it bounds the load."""


@dataclass(frozen=True, slots=True)
class Told:
    """What wrk says about one run, and the processor time that it took itself."""

    seconds: float
    requests: int
    bytes: int
    p50_ms: float
    p99_ms: float
    refused: int
    """Answers with a status of 400 or above."""
    errors: int
    cpu_seconds: float = 0.0


class Numbers:
    """Hands out the first number of each run; no two runs share one."""

    def __init__(self) -> None:
        self._next = 0

    def next(self) -> int:
        self._next += _NUMBERS_OF_A_RUN
        return self._next


@dataclass(slots=True)
class RunningLoad:
    """A wrk that runs."""

    process: subprocess.Popen[str]

    def told(self) -> Told:
        """Wait for the end, and read. Raises WrkError."""
        output = ""
        if self.process.stdout:
            with self.process.stdout as stdout:
                output = stdout.read()
        _pid, status, usage = os.wait4(self.process.pid, 0)
        self.process.returncode = os.waitstatus_to_exitcode(status)
        return read_told(output, cpu_seconds=usage.ru_utime + usage.ru_stime)


def require_wrk() -> None:
    """Raises WrkError with what to do about it."""
    if shutil.which("wrk") is None:
        raise WrkError("make bench needs wrk, the load generator (Debian: apt install wrk)")


def begin(port: int, load: Load, *, seconds: float, first_number: int, cores: Sequence[int]) -> RunningLoad:
    """Start sending; the caller asks for the result."""
    command = pinned(
        ["wrk", "-t1", f"-c{load.connections}", f"-d{max(1, round(seconds))}s", "--timeout", "10s"], *cores
    )
    command += ["-s", str(_SCRIPT), f"http://127.0.0.1:{port}/", "--"]
    command += [str(load.head), str(load.tokens), str(first_number), str(load.pause_ms)]
    return RunningLoad(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True))


def read_told(output: str, *, cpu_seconds: float = 0.0) -> Told:
    """The last JSON object of the output. Raises WrkError when there is none."""
    lines = [line for line in output.splitlines() if line.startswith('{"seconds"')]
    if not lines:
        raise WrkError(f"wrk told nothing:\n{output}")
    told = json.loads(lines[-1])
    return Told(
        seconds=told["seconds"],
        requests=told["requests"],
        bytes=told["bytes"],
        p50_ms=told["p50_us"] / 1000,
        p99_ms=told["p99_us"] / 1000,
        refused=told["refused"],
        errors=told["errors"],
        cpu_seconds=cpu_seconds,
    )
