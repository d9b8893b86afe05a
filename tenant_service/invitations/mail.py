"""The letter that invites a person to a tenant (R-105); it says nothing private of an operator.

It sends nothing: put what it makes into the outbox, in the transaction that makes the invitation.
"""

from dataclasses import dataclass
from datetime import datetime
from html import escape
from typing import Final

from service_kit.db.session import WriteSession
from service_kit.jobs.outbox import MAIL, Message, Outbox
from service_kit.mail.letter import Letter, one_line
from tenant_service.hosts import TenantHosts
from tenant_service.invitations.code import InvitationCode
from tenant_service.invitations.models import Invitation

KIND: Final = "invitation"
_MOST_NAME: Final = 120
_ROLES: Final = {"owner": "the owner", "admin": "an administrator", "member": "a member"}


@dataclass(frozen=True, slots=True)
class Invited:
    """Who is invited to what.

    `inviter` is the name of a member of the tenant. An operator is left out: a tenant's people learn
    that the platform invited them, not who of its staff did.
    """

    email: str
    role: str
    organization_id: str
    organization_name: str
    slug: str
    code: InvitationCode
    expires_at: datetime
    inviter: str | None = None


def invitation_message(invited: Invited, hosts: TenantHosts) -> Message:
    """The message for `Outbox.put`. It is void when the invitation is: nobody gets a dead link.

    A new code is a new message; the same code twice is one.
    """
    letter = Letter(
        invited.email, f"You are invited to {_name(invited)}", _text(invited, hosts), _html(invited, hosts)
    )
    return letter.message(
        KIND,
        organization_id=invited.organization_id,
        dedupe_key=dedupe_key(invited.code),
        useless_after=invited.expires_at,
    )


def dedupe_key(code: InvitationCode) -> str:
    """Names the letter of one code, for `Outbox.withdraw`; it gives nothing of the secret away."""
    return _letter_name(code.public_id, code.secret_hash)


async def withdraw_letter(outbox: Outbox, session: WriteSession, invitation: Invitation) -> None:
    """Take back the letter that was sent last, if it has not gone out: its link opens nothing any more."""
    name = _letter_name(invitation.id, invitation.secret_hash)
    await outbox.withdraw(session, queue=MAIL, dedupe_key=name)


def _letter_name(public_id: str, secret_hash: str) -> str:
    return f"{public_id}:{secret_hash[:16]}"


def _name(invited: Invited) -> str:
    return one_line(invited.organization_name)[:_MOST_NAME]


def _opening(invited: Invited) -> str:
    role = _ROLES.get(invited.role, "a member")
    if invited.inviter is None:
        return f"You are invited to join {_name(invited)} as {role}."
    return f"{one_line(invited.inviter)[:_MOST_NAME]} invites you to join {_name(invited)} as {role}."


def _closing(invited: Invited) -> str:
    return (
        f"The link works once, until {invited.expires_at.day} {invited.expires_at:%B %Y, %H:%M} UTC, "
        f"and only for {invited.email}. "
        "If you did not expect this letter, leave it unanswered: nothing happens."
    )


def _text(invited: Invited, hosts: TenantHosts) -> str:
    link = hosts.accept_url(invited.slug, invited.code.full)
    return f"{_opening(invited)}\n\nAccept the invitation:\n{link}\n\n{_closing(invited)}\n"


def _html(invited: Invited, hosts: TenantHosts) -> str:
    link = escape(hosts.accept_url(invited.slug, invited.code.full))
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        f"<title>{escape(_name(invited))}</title>"
        f"<p>{escape(_opening(invited))}</p>"
        f'<p><a href="{link}">Accept the invitation</a></p><p>{link}</p>'
        f"<p>{escape(_closing(invited))}</p></html>\n"
    )
