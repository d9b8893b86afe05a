"""Runs one target under Atheris: coverage of the code under test decides which inputs are kept.

A target is a module with `seeds()` and `one_input(data)`; it is imported here and not before, so that
the code under test is instrumented. Any exception that leaves `one_input` is a finding: its input is
printed and the process ends with an error.
"""

import importlib
import sys
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Protocol, cast

INSTRUMENTED = (
    "auth_proxy.pipeline",
    "auth_proxy.access",
    "auth_proxy.header_names",
    "auth_proxy.forwarding",
    "service_kit.strict_json",
    "service_kit.base64url",
    "service_kit.email_address",
)
_MOST_BYTES = 8192


class Target(Protocol):
    """What a target module offers."""

    def seeds(self) -> Iterable[bytes]:
        """Inputs to begin with."""
        ...

    def one_input(self, data: bytes) -> None:
        """Raises for a finding only."""
        ...


def fuzz(module: str, arguments: list[str]) -> None:
    """Fuzz until an argument such as `-max_total_time=20` says stop. Does not return."""
    atheris = importlib.import_module("atheris")  # it has no types, and only fuzzing needs it
    with atheris.instrument_imports(include=list(INSTRUMENTED)):
        target = cast("Target", importlib.import_module(module))
    folder = Path(tempfile.mkdtemp(prefix="fuzz"))
    _write_seeds(folder, target.seeds())
    limits = [f"-max_len={_MOST_BYTES}", "-timeout=10", f"-artifact_prefix={folder}/"]
    atheris.Setup([sys.argv[0], *limits, *arguments, str(folder)], _told(target.one_input))
    atheris.Fuzz()


def _write_seeds(folder: Path, seeds: Iterable[bytes]) -> None:
    for number, seed in enumerate(seeds):
        (folder / f"seed-{number}").write_bytes(seed[:_MOST_BYTES])


def _told(one_input: Callable[[bytes], None]) -> Callable[[bytes], None]:
    """The same, but an input that is a finding is printed."""

    def run(data: bytes) -> None:
        try:
            one_input(data)
        except BaseException:
            print(f"FINDING: {data!r}", flush=True)
            raise

    return run
