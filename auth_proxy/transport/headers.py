"""Which headers an upstream gets, and which of its headers a client gets.

The order is the safety: what the client sent is filtered first, what only the sidecar may say is
added last.
"""

import re
from typing import Final

from multidict import CIMultiDict, CIMultiDictProxy

from auth_proxy.header_names import HELD_COOKIES, HeaderKind, kind_of, letters
from auth_proxy.pipeline.exchange import SignedGrant
from auth_proxy.refusal_rendering import SERVER

_HIDDEN_KINDS: Final = frozenset({HeaderKind.HOP_BY_HOP, HeaderKind.INTERNAL, HeaderKind.ASSERTION})
_DROPPED_BY_BROWSERS: Final = re.compile(r"[\t\r\n]")
_NOT_RELAYED: Final = frozenset({"server", "xpoweredby"})


def upstream_headers(signed: SignedGrant, request_id: str) -> CIMultiDict[str]:
    """The client's headers as screened, then ours."""
    screened = signed.grant.person.screened
    headers = CIMultiDict(screened.forwardable)
    for name, value in (*screened.forwarding, ("X-Request-Id", request_id), *signed.identity_headers):
        headers[name] = value  # replaces every copy, whatever the screen let pass
    return headers


def client_headers(upstream: "CIMultiDictProxy[str]", bases: tuple[str, ...]) -> CIMultiDict[str]:
    """The upstream's headers for the client: no hop-by-hop ones, never an identity, no inner address.

    `bases` are the upstream's own origins: a redirect to one is made one to a path of this host.
    """
    nominated = {letters(part) for value in upstream.getall("Connection", []) for part in value.split(",")}
    headers: CIMultiDict[str] = CIMultiDict()
    for name, value in upstream.items():
        folded = letters(name)
        if folded in nominated or is_dropped(folded) or (folded == "setcookie" and hides_cookie(value)):
            continue
        headers.add(name, outer_location(value, bases) if folded == "location" else value)
    headers["Server"] = SERVER
    return headers


def outer_location(location: str, bases: tuple[str, ...]) -> str:
    """An address of the upstream as a path of this host; any other address as it is."""
    base = next((base for base in bases if location == base or location.startswith(f"{base}/")), None)
    if base is None:
        return location
    # Browsers drop these three bytes and take a backslash for a slash: "//host" would be another host.
    path = _DROPPED_BY_BROWSERS.sub("", location.removeprefix(base)) or "/"
    return f"/.{path}" if path[1:2] in ("/", "\\") else path


def hides_cookie(value: str) -> bool:
    """Whether it sets what Access itself keeps in the browser: no upstream may."""
    # Judged as it will be sent, without bytes that are no UTF-8; "=name=value" has no name of its own.
    sent = value.encode("utf-8", "ignore").decode()
    return sent.lstrip("= \t\xa0").partition("=")[0].strip().lower() in HELD_COOKIES


def is_dropped(folded: str) -> bool:
    """Whether no client sees this header of an upstream."""
    return folded in _NOT_RELAYED or kind_of(folded) in _HIDDEN_KINDS
