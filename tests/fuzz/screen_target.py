"""Whatever is admitted: `screen` raises Refusal alone, and nothing that it lets on names a person.

The names are judged twice: by `letters()`, and by a folding that is written apart from it.
"""

import re
from collections.abc import Iterator

from auth_proxy.header_names import HeaderKind, kind_of, letters
from auth_proxy.pipeline.admit import admit
from auth_proxy.pipeline.exchange import Screened
from auth_proxy.pipeline.screen import ScreenPolicy, screen
from auth_proxy.refusals import Refusal
from tests.fuzz import admit_target
from tests.security.hostile_inputs import spoof_names

RESERVED = frozenset({"xaxrole"})
_NEVER = re.compile(
    r"(http)?((xinternal|cfaccess|xauthrequest|xforwarded|remoteuser|xremote|xwebauth|xgoogauth).*"
    r"|(xmsclientprincipal|xauthenticated|xadminenrollmenttoken).*"
    r"|connection|keepalive|proxyconnection|proxyauthorization|transferencoding|upgrade|te|trailer|expect|proxy"
    r"|xrealip|trueclientip|cfconnectingip|forwarded|xuser|xuserid|xemail|xroles?|xtenantid|xaxrole"
    r"|xoriginalur[li]|xrewriteurl|xhttpmethodoverride)"
)
_SINGULAR = {"origin", "secfetchsite", "contenttype", "authorization"}
_ACCESS_COOKIE = re.compile(r"(^|;)\s*cf_(authorization|appsession|binding)\s*(=|;|$)", re.IGNORECASE)


def seeds() -> Iterator[bytes]:
    yield from admit_target.seeds()
    head = b"GET / HTTP/1.1\r\nHost: admin.example.com\r\n"
    for name in spoof_names():
        yield head + name + b": a\r\n" + name.swapcase() + b": b"
        yield head + name.replace(b"-", b"_") + b": a\r\nConnection: " + name
    yield head + b"Cookie: a=b; CF_Authorization=x; cf_appsession=y\r\nCookie: CF_Authorization=z"
    yield head + b"X-Ax-Role: root\r\nX_AX.Role: root\r\nOrigin: https://admin.example.com"
    yield head + b"Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-Fetch-Site: same-origin"


def one_input(data: bytes) -> None:
    try:
        inbound = admit(admit_target.request_of(data), admit_target.POLICY)
        screened = screen(inbound, ScreenPolicy(reserved=RESERVED, allow_cookie=True))
    except Refusal:
        return
    judge(screened)


def judge(screened: Screened) -> None:
    """Raises AssertionError for a header that must not go on."""
    sent = set(screened.inbound.headers)
    for name, value in screened.forwardable:
        plain = re.sub(r"[^a-z0-9]", "", name.lower())
        assert kind_of(letters(name)) is HeaderKind.ORDINARY, name
        assert _NEVER.fullmatch(plain) is None, name
        assert plain not in RESERVED
        if name.lower() == "cookie":
            assert not _ACCESS_COOKIE.search(value), value
        else:
            assert (name, value) in sent, "a header that nobody sent"
    folded = [re.sub(r"[^a-z0-9]", "", name.lower()) for name, _ in screened.inbound.headers]
    assert all(folded.count(name) <= 1 for name in _SINGULAR)
    assert [name for name, _ in screened.forwarding] == [
        "X-Forwarded-For",
        "X-Forwarded-Proto",
        "X-Forwarded-Host",
    ]
    assert dict(screened.forwarding)["X-Forwarded-For"] == "127.0.0.1"
    assert screened.token is None or screened.token.strip(" \t") == screened.token
