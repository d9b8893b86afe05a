"""Every way in which an internal identity can be wrong has its own name, and none of them passes."""

import hashlib
import hmac
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from service_kit.identity.model import Role, Scope
from service_kit.identity.replay import MemoryReplayGuard
from service_kit.identity.verifying import (
    IdentityReason,
    IdentityRejectedError,
    IdentityVerifier,
    KeysNotLoadedError,
    VerifierPolicy,
)
from tests.fakes.clock import FrozenClock
from tests.fixtures.identities import StaticKeys, new_key
from tests.unit.service_kit.identity.forging import AUDIENCE, ISSUER, NOW, b64, bound, claims, forge

KEY = new_key()
OTHER = new_key()
POLICY = VerifierPolicy(ISSUER, AUDIENCE, delegate="admin_service")
Payload = dict[str, Any]


@pytest.fixture
def clock() -> FrozenClock:
    return FrozenClock()


@pytest.fixture
def verifier(clock: FrozenClock) -> IdentityVerifier:
    keys = StaticKeys({KEY.kid: KEY.private.public_key()})
    return IdentityVerifier(POLICY, keys, MemoryReplayGuard(clock), clock)


def sign(payload: Payload | bytes, **header: Any) -> str:
    return forge(payload, KEY.private, **{"kid": KEY.kid, **header})


def hs256_with_the_public_key() -> str:
    """The classic: the public key's bytes as an HMAC secret."""
    text = f"{b64(_head('HS256'))}.{b64(jwt.utils.force_bytes('{}'))}"
    raw = KEY.private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return f"{text}.{b64(hmac.new(raw, text.encode(), hashlib.sha256).digest())}"


def rs256() -> str:
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return jwt.encode(claims(), private, algorithm="RS256", headers={"typ": "sally+jwt", "kid": KEY.kid})


def _head(alg: str) -> bytes:
    return f'{{"alg":"{alg}","typ":"sally+jwt","kid":"{KEY.kid}"}}'.encode()


HEAD = f'{{"alg":"EdDSA","typ":"sally+jwt","kid":"{KEY.kid}"}}'


def spelled(head: str, payload: str | None = None) -> str:
    """A token that is really signed over a header in just these letters."""
    text = f"{b64(head.encode())}.{b64((payload or json.dumps(claims())).encode())}"
    return f"{text}.{b64(KEY.private.sign(text.encode()))}"


def unsigned(alg: str) -> str:
    return f"{b64(_head(alg))}.{b64(jwt.utils.force_bytes('{}'))}."


@dataclass(frozen=True)
class Case:
    name: str
    reason: IdentityReason
    token: Callable[[], str]
    method: str = "GET"
    target: str = "/x"


