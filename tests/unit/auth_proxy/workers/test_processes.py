"""A worker as a process: what it is started with, and how its end is told."""

import os
import signal
import sys
from pathlib import Path

import pytest

import auth_proxy
from auth_proxy.workers.processes import how_it_ended, start_worker, worker_command


def test_a_worker_is_this_package_and_no_other(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A folder `auth_proxy` where the process happens to stand is not what a worker runs."""
    monkeypatch.chdir(tmp_path)
    elsewhere = worker_command()
    monkeypatch.chdir(Path(auth_proxy.__path__[0]).parent)

    assert elsewhere == (sys.executable, "-P", "-m", "auth_proxy", "run")
    assert worker_command() == (sys.executable, "-m", "auth_proxy", "run")


@pytest.mark.parametrize(
    "status, told",
    [(0, {"exit_status": 0}), (2, {"exit_status": 2}), (-9, {"signal": "SIGKILL"}), (-63, {"signal": 63})],
)
def test_an_end_has_a_name(status: int, told: dict[str, object]) -> None:
    """An exit status, or the signal by its name; one without a name by its number."""
    assert how_it_ended(status) == told


async def test_an_end_is_told_whatever_was_told_before(tmp_path: Path) -> None:
    """Nobody has asked whether it serves: the byte is skipped, and a second question gives the same end."""
    program = """
import json, os, socket, sys
place = json.loads(os.environ["AUTH_PROXY_INHERITED"])
socket.socket(fileno=place["lifeline"]).send(b"+")
sys.exit(7)
"""
    worker = start_worker(
        (sys.executable, "-c", program),
        os.environ,
        number=0,
        workers=1,
        gate=(),
        ops=(),
        folder=str(tmp_path),
    )

    assert await worker.ended() == 7
    assert await worker.ended() == 7


async def test_a_worker_that_ends_first_never_served(tmp_path: Path) -> None:
    """The line ends without a byte; a signal sent afterwards meets nobody else's process."""
    command = (sys.executable, "-c", "")
    worker = start_worker(command, os.environ, number=0, workers=1, gate=(), ops=(), folder=str(tmp_path))

    assert await worker.started() is False
    assert await worker.ended() == 0
    worker.send(signal.SIGTERM)
