"""Starts a contender on its cores, waits until it answers, and ends it.

It ends what it started, by process id, and nothing else.
"""

import contextlib
import os
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from benchmarks.given import LOCAL
from benchmarks.machine import family, pinned

ROOT: Final = Path(__file__).resolve().parents[1]
_START_SECONDS: Final = 20.0
_END_SECONDS: Final = 5.0


class StartError(Exception):
    """It ended or stayed silent instead of serving; the text is the end of what it wrote."""


@dataclass(frozen=True, slots=True)
class Command:
    """How one program is started, and the port that tells that it serves."""

    words: Sequence[str]
    port: int
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Running:
    """A program that serves."""

    pid: int
    port: int
    log: Path

    @property
    def pids(self) -> list[int]:
        return family(self.pid)


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind((LOCAL, 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def serving(command: Command, log: Path, *cores: int) -> Iterator[Running]:
    """The program while the block runs. Raises StartError."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            pinned(command.words, *cores),
            env={**os.environ, **command.environment},
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        _await_port(process, command.port, log)
        yield Running(process.pid, command.port, log)
    finally:
        _end(process)


def _await_port(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    until = time.monotonic() + _START_SECONDS
    while time.monotonic() < until and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection((LOCAL, port), timeout=1):
            return
        time.sleep(0.05)
    raise StartError(log.read_text(encoding="utf-8", errors="replace")[-2000:].strip() or "it said nothing")


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
