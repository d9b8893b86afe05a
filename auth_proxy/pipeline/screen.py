"""Step 2, screen: take the credentials out, refuse spoofed identity, drop what must not go on.

It believes nothing that it reads here. A duplicate is never merged or chosen from: it is refused.
Hop-by-hop headers are dropped before identity headers are added, never after, so that a client's
`Connection: X-Internal-Identity` can remove nothing of ours (attacks.md section 3).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, NamedTuple

from auth_proxy.forwarding import SAID_OF_THE_CLIENT, Headers, Network
from auth_proxy.head_shape import LONGEST_NAME
from auth_proxy.header_names import (
    EXACT_NAMES,
    HELD_COOKIES,
    TOKEN_COOKIE,
    UNTOUCHABLE,
    HeaderKind,
    NameFacts,
    facts_of,
    letters,
)
from auth_proxy.pipeline.exchange import Inbound, Screened
from auth_proxy.refusals import Reason, Refusal

# Folded: an alias beside the real header would show an upstream another value than we decided on.
_SINGULAR: Final = frozenset({"origin", "secfetchsite", "contenttype", "authorization"})


@dataclass(frozen=True, slots=True)
class ScreenPolicy:
    """`reserved` are the folded names of headers that a route sets for its upstream."""

    reserved: frozenset[str] = frozenset()
    allow_cookie: bool = False
    scheme: str = "https"
    trusted: tuple[Network, ...] = ()


class _Places(NamedTuple):
    """Where a head has what the screen reads, and what of it may go on: decided by its names alone."""

    refusal: tuple[Reason, str] | None
    passing: tuple[int, ...]
    """What goes on, unless the client names it in Connection."""
    cookies: tuple[int, ...]
    """Counted within `passing`, the last one first."""
    said: tuple[int, ...]
    """What a proxy in front may have said of the client."""
    token: int | None
    email: int | None
    enrollment: int | None
    connection: tuple[int, ...]
    """Connection in any spelling: whatever a neighbour would read in it is heard."""
    upgrading: tuple[int, ...]
    """Connection in its one spelling: only there is an upgrade asked for."""
    upgrade: int | None
    origin: int | None
    fetch_site: int | None
    dropped: int


def screen(inbound: Inbound, policy: ScreenPolicy) -> Screened:
    """What may go on, and the credentials taken out of it. Raises Refusal."""
    remembered = _places_of_a_habit if inbound.shape.is_habit else _places_of
    places = remembered(inbound.shape.names, policy.reserved)
    if places.refusal is not None:
        raise Refusal(*places.refusal)
    headers = inbound.headers
    forwardable = [headers[place] for place in places.passing]
    tokens = [token for place in places.cookies for token in _screen_cookies(forwardable, place)]
    if nominated := _nominated(headers, places.connection) if places.connection else None:
        forwardable = [item for item in forwardable if facts_of(item[0]).folded not in nominated]
    token = _value(headers, places.token)
    if token is None and policy.allow_cookie:
        token = _only(tokens)
    return Screened(
        inbound=inbound,
        forwardable=tuple(forwardable),
        said=tuple([headers[place] for place in places.said]),
        scheme=policy.scheme,
        trusted=policy.trusted,
        token=token,
        claimed_email=_value(headers, places.email),
        enrollment_token=_value(headers, places.enrollment),
        origin=_value(headers, places.origin),
        fetch_site=_value(headers, places.fetch_site),
        upgrade=None if places.upgrade is None else _upgrade(headers, places.upgrade, places.upgrading),
        dropped=places.dropped,
    )


def _value(headers: Headers, place: int | None) -> str | None:
    return None if place is None else headers[place][1]


def _places_of(names: tuple[str, ...], reserved: frozenset[str]) -> _Places:
    found: dict[HeaderKind, int] = {}
    passing: list[int] = []
    refusal: tuple[Reason, str] | None = None
    dropped = 0
    facts = [facts_of(name) for name in names]
    for place, fact in enumerate(facts):
        kind = HeaderKind.IDENTITY if fact.folded in reserved else fact.kind
        if kind is HeaderKind.ORDINARY:
            passing.append(place)
        elif kind is HeaderKind.INTERNAL:
            refusal = refusal or (Reason.IDENTITY_HEADER_SPOOFED, "")
        elif kind in EXACT_NAMES:
            refusal = refusal or _fault(found, kind, fact.text)
            found.setdefault(kind, place)
        elif kind is HeaderKind.IDENTITY:
            dropped += 1
    lowered = [name.lower() for name in names]
    return _Places(
        refusal=refusal or _twice(facts),
        passing=tuple(passing),
        cookies=tuple(
            count for count, place in reversed(list(enumerate(passing))) if lowered[place] == "cookie"
        ),
        said=tuple(place for place, name in enumerate(lowered) if name in SAID_OF_THE_CLIENT),
        token=found.get(HeaderKind.ASSERTION),
        email=found.get(HeaderKind.CLAIMED_EMAIL),
        enrollment=found.get(HeaderKind.ENROLLMENT),
        connection=tuple(
            place for place, fact in enumerate(facts) if fact.folded in ("connection", "proxyconnection")
        ),
        upgrading=tuple(place for place, name in enumerate(lowered) if name == "connection"),
        upgrade=_first(lowered, "upgrade"),
        origin=_first(lowered, "origin"),
        fetch_site=_first(lowered, "sec-fetch-site"),
        dropped=dropped,
    )


# Remembered where the shape is: what is no habit fills no memory.
_places_of_a_habit = lru_cache(maxsize=1024)(_places_of)


def _fault(found: Mapping[HeaderKind, int], kind: HeaderKind, name: str) -> tuple[Reason, str] | None:
    """What is wrong with one more header of a kind that may come once, in one spelling."""
    if kind not in found and name.lower() == EXACT_NAMES[kind]:
        return None
    if kind is HeaderKind.CLAIMED_EMAIL:
        return Reason.IDENTITY_HEADER_SPOOFED, "the e-mail header in two copies or an alias spelling"
    return Reason.CREDENTIAL_DUPLICATED, ""


def _twice(facts: Sequence[NameFacts]) -> tuple[Reason, str] | None:
    names = [fact.folded for fact in facts if fact.folded in _SINGULAR]
    if len(names) > len(set(names)):
        return Reason.CREDENTIAL_DUPLICATED, "a header that may come once came twice"
    return None


def _first(lowered: Sequence[str], wanted: str) -> int | None:
    return lowered.index(wanted) if wanted in lowered else None


def _nominated(headers: Headers, places: tuple[int, ...]) -> frozenset[str]:
    """Folded names that Connection lists: for this hop only, except those that frame the request."""
    parts = (part for place in places for part in headers[place][1].split(","))
    names = (letters(part) for part in parts if len(part) <= LONGEST_NAME)  # a longer one names nothing
    return frozenset(names) - UNTOUCHABLE


def _screen_cookies(forwardable: list[tuple[str, str]], place: int) -> list[str]:
    """Takes Access's own cookies out of the header at that place, and gives the tokens among them."""
    name, value = forwardable[place]
    tokens: list[str] = []
    rest: list[str] = []
    for part in value.split(";"):
        crumb = part.strip()
        cookie, _, content = crumb.partition("=")
        known = cookie.strip().lower()
        if known == TOKEN_COOKIE:
            tokens.append(content.strip())
        elif crumb and known not in HELD_COOKIES:
            rest.append(crumb)
    forwardable[place : place + 1] = [(name, "; ".join(rest))] if rest else []
    return tokens


def _only(tokens: list[str]) -> str | None:
    """The one token; two of them are two answers to the question who asks."""
    if len(tokens) > 1:
        raise Refusal(Reason.CREDENTIAL_DUPLICATED, "the Access cookie came twice")
    return tokens[0] if tokens else None


def _upgrade(headers: Headers, upgrade: int, connection: tuple[int, ...]) -> str | None:
    """The protocol asked for: `Connection` is a list, and only with `upgrade` in it does it count."""
    tokens = {part.strip().lower() for place in connection for part in headers[place][1].split(",")}
    # An empty Upgrade header counts too: the parser stops reading the body for it.
    return headers[upgrade][1].lower() if "upgrade" in tokens else None
