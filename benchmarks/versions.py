"""Which version of each contender was measured, as the programs tell it themselves."""

import re
import subprocess
import sys
from collections.abc import Iterable
from importlib.metadata import version
from typing import Final

from benchmarks.contenders.contender import Contender, find

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


def _told(words: tuple[str, ...]) -> str:
    program = find(words[0])
    if not program:
        return "?"
    told = subprocess.run([program, *words[1:]], capture_output=True, text=True, timeout=20, check=False)
    number = _NUMBER.search(told.stdout + told.stderr)
    return number.group() if number else "?"
