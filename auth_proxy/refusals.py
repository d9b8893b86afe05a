"""Every reason to refuse, as one closed table: code, status, public text, why, and the way out.

The table is the single source for the answers, the HTML pages, the metric's labels and the list of
refusals in the documentation. A reason is precise and goes to the log and the counter; the `code`
and `error` that a client sees are coarser on purpose, so that a forger learns nothing from them.
"""

from enum import StrEnum
from typing import Final

from auth_proxy.refusal_answers import (
    Answer,
    bad_shape,
    bad_token,
    no_such_method,
    not_a_person,
    not_enrolled,
    spoofed,
    too_slow,
)


class Reason(StrEnum):
    """Why a request was refused. The value is the metric label and the word in the log line."""

    # admit
    HOST_UNKNOWN = "host_unknown"
    REQUEST_MALFORMED = "request_malformed"
    PATH_AMBIGUOUS = "path_ambiguous"
    FRAMING_AMBIGUOUS = "framing_ambiguous"
    HOST_AMBIGUOUS = "host_ambiguous"
    METHOD_UNSUPPORTED = "method_unsupported"
    URI_TOO_LONG = "uri_too_long"
    BODY_TOO_LARGE = "body_too_large"
    HEADERS_TOO_LARGE = "headers_too_large"
    BODY_TIMEOUT = "body_timeout"
    HEADER_TIMEOUT = "header_timeout"
    # screen
    IDENTITY_HEADER_SPOOFED = "identity_header_spoofed"
    CREDENTIAL_DUPLICATED = "credential_duplicated"
    HEADER_MALFORMED = "header_malformed"
    # authenticate
    TOKEN_MISSING = "token_missing"
    TOKEN_MALFORMED = "token_malformed"
    TOKEN_HEADER = "token_header"
    TOKEN_ALGORITHM = "token_algorithm"
    TOKEN_KEY_UNKNOWN = "token_key_unknown"
    TOKEN_SIGNATURE = "token_signature"
    TOKEN_ISSUER = "token_issuer"
    TOKEN_AUDIENCE = "token_audience"
    TOKEN_EXPIRED = "token_expired"
    TOKEN_NOT_YET_VALID = "token_not_yet_valid"
    TOKEN_LIFETIME = "token_lifetime"
    TOKEN_CLAIMS = "token_claims"
    KEYS_UNAVAILABLE = "keys_unavailable"
    # identify
    SERVICE_TOKEN = "service_token"
    TOKEN_TYPE = "token_type"
    EMAIL_MISSING = "email_missing"
    EMAIL_MALFORMED = "email_malformed"
    SUB_MISSING = "sub_missing"
    EMAIL_HEADER_CONTRADICTS = "email_header_contradicts"
    # authorize
    ROUTE_NOT_FOUND = "route_not_found"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    UPGRADE_NOT_ALLOWED = "upgrade_not_allowed"
    ORIGIN_REJECTED = "origin_rejected"
    ENROLLMENT_REQUIRED = "enrollment_required"
    ENROLLMENT_FAILED = "enrollment_failed"
    ENROLLMENT_LIMITED = "enrollment_limited"
    SUBJECT_CHANGED = "subject_changed"
    OPERATOR_DEACTIVATED = "operator_deactivated"
    PERMISSION_DENIED = "permission_denied"
    ROSTER_UNAVAILABLE = "roster_unavailable"
    # vouch
    CANNOT_VOUCH = "cannot_vouch"
    # forward
    WEBSOCKET_MALFORMED = "websocket_malformed"
    WEBSOCKET_VERSION = "websocket_version"
    WEBSOCKET_LIMIT = "websocket_limit"
    UPSTREAM_UNAVAILABLE = "upstream_unavailable"
    UPSTREAM_TIMEOUT = "upstream_timeout"
    FILE_NOT_FOUND = "file_not_found"
    # forward-auth
    PROXY_UNTRUSTED = "proxy_untrusted"
    PROXY_WORDS_AMBIGUOUS = "proxy_words_ambiguous"
    TARGET_NOT_CANONICAL = "target_not_canonical"
    HEADER_PASSED_ON = "header_passed_on"
    # the process itself
    MISCONFIGURED = "misconfigured"
    INTERNAL_ERROR = "internal_error"


