"""The letter of an invitation from the change to the mailbox, and the queues as operators ask them."""

import asyncio
from collections.abc import Mapping, Sequence
from email.message import EmailMessage
from typing import Any

import pytest

from service_kit.identity.model import Role
from tests.integration.service_kit.mail.mail_server import Behaviour, mail_server
from tests.integration.tenant_service.tenant_process import (
    AUDIENCE,
    TenantProcess,
    new_tenant,
    tenant_process,
)

SYSTEM = "/internal/v1/system"
REASON = {"reason": "the mail server was mended"}
FROM = "Sallyport <mail@platform.example>"


def body_of(letter: EmailMessage, kind: str = "plain") -> str:
    part = letter.get_body((kind,))
    assert part is not None
    text: str = part.get_content()
    return text


async def settled(process: TenantProcess, state: str) -> Mapping[str, Any]:
    """The one message of the outbox, once it is in that state; the clock moves on until then."""
    async with asyncio.timeout(15):
        while True:
            (row,) = await process.rows("outbox")
            if row["state"] == state:
                return row
            process.clock.advance(5)
            await asyncio.sleep(0.2)


async def order(
    process: TenantProcess, path: str, *, role: Role = Role.SUPER_ADMIN, key: str = "", **body: str
) -> tuple[int, dict[str, Any], Mapping[str, str]]:
    target = f"{SYSTEM}/{path}"
    proof = process.vouch.headers(
        role, audience=AUDIENCE, method="POST", target=target, delegate="admin_service"
    )
    headers = {**proof, **({"Idempotency-Key": key} if key else {})}
    response = await process.client.post(target, json=body or REASON, headers=headers)
    return response.status, await response.json(), response.headers


async def events(process: TenantProcess, name: str) -> Sequence[Mapping[str, Any]]:
    return [row for row in await process.rows("audit_events") if row["event"] == name]


async def asked_for(process: TenantProcess) -> Sequence[Mapping[str, Any]]:
    """The runs that somebody asked for."""
    return [row for row in await process.rows("job_runs") if row["requested_by"] is not None]


async def test_the_owner_gets_the_link_by_mail(database_url: str) -> None:
    """R-105: after the commit the letter leaves, with the link of the answer, and no operator in it."""
    behaviour = Behaviour()
    async with (
        mail_server(behaviour) as port,
        tenant_process(database_url, SMTP_URL=f"smtp+insecure://127.0.0.1:{port}", MAIL_FROM=FROM) as process,
    ):
        made = await (await process.create(new_tenant(name="Acme & Söhne <b>"))).json()
        row = await settled(process, "done")
    (letter,) = behaviour.letters
    text, html = body_of(letter), body_of(letter, "html")

    assert made["acceptUrl"] in text
    assert f'<a href="{made["acceptUrl"]}">' in html
    assert (letter["To"], letter["Subject"]) == (
        "bob@example.com",
        "You are invited to Acme & Söhne <b>",
    )
    assert "as the owner" in text
    assert "4 January 2026, 03:04 UTC" in text
    assert "Acme &amp; Söhne &lt;b&gt;" in html
    assert letter["Message-ID"] == f"<{row['id']}@platform.example>"
    assert "op@example.com" not in behaviour.received[0].decode()
    assert (row["kind"], row["organization_id"]) == ("invitation", made["orgId"])


async def test_a_mail_server_that_is_away_undoes_nothing(sqlite_url: str) -> None:
    """R-105: mail failure never rolls back; the tenant is there, the letter waits."""
    async with tenant_process(sqlite_url, SMTP_URL="smtp+insecure://127.0.0.1:9", MAIL_FROM=FROM) as process:
        made = await process.create(new_tenant())
        row = await settled(process, "retrying")
        counts = await process.counts()

    assert made.status == 201
    assert (row["last_error"], counts["organizations"]) == ("CONNECTION_FAILED", 1)


async def test_no_tenant_no_letter(sqlite_process: TenantProcess) -> None:
    """R-105: a refused creation, a replayed one and one without its audit row put nothing."""
    process = sqlite_process
    await process.create(new_tenant(), key="one")
    await process.create(new_tenant(), key="one")
    await process.create(new_tenant())
    await process.create(new_tenant("www"))
    before = await process.rows("outbox")
    await process.sql("ALTER TABLE audit_pii RENAME TO away")
    failed = await process.create(new_tenant("other"))
    await process.sql("ALTER TABLE away RENAME TO audit_pii")

    assert failed.status >= 500
    assert len(before) == 1
    assert await process.rows("outbox") == before
    assert "accept-invite" not in str(before)


