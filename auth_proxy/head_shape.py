"""What the names of a head decide, whatever their values are: worked out once, and remembered.

Browsers, tunnels and programs send the same few hundred sequences of names for ever, while values
such as Cf-Ray differ in every request: so the names are remembered, never the values. 26 → 11 µs for
admit and screen together. A sequence that is too long to be anybody's habit is worked out each time.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Final, NamedTuple

from auth_proxy.header_names import facts_of, name_of

_MOST_SHAPES: Final = 1024
_LONGEST_HABIT: Final = 2048
"""Bytes of names."""
_MOST_NAMES: Final = 64
"""In a habit. With these bounds a client that makes names up fills 12 MiB here and in the screen, and 9
where the upstream's head is written; measured, because each name is an object or two of its own."""
LONGEST_NAME: Final = 256
"""Bytes. What is longer is no name to us: single names are remembered too, and with 30 KiB each 88 MiB."""


class HeadShape(NamedTuple):
    """The names of a head, in their order; positions count from 0."""

    names: tuple[str, ...]
    are_names: bool
    """Whether each is one (RFC 9110 section 5.1); `names` is empty if not."""
    size: int
    """Bytes of all names."""
    is_habit: bool
    """Whether anything may be remembered by it."""
    hosts: tuple[int, ...]
    framing: tuple[int, ...]
    """Those that say how long the request is, or when its body comes; in any spelling."""


def shape_of(names: Sequence[bytes]) -> HeadShape:
    """The shape of a head with these names."""
    whole = tuple(names)
    return _habit(whole) if _is_habit(whole) else _shape(whole)


def _is_habit(names: tuple[bytes, ...]) -> bool:
    return len(names) <= _MOST_NAMES and sum(map(len, names)) <= _LONGEST_HABIT


def _shape(names: tuple[bytes, ...]) -> HeadShape:
    fitting = max(map(len, names), default=0) <= LONGEST_NAME
    texts = tuple(text for text in map(name_of, names if fitting else ()) if text is not None)
    are_names = len(texts) == len(names)
    return HeadShape(
        names=texts if are_names else (),
        are_names=are_names,
        size=sum(map(len, names)),
        is_habit=_is_habit(names),
        hosts=tuple(place for place, name in enumerate(names) if name.lower() == b"host"),
        framing=tuple(place for place, name in enumerate(texts) if facts_of(name).frames)
        if are_names
        else (),
    )


_habit = lru_cache(maxsize=_MOST_SHAPES)(_shape)
