"""What the sidecar signs: the claims of architecture.md section 4, and nothing unsigned."""

import json
from datetime import timedelta
from typing import Any

import jwt
import pytest

from service_kit.identity.binding import target_digest
from service_kit.identity.keys import SigningKey
from service_kit.identity.model import Role, Scope
from service_kit.identity.signing import IdentitySigner, RequestBinding, SigningError, Subject
from tests.fakes.clock import START, FrozenClock
from tests.fixtures.identities import new_key
from tests.unit.service_kit.identity.forging import NOW

KEY = new_key()
ADA = Subject(
    sub="s", email="ada@example.com", name="Ada", operator_id="adm_1", role=Role.SUPPORT, roster_version=3
)


def claims_of(token: str) -> dict[str, Any]:
    claims: dict[str, Any] = jwt.decode(
        token,
        KEY.private.public_key(),
        algorithms=["EdDSA"],
        options={"verify_exp": False, "verify_iat": False, "verify_aud": False},
    )
    return claims


@pytest.fixture
def signer() -> IdentitySigner:
    return IdentitySigner(lambda: (KEY,), FrozenClock(), issuer="auth_proxy")


def test_the_shape_of_a_token_is_the_contract(signer: IdentitySigner) -> None:
    """R-005: header and claims by name, so that a change is visible here."""
    binding = RequestBinding("POST", "/x?y=1")
    token = signer.sign(ADA, audience="tenant_service", binding=binding, delegate="admin_service")

    claims = claims_of(token)
    assert jwt.get_unverified_header(token) == {"alg": "EdDSA", "typ": "sally+jwt", "kid": KEY.kid}
    assert len(claims.pop("jti")) == 22
    assert claims == {
        "iss": "auth_proxy",
        "aud": "tenant_service",
        "sub": "s",
        "email": "ada@example.com",
        "name": "Ada",
        "opid": "adm_1",
        "role": "support",
        "rv": 3,
        "iat": NOW,
        "exp": NOW + 30,
        "htm": "POST",
        "htp": target_digest("/x?y=1"),
        "azp": "admin_service",
    }


def test_what_a_subject_lacks_is_absent_not_empty(signer: IdentitySigner) -> None:
    """A person without a row has no opid, role or rv; a process has its scope."""
    person = claims_of(signer.sign(Subject(sub="p", email="p@example.com"), audience="a"))
    process = claims_of(signer.sign(Subject(sub="auth_proxy", scope=Scope.ROSTER), audience="a"))

    assert set(person) == {"iss", "aud", "sub", "email", "name", "iat", "exp", "jti"}
    assert process["scope"] == "roster"
    assert "opid" not in process


@pytest.mark.parametrize("asked, given", [(1, 1), (30, 30), (31, 30), (10**9, 30)])
def test_no_token_lives_longer_than_thirty_seconds(signer: IdentitySigner, asked: int, given: int) -> None:
    """Whatever the caller asks for, exp <= iat + 30 s."""
    claims = claims_of(signer.sign(ADA, audience="a", lifetime_seconds=asked))

    assert claims["exp"] - claims["iat"] == given


def test_no_two_tokens_share_an_id(signer: IdentitySigner) -> None:
    """The replay guard needs a jti per token."""
    ids = {claims_of(signer.sign(ADA, audience="a"))["jti"] for _ in range(50)}

    assert len(ids) == 50


def test_without_a_key_nothing_is_signed() -> None:
    """A signer that cannot sign raises: an empty or unsigned identity is never returned."""

    def broken() -> tuple[SigningKey, ...]:
        raise OSError("the disk is gone")

    for keys in (lambda: (), broken):
        with pytest.raises(SigningError, match=r"^the internal identity could not be signed$"):
            IdentitySigner(keys, FrozenClock(), issuer="auth_proxy").sign(ADA, audience="a")


def test_the_lead_of_a_new_key_is_the_signers_own() -> None:
    """R-005: where readers cache the set for a shorter time, a new key signs sooner; by default it waits."""
    clock = FrozenClock()
    old = SigningKey("old", KEY.private, START - timedelta(days=1))
    new = SigningKey("new", KEY.private, START - timedelta(seconds=10))
    by_default = IdentitySigner(lambda: (old, new), clock, issuer="a")
    sooner = IdentitySigner(lambda: (old, new), clock, issuer="a", lead=timedelta(seconds=10))

    assert jwt.get_unverified_header(by_default.sign(ADA, audience="a"))["kid"] == "old"
    assert jwt.get_unverified_header(sooner.sign(ADA, audience="a"))["kid"] == "new"


def test_the_public_half_is_what_the_ops_listener_shows(signer: IdentitySigner) -> None:
    """The set names our kid and holds no private member."""
    shown = json.dumps(signer.jwks())

    assert KEY.kid in shown
    assert '"d"' not in shown
