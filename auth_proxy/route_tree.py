"""Finds the one pattern of a path, with one look into a dictionary for each segment of the path.

It knows patterns by their rank and nothing of routes, hosts or methods. It remembers no path: its size
is that of the configuration, whatever clients ask for. `auth_proxy.routes` says what it costs.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

NOBODY: Final = 1 << 31
"""The rank of no pattern, behind all others."""


class RankedPattern(NamedTuple):
    """A pattern and its rank: of those that match the lowest wins, and no rank is below a longer one's."""

    rank: int
    segments: tuple[str, ...]
    exact: bool


@dataclass(slots=True)
class _Node:
    """Where the paths with one beginning come by."""

    literals: dict[str, "_Node"] = field(default_factory=dict)
    star: "_Node | None" = None
    whole: int = NOBODY
    """The rank of the best pattern for a path that ends here."""
    below: int = NOBODY
    """The rank of the best pattern for a path that goes on to where no pattern goes."""

    def following(self, segment: str) -> "_Node":
        """The node after the segment of a pattern; a new one knows the best that stands above it."""
        if segment == "*":
            self.star = self.star or self._under()
            return self.star
        return self.literals.setdefault(segment, self._under())

    def _under(self) -> "_Node":
        return _Node(whole=self.below, below=self.below)

    def best(self, segments: Sequence[str], at: int = 0) -> int:
        """The best rank among the patterns that go on from here, for the segments from `at` on.

        No node is visited twice in one search, so a search is never longer than the table.
        """
        node, starred = self, NOBODY
        for place in range(at, len(segments)):
            segment, star = segments[place], node.star
            if star is not None and segment:  # "*" stands for exactly one segment that is not empty
                if not node.literals:  # no second way: spare the call
                    node = star
                    continue
                rank = star.best(segments, place + 1)
                starred = min(starred, rank)
            following = node.literals.get(segment)
            if following is None:
                rank = node.below
                break
            node = following
        else:
            rank = node.whole
        return rank if rank < starred else starred  # noqa: FURB136 - `min` costs as much as a segment


class RouteTree:
    """The patterns of one host."""

    def __init__(self, patterns: Iterable[RankedPattern]) -> None:
        self._root = _Node()
        # The last rank first, so the shortest: each overrules what was best before, and what stands above
        # a node is known when it is made.
        for pattern in sorted(patterns, reverse=True):
            self._add(pattern)

    def find(self, segments: Sequence[str]) -> int:
        """The rank of the pattern of a path; NOBODY when none matches."""
        return self._root.best(segments)

    def _add(self, pattern: RankedPattern) -> None:
        node = self._root
        for segment in pattern.segments:
            node = node.following(segment)
        node.whole = pattern.rank
        if not pattern.exact:
            node.below = pattern.rank
