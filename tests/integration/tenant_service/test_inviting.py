"""Inviting to a tenant that exists: created, sent again, canceled, expired; the secret is shown once."""

import json
import re

import pytest

from service_kit.identity.model import Role
from tenant_service.people.models import MemberRole
from tests.integration.tenant_service.lives import (
    ask,
    bring_to,
    events,
    everything,
    letters,
    lively_tenant,
    run_job,
    status_of,
)
from tests.integration.tenant_service.people import add_tenant, add_user
from tests.integration.tenant_service.tenant_process import TenantProcess

INVITE = {"email": " Eve@Example.COM ", "role": "admin"}
TWO_DAYS = 48 * 3600


async def invite(process: TenantProcess, slug: str = "acme", email: str = "eve@example.com") -> str:
    """An open invitation's public id."""
    said = await ask(process, "POST", f"/{slug}/invitations", {"email": email, "role": "admin"})
    assert said.status == 201, said.body
    return str(said.body["invitationId"]).rpartition("_")[0]


async def test_an_operator_invites_an_admin(process: TenantProcess, database_url: str) -> None:
    """R-088, R-103, R-105: 48 hours, no tenant user as inviter, and a letter that holds the link."""
    tenant_id = await add_tenant(process)
    process.clock.advance(1)

    said = await ask(process, "POST", "/acme/invitations", INVITE, operator_id="adm_7")

    assert said.status == 201
    code = said.body["invitationId"]
    assert said.body["acceptUrl"] == f"https://acme.app.example.com/accept-invite/{code}"
    assert said.body["expiresAt"] == "2026-01-04T03:04:06Z"
    row = (await process.rows("invitations"))[-1]
    assert (row["email"], row["role"], row["status"]) == ("eve@example.com", "admin", "pending")
    assert (row["inviter_id"], row["inviter_operator_id"]) == (None, "adm_7")
    assert (await events(process, tenant_id))[-1] == "tenant.invitation.created"
    letter = json.loads((await letters(process, database_url))[-1])
    assert letter["to"] == "eve@example.com"
    assert said.body["acceptUrl"] in letter["text"]


async def test_the_secret_is_in_the_first_answer_and_the_letter_alone(process: TenantProcess) -> None:
    """G-16: no table, list, detail, log or replay knows it; a replay says that it is missing."""
    await add_tenant(process)
    first = await ask(process, "POST", "/acme/invitations", INVITE, key="k")
    public_id, _, secret = first.body["invitationId"].rpartition("_")

    again = await ask(process, "POST", "/acme/invitations", INVITE, key="k")
    shown = [(await ask(process, "GET", path)).body for path in ("/acme", "/acme/invitations", "?q=acme")]

    assert again.status == 201
    assert again.headers["Idempotency-Replayed"] == "true"
    assert again.body == {
        "invitationId": public_id,
        "acceptUrl": None,
        "expiresAt": first.body["expiresAt"],
        "secretOmitted": True,
    }
    assert len(secret) == 26
    assert secret not in str(shown)
    assert secret not in str(await everything(process))


async def test_an_open_invitation_is_replaced_in_one_step(process: TenantProcess) -> None:
    """R-088: the one for the same address is canceled with its letter, whatever case it was written in."""
    tenant_id = await add_tenant(process)
    await invite(process, email="eve@example.com")
    waiting = len(await process.rows("outbox"))

    said = await ask(process, "POST", "/acme/invitations", {**INVITE, "role": "owner"})

    states = {(row["role"], row["status"]) for row in await process.rows("invitations")}
    assert said.status == 201
    assert states == {("owner", "pending"), ("admin", "canceled")}
    assert (await events(process, tenant_id))[-2:] == [
        "tenant.invitation.canceled",
        "tenant.invitation.created",
    ]
    assert len(await process.rows("outbox")) == waiting


