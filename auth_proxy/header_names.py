"""Which headers mean what, by their letters and digits alone.

Servers, CGI gateways and frameworks fold `X_Internal.Identity`, `x-internal-identity` and
`HTTP_X_INTERNAL_IDENTITY` into one name; so a name is judged by what is left without punctuation.
"""

import re
from dataclasses import dataclass
from enum import Enum, auto
from functools import lru_cache
from typing import Final


class HeaderKind(Enum):
    """What becomes of a header that a client sent."""

    ORDINARY = auto()
    """Goes on."""
    ASSERTION = auto()
    """Cf-Access-Jwt-Assertion: the credential."""
    CLAIMED_EMAIL = auto()
    """Cf-Access-Authenticated-User-Email: on good requests too; compared, never believed (R-171)."""
    ENROLLMENT = auto()
    """x-admin-enrollment-token: consumed here."""
    INTERNAL = auto()
    """X-Internal-*: only the sidecar sets these (R-172)."""
    IDENTITY = auto()
    """Another system's identity header: dropped and counted."""
    CREDENTIAL = auto()
    """A secret that no upstream needs: dropped."""
    REPLACED = auto()
    """A statement about the client or the request that the sidecar makes itself."""
    HOP_BY_HOP = auto()
    """Meant for this connection only (RFC 9110 7.6.1)."""


ASSERTION_NAME: Final = "cf-access-jwt-assertion"
CLAIMED_EMAIL_NAME: Final = "cf-access-authenticated-user-email"
ENROLLMENT_NAME: Final = "x-admin-enrollment-token"

EXACT_NAMES: Final = {
    HeaderKind.ASSERTION: ASSERTION_NAME,
    HeaderKind.CLAIMED_EMAIL: CLAIMED_EMAIL_NAME,
    HeaderKind.ENROLLMENT: ENROLLMENT_NAME,
}
"""Headers that count only in their one spelling."""

TOKEN_COOKIE: Final = "cf_authorization"
HELD_COOKIES: Final = frozenset({TOKEN_COOKIE, "cf_appsession", "cf_binding", "__host-tenant_session"})
"""Cookies that pass in neither direction, in lower case.

Access's own: an upstream could replay them to the public host. A tenant's session: operators and
tenants never share an identity, so the operators' host neither reads nor sets it (R-037).
"""

_BY_LETTERS: Final = {
    "cfaccessjwtassertion": HeaderKind.ASSERTION,
    "cfaccessauthenticateduseremail": HeaderKind.CLAIMED_EMAIL,
    "xadminenrollmenttoken": HeaderKind.ENROLLMENT,
    **dict.fromkeys(
        ("cfaccessclientid", "cfaccessclientsecret", "cfaccesstoken", "proxyauthorization"),
        HeaderKind.CREDENTIAL,
    ),
    **dict.fromkeys(
        (
            "xuser",
            "xuserid",
            "xemail",
            "xrole",
            "xroles",
            "xtenantid",
            "xorgid",
            "xadmin",
            "xoriginaluser",
            "xforwardeduser",
            "xforwardedemail",
            "xforwardedgroups",
            "xforwardedpreferredusername",
            "xforwardedaccesstoken",
            "xpomeriumjwtassertion",
            "xgoogiapjwtassertion",
            "xaxtoken",
        ),
        HeaderKind.IDENTITY,
    ),
    **dict.fromkeys(
        (
            "forwarded",
            "xrealip",
            "trueclientip",
            "xclientip",
            "clientip",
            "xclusterclientip",
            "xoriginalforwardedfor",
            "xoriginatingip",
            "xproxyuserip",
            "fastlyclientip",
            "proxyclientip",
            "wlproxyclientip",
            "xazureclientip",
            "xappengineuserip",
            "xenvoyexternaladdress",
            "proxy",  # CGI makes it HTTP_PROXY, and the program behind asks there (CVE-2016-5385)
            "cfconnectingip",
            "cfconnectingipv6",
            "xrequestid",
            "xcorrelationid",
            "xhttpmethodoverride",
            "xhttpmethod",
            "xmethodoverride",
            "xoriginalurl",
            "xoriginaluri",
            "xoriginalmethod",
            "xoriginalhost",
            "xrewriteurl",
            "xoverrideurl",
            "xhost",
            "xcustomipauthorization",
        ),
        HeaderKind.REPLACED,
    ),
    **dict.fromkeys(
        (
            "connection",
            "keepalive",
            "proxyconnection",
            "proxyauthenticate",
            "te",
            "trailer",
            "trailers",
            "transferencoding",
            "upgrade",
            "http2settings",
            "expect",
        ),
        HeaderKind.HOP_BY_HOP,
    ),
}

