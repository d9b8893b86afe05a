"""Which version of each contender was measured, as the programs tell it themselves; and which of ours."""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from importlib.metadata import version
from typing import Final

from benchmarks.contenders.contender import Contender, find
from benchmarks.process import ROOT

_WRITTEN: Final = ("benchmarks/results.json", "docs/performance.md", "docs/images/performance.svg")
"""What a run itself writes."""
_NUMBER: Final = re.compile(r"\d+\.\d+(?:\.\d+)?")


def versions(contenders: Iterable[Contender]) -> dict[str, str]:
    """One entry for each program, and those of the libraries that the sidecar stands on."""
    found = {name: version(name) for name in ("aiohttp", "uvloop", "PyJWT", "cryptography")}
    programs = {one.program: one for one in contenders if find(one.program) != sys.executable}
    return (
        found
        | {program: _told(one.version) for program, one in programs.items()}
        | {"wrk": _told(("wrk", "-v"))}
    )


def commit() -> str:
    """The commit that is measured, with "-dirty" if anything but the results differs from it."""
    number = _git("rev-parse", "--short", "HEAD")
    changed = _git("status", "--porcelain", "--", ".", *(f":!{name}" for name in _WRITTEN))
    return f"{number}-dirty" if number and changed else number


def _git(*words: str) -> str:
    """What git says in this repository; nothing where there is none."""
    program = shutil.which("git")
    if program is None:
        return ""
    told = subprocess.run(
        [program, *words], capture_output=True, text=True, cwd=ROOT, timeout=20, check=False
    )
    return told.stdout.strip() if told.returncode == 0 else ""


def _told(words: tuple[str, ...]) -> str:
    program = find(words[0])
    if not program:
        return "?"
    told = subprocess.run([program, *words[1:]], capture_output=True, text=True, timeout=20, check=False)
    number = _NUMBER.search(told.stdout + told.stderr)
    return number.group() if number else "?"
