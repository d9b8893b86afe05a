"""Idempotency-Key on the changes of operators: one effect, one answer, and no secret kept (http-api 3.0)."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from aiohttp import ClientResponse

from service_kit.identity.model import Role
from tests.integration.admin_service.admin_process import OPERATORS, AdminProcess

NEW = {"email": "new@example.com", "name": "New", "role": "support"}
KEY = {"Idempotency-Key": "a-key-of-the-client", "If-Match": '"1"'}
SUPPORT = f"{OPERATORS}/adm_support"
SECRET_ANSWERS = [
    (OPERATORS, NEW),
    (f"{OPERATORS}/adm_p/reissue-enrollment", {}),
    (f"{SUPPORT}/reissue-enrollment", {"rebind": True, "confirm": "support@example.com"}),
    (f"{OPERATORS}/adm_gone/reactivate", {"reason": "came back"}),
]
OTHER_ANSWERS = [
    (f"{SUPPORT}/deactivate", {"reason": "left"}),
    (f"{SUPPORT}/role", {"role": "security", "reason": "moved"}),
    (f"{SUPPORT}/role", {"role": "support", "reason": "as it is"}),
    (f"{OPERATORS}/adm_gone/deactivate", {}),
]


@pytest.fixture
async def people(process: AdminProcess) -> AdminProcess:
    await process.add()
    await process.add(Role.SUPPORT)
    await process.add_pending("adm_p", "enr_p")
    await process.add(Role.READ_ONLY, operator_id="adm_gone", deactivated_at=process.clock.now())
    return process


async def post(
    process: AdminProcess,
    target: str,
    body: Mapping[str, Any],
    headers: Mapping[str, str] = KEY,
    operator_id: str = "adm_super_admin",
) -> ClientResponse:
    sub = operator_id.replace("adm_", "sub-")
    return await process.ask("POST", target, body=body, headers=headers, operator_id=operator_id, sub=sub)


@pytest.mark.parametrize(("target", "body"), SECRET_ANSWERS)
async def test_a_repeat_changes_nothing_and_shows_no_token(
    people: AdminProcess, target: str, body: Mapping[str, Any]
) -> None:
    """R-068: the stored answer with `secretOmitted` in place of the token; the first token stays good."""
    first = await post(people, target, body)
    answer, row = await first.json(), await people.rows("global_admins")
    people.clock.advance(60)
    again = await post(people, target, body)
    replayed = await again.json()

    assert (again.status, again.headers["Idempotency-Replayed"]) == (first.status, "true")
    assert again.headers["Cache-Control"] == "no-store"
    assert "Idempotency-Replayed" not in first.headers
    token = answer.pop("enrollmentToken")
    assert replayed == {**answer, "secretOmitted": True}
    assert await people.rows("global_admins") == row
    assert token not in repr(await people.rows("idempotency_keys"))


@pytest.mark.parametrize(("target", "body"), OTHER_ANSWERS)
async def test_a_repeat_is_answered_as_the_first(
    people: AdminProcess, target: str, body: Mapping[str, Any]
) -> None:
    """G-01, R-093: also a role change, whose version is over by then, and a change that changed nothing."""
    first = await post(people, target, body)
    answer, events = await first.json(), await people.events()
    again = await post(people, target, body)

    assert (first.status, again.status) == (200, 200)
    assert await again.json() == answer
    assert again.headers["Idempotency-Replayed"] == "true"
    assert await people.events() == events


async def test_at_the_same_moment(people: AdminProcess) -> None:
    """Six requests with one key: one operator, one token, five replays."""
    responses = await asyncio.gather(*(post(people, OPERATORS, NEW) for _ in range(6)))
    answers = [await response.json() for response in responses]

    assert {response.status for response in responses} == {201}
    assert len({answer["id"] for answer in answers}) == 1
    assert sum("enrollmentToken" in answer for answer in answers) == 1
    assert await people.events() == ["admin.operator.created", "admin.enrollment.issued"]


async def test_what_a_key_is_for(people: AdminProcess) -> None:
    """Another body is 422, a key of another operator or for another row is another key, and 24 h end it."""
    await people.add(operator_id="adm_b")
    await post(people, f"{SUPPORT}/deactivate", {"reason": "left"})

    other_body = await post(people, f"{SUPPORT}/deactivate", {"reason": "other"})
    other_row = await post(people, f"{OPERATORS}/adm_p/deactivate", {"reason": "left"})
    other_asker = await post(people, f"{SUPPORT}/deactivate", {"reason": "left"}, operator_id="adm_b")
    people.clock.advance(24 * 3600)
    later = await post(people, f"{SUPPORT}/deactivate", {"reason": "left"})

    assert (other_body.status, (await other_body.json())["code"]) == (422, "IDEMPOTENCY_KEY_REUSED")
    assert "Idempotency-Replayed" not in {**other_row.headers, **other_asker.headers, **later.headers}
    assert (await people.row("adm_p"))["deactivated_at"] is not None


async def test_a_refused_change_keeps_no_key(people: AdminProcess) -> None:
    """The client may mend what was wrong and send the same key again."""
    refused = await post(people, f"{SUPPORT}/reissue-enrollment", {})
    assert refused.status == 409
    assert await people.rows("idempotency_keys") == []

    await people.ask("POST", f"{SUPPORT}/deactivate")
    wanted = {"reason": "came back"}
    assert (await post(people, f"{SUPPORT}/reactivate", wanted)).status == 200


async def test_who_may_not_any_more_gets_no_stored_answer(people: AdminProcess) -> None:
    """R-064: a replay is an answer too: the asker's row is checked first."""
    await people.add(operator_id="adm_b")
    await post(people, f"{SUPPORT}/deactivate", {"reason": "left"}, operator_id="adm_b")
    await people.sql("UPDATE global_admins SET role = 'support' WHERE id = 'adm_b'")

    again = await post(people, f"{SUPPORT}/deactivate", {"reason": "left"}, operator_id="adm_b")

    assert (again.status, (await again.json())["code"]) == (403, "PERMISSION_DENIED")


@pytest.mark.parametrize("key", ["", "two words", "ü", "k" * 256])
async def test_what_is_no_key(sqlite_process: AdminProcess, key: str) -> None:
    """400 IDEMPOTENCY_KEY_INVALID, and nothing is made."""
    await sqlite_process.add()

    response = await post(sqlite_process, OPERATORS, NEW, {"Idempotency-Key": key})

    assert (response.status, (await response.json())["code"]) == (400, "IDEMPOTENCY_KEY_INVALID")
    assert len(await sqlite_process.rows("global_admins")) == 1
