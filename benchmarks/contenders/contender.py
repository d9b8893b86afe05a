"""What the measurement knows of a contender, and how a program is found."""

import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from benchmarks.given import Given
from benchmarks.process import Command

# A Go program takes a thread for each core it sees; one core is what everybody gets.
GO_ON_ONE_CORE: Final[Mapping[str, str]] = {"GOMAXPROCS": "1"}


@dataclass(frozen=True, slots=True)
class Contender:
    """One program with one configuration."""

    name: str
    title: str
    program: str
    """What has to be there for it to run."""
    install: str
    """How a person gets it."""
    version: tuple[str, ...]
    """The words that make it tell its version."""
    command: Callable[[Given, Path, int], Command] = field(repr=False)
    """From the given, a folder of its own and its port to how it is started."""
    verifies: bool = True
    """It checks every token: signature, issuer, audience, expiry. Otherwise it only forwards."""

    @property
    def is_there(self) -> bool:
        return bool(find(self.program))


def find(program: str) -> str:
    """The path of a program, beside this Python or on the path; empty if there is none."""
    beside = Path(sys.executable).with_name(program)
    if beside.exists():
        return str(beside)
    return shutil.which(program, path="/usr/local/sbin:/usr/sbin:/sbin") or shutil.which(program) or ""


def written(folder: Path, name: str, text: str) -> str:
    """The path of a configuration file with this text."""
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return str(path)
