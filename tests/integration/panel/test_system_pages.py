"""Queues and workflows of both services in the browser and through the API (P-24, R-095, R-096)."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from service_kit.identity.model import Role
from tests.integration.panel.back_office import BackOffice, House, back_office, house

SYSTEM = "/manage/system"
API = "/api/admin/system"
REASON = "the mail server was mended"


@pytest.fixture
async def whole(tmp_path: Path) -> AsyncIterator[House]:
    """Both services, and a tenant whose letter was given up."""
    async with house(tmp_path) as whole:
        await whole.create()
        await whole.tenant.sql(
            "UPDATE outbox SET state = 'dead', attempts = 15, last_error = 'RECIPIENT_REFUSED_550', "
            "finished_at = created_at"
        )
        await announced(whole)
        yield whole


async def announced(whole: House) -> None:
    """Both services know their jobs: the runners begin with the process."""
    async with asyncio.timeout(15):
        while not (await whole.tenant.rows("jobs") and await own_rows(whole.office, "jobs")):
            await asyncio.sleep(0.05)


async def own_rows(office: BackOffice, table: str) -> list[dict[str, Any]]:
    async with office.database.read() as session:
        return [dict(row) for row in await session.rows(text(f"SELECT * FROM {table}"))]


async def ask(office: BackOffice, path: str, role: Role = Role.SUPER_ADMIN) -> Any:
    target = f"{API}/{path}"
    response = await office.client.get(target, headers=office.proof("GET", target, role, delegated=True))
    return response.status, await response.json()


async def order(
    office: BackOffice, path: str, role: Role = Role.SUPER_ADMIN, *, reason: str = REASON
) -> tuple[int, Any]:
    target = f"{API}/{path}"
    proof = office.proof("POST", target, role, delegated=True)
    response = await office.client.post(target, json={"reason": reason}, headers=proof)
    return response.status, await response.json()


async def dead_letter(whole: House) -> str:
    (row,) = await whole.tenant.rows("outbox")
    return str(row["id"])


async def filled(whole: House, path: str, **typed: str) -> dict[str, str]:
    return {**(await whole.office.get(path)).fields(), "reason": REASON, **typed}


async def test_the_page_shows_both_services(whole: House) -> None:
    """P-24: queues with ages and dead letters, workflows with their last run, whose they are, no body."""
    page = await whole.office.get(SYSTEM)
    (code,) = {row["secret_hash"] for row in await whole.tenant.rows("invitations")}

    assert page.heading == "System"
    for words in ("tenant.mail", "RECIPIENT_REFUSED_550", "Invitation", "tenant.deliver_mail", "every 5 s"):
        assert words in page.words
    assert "admin.sweep_sessions" in page.words
    assert any(link.startswith("/manage/tenants/org_") for link in page.links)
    assert "accept-invite" not in page.text
    assert code not in page.text


async def test_each_part_has_its_own_page(whole: House) -> None:
    """P-24: `/queues` and `/workflows`."""
    queues = await whole.office.get(f"{SYSTEM}/queues")
    workflows = await whole.office.get(f"{SYSTEM}/workflows")

    assert ("Given up" in queues.words, "Run now" in queues.words) == (True, False)
    assert ("Given up" in workflows.words, "Run now" in workflows.words) == (False, True)


async def test_a_dead_letter_is_tried_again(whole: House) -> None:
    """A form with a reason, sent twice, has one effect: ready again, one row in the tenant service's log."""
    message_id = await dead_letter(whole)
    path = f"{SYSTEM}/queues/tenant.mail/messages/{message_id}/retry"
    assert path in (await whole.office.get(SYSTEM)).links
    fields = await filled(whole, path)
    answers = [await whole.office.post(path, fields) for _ in range(2)]
    told = await whole.office.get(answers[0].headers["Location"])
    rows = [
        row for row in await whole.tenant.rows("audit_events") if row["event"] == "system.message.retried"
    ]

    assert [answer.status for answer in answers] == [303, 303]
    assert "will be tried again" in told.words
    assert (await whole.tenant.rows("outbox"))[0]["state"] == "ready"
    assert [(row["actor_id"], row["reason"]) for row in rows] == [("adm_super_admin", REASON)]


async def test_a_workflow_of_each_service_is_run(whole: House) -> None:
    """The order goes to the service whose workflow it is, and stands in that service's log."""
    for name in ("admin.sweep_sessions", "tenant.sweep_sessions"):
        path = f"{SYSTEM}/workflows/{name}/run"
        answer = await whole.office.post(path, await filled(whole, path))
        assert answer.status == 303
    logs = [await whole.tenant.rows("audit_events"), await own_rows(whole.office, "audit_events")]

    for log in logs:
        (row,) = [row for row in log if row["event"] == "system.workflow.requested"]
        assert (row["resource_id"], row["reason"]) == ("sweep_sessions", REASON)