async def test_without_a_mail_server_letters_wait(sqlite_process: TenantProcess) -> None:
    """Architecture section 8: no SMTP_URL, and mail stays visible in the outbox; never its link."""
    made = await (await sqlite_process.create(new_tenant())).json()
    sqlite_process.clock.advance(60)
    await asyncio.sleep(0.3)
    answer = await sqlite_process.get(f"{SYSTEM}/queues")
    text = await answer.text()
    (queue,) = (await answer.json())["data"]

    assert (queue["name"], queue["service"], queue["ready"], queue["oldestAgeSeconds"]) == (
        "mail",
        "tenant",
        1,
        60,
    )
    assert made["invitationId"].rsplit("_", 1)[1] not in text


async def test_an_operator_gives_a_dead_letter_a_second_chance(process: TenantProcess) -> None:
    """R-095: accepted, once for each key, with an audit row that says why and never what was in it."""
    await process.create(new_tenant())
    await process.sql(
        "UPDATE outbox SET state = 'dead', attempts = 15, last_error = 'TIMED_OUT', finished_at = created_at"
    )
    (row,) = await process.rows("outbox")
    path = f"queues/mail/messages/{row['id']}/retry"
    first, again = [await order(process, path, key="k1") for _ in range(2)]
    refused = await order(process, path)
    (told,) = await events(process, "system.message.retried")

    assert (first[0], first[1]) == (202, {"name": "mail", "messageId": row["id"]})
    assert (again[0], again[1], again[2]["Idempotency-Replayed"]) == (202, first[1], "true")
    assert (refused[0], refused[1]["code"]) == (409, "MESSAGE_NOT_DEAD")
    assert (await process.rows("outbox"))[0]["state"] == "ready"
    assert (told["reason"], told["resource_id"], told["scope"]) == (REASON["reason"], row["id"], "global")
    assert "TIMED_OUT" in str(told["details"])


async def test_an_operator_runs_a_workflow(sqlite_process: TenantProcess) -> None:
    """R-096: asked for, it runs with the next look of a runner, and the log says who wanted it and why."""
    process = sqlite_process
    async with asyncio.timeout(20):
        while not (await process.rows("jobs")):
            await asyncio.sleep(0.05)
    status, body, _ = await order(process, "workflows/sweep_sessions/run")
    unknown = await order(process, "workflows/nothing/run")
    (told,) = await events(process, "system.workflow.requested")
    async with asyncio.timeout(20):
        while not (runs := await asked_for(process)):
            await asyncio.sleep(0.1)
    listed = {row["name"]: row for row in (await (await process.get(f"{SYSTEM}/workflows")).json())["data"]}

    assert (status, body["name"]) == (202, "sweep_sessions")
    assert (unknown[0], unknown[1]["code"]) == (404, "WORKFLOW_NOT_FOUND")
    assert (told["resource_id"], told["actor_type"]) == ("sweep_sessions", "global_admin")
    assert (runs[0]["job_name"], runs[0]["requested_by"]) == ("sweep_sessions", told["actor_id"])
    assert listed["sweep_sessions"]["schedule"] == "every 1 h"
    assert listed["sweep_sessions"]["lastRun"]["status"] == "ok"
    assert {"deliver_mail", "tend_outbox", "sweep_idempotency_keys"} <= set(listed)


@pytest.mark.parametrize("role", [Role.SUPPORT, Role.READ_ONLY, Role.SECURITY])
async def test_who_may_not_is_refused(sqlite_process: TenantProcess, role: Role) -> None:
    """R-095, R-096, G-05: by the literal matrix only a super_admin sees and changes queues and workflows."""
    seen = [(await sqlite_process.get(f"{SYSTEM}/{path}", role)).status for path in ("queues", "workflows")]
    done = [
        (await order(sqlite_process, path, role=role))[0]
        for path in (f"queues/mail/messages/out_{'0' * 26}/retry", "workflows/tend_outbox/run")
    ]

    assert seen + done == [403] * 4


@pytest.mark.parametrize("reason", ["", "too short", "x" * 501, "ten chars\nand a line"])
async def test_a_reason_says_something(sqlite_process: TenantProcess, reason: str) -> None:
    """At least ten characters, at most 500, one line; without it nothing happens."""
    status, body, _ = await order(sqlite_process, "workflows/tend_outbox/run", reason=reason)

    assert (status, body["code"]) == (422, "VALIDATION_FAILED")
    assert await events(sqlite_process, "system.workflow.requested") == []
