"""Step 2, screen: take the credentials out, refuse spoofed identity, drop what must not go on.

It believes nothing that it reads here. A duplicate is never merged or chosen from: it is refused.
Hop-by-hop headers are dropped before identity headers are added, never after, so that a client's
`Connection: X-Internal-Identity` can remove nothing of ours (attacks.md section 3).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from auth_proxy.forwarding import Headers, Network, forwarding_headers
from auth_proxy.header_names import (
    EXACT_NAMES,
    HELD_COOKIES,
    TOKEN_COOKIE,
    UNTOUCHABLE,
    HeaderKind,
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


def screen(inbound: Inbound, policy: ScreenPolicy) -> Screened:
    """What may go on, and the credentials taken out of it. Raises Refusal."""
    found: dict[HeaderKind, str] = {}
    forwardable: list[tuple[str, str]] = []
    read: list[tuple[str, str]] = []
    dropped = 0
    reserved = policy.reserved
    for item in inbound.headers:
        facts = facts_of(item[0])
        if facts.is_read:
            read.append(item)
        kind = HeaderKind.IDENTITY if facts.folded in reserved else facts.kind
        if kind is HeaderKind.ORDINARY:
            forwardable.append(item)
        elif kind is HeaderKind.INTERNAL:
            raise Refusal(Reason.IDENTITY_HEADER_SPOOFED)
        elif kind in EXACT_NAMES:
            _take(found, kind, *item)
        elif kind is HeaderKind.IDENTITY:
            dropped += 1
    _check_singular(read)
    if nominated := _nominated(read):
        forwardable = [item for item in forwardable if facts_of(item[0]).folded not in nominated]
    cookie_tokens, kept = _screen_cookies(forwardable)
    token = found.get(HeaderKind.ASSERTION)
    if token is None and policy.allow_cookie:
        token = _only(cookie_tokens)
    return Screened(
        inbound=inbound,
        forwardable=kept,
        forwarding=forwarding_headers(
            inbound.headers, inbound.peer, inbound.host, scheme=policy.scheme, trusted=policy.trusted
        ),
        token=token,
        claimed_email=found.get(HeaderKind.CLAIMED_EMAIL),
        enrollment_token=found.get(HeaderKind.ENROLLMENT),
        origin=_first(read, "origin"),
        fetch_site=_first(read, "sec-fetch-site"),
        upgrade=_upgrade(read),
        dropped=dropped,
    )


def _take(found: dict[HeaderKind, str], kind: HeaderKind, name: str, value: str) -> None:
    if kind not in found and name.lower() == EXACT_NAMES[kind]:
        found[kind] = value
        return
    if kind is HeaderKind.CLAIMED_EMAIL:
        raise Refusal(Reason.IDENTITY_HEADER_SPOOFED, "the e-mail header in two copies or an alias spelling")
    raise Refusal(Reason.CREDENTIAL_DUPLICATED)


def _nominated(headers: Sequence[tuple[str, str]]) -> frozenset[str]:
    """Folded names that Connection lists: for this hop only, except those that frame the request."""
    names = (
        letters(part)
        for name, value in headers
        if letters(name) in ("connection", "proxyconnection")
        for part in value.split(",")
    )
    return frozenset(names) - UNTOUCHABLE


def _check_singular(headers: Sequence[tuple[str, str]]) -> None:
    names = [folded for name, _ in headers if (folded := facts_of(name).folded) in _SINGULAR]
    if len(names) > len(set(names)):
        raise Refusal(Reason.CREDENTIAL_DUPLICATED, "a header that may come once came twice")


def _screen_cookies(headers: list[tuple[str, str]]) -> tuple[list[str], Headers]:
    """The Access tokens in the cookies, and the headers without Access's own cookies."""
    tokens: list[str] = []
    kept = []
    for name, value in headers:
        if facts_of(name).folded != "cookie" or name.lower() != "cookie":
            kept.append((name, value))
            continue
        crumbs = [crumb.strip() for crumb in value.split(";")]
        tokens += [crumb.partition("=")[2].strip() for crumb in crumbs if _cookie_name(crumb) == TOKEN_COOKIE]
        rest = [crumb for crumb in crumbs if crumb and _cookie_name(crumb) not in HELD_COOKIES]
        if rest:
            kept.append((name, "; ".join(rest)))
    return tokens, tuple(kept)


def _only(tokens: list[str]) -> str | None:
    """The one token; two of them are two answers to the question who asks."""
    if len(tokens) > 1:
        raise Refusal(Reason.CREDENTIAL_DUPLICATED, "the Access cookie came twice")
    return tokens[0] if tokens else None


def _cookie_name(crumb: str) -> str:
    return crumb.partition("=")[0].strip().lower()


def _first(headers: Sequence[tuple[str, str]], wanted: str) -> str | None:
    return next((value for name, value in headers if name.lower() == wanted), None)


def _upgrade(headers: Sequence[tuple[str, str]]) -> str | None:
    """The protocol asked for: `Connection` is a list, and only with `upgrade` in it does it count."""
    asked = _first(headers, "upgrade")
    if asked is None:
        return None
    tokens = {
        part.strip().lower()
        for name, value in headers
        if name.lower() == "connection"
        for part in value.split(",")
    }
    # An empty Upgrade header counts too: the parser stops reading the body for it.
    return asked.lower() if "upgrade" in tokens else None
