"""What a command found, as lines for a person and as a document for a machine.

It prints nothing and decides nothing. Text that came from outside is made harmless for a terminal here.
"""

import enum
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

_MOST_SHOWN: Final = 200


class Verdict(enum.StrEnum):
    """How one finding ended. Only `fail` makes the command's exit status bad."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at: what was seen, and what to do when it is not right."""

    name: str
    verdict: Verdict
    seen: str
    fix: str = ""

    def document(self) -> dict[str, str]:
        return {"name": self.name, "verdict": self.verdict.value, "seen": self.seen, "fix": self.fix}

    def lines(self) -> Iterator[str]:
        yield f"{self.verdict.value:<4}  {self.name}: {self.seen}"
        if self.fix:
            yield f"      fix: {self.fix}"


def fine(name: str, seen: str) -> Finding:
    return Finding(name, Verdict.OK, seen)


def warning(name: str, seen: str, fix: str) -> Finding:
    return Finding(name, Verdict.WARN, seen, fix)


def fault(name: str, seen: str, fix: str) -> Finding:
    return Finding(name, Verdict.FAIL, seen, fix)


@dataclass(frozen=True, slots=True)
class Report:
    """The answer of a command, and its exit status."""

    lines: tuple[str, ...]
    document: dict[str, Any] = field(default_factory=dict)
    status: int = 0


def columns(rows: Sequence[Sequence[str]], *, indent: str = "  ") -> Iterator[str]:
    """Rows as aligned columns; the last one is as long as it is."""
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))] if rows else []
    for row in rows:
        padded = (text.ljust(width) for text, width in zip(row, widths, strict=True))
        yield (indent + "  ".join(padded)).rstrip()


def printable(text: str) -> str:
    """Text from outside: short, on one line, and without a byte that a terminal would obey."""
    harmless = "".join(letter if letter.isprintable() else "?" for letter in text[:_MOST_SHOWN])
    return f"{harmless}…" if len(text) > _MOST_SHOWN else harmless


def listed(words: Iterable[str]) -> str:
    """The words with commas, or `none`."""
    return ", ".join(words) or "none"
