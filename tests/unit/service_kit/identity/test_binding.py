"""The digest of a request target."""

import base64
import hashlib

from service_kit.identity.binding import SAFE_METHODS, target_digest


def test_the_digest_is_sha256_in_unpadded_base64url() -> None:
    """A published vector, so that a service in another language can compute the same claim."""
    assert target_digest("/") == "il7asoJjJEMhngUeSt4tHVu8Zxx4EFG_FDeJfL3-oPE"


def test_every_byte_of_the_target_counts() -> None:
    """R-005: path, query, case, trailing slash and escapes each make another digest."""
    targets = ["/x", "/x/", "/X", "/x?", "/x?a=1", "/x?a=2", "/%78", "/x#"]

    assert len({target_digest(target) for target in targets}) == len(targets)


def test_safe_methods_are_those_that_change_nothing() -> None:
    """Every other method needs a bound token, also one that nobody knows."""
    assert sorted(SAFE_METHODS) == ["GET", "HEAD", "OPTIONS"]


def test_bytes_that_are_no_utf_8_are_digested_as_they_came() -> None:
    """R-005: the parser escapes such bytes; the digest is that of the request line, and never an error."""
    received = b"/a\xff?q=\xc3"
    digest = base64.urlsafe_b64encode(hashlib.sha256(received).digest()).rstrip(b"=").decode()

    assert target_digest(received.decode("utf-8", "surrogateescape")) == digest
    assert target_digest("/é") == target_digest(b"/\xc3\xa9".decode())
