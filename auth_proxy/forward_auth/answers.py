"""The answers in the form that each proxy understands: yes with our headers, or the refusal.

A yes carries what only the sidecar may say, and the cookies without Access's own; its body is empty and
nobody may keep it. nginx knows no answer but yes, 401 and 403: it is told the reason, and comes back
for the page or document that its client gets.
"""

from typing import Final

from aiohttp import web

from auth_proxy.forward_auth.dialects import Dialect
from auth_proxy.forward_auth.leftovers import names_to_take_away
from auth_proxy.forwarding import Headers
from auth_proxy.pipeline.admit import METHODS
from auth_proxy.pipeline.exchange import SignedGrant
from auth_proxy.refusal_rendering import SERVER, Reader, render
from auth_proxy.refusals import Reason, Refusal

REFUSAL_HEADER: Final = "X-Auth-Refusal"
"""To nginx alone: the reason, and for a 405 the methods. No client sees it."""
REQUEST_ID_HEADER: Final = "X-Request-Id"
_TAKE_AWAY: Final = "X-Envoy-Auth-Headers-To-Remove"
_FORWARDED_FOR: Final = "X-Forwarded-For"
_FORBIDDEN: Final = 403


def granted(signed: SignedGrant, dialect: Dialect, request_id: str, reserved: frozenset[str]) -> web.Response:
    """200: Envoy takes nothing else for a yes."""
    screened = signed.grant.person.screened
    headers = {
        "Cache-Control": "no-store",
        "Server": SERVER,
        REQUEST_ID_HEADER: request_id,
        # Where the client is, as far as it can be vouched for; a proxy that says it itself reads it not.
        **{name: value for name, value in screened.forwarding if name == _FORWARDED_FOR},
        **dict(signed.identity_headers),
    }
    if cookies := _cookies(screened.forwardable):
        headers["Cookie"] = cookies
    if dialect.takes_away:
        names = names_to_take_away(screened.inbound.headers, headers, reserved)
        headers[_TAKE_AWAY] = ",".join(names)
    return web.Response(status=200, headers=headers)


def _cookies(headers: Headers) -> str:
    return "; ".join(value for name, value in headers if name.lower() == "cookie")


def refused(
    refusal: Refusal, dialect: Dialect, request_id: str, reader: Reader, *, method: str
) -> web.Response:
    """What the client shall see, or for nginx the 403 that makes it come back for that."""
    if dialect.relays_refusals:
        return render(refusal, request_id, reader, method=method)
    reason = f"{refusal.reason.value} {refusal.headers.get('Allow', '')}".rstrip()
    headers = {
        "Cache-Control": "no-store",
        "Server": SERVER,
        REQUEST_ID_HEADER: request_id,
        REFUSAL_HEADER: reason,
    }
    return web.Response(status=_FORBIDDEN, headers=headers)


def told_again(words: str) -> Refusal:
    """The refusal that a proxy comes back with; what is none of ours is a refusal nevertheless."""
    name, _, allow = words.partition(" ")
    try:
        reason = Reason(name)
    except ValueError:
        return Refusal(Reason.INTERNAL_ERROR, "a refusal that nobody gave")
    methods = [method for method in allow.split(", ") if method in METHODS]
    return Refusal(reason, headers={"Allow": ", ".join(methods)} if methods else {})