async def test_who_cannot_be_invited(sqlite_process: TenantProcess) -> None:
    """R-088: a member, into a suspended or deleted tenant, as a plain member, by nobody's address."""
    tenant_id = await lively_tenant(sqlite_process)
    await add_user(sqlite_process, "member@example.com", tenant_id, role=MemberRole.MEMBER)
    before = await everything(sqlite_process)
    wrong = {
        "ALREADY_MEMBER": {"email": " Member@example.com", "role": "admin"},
        "VALIDATION_FAILED": {"email": "eve@example.com", "role": "member"},
    }
    for code, body in wrong.items():
        assert (await ask(sqlite_process, "POST", "/acme/invitations", body)).code == code
    for email in ("", "eve", "a@b.example,c@d.example", "\u212a@example.com", "a\x00@example.com"):
        said = await ask(sqlite_process, "POST", "/acme/invitations", {"email": email, "role": "admin"})
        assert (said.status, said.code) == (422, "VALIDATION_FAILED"), email
    assert await everything(sqlite_process) == before
    for state in ("suspended", "deleted"):
        await bring_to(sqlite_process, tenant_id, state)
        said = await ask(sqlite_process, "POST", f"/{tenant_id}/invitations", INVITE)
        assert (said.status, said.code) == (409, f"TENANT_{state.upper()}")


async def test_the_list_shows_every_invitation_by_its_public_id(sqlite_process: TenantProcess) -> None:
    """G-04, G-16: newest first, in pages, with what became of each."""
    await add_tenant(sqlite_process)
    for number in range(3):
        sqlite_process.clock.advance(1)
        await invite(sqlite_process, email=f"p{number}@example.com")
    await invite(sqlite_process, await _slug_of_another(sqlite_process))

    first = await ask(sqlite_process, "GET", "/acme/invitations?limit=3")
    cursor = first.body["page"]["nextCursor"]
    second = await ask(sqlite_process, "GET", f"/acme/invitations?limit=3&cursor={cursor}")

    assert [row["email"] for row in first.body["data"]] == [f"p{n}@example.com" for n in (2, 1, 0)]
    [owners] = second.body["data"]
    assert owners == {
        "id": owners["id"],
        "email": "bob@example.com",
        "role": "owner",
        "status": "pending",
        "invitedBy": "adm_super_admin",
        "invitedByOperator": True,
        "createdAt": "2026-01-02T03:04:05Z",
        "expiresAt": "2026-01-04T03:04:05Z",
        "lastSentAt": None,
        "acceptedAt": None,
        "halfAcceptedBy": None,
    }
    assert all(re.fullmatch(r"inv_[0-9A-Z]{26}", row["id"]) for row in first.body["data"])


async def _slug_of_another(process: TenantProcess) -> str:
    await add_tenant(process, "other")
    return "other"


@pytest.mark.usefixtures("no_job_by_itself")
async def test_sending_again_makes_a_new_secret(sqlite_process: TenantProcess, sqlite_url: str) -> None:
    """G-04, G-16: the old link and its letter are dead, the time begins anew, the answer has no secret."""
    await add_tenant(sqlite_process)
    invitation_id = await invite(sqlite_process)
    before = {row["id"]: row for row in await sqlite_process.rows("invitations")}[invitation_id]
    sqlite_process.clock.advance(TWO_DAYS + 1)  # its time is over, but nobody has said so yet

    said = await ask(sqlite_process, "POST", f"/acme/invitations/{invitation_id}/resend")

    after = {row["id"]: row for row in await sqlite_process.rows("invitations")}[invitation_id]
    assert said.status == 200
    assert (said.body["id"], said.body["expiresAt"]) == (invitation_id, "2026-01-06T03:04:06Z")
    assert after["secret_hash"] != before["secret_hash"]
    [letter] = [text for text in await letters(sqlite_process, sqlite_url) if "eve@example.com" in text]
    [secret] = re.findall(rf"{invitation_id}_([0-9A-Z]{{26}})", json.loads(letter)["text"])
    assert secret not in str(said.body)


