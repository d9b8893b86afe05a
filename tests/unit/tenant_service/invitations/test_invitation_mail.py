"""The letter of an invitation: the link, who invites, until when; and nothing that a name could bring in."""

from dataclasses import replace
from typing import Any

from tenant_service.hosts import TenantHosts
from tenant_service.invitations.code import InvitationCode
from tenant_service.invitations.mail import Invited, dedupe_key, invitation_message
from tests.fakes.clock import START

HOSTS = TenantHosts("app.example.com")
INVITED = Invited(
    email="bob@example.com",
    role="admin",
    organization_id="org_1",
    organization_name="Acme",
    slug="acme",
    code=InvitationCode("inv_1", "S" * 26),
    expires_at=START,
)


def payload(**changes: Any) -> dict[str, str]:
    return dict(invitation_message(replace(INVITED, **changes), HOSTS).payload)


def test_the_letter_says_what_is_needed() -> None:
    """R-105: tenant, inviter, role, link and end; the message is void when the invitation is (R-103)."""
    message = invitation_message(replace(INVITED, inviter="Mina"), HOSTS)
    text = message.payload["text"]

    assert "Mina invites you to join Acme as an administrator." in text
    assert "https://acme.app.example.com/accept-invite/inv_1_" + "S" * 26 in text
    assert "2 January 2026, 03:04 UTC" in text
    assert (message.useless_after, message.organization_id) == (START, "org_1")


def test_an_operator_is_not_named() -> None:
    """An operator's name and address are no business of a tenant's people."""
    assert payload()["text"].startswith("You are invited to join Acme as an administrator.")


def test_names_stay_on_their_line_and_are_text() -> None:
    """A tenant or a person may be called what they like: no header, no line and no markup comes of it."""
    evil = "Evil\r\nBcc: eve@example.com <script>alert(1)</script>" + "x" * 300
    made = payload(organization_name=evil, inviter=evil)

    assert made["subject"].startswith("You are invited to Evil Bcc: eve@example.com")
    assert "\n" not in made["subject"]
    assert len(made["subject"]) < 200
    assert "\nBcc:" not in made["text"]
    assert "<script>" not in made["html"]


def test_a_new_code_is_a_new_letter_whose_name_tells_no_secret() -> None:
    """Sent again, an invitation has another letter; the name of neither helps to open it (G-16)."""
    again = InvitationCode("inv_1", "T" * 26)

    assert dedupe_key(INVITED.code) != dedupe_key(again)
    assert INVITED.code.secret not in dedupe_key(INVITED.code)
