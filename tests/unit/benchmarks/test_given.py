"""The work that everybody is given."""

import jwt
import pytest

from benchmarks.given import AUDIENCE, bad_tokens, good_tokens, head, with_nonce
from deploy.demo.issuer import AccessIssuer, SigningKey
from service_kit.clock import SystemClock

TEAM = "https://team.example.com"


@pytest.fixture(scope="module")
def issuer() -> AccessIssuer:
    return AccessIssuer(TEAM, SystemClock())


def test_a_request_is_of_the_size_that_the_method_names(issuer: AccessIssuer) -> None:
    """15 headers and about 1.45 KB with a token."""
    text = head("/1k").replace("{token}", good_tokens(issuer, 1)[0]).replace("{ray}", "0" * 16)

    assert text.count("\r\n") == 17
    assert 1300 <= len(text) <= 1550


def test_good_tokens_are_distinct_and_good(issuer: AccessIssuer) -> None:
    """Each belongs to another person, and verifies."""
    tokens = good_tokens(issuer, 3)
    public = issuer.current.private.public_key()

    emails = {jwt.decode(token, public, algorithms=["RS256"], audience=AUDIENCE)["email"] for token in tokens}

    assert len(emails) == 3


def test_bad_tokens_fail_at_the_signature_alone() -> None:
    """They carry our `kid`, current claims and a signature below our modulus, which another key made."""
    keys = sorted((SigningKey.generate() for _ in range(4)), key=_modulus)
    issuer = AccessIssuer(TEAM, SystemClock(), keys=keys[:1])  # most of the others' signatures are above it
    for token in bad_tokens(issuer, keys[-1], 40):
        signature = jwt.utils.base64url_decode(token.rpartition(".")[2])

        assert jwt.get_unverified_header(token)["kid"] == issuer.current.kid
        assert int.from_bytes(signature, "big") < _modulus(issuer.current)
        with pytest.raises(jwt.InvalidSignatureError):
            jwt.decode(token, keys[0].private.public_key(), algorithms=["RS256"], audience=AUDIENCE)


def _modulus(key: SigningKey) -> int:
    return key.private.public_key().public_numbers().n


def test_the_place_of_a_number_lies_in_the_signature(issuer: AccessIssuer) -> None:
    """With eight characters for the mark the token is as long as before, and its claims are untouched."""
    token = good_tokens(issuer, 1)[0]

    changed = with_nonce(token).replace("{nonce}", "00000000")

    assert len(changed) == len(token)
    assert changed != token
    assert changed.rpartition(".")[0] == token.rpartition(".")[0]