_PEOPLE_ONLY: Final = "Sign in as a person: this host does not serve machines."

ANSWERS: Final[dict[Reason, Answer]] = {
    Reason.HOST_UNKNOWN: Answer(
        404,
        "NOT_FOUND",
        "Not Found",
        "The Host header names no host that this sidecar guards.",
        "Use the host name that ADMIN_HOST lists.",
        plain=True,
    ),
    Reason.REQUEST_MALFORMED: bad_shape("The bytes are not a well-formed HTTP/1.1 request."),
    Reason.PATH_AMBIGUOUS: bad_shape(
        "The path can be read in two ways: dot segments, encoded slashes, backslashes, empty segments, "
        "control characters or broken percent-encoding."
    ),
    Reason.FRAMING_AMBIGUOUS: bad_shape("Two parsers could disagree where the body of this request ends."),
    Reason.HOST_AMBIGUOUS: bad_shape("The request names its host more than once, or not in one form."),
    Reason.METHOD_UNSUPPORTED: no_such_method(
        "The method is none that a frontend needs (TRACE and CONNECT reveal or tunnel).",
        "Use GET, HEAD, POST, PUT, PATCH, DELETE or OPTIONS.",
    ),
    Reason.URI_TOO_LONG: Answer(
        414, "URI_TOO_LONG", "URI too long", "The request target exceeds the limit.", "Shorten the address."
    ),
    Reason.BODY_TOO_LARGE: Answer(
        413,
        "BODY_TOO_LARGE",
        "Body too large",
        "The body exceeds what the sidecar accepts.",
        "Send less, or raise AUTH_PROXY_MAX_BODY.",
    ),
    Reason.HEADERS_TOO_LARGE: Answer(
        431,
        "HEADERS_TOO_LARGE",
        "Header fields too large",
        "The header fields exceed the limit in number or size.",
        "Clear the cookies of this host and try again.",
    ),
    Reason.BODY_TIMEOUT: too_slow("The body stopped arriving."),
    Reason.HEADER_TIMEOUT: too_slow("The head of the request did not arrive in time."),
    Reason.IDENTITY_HEADER_SPOOFED: spoofed("A client sent a header that only this sidecar may set."),
    Reason.CREDENTIAL_DUPLICATED: bad_shape(
        "A credential header came more than once, or in an alias spelling."
    ),
    Reason.HEADER_MALFORMED: bad_shape(
        "A header name or value holds bytes that no client sends in good faith."
    ),
    Reason.TOKEN_MISSING: Answer(
        403,
        "ACCESS_TOKEN_REQUIRED",
        "Access token required",
        "The request carries no Cf-Access-Jwt-Assertion: it did not come through Cloudflare Access.",
        "Open this host by its public name, behind Access. For operators of the edge: look for a "
        "bypass policy or a route around Access.",
    ),
    Reason.TOKEN_MALFORMED: bad_token("The token is not a compact JWS."),
    Reason.TOKEN_HEADER: bad_token("The token's header asks for something that Access never sends."),
    Reason.TOKEN_ALGORITHM: bad_token("The token is not signed with RS256."),
    Reason.TOKEN_KEY_UNKNOWN: bad_token("The token names a signing key that the team does not publish."),
    Reason.TOKEN_SIGNATURE: bad_token("The token's signature does not match the team's key."),
    Reason.TOKEN_ISSUER: bad_token(
        "The token was issued by another team.",
        "Set CF_ACCESS_TEAM_DOMAIN to the team that protects this host.",
    ),
    Reason.TOKEN_AUDIENCE: bad_token(
        "The token was issued for another application.",
        "Set CF_ACCESS_AUD to the AUD tag of the Access application of this host.",
    ),
    Reason.TOKEN_EXPIRED: bad_token("The token has expired.", "Reload the page: Access renews the token."),
    Reason.TOKEN_NOT_YET_VALID: bad_token("The token is not valid yet.", "Check the clock of this machine."),
    Reason.TOKEN_LIFETIME: bad_token("The token claims to live longer than Access allows (one month)."),
    Reason.TOKEN_CLAIMS: bad_token("The token's claims are missing, doubled or of the wrong type."),
    Reason.KEYS_UNAVAILABLE: Answer(
        503,
        "KEYS_UNAVAILABLE",
        "Signing keys unavailable",
        "The team's signing keys could not be loaded, so no token can be proven.",
        "Wait; the sidecar retries by itself. Check the way from this machine to the team domain.",
        retry_after=5,
    ),
    Reason.SERVICE_TOKEN: not_a_person(
        "The token belongs to a service token, not to a person.", _PEOPLE_ONLY
    ),
    Reason.TOKEN_TYPE: not_a_person(
        "The token's type is not in CF_ACCESS_TOKEN_TYPES.",
        "Cloudflare issues type `app` for applications: set CF_ACCESS_TOKEN_TYPES=app,org.",
    ),
    Reason.EMAIL_MISSING: not_a_person("The token names no e-mail address.", _PEOPLE_ONLY),
    Reason.EMAIL_MALFORMED: not_a_person(
        "The token's e-mail address is not one plain address.", _PEOPLE_ONLY
    ),
    Reason.SUB_MISSING: not_a_person("The token names no subject.", _PEOPLE_ONLY),
    Reason.EMAIL_HEADER_CONTRADICTS: spoofed(
        "Cf-Access-Authenticated-User-Email is not the e-mail address that the token proves."
    ),
    Reason.ROUTE_NOT_FOUND: Answer(
        404,
        "ROUTE_NOT_FOUND",
        "Route not found",
        "No route of this sidecar serves the path.",
        "Check the address.",
    ),
    Reason.METHOD_NOT_ALLOWED: no_such_method(
        "The route does not accept this method.", "Use a method that the Allow header lists."
    ),
    Reason.UPGRADE_NOT_ALLOWED: bad_shape("The route does not accept a protocol upgrade."),
    Reason.ORIGIN_REJECTED: Answer(
        403,
        "ORIGIN_REJECTED",
        "Origin rejected",
        "A changing request must come from a page of this host; its Origin header is missing or differs.",
        "Repeat the action from the panel itself. Scripts must send Origin: https://<ADMIN_HOST>.",
    ),
    Reason.ENROLLMENT_REQUIRED: not_enrolled(
        "Access knows you, but no operator is bound to your Access subject."
    ),
    Reason.ENROLLMENT_FAILED: not_enrolled(
        "The enrollment token is wrong, expired, used, or meant for another address."
    ),
    Reason.ENROLLMENT_LIMITED: Answer(
        429,
        "ENROLLMENT_LIMITED",
        "Too many attempts",
        "Too many enrollment tokens were tried for this Access subject.",
        "Wait fifteen minutes, then use the newest token.",
        retry_after=900,
    ),
    Reason.SUBJECT_CHANGED: Answer(
        403,
        "ENROLLMENT_REQUIRED",
        "Not authorized",
        "An operator with your address is bound to another Access subject. An address alone proves nothing.",
        "Ask a super_admin to rebind your operator: Access gives a new subject to a person who was removed "
        "and added again.",
    ),
    Reason.OPERATOR_DEACTIVATED: Answer(
        403,
        "ACCOUNT_DEACTIVATED",
        "Account deactivated",
        "Your operator was deactivated.",
        "Ask a super_admin if this is a mistake.",
    ),
    Reason.PERMISSION_DENIED: Answer(
        403,
        "PERMISSION_DENIED",
        "Permission denied",
        "Your role lacks the permission that this route asks for.",
        "Ask a super_admin who may do this.",
    ),
    Reason.ROSTER_UNAVAILABLE: Answer(
        503,
        "ROSTER_UNAVAILABLE",
        "Operator list unavailable",
        "The list of operators is older than ROSTER_MAX_STALENESS, so nobody can be let in on it.",
        "Wait; the sidecar reconnects by itself. Check the admin service.",
        retry_after=2,
    ),
    Reason.CANNOT_VOUCH: Answer(
        503,
        "CANNOT_VOUCH",
        "Cannot vouch for the request",
        "The internal identity could not be signed. Nothing is forwarded without it.",
        "Check INTERNAL_SIGNING_KEY_FILE.",
        retry_after=2,
    ),
    Reason.WEBSOCKET_MALFORMED: bad_shape(
        "The websocket handshake is incomplete, or can be read in two ways."
    ),
    Reason.WEBSOCKET_VERSION: Answer(
        426,
        "UPGRADE_REQUIRED",
        "Upgrade required",
        "Websockets here speak version 13.",
        "Ask for version 13.",
    ),
    Reason.WEBSOCKET_LIMIT: Answer(
        429, "WEBSOCKET_LIMIT", "Too many websockets", "You hold too many.", "Close some.", retry_after=60
    ),
    Reason.UPSTREAM_UNAVAILABLE: Answer(
        502,
        "UPSTREAM_UNAVAILABLE",
        "Upstream unavailable",
        "The service behind this route does not answer.",
        "Try again in a moment. Nothing is known to have been changed by a request that was not answered.",
    ),
    Reason.UPSTREAM_TIMEOUT: Answer(
        504,
        "UPSTREAM_TIMEOUT",
        "Upstream timed out",
        "The service behind this route took too long to begin its answer.",
        "Look whether the action took effect before you repeat it.",
    ),
    Reason.FILE_NOT_FOUND: Answer(
        404,
        "FILE_NOT_FOUND",
        "Not found",
        "The frontend's folder holds no file for this path.",
        "Check the address.",
    ),
    Reason.PROXY_UNTRUSTED: Answer(
        403,
        "PROXY_UNTRUSTED",
        "Proxy not trusted",
        "Who asked for a forward-auth answer is no proxy that AUTH_PROXY_TRUSTED_PROXIES names.",
        "Name the address of the proxy there. Nobody else has reason to ask.",
    ),
    Reason.PROXY_WORDS_AMBIGUOUS: bad_shape(
        "What the proxy says of the request is missing, doubled, in an alias spelling, or comes with a body."
    ),
    Reason.TARGET_NOT_CANONICAL: bad_shape(
        "The proxy would forward the path or query in another spelling than the one that was decided on."
    ),
    Reason.HEADER_PASSED_ON: bad_shape(
        "The proxy would pass on a header that changes what the request means, and that the sidecar drops."
    ),
    Reason.MISCONFIGURED: Answer(
        500,
        "MISCONFIGURED",
        "Misconfigured",
        "Settings of the development gate are present outside development.",
        "Unset LOCAL_DEV_ADMIN_EMAIL and ALLOW_DEV_ADMIN_AUTH, or set APP_ENV=development.",
        plain=True,
    ),
    Reason.INTERNAL_ERROR: Answer(
        500,
        "INTERNAL_ERROR",
        "Internal error",
        "The sidecar failed to decide, so it refused. This is a defect.",
        "Report the request id.",
    ),
}

