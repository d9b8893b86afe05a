"""The demo's processes: who does not end when asked is killed, waited for and named."""

import asyncio
import os
from pathlib import Path

import pytest

from deploy.demo import processes as module
from deploy.demo.processes import Processes, Program

_STUBBORN = """\
import os, pathlib, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
pathlib.Path(sys.argv[1]).write_text(f'{os.getpid()}.')
time.sleep(600)
"""


async def test_who_does_not_end_is_killed_and_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """R-008: nothing is left behind, no zombie either, and the caller can say who was killed."""
    monkeypatch.setattr(module, "STOP_SECONDS", 3.0)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (tmp_path / "stubborn.py").write_text(_STUBBORN)
    (tmp_path / "willing.py").write_text(_STUBBORN.replace("SIG_IGN", "SIG_DFL"))
    stubborn, willing = tmp_path / "stubborn.there", tmp_path / "willing.there"
    running = Processes(tmp_path / "logs")
    for name in ("stubborn", "willing"):
        await running.start(Program(name, (name, str(tmp_path / f"{name}.there")), {}, (), "", ""))
    async with asyncio.timeout(20):
        while not (stubborn.exists() and stubborn.read_text().endswith(".") and willing.exists()):
            await asyncio.sleep(0.02)

    killed = await running.stop()

    assert killed == ["stubborn"]
    with pytest.raises(ChildProcessError):  # it was waited for
        os.waitpid(int(stubborn.read_text()[:-1]), os.WNOHANG)