async def test_a_refusal_is_shown_with_the_form(whole: House) -> None:
    """Too short a reason, a message that is not dead, a name that is none, another form's token."""
    message_id = await dead_letter(whole)
    path = f"{SYSTEM}/queues/tenant.mail/messages/{message_id}/retry"
    short = await whole.office.post(path, await filled(whole, path, reason="short"))
    other_form = await whole.office.get(f"{SYSTEM}/workflows/admin.sweep_sessions/run")
    foreign = await whole.office.post(path, {**other_form.fields(), "reason": REASON})
    await whole.office.post(path, await filled(whole, path))
    not_dead = await whole.office.post(path, await filled(whole, path))
    nowhere = f"{SYSTEM}/workflows/tenant.nothing/run"
    unknown = await whole.office.post(nowhere, await filled(whole, nowhere))

    assert [short.status, foreign.status, not_dead.status, unknown.status] == [422, 403, 409, 404]
    assert "at least 10 characters" in short.words
    assert short.value("reason") == "short"
    assert "no longer valid" in foreign.words
    assert "Only a message that was given up" in not_dead.words
    assert "There is no such workflow" in unknown.words


async def test_only_a_super_admin_comes_in(whole: House) -> None:
    """G-05: by the literal matrix; no page, no endpoint, no item of the navigation for anybody else."""
    run = f"{SYSTEM}/workflows/admin.sweep_sessions/run"
    fields = await filled(whole, run)
    for role in (Role.SUPPORT, Role.READ_ONLY, Role.SECURITY):
        pages = [await whole.office.get(path, role) for path in (SYSTEM, run)]
        sent = await whole.office.post(run, fields, role)
        asked = [(await ask(whole.office, path, role))[0] for path in ("queues", "workflows")]
        ordered = (await order(whole.office, "workflows/admin.sweep_sessions/run", role))[0]

        assert [page.status for page in pages] + [sent.status, *asked, ordered] == [403] * 6
        assert SYSTEM not in (await whole.office.get("/manage", role)).links
    assert SYSTEM in (await whole.office.get("/manage")).links


async def test_the_api_tells_the_same(whole: House) -> None:
    """R-095, R-096: every queue and workflow under one name, with whose it is."""
    message_id = await dead_letter(whole)
    _, queues = await ask(whole.office, "queues")
    _, workflows = await ask(whole.office, "workflows")
    retried = await order(whole.office, f"queues/tenant.mail/messages/{message_id}/retry")
    run = await order(whole.office, "workflows/admin.sweep_sessions/run")
    refused = [
        await order(whole.office, path)
        for path in ("workflows/sweep_sessions/run", "workflows/other.sweep/run", "queues/x/messages/y/retry")
    ]

    (queue,) = queues["data"]
    assert (queue["name"], queue["service"], queue["dead"]) == ("tenant.mail", "tenant", 1)
    assert queue["deadLetters"][0]["lastError"] == "RECIPIENT_REFUSED_550"
    assert {row["service"] for row in workflows["data"]} == {"admin", "tenant"}
    assert queues["unavailable"] == workflows["unavailable"] == []
    assert retried == (202, {"name": "tenant.mail", "messageId": message_id})
    assert run[0] == 202
    assert [status for status, _ in refused] == [404] * 3


async def test_without_the_tenant_service_the_rest_is_shown(tmp_path: Path) -> None:
    """The part that is missing is named, on the page and in the API; an order to it answers 503."""
    async with back_office(f"sqlite:///{tmp_path}/admin.db") as office:
        async with asyncio.timeout(15):
            while not await own_rows(office, "jobs"):
                await asyncio.sleep(0.05)
        page = await office.get(SYSTEM)
        _, queues = await ask(office, "queues")
        _, workflows = await ask(office, "workflows")
        path = f"{SYSTEM}/workflows/tenant.deliver_mail/run"
        form = await office.get(path)
        sent = await office.post(path, {**form.fields(), "reason": REASON})
        ordered = await order(office, "workflows/tenant.deliver_mail/run")

    assert "The tenant service does not answer" in page.words
    assert "No queue to show" in page.words
    assert "admin.sweep_sessions" in page.words
    assert (queues["data"], queues["unavailable"]) == ([], ["tenant"])
    assert workflows["unavailable"] == ["tenant"]
    assert (sent.status, ordered[0]) == (503, 503)
    assert "The tenant service did not answer. Send the form again as it is" in sent.words