AUDITED: Final = frozenset(
    {
        Reason.IDENTITY_HEADER_SPOOFED,
        Reason.EMAIL_HEADER_CONTRADICTS,
        Reason.ORIGIN_REJECTED,
        Reason.ENROLLMENT_REQUIRED,
        Reason.SUBJECT_CHANGED,
        Reason.OPERATOR_DEACTIVATED,
        Reason.PERMISSION_DENIED,
    }
)
"""Refusals of a proven person, and attempts to be somebody else: they become audit events."""


class Refusal(Exception):  # noqa: N818 - the term of this house; it is an outcome, not a fault
    """A request is refused for one named reason.

    `detail` is for the log alone: it must never hold token contents, cookies or query strings.
    `headers` are added to the answer (`Allow`, `Retry-After`). Whom it hit, as far as that is proven,
    is for the audit log alone.
    """

    def __init__(self, reason: Reason, detail: str = "", *, headers: dict[str, str] | None = None) -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail
        self.headers = headers or {}
        self.route = ""
        self.role = ""
        self.sub = ""
        self.email = ""
        self.operator_id = ""

    def __str__(self) -> str:
        return f"{self.reason.value}: {self.detail}" if self.detail else self.reason.value

    def at(self, route: str, role: str = "") -> "Refusal":
        """Note for the decision log how far the request came."""
        self.route, self.role = route, role
        return self

    def of(self, sub: str, email: str, operator_id: str = "") -> "Refusal":
        """Note for the audit log who was refused."""
        self.sub, self.email, self.operator_id = sub, email, operator_id
        return self

    @property
    def answer(self) -> Answer:
        return ANSWERS[self.reason]
