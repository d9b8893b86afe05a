"""Names by their letters: what looks alike to a gateway is alike here."""

import pytest

from auth_proxy.header_names import EXACT_NAMES, HeaderKind, kind_of, letters


@pytest.mark.parametrize(
    "name, kind",
    [
        ("Cf-Access-Jwt-Assertion", HeaderKind.ASSERTION),
        ("HTTP_CF_ACCESS_JWT_ASSERTION", HeaderKind.ASSERTION),
        ("cf.access.authenticated.user.email", HeaderKind.CLAIMED_EMAIL),
        ("X-Admin-Enrollment-Token", HeaderKind.ENROLLMENT),
        ("X-Internal", HeaderKind.INTERNAL),
        ("HTTP_X_INTERNAL_IDENTITY", HeaderKind.INTERNAL),
        ("x~internal|identity", HeaderKind.INTERNAL),
        ("X-Internal-Whatever-Comes", HeaderKind.INTERNAL),
        ("Cf-Access-Whatever-Comes", HeaderKind.CREDENTIAL),
        ("Proxy-Authorization", HeaderKind.CREDENTIAL),
        ("X-Auth-Request-Anything", HeaderKind.IDENTITY),
        ("X-Forwarded-User", HeaderKind.IDENTITY),
        ("X_Remote_User", HeaderKind.IDENTITY),
        ("X-WEBAUTH-ANYTHING", HeaderKind.IDENTITY),
        ("X-Forwarded-Anything", HeaderKind.REPLACED),
        ("Forwarded", HeaderKind.REPLACED),
        ("CF-Connecting-IP", HeaderKind.REPLACED),
        ("Transfer_Encoding", HeaderKind.HOP_BY_HOP),
        ("Expect", HeaderKind.HOP_BY_HOP),
        ("Authorization", HeaderKind.ORDINARY),
        ("Cookie", HeaderKind.ORDINARY),
        ("HTTP-Version", HeaderKind.ORDINARY),
        ("Internal-Identity", HeaderKind.ORDINARY),
    ],
)
def test_a_name_is_judged_by_its_letters(name: str, kind: HeaderKind) -> None:
    """R-172: punctuation, case and a CGI prefix make no other header."""
    assert kind_of(letters(name)) is kind
    assert kind_of(letters(name.swapcase())) is kind


def test_the_exact_names_are_known_by_their_letters() -> None:
    """The one spelling that counts is also the one that the table finds."""
    for kind, name in EXACT_NAMES.items():
        assert kind_of(letters(name)) is kind
