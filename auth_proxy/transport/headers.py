"""Which headers an upstream gets, and which of its headers a client gets.

The order is the safety: what the client sent is filtered first, what only the sidecar may say is
added last.
"""

from typing import Final

from multidict import CIMultiDict, CIMultiDictProxy

from auth_proxy.header_names import HeaderKind, kind_of, letters
from auth_proxy.pipeline.exchange import SignedGrant

SERVER: Final = "sallyport"
_NOT_RELAYED: Final = frozenset({"server", "date"})


def upstream_headers(signed: SignedGrant, request_id: str) -> CIMultiDict[str]:
    """The client's headers as screened, then ours."""
    screened = signed.grant.person.screened
    headers = CIMultiDict(screened.forwardable)
    for name, value in (*screened.forwarding, ("X-Request-Id", request_id), *signed.identity_headers):
        headers[name] = value  # replaces every copy, whatever the screen let pass
    return headers


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
