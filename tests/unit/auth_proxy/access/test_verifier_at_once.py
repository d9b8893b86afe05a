"""What the verifier answers without waiting: all that it remembers and all that it refuses unseen."""

import pytest

from auth_proxy.access.claims import AccessClaims
from auth_proxy.access.verifier import AccessVerifier, VerifierPolicy
from auth_proxy.refusals import Reason, Refusal
from deploy.demo.issuer import AccessIssuer, SigningKey
from tests.fakes.clock import FrozenClock
from tests.unit.auth_proxy.access.test_verifier import (
    AUD,
    AUDIENCES,
    CLAIM_TABLE,
    NOW,
    SHAPES,
    TEAM,
    Ada,
    CountingKeySet,
    claims_of,
    refusal_of,
    signed_by_another_key,
)


@pytest.fixture
def keys(first_key: SigningKey) -> CountingKeySet:
    return CountingKeySet({first_key.kid: first_key.private.public_key()})


@pytest.fixture
def verifier(keys: CountingKeySet, clock: FrozenClock) -> AccessVerifier:
    return AccessVerifier(VerifierPolicy(TEAM), keys, clock)


def at_once(
    verifier: AccessVerifier, token: str, audiences: frozenset[str] = AUDIENCES
) -> AccessClaims | Reason | None:
    try:
        return verifier.verify_at_once(token, audiences=audiences)
    except Refusal as refusal:
        return refusal.reason


async def test_a_token_of_a_held_key_is_proven_at_once(
    verifier: AccessVerifier, issuer: AccessIssuer, keys: CountingKeySet
) -> None:
    """R-012: nothing is waited for, and the proof is remembered for both ways."""
    token = issuer.mint(Ada(), audience=AUD)

    proven = at_once(verifier, token)

    assert isinstance(proven, AccessClaims)
    assert await verifier.verify(token, audiences=AUDIENCES) is proven
    assert keys.asked == 0


async def test_a_forgery_is_refused_at_once_and_stays_refused(
    verifier: AccessVerifier, first_key: SigningKey, foreign_key: SigningKey, keys: CountingKeySet
) -> None:
    """R-013, R-047: however often and however it is asked about, each time is a strike."""
    token = signed_by_another_key(first_key, foreign_key)

    assert [at_once(verifier, token) for _ in range(3)] == [Reason.TOKEN_SIGNATURE] * 3
    assert (await refusal_of(verifier, token)).reason is Reason.TOKEN_SIGNATURE
    assert (keys.asked, keys.refused) == (0, 4)


async def test_a_remembered_forgery_is_refused_at_once_and_is_a_strike(
    verifier: AccessVerifier, first_key: SigningKey, foreign_key: SigningKey, keys: CountingKeySet
) -> None:
    """R-047: from memory too, a refused signature speaks against the key set."""
    token = signed_by_another_key(first_key, foreign_key)
    await refusal_of(verifier, token)

    assert at_once(verifier, token) is Reason.TOKEN_SIGNATURE
    assert (keys.asked, keys.refused) == (1, 2)


async def test_time_audience_and_issuer_are_judged_at_once(
    verifier: AccessVerifier, issuer: AccessIssuer, clock: FrozenClock
) -> None:
    """R-014, R-045: memory holds a proof, and never a decision."""
    token = issuer.mint(Ada(), audience=AUD)
    proven = await verifier.verify(token, audiences=AUDIENCES)

    assert at_once(verifier, token, frozenset({"other"})) is Reason.TOKEN_AUDIENCE
    assert at_once(verifier, token, frozenset()) is Reason.TOKEN_AUDIENCE
    clock.advance(-61)
    assert at_once(verifier, token) is Reason.TOKEN_NOT_YET_VALID
    clock.advance(61 + proven.expires_at - NOW + 59.9)
    assert at_once(verifier, token) is proven
    clock.advance(0.1)
    assert at_once(verifier, token) is Reason.TOKEN_EXPIRED


async def test_a_key_that_left_the_set_is_noticed_at_once(
    verifier: AccessVerifier, issuer: AccessIssuer, second_key: SigningKey, keys: CountingKeySet
) -> None:
    """R-047: what a withdrawn key proved is unproven again, and needs the whole way."""
    token = issuer.mint(Ada(), audience=AUD)
    await verifier.verify(token, audiences=AUDIENCES)

    keys.replace({second_key.kid: second_key.private.public_key()})

    assert at_once(verifier, token) is None
    assert (await refusal_of(verifier, token)).reason is Reason.TOKEN_KEY_UNKNOWN


@pytest.mark.parametrize("name", CLAIM_TABLE)
def test_a_wrong_claim_is_refused_at_once(
    verifier: AccessVerifier, issuer: AccessIssuer, keys: CountingKeySet, name: str
) -> None:
    """R-014, R-043, R-046: each reason is that of the whole way, the first time and the second."""
    claims, reason = CLAIM_TABLE[name]
    token = issuer.mint_claims(claims)

    assert [at_once(verifier, token), at_once(verifier, token)] == [reason, reason]
    assert keys.asked == 0


@pytest.mark.parametrize("name", SHAPES)
def test_a_bent_token_is_refused_at_once(verifier: AccessVerifier, issuer: AccessIssuer, name: str) -> None:
    """R-013: the grammar needs no key."""
    change, reason = SHAPES[name]
    token = change(issuer.mint(Ada(), audience=AUD))

    assert [at_once(verifier, token), at_once(verifier, token)] == [reason, reason]


def test_another_kid_or_algorithm_is_told_as_before(
    verifier: AccessVerifier, issuer: AccessIssuer, foreign_key: SigningKey
) -> None:
    """R-013, R-047: an unknown key may be fetched, so only `verify` can tell; `alg` needs no key."""
    assert at_once(verifier, issuer.mint_claims(claims_of(), key=foreign_key)) is None
    token = issuer.mint_claims(claims_of(), header={"alg": "PS256"})
    assert at_once(verifier, token) is Reason.TOKEN_ALGORITHM