_BY_PREFIX: Final = (
    ("xinternal", HeaderKind.INTERNAL),
    ("xauthrequest", HeaderKind.IDENTITY),
    ("remote", HeaderKind.IDENTITY),
    ("xauthenticated", HeaderKind.IDENTITY),
    ("xauthuser", HeaderKind.IDENTITY),
    ("xauthemail", HeaderKind.IDENTITY),
    ("xauthentik", HeaderKind.IDENTITY),
    ("xusername", HeaderKind.IDENTITY),
    ("xverified", HeaderKind.IDENTITY),
    ("xconsumer", HeaderKind.IDENTITY),
    ("xcredential", HeaderKind.IDENTITY),
    ("xvouch", HeaderKind.IDENTITY),
    ("xhasura", HeaderKind.IDENTITY),
    ("xssl", HeaderKind.IDENTITY),
    ("xclientcert", HeaderKind.IDENTITY),
    ("sslclient", HeaderKind.IDENTITY),
    ("tailscaleuser", HeaderKind.IDENTITY),
    ("xremote", HeaderKind.IDENTITY),
    ("xwebauth", HeaderKind.IDENTITY),
    ("xamznoidc", HeaderKind.IDENTITY),
    ("xgoogauthenticated", HeaderKind.IDENTITY),
    ("xmsclientprincipal", HeaderKind.IDENTITY),
    ("xmstoken", HeaderKind.IDENTITY),
    ("cfaccess", HeaderKind.CREDENTIAL),
    ("xforwarded", HeaderKind.REPLACED),
)

# A client may not make the sidecar drop these by naming them in Connection: they frame the request
# or are what the checks and the upstream rely on.
UNTOUCHABLE: Final = frozenset(
    {"host", "contentlength", "contenttype", "cookie", "origin", "authorization", "secfetchsite"}
)


# Browsers send the same few dozen names for ever; the bound keeps a client from filling memory.
@lru_cache(maxsize=1024)
def letters(name: str) -> str:
    """The name's letters and digits in lower case, without a CGI prefix."""
    folded = "".join(character for character in name.lower() if character.isalnum())
    # HTTP2-Settings is a name of its own; CGI makes no name that begins with a digit.
    return folded[4:] if folded.startswith("http") and not folded.startswith("http2") else folded


@lru_cache(maxsize=1024)
def kind_of(folded: str) -> HeaderKind:
    """What a header is, by its folded name."""
    known = _BY_LETTERS.get(folded)
    if known is not None:
        return known
    for prefix, kind in _BY_PREFIX:
        if folded.startswith(prefix):
            return kind
    return HeaderKind.ORDINARY


_TOKEN: Final = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
"""RFC 9110 section 5.6.2."""
_FRAMING: Final = frozenset({"contentlength", "transferencoding", "expect"})


@dataclass(frozen=True, slots=True)
class NameFacts:
    """What the steps ask about a name; the same for every request that carries it."""

    text: str
    folded: str
    kind: HeaderKind
    frames: bool
    """Whether it says how long the request is, or when its body comes; in any spelling."""


@lru_cache(maxsize=1024)
def name_of(raw: bytes) -> str | None:
    """The name as text; None for what is no name (RFC 9110 section 5.1)."""
    return raw.decode("ascii") if _TOKEN.fullmatch(raw) else None


@lru_cache(maxsize=1024)
def facts_of(name: str) -> NameFacts:
    """Everything about a name at once: asking for each of them by itself cost 20 µs a request."""
    folded = letters(name)
    return NameFacts(name, folded, kind_of(folded), folded in _FRAMING)
