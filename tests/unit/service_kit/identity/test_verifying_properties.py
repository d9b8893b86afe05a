"""Searches for text that the tables of `test_verifying` forgot: it may be refused, never more."""

import asyncio
import json

from hypothesis import given, settings
from hypothesis import strategies as st

from service_kit.identity.model import InternalIdentity
from service_kit.identity.replay import MemoryReplayGuard
from service_kit.identity.verifying import IdentityRejectedError, IdentityVerifier, VerifierPolicy
from tests.fakes.clock import FrozenClock
from tests.fixtures.identities import StaticKeys, new_key
from tests.unit.service_kit.identity.forging import AUDIENCE, ISSUER, b64, bound, claims, forge

KEY = new_key()
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=10,
)
CLAIM_NAMES = st.sampled_from([*claims(), "scope", "htm", "htp", "azp", "extra"])


def verdict(token: str, *, method: str = "GET", target: str = "/x") -> InternalIdentity | None:
    clock = FrozenClock()
    keys = StaticKeys({KEY.kid: KEY.private.public_key()})
    verifier = IdentityVerifier(
        VerifierPolicy(ISSUER, AUDIENCE, delegate="admin_service"), keys, MemoryReplayGuard(clock), clock
    )

    async def run() -> InternalIdentity | None:
        found = None
        for verification in (
            verifier.verify(token, method=method, target=target),
            verifier.verify_delegation(token, method=method),
        ):
            try:
                found = await verification
            except IdentityRejectedError:
                continue
        return found

    return asyncio.run(run())


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=5000))
def test_no_text_is_an_identity(text: str) -> None:
    """Whatever a caller sends as token, the answer is a refusal and never another exception."""
    assert verdict(text) is None


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=300), st.binary(max_size=300), st.binary(max_size=80))
def test_no_bytes_in_three_parts_are_an_identity(head: bytes, body: bytes, signature: bytes) -> None:
    """Well-formed base64url around any bytes at all is refused without a crash."""
    assert verdict(f"{b64(head)}.{b64(body)}.{b64(signature)}") is None


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(st.sampled_from(["alg", "typ", "kid", "crit", "b64", "jwk", "x"]), JSON, max_size=7))
def test_no_header_gets_a_wrong_signature_through(header: dict[str, object]) -> None:
    """Our own kid and any header members: without our key's signature there is no identity."""
    head = json.dumps({"alg": "EdDSA", "typ": "sally+jwt", "kid": KEY.kid, **header})

    assert verdict(f"{b64(head.encode())}.{b64(json.dumps(claims()).encode())}.{b64(bytes(64))}") is None


@settings(max_examples=150, deadline=None)
@given(CLAIM_NAMES, JSON)
def test_a_signed_token_with_one_strange_claim_is_whole_or_refused(name: str, value: object) -> None:
    """Even our own signature gets no mistyped claim into an identity."""
    identity = verdict(forge(claims(**{name: value}), KEY.private, kid=KEY.kid))

    if identity is not None:
        assert (identity.role is None) == (identity.operator_id is None)
        assert identity.audience == AUDIENCE
        assert isinstance(identity.email, str)


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(["POST", "PUT", "DELETE"]), st.text(st.characters(codec="ascii")), st.text(max_size=30)
)
def test_a_bound_token_is_good_for_its_own_target_alone(method: str, target: str, other: str) -> None:
    """R-005: one byte of difference in the target, and it is another request."""
    token = forge(bound(method, target), KEY.private, kid=KEY.kid)

    assert verdict(token, method=method, target=target) is not None
    if other != target:
        assert verdict(token, method=method, target=other) is None
