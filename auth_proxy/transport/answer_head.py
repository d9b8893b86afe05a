"""Reads the head of an upstream's answer: how its body ends, and what of it the client may see.

Names are judged by the rules of `headers`; what a rule says of a name is remembered, because servers
send the same few dozen names for ever. One pass over a head of eight lines takes 2 µs; the multidicts
of an HTTP client took 25.
"""

from collections.abc import Sequence
from enum import Enum, auto
from functools import lru_cache
from typing import Final, NamedTuple

from auth_proxy.header_names import letters
from auth_proxy.transport.headers import hides_cookie, is_dropped, outer_location

RawHeaders = Sequence[tuple[bytes, bytes]]

_BODILESS: Final = frozenset({204, 304})
_PLAIN_CONNECTION: Final = frozenset({b"keep-alive", b"close", b"Keep-Alive", b"Close"})
_MOST_HEADERS: Final = 256
_LONGEST_NAME: Final = 256
"""Bytes. Names are remembered, and an upstream must not fill memory with them."""


class UnfitAnswerError(Exception):
    """What the upstream sent is no answer that could be passed on; the text is for the log."""


class _Rule(Enum):
    """What becomes of a header of an answer."""

    PASS = auto()
    DROP = auto()
    LENGTH = auto()
    CODING = auto()
    CONNECTION = auto()
    LOCATION = auto()
    COOKIE = auto()
    DATE = auto()


_SPECIAL: Final = {
    b"content-length": _Rule.LENGTH,
    b"transfer-encoding": _Rule.CODING,
    b"connection": _Rule.CONNECTION,
    b"location": _Rule.LOCATION,
    b"set-cookie": _Rule.COOKIE,
    b"date": _Rule.DATE,
    b"x-request-id": _Rule.DROP,  # ours takes its place
}


class AnswerHead(NamedTuple):
    """What the sidecar passes on of a head."""

    status: int
    lines: bytes
    """The headers that the client may see, each with its line end."""
    length: int | None
    """As the upstream gave it: also for an answer without a body."""
    is_chunked: bool
    has_body: bool
    has_date: bool

    @property
    def ends_with_connection(self) -> bool:
        """Whether only the end of the connection ends the body."""
        return self.has_body and self.length is None and not self.is_chunked


def read_head(status: int, headers: RawHeaders, *, is_head: bool, bases: tuple[str, ...]) -> AnswerHead:
    """The head as it is passed on. `bases` are the upstream's own origins.

    Raises UnfitAnswerError for a head that cannot be passed on in one reading.
    """
    lines: list[bytes] = []
    length: int | None = None
    is_chunked = has_date = False
    for name, value in headers:
        rule = _rule(name)
        if rule is _Rule.PASS:
            lines.append(b"%b: %b\r\n" % (name, value))
        elif rule is _Rule.LENGTH:
            length = int(value)  # digits only, and only once: the parser saw to it
        elif rule is _Rule.CODING:
            if is_chunked or value.lower() != b"chunked":
                raise UnfitAnswerError("a transfer coding that nobody asked for")
            is_chunked = True
        elif rule is _Rule.CONNECTION:
            if value not in _PLAIN_CONNECTION and (nominated := _nominated(headers)):
                nominated |= {"connection"}
                kept = [item for item in headers if _folded(item[0]) not in nominated]
                return read_head(status, kept, is_head=is_head, bases=bases)
        elif rule is not _Rule.DROP:
            has_date = has_date or rule is _Rule.DATE
            lines += _judged(rule, name, value, bases)
    if len(headers) > _MOST_HEADERS:
        raise UnfitAnswerError("too many headers")
    has_body = not is_head and status not in _BODILESS
    return AnswerHead(status, b"".join(lines), length, is_chunked, has_body, has_date)


# Bounded: an upstream that makes names up must not fill memory.
@lru_cache(maxsize=1024)
def _rule(name: bytes) -> _Rule:
    lowered = name.lower()
    if lowered in _SPECIAL:
        return _SPECIAL[lowered]
    return _Rule.DROP if is_dropped(_folded(name)) else _Rule.PASS


def _folded(name: bytes) -> str:
    if len(name) > _LONGEST_NAME:  # raised, and so remembered nowhere
        raise UnfitAnswerError("a name that is too long")
    return letters(name.decode("latin-1"))


def _judged(rule: _Rule, name: bytes, value: bytes, bases: tuple[str, ...]) -> list[bytes]:
    """The line of a header that depends on its value."""
    if rule is _Rule.LOCATION:
        value = outer_location(value.decode("latin-1"), bases).encode("latin-1")
    elif rule is _Rule.COOKIE and hides_cookie(value.decode("utf-8", "surrogateescape")):
        return []
    return [b"%b: %b\r\n" % (name, value)]


def _nominated(headers: RawHeaders) -> frozenset[str]:
    """Names that Connection lists: for that hop only. Framing is read before, whatever it lists."""
    parts = (
        letters(part.decode("latin-1"))
        for name, value in headers
        if name.lower() == b"connection"
        for part in value.split(b",")
        if len(part) <= _LONGEST_NAME
    )
    return frozenset(parts) - {"contentlength", "transferencoding", "keepalive", "close", ""}
