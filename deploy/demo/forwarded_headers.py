"""Which headers the stand-in edge takes from a request and which it adds, as Cloudflare does.

It compares names exactly as they are registered: an alias such as `Cf_Access_Jwt_Assertion` goes through,
because the sidecar must not rely on an edge that catches it. Whether Cloudflare's edge forwards the service
credentials `CF-Access-Client-Id/-Secret` is not documented, so they go through as well.
"""

import secrets
from collections.abc import Collection
from dataclasses import dataclass

from multidict import CIMultiDict, CIMultiDictProxy

from deploy.demo.issuer import COUNTRY
from deploy.demo.sessions import Admission

ACCESS_COOKIE = "CF_Authorization"
ASSERTION = "Cf-Access-Jwt-Assertion"
AUTHENTICATED_EMAIL = "Cf-Access-Authenticated-User-Email"
RAY = "Cf-Ray"

# RFC 9110, section 7.6.1: these belong to one connection.
HOP_BY_HOP = frozenset({
    "connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te",
    "trailer", "transfer-encoding", "upgrade",
})  # fmt: skip
# What a client sends under these names is a lie: only the edge knows.
ONLY_FROM_THE_EDGE = frozenset({
    ASSERTION.lower(), AUTHENTICATED_EMAIL.lower(), RAY.lower(),
    "cf-connecting-ip", "cf-ipcountry", "cf-visitor",
})  # fmt: skip
# Answered on this side already; the sidecar's own answer would come too late.
ANSWERED_HERE = frozenset({"expect"})


@dataclass(frozen=True, slots=True)
class Passage:
    """One request's way through the edge."""

    admission: Admission
    cookie_token: str
    peer: str
    scheme: str
    ray: str


def new_ray() -> str:
    """An id in the form of Cloudflare's: 16 hexadecimal digits and where it was served."""
    return f"{secrets.token_hex(8)}-DEV"


def headers_for_sidecar(received: CIMultiDictProxy[str], passage: Passage) -> CIMultiDict[str]:
    """The client's headers without those of the connection and of the edge, then the edge's own."""
    kept = end_to_end(received, without=ONLY_FROM_THE_EDGE | ANSWERED_HERE)
    for name in [name for name in kept if name.lower().startswith("x-forwarded-")]:
        kept.popall(name, None)
    if passage.admission.renewed:
        _replace_cookie_token(kept, passage)
    kept.add(ASSERTION, passage.admission.token)
    if passage.admission.person is not None:
        kept.add(AUTHENTICATED_EMAIL, passage.admission.person.email)
    kept.add(RAY, passage.ray)
    kept.add("CF-Connecting-IP", passage.peer)
    kept.add("CF-IPCountry", COUNTRY)
    kept.add("CF-Visitor", f'{{"scheme":"{passage.scheme}"}}')
    kept.add("X-Forwarded-For", passage.peer)
    kept.add("X-Forwarded-Proto", passage.scheme)
    return kept


def end_to_end(received: CIMultiDictProxy[str], *, without: Collection[str] = ()) -> CIMultiDict[str]:
    """The headers that are not of one connection, in their order, each duplicate kept."""
    named = {name.strip().lower() for value in received.getall("Connection", []) for name in value.split(",")}
    dropped = HOP_BY_HOP | named | set(without)
    return CIMultiDict((name, value) for name, value in received.items() if name.lower() not in dropped)


def _replace_cookie_token(headers: CIMultiDict[str], passage: Passage) -> None:
    """A browser that kept the fresh token would have sent it: header and cookie never disagree."""
    cookies = headers.popall("Cookie", [])
    for cookie in cookies:
        headers.add("Cookie", cookie.replace(passage.cookie_token, passage.admission.token))
