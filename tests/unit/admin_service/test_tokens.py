"""Enrollment tokens (C-12)."""

import hashlib

from admin_service.operators.tokens import new_enrollment_token, token_digest


def test_a_token_is_256_random_bits() -> None:
    """43 characters of URL-safe base64 behind the prefix that log redaction knows; never the same twice."""
    tokens = {new_enrollment_token() for _ in range(100)}

    assert len(tokens) == 100
    assert all(token.startswith("enr_") and len(token) == 47 for token in tokens)


def test_the_digest_is_sha_256_of_any_text() -> None:
    """Whatever somebody pastes has a digest, also a lone surrogate; it just belongs to nobody."""
    assert token_digest("enr_x") == hashlib.sha256(b"enr_x").hexdigest()
    assert len(token_digest("\ud800")) == 64
