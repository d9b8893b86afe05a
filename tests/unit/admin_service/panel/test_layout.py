"""The frame around every page and the headers it is sent with."""

import pytest

from admin_service.panel.layout import content_security_policy, document_title, page_headers
from tests.unit.admin_service.panel.sample_values import FRAME, NONCE, OUTSIDER

POLICY = (
    f"default-src 'none'; script-src 'nonce-{NONCE}'; style-src 'self'; img-src 'self'; font-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; object-src 'none'; "
    "require-trusted-types-for 'script'; trusted-types panel; upgrade-insecure-requests"
)


def test_the_policy_is_the_one_of_the_specification() -> None:
    """The CSP stands in panel.md word for word."""
    assert content_security_policy(NONCE, upgrade=True) == POLICY


def test_plain_http_is_not_told_to_upgrade() -> None:
    """The demo on http://localhost gets neither the upgrade directive nor HSTS."""
    headers = page_headers(NONCE, upgrade=False)

    assert headers["Content-Security-Policy"] == POLICY.removesuffix("; upgrade-insecure-requests")
    assert "Strict-Transport-Security" not in headers


@pytest.mark.parametrize(
    "nonce",
    [
        "",
        "short",
        "a" * 21,
        f"{NONCE}'",
        f"{NONCE}; script-src *",
        f"{NONCE}\r\nX: y",
        "ä" * 24,
        f"{NONCE} {NONCE}",
    ],
)
def test_a_nonce_that_could_end_its_quotes_is_refused(nonce: str) -> None:
    """Whoever chose the nonce could otherwise write the policy, or another header."""
    with pytest.raises(ValueError, match="nonce"):
        content_security_policy(nonce, upgrade=True)


def test_the_headers_of_a_page() -> None:
    """All of http-api 3.0; never `no-referrer`, which would turn a form's Origin into `null`."""
    headers = page_headers(NONCE, upgrade=True)

    assert {
        name: value
        for name, value in headers.items()
        if name not in {"Content-Security-Policy", "Permissions-Policy"}
    } == {
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Referrer-Policy": "same-origin",
        "Strict-Transport-Security": "max-age=63072000",
    }
    assert "camera=()" in headers["Permissions-Policy"]
    assert "clipboard-write=(self)" in headers["Permissions-Policy"]


def test_a_title_ends_with_the_product() -> None:
    """`Acme · Tenants · Back office` (panel.md, rule 3)."""
    assert document_title(("Acme", "Tenants")) == "Acme · Tenants · Back office"


def test_a_stranger_has_no_navigation() -> None:
    """A person who is not an operator gets no navigation, whatever permissions the frame claims."""
    assert OUTSIDER.navigation("dashboard") == ()
    assert FRAME.navigation("dashboard")
