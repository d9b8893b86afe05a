"""Who the client is, as far as the sidecar can vouch for it: X-Forwarded-For, -Proto and -Host.

It believes no word of a peer that is not a configured proxy (mistake 5 of others: trusting all).
"""

import ipaddress
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Headers = tuple[tuple[str, str], ...]


class Networks(tuple[Network, ...]):  # noqa: SLOT001 - a tuple cannot have slots of its own, and the hash is kept
    """Networks that hash in no time: what is remembered of them is asked for on every request."""

    def __init__(self, _networks: Iterable[Network]) -> None:
        self._hash = super().__hash__()

    def __hash__(self) -> int:
        return self._hash


_LONGEST_CHAIN: Final = 256
"""Characters. What is longer is read each time, so that no client fills memory with it."""
SAID_OF_THE_CLIENT: Final = frozenset({"cf-connecting-ip", "x-forwarded-for", "x-forwarded-proto"})
"""The headers that are read here, in lower case."""


def forwarding_headers(
    inbound_headers: Headers, peer: str, host: str, *, scheme: str, trusted: tuple[Network, ...]
) -> Headers:
    """X-Forwarded-* as the sidecar itself can vouch for them.

    What a client says of its own address counts only when the peer is a configured proxy.
    """
    proto, client = scheme, peer
    if is_in(peer, trusted):
        sent = _said_of_the_client(inbound_headers)
        client = _told(sent.get("cf-connecting-ip", ""), sent.get("x-forwarded-for", ""), trusted) or peer
        if sent.get("x-forwarded-proto") in ("http", "https"):
            proto = sent["x-forwarded-proto"]
    return (("X-Forwarded-For", client), ("X-Forwarded-Proto", proto), ("X-Forwarded-Host", host))


def client_address(inbound_headers: Headers, peer: str, trusted: tuple[Network, ...]) -> str:
    """Where the request came from: the peer, or what a configured proxy says of its own."""
    if not is_in(peer, trusted):
        return peer
    sent = _said_of_the_client(inbound_headers)
    return _told(sent.get("cf-connecting-ip", ""), sent.get("x-forwarded-for", ""), trusted) or peer


def _said_of_the_client(headers: Headers) -> dict[str, str]:
    return {lowered: value for name, value in headers if (lowered := name.lower()) in SAID_OF_THE_CLIENT}


def _told(connecting: str, forwarded_for: str, trusted: tuple[Network, ...]) -> str:
    if len(connecting) + len(forwarded_for) > _LONGEST_CHAIN:
        return _read(connecting, forwarded_for, trusted)
    return _told_before(connecting, forwarded_for, trusted)


def _read(connecting: str, forwarded_for: str, trusted: tuple[Network, ...]) -> str:
    chain = [part.strip() for part in forwarded_for.split(",")]
    return _address(connecting) or _client_of(chain, trusted)


# One person's browser sends many requests from one address: parsing it costs 6 µs each time.
_told_before = lru_cache(maxsize=1024)(_read)


def _client_of(chain: list[str], trusted: tuple[Network, ...]) -> str:
    """The last address that no trusted proxy of ours added: everything left of it can be invented."""
    for part in reversed(chain):
        address = _address(part)
        if not address:
            return ""
        if not is_in(address, trusted):
            return address
    return ""


def _address(text: str) -> str:
    if "%" in text:  # a zone id may hold anything, and means nothing outside its machine (RFC 4007)
        return ""
    try:
        return str(ipaddress.ip_address(text.strip()))
    except ValueError:
        return ""


# Peers are few: proxies and tunnels of ours. The bound is for those who connect from everywhere.
@lru_cache(maxsize=1024)
def is_in(peer: str, networks: tuple[Network, ...]) -> bool:
    """Whether the address of a peer lies in one of the networks; a peer without an address never does."""
    try:
        address = ipaddress.ip_address(peer)
    except ValueError:
        return False
    return any(address in network for network in networks)
