"""Step 6, vouch: sign who asks, for the one service that will read it.

A request that cannot be signed for is refused, never sent on without identity. Only tokens for safe
methods are used twice, for at most five seconds and only for the same person, role and roster.
"""

from typing import Final, Literal, NamedTuple, Protocol

from cachetools import TTLCache

from auth_proxy.forwarding import Headers
from auth_proxy.pipeline.exchange import Grant, SignedGrant
from auth_proxy.refusals import Reason, Refusal
from auth_proxy.routes import SAFE_METHODS, IdentityField
from service_kit.clock import Clock
from service_kit.identity.binding import DELEGATION_HEADER, IDENTITY_HEADER
from service_kit.identity.signing import RequestBinding, SigningError, Subject

REUSE_SECONDS: Final = 5.0
_MOST_REUSED: Final = 10_000


class Signer(Protocol):
    """Signs internal identities."""

    def sign(
        self,
        subject: Subject,
        *,
        audience: str,
        binding: RequestBinding | None = None,
        delegate: str | None = None,
    ) -> str:
        """Raises SigningError."""
        ...


class _Address(NamedTuple):
    """For whom a token is meant: its audience, and who may use it in the person's name."""

    audience: str
    delegate: str | None = None


class Voucher:
    """Adds the identity headers that only the sidecar may set."""

    def __init__(self, signer: Signer, clock: Clock, *, binding: Literal["unsafe", "all"] = "unsafe") -> None:
        self._signer = signer
        self._bind_all = binding == "all"
        self._reusable: TTLCache[tuple[object, ...], str] = TTLCache(
            _MOST_REUSED, REUSE_SECONDS, timer=clock.monotonic
        )

    def vouch(self, grant: Grant) -> SignedGrant:
        """Raises Refusal(CANNOT_VOUCH)."""
        try:
            return SignedGrant(grant, self._headers(grant))
        except SigningError as error:
            raise Refusal(Reason.CANNOT_VOUCH) from error

    def _headers(self, grant: Grant) -> Headers:
        route = grant.route
        headers = [(IDENTITY_HEADER, self._token(grant, _Address(route.identity_audience)))]
        if route.delegate_to is not None:
            address = _Address(route.delegate_to.value, delegate=route.identity_audience)
            headers.append((DELEGATION_HEADER, self._token(grant, address)))
        return (*headers, *_plain_headers(grant))

    def _token(self, grant: Grant, address: _Address) -> str:
        screened = grant.person.screened
        method = screened.inbound.method
        if self._bind_all or method not in SAFE_METHODS or screened.upgrade is not None:
            binding = RequestBinding(method, grant.forwarded_target)
            return self._signer.sign(
                _subject(grant), audience=address.audience, binding=binding, delegate=address.delegate
            )
        key = _reuse_key(grant, address)
        token = self._remembered(key)
        if token is None:
            token = self._signer.sign(_subject(grant), audience=address.audience, delegate=address.delegate)
            self._reusable[key] = token
        return token

    def _remembered(self, key: tuple[object, ...]) -> str | None:
        """As `get` would, which looks twice and asks the clock twice.

        Nothing else happens while the KeyError is handled: it names the person, and a trace would show it.
        """
        try:
            return self._reusable[key]
        except KeyError:
            return None


def _plain_headers(grant: Grant) -> Headers:
    """What a route's upstream wants to read without a token; the client's own copies are long gone."""
    if not grant.route.identity_headers:
        return ()
    fields = [(name, _field(grant, field)) for name, field in grant.route.identity_headers]
    # An absent header says "nobody"; an empty one is read as somebody by too many programs.
    return tuple((name, value) for name, value in fields if value)


def _field(grant: Grant, field: IdentityField) -> str:
    operator, person = grant.operator, grant.person
    value = {
        IdentityField.EMAIL: person.email,
        IdentityField.SUB: person.sub,
        IdentityField.NAME: operator.name if operator else "",
        IdentityField.ROLE: operator.role.value if operator else "",
        IdentityField.OPERATOR_ID: operator.id if operator else "",
    }[field]
    if not value.isprintable():  # a line break in a name would be a header of its own
        raise Refusal(Reason.CANNOT_VOUCH, f"{field.value} does not fit into a header")
    return value


def _reuse_key(grant: Grant, address: _Address) -> tuple[object, ...]:
    """Everything that the token would say: whatever differs here gets a token of its own."""
    person, operator = grant.person, grant.operator
    who = (person.sub, person.email, address.audience, address.delegate)
    if operator is None:
        return who
    return (*who, operator.id, operator.name, operator.role, grant.roster_version)


def _subject(grant: Grant) -> Subject:
    operator = grant.operator
    if operator is None:
        return Subject(sub=grant.person.sub, email=grant.person.email)
    return Subject(
        sub=grant.person.sub,
        email=grant.person.email,
        name=operator.name,
        operator_id=operator.id,
        role=operator.role,
        roster_version=grant.roster_version,
    )
