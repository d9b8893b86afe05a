"""The guide to Cloudflare Access says what the requirements demand of it."""

import re
from pathlib import Path

import pytest

from admin_service.operators.tokens import TOKEN_LIFETIME

GUIDE = (Path(__file__).resolve().parents[2] / "docs" / "access-setup.md").read_text(encoding="utf-8")
PLAIN = re.sub(r"[*`]|\s+", lambda match: " " if match[0].isspace() else "", GUIDE)


def in_order(*phrases: str) -> None:
    """Each phrase stands in the guide, one after the other."""
    at = 0
    for phrase in phrases:
        found = PLAIN.find(phrase, at)
        assert found >= 0, f"missing, or in the wrong place: {phrase}"
        at = found + len(phrase)


def test_the_steps_of_the_set_up() -> None:
    """R-034: the guide leads from the application by AUD tag and policy to the variables of the sidecar."""
    in_order(
        "Zero Trust → Access → Applications",
        "self-hosted",
        "session duration",
        "Allow",
        "AUD tag",
        "CF_ACCESS_TEAM_DOMAIN=",
        "CF_ACCESS_AUD=",
        "auth-proxy check",
    )


@pytest.mark.parametrize(
    "demand",
    [
        "admin.example.com",
        "path empty",
        "second factor",
        "mfa, swk, hwk, otp",
        "session duration to 8 hours",
        "email domain",
    ],
)
def test_the_policy_runbook(demand: str) -> None:
    """R-138: whole host, identity provider with MFA, policy on email domain and method, eight hours."""
    assert demand in PLAIN


def test_offboarding_is_two_steps_and_the_row_comes_first() -> None:
    """R-133: deactivating the operator is step one, removing the person from Access step two."""
    in_order(
        "Offboarding, in two steps",
        "1. Deactivate the operator.",
        "authoritative",
        "2. Remove the person from the Access policy",
    )


def test_what_access_does_not_tell() -> None:
    """R-137: the guide says that a second factor cannot be seen here."""
    in_order("What Access does not tell us", "Whether a second factor was used.", "R-137")


def test_signing_out_is_the_link_of_access() -> None:
    """R-139: the guide gives Access's own link and says that the sidecar never sees it."""
    in_order("/cdn-cgi/access/logout", "never reaches the sidecar")


def test_the_token_is_handed_over_out_of_band_and_in_time() -> None:
    """R-067, R-069: the guide names the token's real lifetime and says how to hand it over."""
    hours = int(TOKEN_LIFETIME.total_seconds() // 3600)

    in_order(f"within {hours} hours", "out of band, never in the same channel")
