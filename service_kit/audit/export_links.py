"""The links of hash chains, followed through rows that come newest first, in the order of time.

Two transactions may end in another order than they began, so a chain's rows may come a little out of their
order: it joins stretches of rows as they meet. It reads no column but place, hash and previous hash.
"""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Final

_MOST_STRETCHES: Final = 4096
"""A filtered export has a gap at nearly every row: the newest stretches are forgotten, none can join them."""

_REMEMBERED: Final = 512
"""Hashes of the last rows of a chain that are kept, to hold them against a signed checkpoint."""


@dataclass(slots=True)
class Links:
    """One chain's rows so far. `_lows` are the ends of stretches that an older row may still join."""

    rows: int = 0
    first: int = 0
    last: int = 0
    last_hash: str = ""
    _lows: dict[int, str] = field(default_factory=dict)
    """Place of the lowest row of each stretch: what its `prev_hash` is."""
    _highs: dict[int, str] = field(default_factory=dict)
    """Place of the highest row of each stretch: its hash."""
    _others: dict[int, int] = field(default_factory=dict)
    """From the one end of a stretch to the other."""
    _hashes: dict[int, str] = field(default_factory=dict)
    _forgot: bool = False

    def add(self, seq: int, digest: str, before: str) -> bool:
        """Whether the row fits the neighbours that were there already."""
        self.first = seq if self.rows == 0 else min(self.first, seq)
        if seq >= self.last:
            self.last, self.last_hash = seq, digest
        self.rows += 1
        if len(self._hashes) < _REMEMBERED:
            self._hashes[seq] = digest
        return self._join(seq, digest, before)

    def _join(self, seq: int, digest: str, before: str) -> bool:
        fits, low, high = True, seq, seq
        if (expected := self._lows.pop(seq + 1, None)) is not None:
            fits = expected == digest
            high = self._others.pop(seq + 1, seq + 1)
        if (below := self._highs.pop(seq - 1, None)) is not None:
            fits = fits and below == before
            low = self._others.pop(seq - 1, seq - 1)
        if low == seq:
            self._lows[seq] = before
        if high == seq:
            self._highs[seq] = digest
        self._others[low], self._others[high] = high, low
        if len(self._lows) > _MOST_STRETCHES:
            self._forget()
        return fits

    def _forget(self) -> None:
        """The newer half, at once: one at a time would look through all of them for every row."""
        for low in sorted(self._lows)[_MOST_STRETCHES // 2 :]:
            high = self._others.pop(low, low)  # a forged file has places twice: they name no other end
            self._others.pop(high, None)
            del self._lows[low]
            self._highs.pop(high, None)
        self._forgot = True

    @property
    def missing(self) -> int | None:
        """The place of a row that is not there between the first and the last; None when all are."""
        if self.rows == self.last - self.first + 1 and len(self._lows) == 1 and not self._forgot:
            return None
        return min(self._highs, default=self.first) + 1

    def hash_at(self, seq: int) -> str | None:
        """The hash of one of the first rows that came, which are the newest; None of an older one."""
        return self._hashes.get(seq)


class ChainLinks:
    """The links of every chain of a file, by source and name."""

    def __init__(self) -> None:
        self._chains: dict[tuple[str, str], Links] = {}

    def add(self, name: tuple[str, str], seq: int, digest: str, before: str) -> bool:
        return self._chains.setdefault(name, Links()).add(seq, digest, before)

    @property
    def names(self) -> AbstractSet[tuple[str, str]]:
        return self._chains.keys()

    def of(self, name: tuple[str, str]) -> Links:
        return self._chains[name]