R = IdentityReason
CASES = (
    Case("empty text", R.MALFORMED, lambda: ""),
    Case("no JWS", R.MALFORMED, lambda: "garbage"),
    Case("non-ASCII text", R.MALFORMED, lambda: sign(claims()) + "é"),
    Case("more than 4096 bytes", R.MALFORMED, lambda: sign(claims(name="x" * 4000))),
    Case("typ of a plain JWT", R.MALFORMED, lambda: sign(claims(), typ="JWT")),
    Case("no typ", R.MALFORMED, lambda: sign(claims(), typ=...)),
    Case("no kid", R.MALFORMED, lambda: sign(claims(), kid=...)),
    Case("kid is a number", R.MALFORMED, lambda: sign(claims(), kid=5)),
    Case("kid unknown", R.KEY_UNKNOWN, lambda: sign(claims(), kid="other")),
    Case("kid of a path", R.KEY_UNKNOWN, lambda: sign(claims(), kid="../../etc/passwd")),
    Case(
        "signed by another key under our kid",
        R.SIGNATURE,
        lambda: forge(claims(), OTHER.private, kid=KEY.kid),
    ),
    Case("alg none", R.MALFORMED, lambda: unsigned("none")),
    Case("alg NoNe", R.MALFORMED, lambda: unsigned("NoNe")),
    Case("HS256 with the public key", R.MALFORMED, hs256_with_the_public_key),
    Case("RS256", R.MALFORMED, rs256),
    Case("ES256 by name", R.MALFORMED, lambda: sign(claims(), alg="ES256")),
    Case("no alg", R.MALFORMED, lambda: sign(claims(), alg=...)),
    Case("an unknown critical header", R.MALFORMED, lambda: sign(claims(), crit=["exp"])),
    Case("a detached payload", R.MALFORMED, lambda: sign(claims(), b64=False, crit=["b64"])),
    Case("a header member nobody asked for", R.MALFORMED, lambda: sign(claims(), jku="https://x.example")),
    Case("a header member named twice", R.MALFORMED, lambda: spelled(f'{{"alg":"none",{HEAD[1:]}')),
    Case("a header that is a list", R.MALFORMED, lambda: spelled("[]")),
    Case("a header nested without end", R.MALFORMED, lambda: spelled("[" * 2000)),
    Case("two parts", R.MALFORMED, lambda: sign(claims()).rpartition(".")[0]),
    Case("four parts", R.MALFORMED, lambda: f"{sign(claims())}.AA"),
    Case("padding", R.MALFORMED, lambda: f"{sign(claims())}=="),
    Case("a line break behind it", R.MALFORMED, lambda: f"{sign(claims())}\n"),
    Case("payload is no JSON", R.CLAIMS, lambda: sign(b"\xff\xfe")),
    Case("payload is a list", R.CLAIMS, lambda: sign(b"[]")),
    Case(
        "a claim named twice", R.CLAIMS, lambda: sign(b'{"sub":"other",' + json.dumps(claims()).encode()[1:])
    ),
    Case("null as claim", R.CLAIMS, lambda: sign(claims(azp=None))),
    Case("an extra claim", R.CLAIMS, lambda: sign(claims(admin=True))),
    Case("exp is text", R.CLAIMS, lambda: sign(claims(exp=str(NOW + 30)))),
    Case("exp is a float", R.CLAIMS, lambda: sign(claims(exp=NOW + 0.5))),
    Case("iat is a truth value", R.CLAIMS, lambda: sign(claims(iat=True))),
    Case("no exp", R.CLAIMS, lambda: sign(claims(exp=...))),
    Case("no iat", R.CLAIMS, lambda: sign(claims(iat=...))),
    Case("no jti", R.CLAIMS, lambda: sign(claims(jti=...))),
    Case("a short jti", R.CLAIMS, lambda: sign(claims(jti="j"))),
    Case("empty sub", R.CLAIMS, lambda: sign(claims(sub=""))),
    Case("unknown role", R.CLAIMS, lambda: sign(claims(role="root"))),
    Case("role without opid", R.CLAIMS, lambda: sign(claims(opid=...))),
    Case("opid without role", R.CLAIMS, lambda: sign(claims(role=...))),
    Case("scope with opid", R.CLAIMS, lambda: sign(claims(scope="roster"))),
    Case("unknown scope", R.CLAIMS, lambda: sign(claims(opid=..., role=..., scope="all"))),
    Case("aud is a list", R.CLAIMS, lambda: sign(claims(aud=[AUDIENCE]))),
    Case("another audience", R.AUDIENCE, lambda: sign(claims(aud="admin_service"))),
    Case("audience in upper case", R.AUDIENCE, lambda: sign(claims(aud=AUDIENCE.upper()))),
    Case("another issuer", R.ISSUER, lambda: sign(claims(iss="https://team.cloudflareaccess.com"))),
    Case("expired", R.EXPIRED, lambda: sign(claims(iat=NOW - 35, exp=NOW - 5))),
    Case("not yet valid", R.NOT_YET_VALID, lambda: sign(claims(iat=NOW + 6, exp=NOW + 36))),
    Case("a life of no time", R.LIFETIME, lambda: sign(claims(exp=NOW))),
    Case("expired before it was issued", R.LIFETIME, lambda: sign(claims(iat=NOW + 2, exp=NOW + 1))),
    Case("a life of 31 s", R.LIFETIME, lambda: sign(claims(exp=NOW + 31))),
    Case("a life of a century", R.LIFETIME, lambda: sign(claims(iat=0, exp=NOW + 30))),
    Case("unbound on POST", R.BINDING, lambda: sign(claims()), method="POST"),
    Case("unbound on an unknown method", R.BINDING, lambda: sign(claims()), method="PROPFIND"),
    Case("unbound on get", R.BINDING, lambda: sign(claims()), method="get"),
    Case("bound to another path", R.BINDING, lambda: sign(bound("POST", "/y")), method="POST"),
    Case("bound to another method", R.BINDING, lambda: sign(bound("DELETE", "/x")), method="POST"),
    Case(
        "bound to another query",
        R.BINDING,
        lambda: sign(bound("POST", "/x?a=1")),
        method="POST",
        target="/x?a=2",
    ),
    Case(
        "bound to the path without its query", R.BINDING, lambda: sign(bound("POST", "/x")), "POST", "/x?a=2"
    ),
    Case("half bound", R.BINDING, lambda: sign(claims(htm="POST")), method="POST"),
    Case("half bound on GET", R.BINDING, lambda: sign(claims(htm="GET"))),
    Case("a write's token used to read", R.BINDING, lambda: sign(bound("POST", "/x"))),
    Case("a delegation sent as identity", R.DELEGATION, lambda: sign(claims(azp="admin_service"))),
    Case("an empty delegate", R.DELEGATION, lambda: sign(claims(azp=""))),
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_each_wrong_identity_is_refused_by_its_reason(verifier: IdentityVerifier, case: Case) -> None:
    """R-005: unsigned, foreign, expired, over-long or misdirected: one named reason each."""
    with pytest.raises(IdentityRejectedError) as refused:
        await verifier.verify(case.token(), method=case.method, target=case.target)

    assert refused.value.reason is case.reason
    assert str(refused.value) == case.reason.value


def test_every_reason_has_a_case() -> None:
    """The table above misses no reason; MISSING and DUPLICATED belong to the guard, REPLAYED stands below."""
    named = {case.reason for case in CASES} | {R.MISSING, R.DUPLICATED, R.REPLAYED}

    assert named == set(IdentityReason)


async def test_an_honest_identity_is_told_in_full(verifier: IdentityVerifier) -> None:
    """What the sidecar said is what the service knows, member for member."""
    identity = await verifier.verify(sign(claims()), method="GET", target="/x")

    assert (identity.subject, identity.email, identity.name) == ("sub-1", "ada@example.com", "Ada")
    assert (identity.operator_id, identity.role, identity.roster_version) == ("adm_1", Role.SUPER_ADMIN, 7)
    assert (identity.audience, identity.token_id, identity.expires_at) == (AUDIENCE, "j" * 22, NOW + 30)
    assert (identity.scope, identity.delegate, identity.is_operator) == (None, None, True)


@pytest.mark.parametrize(
    "changes, scope",
    [
        ({"opid": ..., "role": ..., "rv": ...}, None),
        ({"opid": ..., "role": ..., "scope": "roster"}, Scope.ROSTER),
    ],
)
async def test_a_person_and_a_process_are_no_operators(
    verifier: IdentityVerifier, changes: Payload, scope: Scope | None
) -> None:
    """A person without a row and a process of ours prove themselves and hold no permission."""
    identity = await verifier.verify(sign(claims(**changes)), method="GET", target="/x")

    assert not identity.is_operator
    assert identity.permissions == frozenset()
    assert identity.scope is scope


LIMITS: tuple[tuple[str, Any, Any], ...] = (
    ("sub", "s" * 255, "s" * 256),
    ("email", "e" * 320, "e" * 321),
    ("name", "n" * 200, "n" * 201),
    ("name", "", ...),
    ("jti", "j" * 16, "j" * 15),
    ("jti", "j" * 64, "j" * 65),
    ("opid", "o" * 64, "o" * 65),
    ("opid", "o", ""),
    ("rv", 0, -1),
    ("rv", 2**53 - 1, 2**53),
    ("rv", 1, "1"),
    ("rv", 1, 1.0),
    ("rv", 1, True),
    ("iat", NOW, float(NOW)),
    ("exp", NOW + 1, float(NOW + 1)),
    ("role", "security", "Security"),
)


@pytest.mark.parametrize("name, last, beyond", LIMITS, ids=[limit[0] for limit in LIMITS])
async def test_each_claim_has_its_limits(
    verifier: IdentityVerifier, name: str, last: object, beyond: object
) -> None:
    """The last value that a claim may have is accepted, the one beyond it is not (R-005)."""
    await verifier.verify(sign(claims(**{name: last})), method="GET", target="/x")

    with pytest.raises(IdentityRejectedError) as refused:
        await verifier.verify(sign(claims(**{name: beyond})), method="GET", target="/x")
    assert refused.value.reason is R.CLAIMS


def of_length(wanted: int) -> str:
    """A good token of exactly this length: white space between JSON members is free."""
    for more in range(2600, 2800):
        for rest in range(3):
            payload = json.dumps(claims()) + " " * rest
            token = spelled(HEAD + " " * more, payload)
            if len(token) == wanted:
                return token
    raise AssertionError("no such length")


async def test_the_longest_token_has_4096_characters(verifier: IdentityVerifier) -> None:
    """One character more, and the same good token is refused before anything is decoded."""
    assert (await verifier.verify(of_length(4096), method="GET", target="/x")).subject == "sub-1"

    with pytest.raises(IdentityRejectedError) as refused:
        await verifier.verify(of_length(4097), method="GET", target="/x")
    assert refused.value.reason is R.MALFORMED


async def test_each_write_has_its_own_memory(verifier: IdentityVerifier) -> None:
    """R-005: one write is remembered by its own token id, and does not stop the next."""
    for jti in ("a" * 16, "b" * 16):
        token = sign(bound("POST", "/x", jti=jti))
        assert (await verifier.verify(token, method="POST", target="/x")).token_id == jti


@pytest.mark.parametrize(
    "iat, exp", [(NOW - 34, NOW - 4), (NOW + 5, NOW + 35), (NOW, NOW + 30), (NOW, NOW + 1)]
)
async def test_five_seconds_of_skew_are_forgiven(verifier: IdentityVerifier, iat: int, exp: int) -> None:
    """The last accepted instant on either side of the token's life."""
    identity = await verifier.verify(sign(claims(iat=iat, exp=exp)), method="GET", target="/x")

    assert identity.expires_at == exp


async def test_an_unbound_read_may_come_again_and_a_bound_one_may_not(verifier: IdentityVerifier) -> None:
    """A token for safe methods is reusable; one that names its request is good once (R-005)."""
    unbound, once = sign(claims()), sign(bound("GET", "/x"))
    for _ in range(3):
        await verifier.verify(unbound, method="HEAD", target="/anything")
    await verifier.verify(once, method="GET", target="/x")

    with pytest.raises(IdentityRejectedError) as refused:
        await verifier.verify(once, method="GET", target="/x")
    assert refused.value.reason is IdentityReason.REPLAYED


async def test_a_write_is_good_exactly_once_until_it_expires(
    verifier: IdentityVerifier, clock: FrozenClock
) -> None:
    """R-005: the same bytes a second time are a replay, to the last second of the token's life."""
    token = sign(bound("POST", "/x?y=1"))
    await verifier.verify(token, method="POST", target="/x?y=1")

    for wait, reason in ((0, R.REPLAYED), (34.9, R.REPLAYED), (0.2, R.EXPIRED)):
        clock.advance(wait)
        with pytest.raises(IdentityRejectedError) as refused:
            await verifier.verify(token, method="POST", target="/x?y=1")
        assert refused.value.reason is reason


async def test_a_full_memory_of_used_tokens_refuses_instead_of_forgetting(clock: FrozenClock) -> None:
    """Forgetting a live token would let it in twice, so a full guard refuses the new one."""
    keys = StaticKeys({KEY.kid: KEY.private.public_key()})
    verifier = IdentityVerifier(POLICY, keys, MemoryReplayGuard(clock, most_tokens=1), clock)
    await verifier.verify(sign(bound("POST", "/x", jti="a" * 16)), method="POST", target="/x")

    with pytest.raises(IdentityRejectedError) as refused:
        await verifier.verify(sign(bound("POST", "/x", jti="b" * 16)), method="POST", target="/x")
    assert refused.value.reason is IdentityReason.REPLAYED


async def test_a_token_is_remembered_until_its_skew_has_passed_too(clock: FrozenClock) -> None:
    """In the five seconds after `exp` it would still be accepted, so a full guard may not forget it yet."""
    keys = StaticKeys({KEY.kid: KEY.private.public_key()})
    verifier = IdentityVerifier(POLICY, keys, MemoryReplayGuard(clock, most_tokens=1), clock)
    used = sign(bound("POST", "/x", jti="a" * 16))
    await verifier.verify(used, method="POST", target="/x")
    clock.advance(34)
    other = sign(bound("POST", "/x", jti="b" * 16, iat=NOW + 30, exp=NOW + 60))

    for token in (other, used):
        with pytest.raises(IdentityRejectedError) as refused:
            await verifier.verify(token, method="POST", target="/x")
        assert refused.value.reason is IdentityReason.REPLAYED


async def test_a_refused_token_does_not_burn_the_honest_one(verifier: IdentityVerifier) -> None:
    """Sending the token to a wrong path first must not stop the request that it was made for."""
    token = sign(bound("POST", "/x"))
    with pytest.raises(IdentityRejectedError):
        await verifier.verify(token, method="POST", target="/y")

    assert (await verifier.verify(token, method="POST", target="/x")).subject == "sub-1"


async def test_without_keys_nothing_is_decided(clock: FrozenClock) -> None:
    """Keys that were never loaded are an outage, not a forged token."""

    class NoKeys:
        async def key(self, kid: str) -> Ed25519PublicKey | None:
            raise KeysNotLoadedError(kid)

    verifier = IdentityVerifier(POLICY, NoKeys(), MemoryReplayGuard(clock), clock)

    with pytest.raises(KeysNotLoadedError):
        await verifier.verify(sign(claims()), method="GET", target="/x")


@pytest.mark.parametrize(
    "payload, method, reason",
    [
        (claims(), "GET", R.DELEGATION),
        (claims(azp="tenant_service"), "GET", R.DELEGATION),
        (claims(azp="admin_service"), "POST", R.BINDING),
        (bound("GET", "/x", azp="admin_service"), "POST", R.BINDING),
        (claims(azp="admin_service", htm="get", exp=NOW - 10, iat=NOW - 40), "POST", R.EXPIRED),
        (claims(azp="admin_service", aud="admin_service"), "GET", R.AUDIENCE),
    ],
    ids=[
        "an identity as delegation",
        "foreign azp",
        "read used to write",
        "GET used to write",
        "old",
        "audience",
    ],
)
async def test_each_wrong_delegation_is_refused(
    verifier: IdentityVerifier, payload: Payload, method: str, reason: IdentityReason
) -> None:
    """The delegate cannot widen what the operator did, nor use what was made for another service."""
    with pytest.raises(IdentityRejectedError) as refused:
        await verifier.verify_delegation(sign(payload), method=method)

    assert refused.value.reason is reason


async def test_a_service_without_a_delegate_takes_no_delegation(clock: FrozenClock) -> None:
    """`delegate=None` is nobody, also for a token whose azp is missing."""
    keys = StaticKeys({KEY.kid: KEY.private.public_key()})
    verifier = IdentityVerifier(VerifierPolicy(ISSUER, AUDIENCE), keys, MemoryReplayGuard(clock), clock)

    for payload in (claims(), claims(azp="admin_service")):
        with pytest.raises(IdentityRejectedError) as refused:
            await verifier.verify_delegation(sign(payload), method="GET")
        assert refused.value.reason is IdentityReason.DELEGATION


async def test_a_delegation_reads_often_and_writes_once(verifier: IdentityVerifier) -> None:
    """One unsafe browser request changes something at most once, whatever the panel asks for."""
    read = sign(claims(azp="admin_service"))
    write = sign(bound("POST", "/manage/x", azp="admin_service", jti="w" * 22))
    for _ in range(2):
        assert (await verifier.verify_delegation(read, method="GET")).delegate == "admin_service"
    await verifier.verify_delegation(write, method="GET")
    await verifier.verify_delegation(write, method="DELETE")

    with pytest.raises(IdentityRejectedError) as refused:
        await verifier.verify_delegation(write, method="POST")
    assert refused.value.reason is IdentityReason.REPLAYED


async def test_what_is_shown_proves_a_person_and_no_right_to_act(verifier: IdentityVerifier) -> None:
    """R-005: a token bound to another request may be shown, again and again; who it names is proven."""
    token = sign(bound("POST", "/orders"))

    first, second = await verifier.verify_shown(token), await verifier.verify_shown(token)

    assert first == second
    assert first.subject == claims()["sub"]
    with pytest.raises(IdentityRejectedError):
        await verifier.verify(token, method="GET", target="/x")


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"azp": "admin_service"}, R.DELEGATION),
        ({"opid": ..., "role": ..., "rv": ..., "scope": "roster"}, R.DELEGATION),
        ({"aud": "other"}, R.AUDIENCE),
        ({"iss": "other"}, R.ISSUER),
        ({"iat": NOW - 100, "exp": NOW - 70}, R.EXPIRED),
    ],
    ids=lambda value: getattr(value, "value", "") or "-".join(value),
)
async def test_what_is_shown_is_proven_as_strictly(
    verifier: IdentityVerifier, changed: Payload, reason: IdentityReason
) -> None:
    """R-005: neither a delegation nor a process may be shown, and audience, issuer and time hold."""
    with pytest.raises(IdentityRejectedError) as refused:
        await verifier.verify_shown(sign(claims(**changed)))

    assert refused.value.reason is reason