async def test_sending_again_is_done_once_for_a_key(sqlite_process: TenantProcess) -> None:
    """http-api 3.0: a repeated key sends no second letter and makes no second secret."""
    await add_tenant(sqlite_process)
    path = f"/acme/invitations/{await invite(sqlite_process)}/resend"
    first = await ask(sqlite_process, "POST", path, key="k")
    after_first = await everything(sqlite_process)

    again = await ask(sqlite_process, "POST", path, key="k")

    assert (again.status, again.body) == (200, first.body)
    assert await everything(sqlite_process) == after_first


async def test_what_is_closed_cannot_be_sent_or_canceled(process: TenantProcess) -> None:
    """G-04: 409 INVITATION_NOT_PENDING for an invitation that ended, 404 for another tenant's."""
    await add_tenant(process)
    await add_tenant(process, "other")
    invitation_id = await invite(process)
    canceled = await ask(process, "DELETE", f"/acme/invitations/{invitation_id}")
    foreign = await invite(process, "other")
    before = await everything(process)

    answers = {
        name: [
            await ask(process, method, f"/acme/invitations/{name}{rest}")
            for method, rest in (("DELETE", ""), ("POST", "/resend"))
        ]
        for name in (invitation_id, foreign, "inv_01ARZ3NDEKTSV4RRFFQ69G5FAV", "%00", f"{foreign}_SECRET")
    }

    assert canceled.status == 204
    assert {(each.status, each.code) for each in answers.pop(invitation_id)} == {
        (409, "INVITATION_NOT_PENDING")
    }
    for said in answers.values():
        assert {(each.status, each.code) for each in said} == {(404, "INVITATION_NOT_FOUND")}
    assert await everything(process) == before


async def test_an_invitation_is_sent_again_only_where_it_could_be_accepted(
    sqlite_process: TenantProcess,
) -> None:
    """G-10: not for a suspended tenant; canceling goes on there."""
    tenant_id = await add_tenant(sqlite_process)
    invitation_id = await invite(sqlite_process)
    await bring_to(sqlite_process, tenant_id, "suspended")

    resent = await ask(sqlite_process, "POST", f"/acme/invitations/{invitation_id}/resend")
    canceled = await ask(sqlite_process, "DELETE", f"/acme/invitations/{invitation_id}")

    assert (resent.status, resent.code) == (409, "TENANT_SUSPENDED")
    assert canceled.status == 204
    assert await status_of(sqlite_process, tenant_id) == "suspended"


@pytest.mark.usefixtures("no_job_by_itself")
async def test_overdue_invitations_are_marked_and_logged_once(process: TenantProcess) -> None:
    """R-103: the job marks what is over, a bounded number at a time, and only the tenant's log says so."""
    tenant_id = await add_tenant(process)
    await invite(process)
    process.clock.advance(TWO_DAYS - 1)
    early = await run_job(process, "expire_invitations", limit=10)
    process.clock.advance(1)

    counts = [await run_job(process, "expire_invitations", limit=1) for _ in range(3)]

    assert (early, counts) == (0, [1, 1, 0])
    assert {row["status"] for row in await process.rows("invitations")} == {"expired"}
    rows = [row for row in await process.rows("audit_events") if row["event"] == "org.invitation.expired"]
    assert {(row["scope"], row["chain"], row["actor_type"]) for row in rows} == {
        ("tenant", tenant_id, "system")
    }
    assert len(rows) == 2


async def test_who_may_invite(sqlite_process: TenantProcess) -> None:
    """R-088, R-075: super_admin and support invite; read_only and security do not, and nothing is written."""
    await add_tenant(sqlite_process)
    allowed = {}
    for role in Role:
        body = {"email": f"{role.value}@example.com", "role": "admin"}
        allowed[role] = (await ask(sqlite_process, "POST", "/acme/invitations", body, role=role)).status

    assert allowed == {
        Role.SUPER_ADMIN: 201,
        Role.SUPPORT: 201,
        Role.READ_ONLY: 403,
        Role.SECURITY: 403,
    }
