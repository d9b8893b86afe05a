"""Which headers an upstream gets, and which of its headers a client gets.

The order is the safety: what the client sent is filtered first, what only the sidecar may say is
added last.
"""

import ipaddress
from collections.abc import Iterable
from typing import Final

from multidict import CIMultiDict, CIMultiDictProxy

from auth_proxy.header_names import HeaderKind, kind_of, letters
from auth_proxy.pipeline.exchange import Headers, SignedGrant

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
SERVER: Final = "sallyport"
_NOT_RELAYED: Final = frozenset({"server", "date"})


def upstream_headers(signed: SignedGrant, request_id: str, forwarding: Headers) -> CIMultiDict[str]:
    """The client's headers as screened, then ours."""
    headers = CIMultiDict(signed.grant.person.screened.forwardable)
    for name, value in (*forwarding, ("X-Request-Id", request_id), *signed.identity_headers):
        headers[name] = value  # replaces every copy, whatever the screen let pass
    return headers


def forwarding_headers(
    inbound_headers: Headers, peer: str, host: str, *, scheme: str, trusted: Iterable[Network]
) -> Headers:
    """X-Forwarded-* as the sidecar itself can vouch for them.

    What a client says of its own address counts only when the peer is a configured proxy.
    """
    client, proto = peer, scheme
    if _is_in(peer, trusted):
        sent = {name.lower(): value for name, value in inbound_headers}
        chain = [part.strip() for part in sent.get("x-forwarded-for", "").split(",")]
        client = _address(sent.get("cf-connecting-ip", "")) or _client_of(chain, trusted) or peer
        if sent.get("x-forwarded-proto") in ("http", "https"):
            proto = sent["x-forwarded-proto"]
    return (("X-Forwarded-For", client), ("X-Forwarded-Proto", proto), ("X-Forwarded-Host", host))


def _client_of(chain: list[str], trusted: Iterable[Network]) -> str:
    """The last address that no trusted proxy of ours added: everything left of it can be invented."""
    for part in reversed(chain):
        address = _address(part)
        if not address:
            return ""
        if not _is_in(address, trusted):
            return address
    return ""


def _address(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text.strip()))
    except ValueError:
        return ""


def _is_in(peer: str, networks: Iterable[Network]) -> bool:
    try:
        address = ipaddress.ip_address(peer)
    except ValueError:
        return False
    return any(address in network for network in networks)


def client_headers(upstream: "CIMultiDictProxy[str]") -> CIMultiDict[str]:
    """The upstream's headers for the client: no hop-by-hop ones, and never an identity."""
    nominated = {letters(part) for value in upstream.getall("Connection", []) for part in value.split(",")}
    headers: CIMultiDict[str] = CIMultiDict()
    for name, value in upstream.items():
        folded = letters(name)
        kind = kind_of(folded)
        hidden = kind in (HeaderKind.HOP_BY_HOP, HeaderKind.INTERNAL, HeaderKind.ASSERTION)
        if not hidden and folded not in nominated and name.lower() not in _NOT_RELAYED:
            headers.add(name, value)
    headers["Server"] = SERVER
    return headers
