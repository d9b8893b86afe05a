"""The frozen values that flow through the pipeline; each one proves that its step was passed.

They are made by their step and nowhere else:
`RawRequest → Inbound → Screened → VerifiedClaims → Person → Grant → SignedGrant`.
Named tuples, because making seven frozen dataclasses costs 5 µs of every request, and these 1.
"""

from typing import Final, NamedTuple

from auth_proxy.access.claims import AccessClaims
from auth_proxy.forwarding import Headers, Network, forwarding_headers
from auth_proxy.head_shape import HeadShape
from auth_proxy.roster.source import OperatorEntry
from auth_proxy.routes import Route

ENCODED_SLASH: Final = "%2F"
"""In a canonical path the only spelling of a slash that is none."""


class RawRequest(NamedTuple):
    """What the HTTP parser read, untouched and unjudged."""

    method: str
    target: str
    version: tuple[int, int]
    headers: tuple[tuple[bytes, bytes], ...]
    peer: str
    request_id: str = ""


class Inbound(NamedTuple):
    """Admitted: one of our hosts, one reading of the path, one reading of the framing.

    `path` is canonical and still percent-encoded; `target` is it with the query: the exact bytes
    that are decided on and forwarded.
    """

    method: str
    host: str
    path: str
    target: str
    headers: Headers
    peer: str
    has_body: bool
    content_length: int | None
    expects_continue: bool
    shape: HeadShape
    """What the names of `headers` decide."""
    request_id: str = ""


class Screened(NamedTuple):
    """Screened: credentials taken out, spoofs refused, what may go on is what is left in `forwardable`."""

    inbound: Inbound
    forwardable: Headers
    said: Headers
    """What a proxy in front may have said of the client."""
    scheme: str
    trusted: tuple[Network, ...]
    token: str | None
    claimed_email: str | None
    enrollment_token: str | None
    origin: str | None
    fetch_site: str | None
    upgrade: str | None
    dropped: int

    @property
    def forwarding(self) -> Headers:
        """Who the client is, in our own words. Made only for a request that goes on, and once for it."""
        return forwarding_headers(
            self.said, self.inbound.peer, self.inbound.host, scheme=self.scheme, trusted=self.trusted
        )


class VerifiedClaims(NamedTuple):
    """Authenticated: the token's signature, issuer, audience and time hold."""

    screened: Screened
    claims: AccessClaims


class Person(NamedTuple):
    """Identified: a person, not a machine, with one address that nothing contradicts."""

    screened: Screened
    sub: str
    email: str
    expires_at: int


class Grant(NamedTuple):
    """Authorized: this person may send this request to this route."""

    person: Person
    route: Route
    operator: OperatorEntry | None
    roster_version: int

    @property
    def forwarded_target(self) -> str:
        """The exact path and query that the upstream gets, and that a bound identity names."""
        return self.route.forwarded(self.person.screened.inbound.target)


class SignedGrant(NamedTuple):
    """Vouched for: what is forwarded, and the identity headers that only the sidecar may set."""

    grant: Grant
    identity_headers: Headers
