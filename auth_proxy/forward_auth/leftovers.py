"""What the gate would not have forwarded, where the proxy forwards and not the gate.

A proxy that takes headers away at our word is told their names. With the others, whatever would claim an
identity, or make another request of this one, refuses the request: nothing proves that the proxy's
configuration takes it away. Credentials and the client's address are left to that configuration, because
they stand on every good request.
"""

from collections.abc import Iterable
from typing import Final

from auth_proxy.forward_auth.dialects import Dialect
from auth_proxy.forwarding import Headers
from auth_proxy.header_names import HeaderKind, kind_of, letters
from auth_proxy.pipeline.exchange import SignedGrant
from auth_proxy.refusals import Reason, Refusal

_SAID_BY_PROXIES: Final = frozenset(
    {
        "cf-connecting-ip",
        "cf-connecting-ipv6",
        "forwarded",
        "true-client-ip",
        "x-correlation-id",
        "x-envoy-external-address",
        "x-forwarded-for",
        "x-forwarded-host",
        "x-forwarded-port",
        "x-forwarded-proto",
        "x-forwarded-server",
        "x-real-ip",
        "x-request-id",
    }
)
"""About the client and the connection, from the edge or the asking proxy itself; in no other spelling."""
_KEPT: Final = frozenset({"x-forwarded-for", "x-forwarded-proto"})
"""What a proxy that takes headers away at our word writes itself."""
_TAKEN: Final = frozenset(
    {
        HeaderKind.ASSERTION,
        HeaderKind.CLAIMED_EMAIL,
        HeaderKind.CREDENTIAL,
        HeaderKind.ENROLLMENT,
        HeaderKind.IDENTITY,
        HeaderKind.REPLACED,
    }
)


def check_passed_on(signed: SignedGrant, dialect: Dialect, target: str, reserved: frozenset[str]) -> None:
    """What the proxy will forward is what was decided on. Raises Refusal."""
    grant = signed.grant
    person = grant.person
    route = grant.route.name
    if grant.forwarded_target != target:
        # Also where the route strips its prefix: the identity would be bound to what nobody sends.
        refusal = Refusal(Reason.TARGET_NOT_CANONICAL, "the proxy would send other bytes")
        raise refusal.at(route).of(person.sub, person.email)
    if dialect.takes_away:
        return
    for name, _ in person.screened.inbound.headers:
        kind = _kind(name, reserved)
        if kind is HeaderKind.IDENTITY:
            refusal = Refusal(Reason.IDENTITY_HEADER_SPOOFED, "the proxy would pass it on")
            raise refusal.at(route).of(person.sub, person.email)
        if kind is HeaderKind.REPLACED and name.lower() not in _SAID_BY_PROXIES:
            raise Refusal(Reason.HEADER_PASSED_ON).at(route).of(person.sub, person.email)


def names_to_take_away(
    headers: Headers, set_by_us: Iterable[str], reserved: frozenset[str]
) -> tuple[str, ...]:
    """The client's headers that no upstream may see, in the spelling in which they came."""
    ours = {name.lower() for name in set_by_us}
    names = dict.fromkeys(
        name.lower()
        for name, _ in headers
        if (_kind(name, reserved) in _TAKEN and name.lower() not in _KEPT) or name.lower() == "cookie"
    )
    return tuple(name for name in names if name not in ours)


def _kind(name: str, reserved: frozenset[str]) -> HeaderKind:
    folded = letters(name)
    return HeaderKind.IDENTITY if folded in reserved else kind_of(folded)
