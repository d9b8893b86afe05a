"""Idempotency-Key on the creation of a tenant (http-api 3.0)."""

import asyncio

import pytest
from aiohttp import ClientResponse
from multidict import CIMultiDict
from sqlalchemy import text

from service_kit.identity.model import Role
from tests.integration.tenant_service.tenant_process import (
    AUDIENCE,
    TENANTS,
    TenantProcess,
    new_tenant,
)


async def code_of(answer: ClientResponse) -> str:
    return str((await answer.json())["code"])


async def test_the_same_key_and_body_give_the_stored_answer_without_its_secret(
    process: TenantProcess,
) -> None:
    """A replay says so, changes nothing, and shows the invitation by its public id only (data-model 2.5)."""
    first = await process.create(new_tenant(), key="k-1")
    made = await first.json()
    counts = await process.counts()

    again = await process.create(new_tenant(primaryAdminEmail="BOB@example.com"), key="k-1")

    assert again.status == first.status == 201
    assert "Idempotency-Replayed" not in first.headers
    assert again.headers["Idempotency-Replayed"] == "true"
    assert again.headers["Location"] == first.headers["Location"]
    [invitation] = await process.rows("invitations")
    assert await again.json() == {
        **made,
        "invitationId": invitation["id"],
        "acceptUrl": None,
        "secretOmitted": True,
    }
    assert await process.counts() == counts


async def test_the_same_key_with_another_body_is_refused(process: TenantProcess) -> None:
    """A key belongs to one request."""
    await process.create(new_tenant(), key="k-1")

    answer = await process.create(new_tenant("other"), key="k-1")

    assert (answer.status, await code_of(answer)) == (422, "IDEMPOTENCY_KEY_REUSED")
    assert (await process.counts())["organizations"] == 1


async def test_twenty_simultaneous_requests_with_one_key_have_one_effect(process: TenantProcess) -> None:
    """One of them creates, all others get its answer."""
    answers = await asyncio.gather(*(process.create(new_tenant(), key="k-1") for _ in range(20)))

    bodies = [await answer.json() for answer in answers]
    assert {answer.status for answer in answers} == {201}
    assert len({body["orgId"] for body in bodies}) == 1
    assert sum("Idempotency-Replayed" not in answer.headers for answer in answers) == 1
    assert [body["acceptUrl"] for body in bodies].count(None) == 19
    assert (await process.counts())["organizations"] == 1
    assert (await process.counts())["audit_events"] == 2


async def test_a_refused_request_leaves_its_key_free(process: TenantProcess) -> None:
    """A wish that was mended may carry the same key."""
    refused = await process.create(new_tenant("admin"), key="k-1")

    mended = await process.create(new_tenant(), key="k-1")

    assert (refused.status, mended.status) == (409, 201)


async def test_a_key_belongs_to_the_operator_who_sent_it(process: TenantProcess) -> None:
    """Another operator's equal key is another key: it gives away no stored answer."""
    await process.create(new_tenant(), key="k-1", operator_id="adm_1")

    answer = await process.create(new_tenant(), key="k-1", operator_id="adm_2")

    assert (answer.status, await code_of(answer)) == (409, "SLUG_TAKEN")


async def test_a_replay_asks_for_the_permission_again(process: TenantProcess) -> None:
    """Who may no longer create cannot read the stored answer either."""
    await process.create(new_tenant(), key="k-1", operator_id="adm_1")

    answer = await process.create(new_tenant(), key="k-1", operator_id="adm_1", role=Role.READ_ONLY)

    assert answer.status == 403


async def test_a_key_is_forgotten_after_a_day(process: TenantProcess) -> None:
    """After 24 hours the key names a new request."""
    await process.create(new_tenant(), key="k-1")
    process.clock.advance(24 * 3600 + 1)

    answer = await process.create(new_tenant("other"), key="k-1")

    assert answer.status == 201
    assert (await process.counts())["idempotency_keys"] == 1


@pytest.mark.parametrize("key", ["ä", "a b", "x" * 256, '""'])
async def test_a_key_that_is_none_is_refused(sqlite_process: TenantProcess, key: str) -> None:
    """Only visible ASCII, at most 255 characters."""
    answer = await sqlite_process.create(new_tenant(), key=key)

    assert (answer.status, await code_of(answer)) == (400, "IDEMPOTENCY_KEY_INVALID")
    assert (await sqlite_process.counts())["organizations"] == 0


async def test_two_keys_are_refused(sqlite_process: TenantProcess) -> None:
    """A request with two keys is ambiguous."""
    proof = sqlite_process.vouch.headers(audience=AUDIENCE, method="POST", target=TENANTS)
    headers = CIMultiDict([*proof.items(), ("Idempotency-Key", "a"), ("Idempotency-Key", "a")])

    answer = await sqlite_process.client.post(TENANTS, json=new_tenant(), headers=headers)

    assert (answer.status, await code_of(answer)) == (400, "IDEMPOTENCY_KEY_INVALID")


UNFINISHED = text(
    "INSERT INTO idempotency_keys (scope, key, request_hash, state, expires_at) VALUES "
    f"('adm_super_admin POST {TENANTS}', 'k-1', 'x', 'in_progress', '2099-01-01T00:00:00.000000Z')"
)


async def test_a_key_that_stands_there_unfinished_is_reported(process: TenantProcess) -> None:
    """It answers 409 and says when to come back."""
    async with process.database.write() as session:
        await session.execute(UNFINISHED)

    answer = await process.create(new_tenant(), key="k-1")

    assert (answer.status, await code_of(answer)) == (409, "IDEMPOTENCY_IN_PROGRESS")
    assert answer.headers["Retry-After"] == "1"


@pytest.mark.postgres
@pytest.mark.usefixtures("shipped_limits")
async def test_a_request_that_still_runs_is_reported(postgres_process: TenantProcess) -> None:
    """PostgreSQL: a key that another transaction holds for longer than `lock_timeout` answers 409."""
    async with postgres_process.database.write() as holder:
        await holder.execute(UNFINISHED)
        answer = await postgres_process.create(new_tenant(), key="k-1")

    assert (answer.status, await code_of(answer)) == (409, "IDEMPOTENCY_IN_PROGRESS")


@pytest.mark.postgres
@pytest.mark.usefixtures("shipped_limits")
async def test_a_lock_that_is_held_too_long_is_no_error_of_ours(postgres_process: TenantProcess) -> None:
    """PostgreSQL: who cannot get the head of the audit chain in time is asked to come back, with 503."""
    await postgres_process.create(new_tenant())
    async with postgres_process.database.write() as holder:
        await holder.execute(text("SELECT * FROM audit_chain_heads FOR UPDATE"))
        answer = await postgres_process.create(new_tenant("second"))

    assert (answer.status, await code_of(answer)) == (503, "DATABASE_UNAVAILABLE")
    assert "Retry-After" in answer.headers
    assert (await postgres_process.counts())["organizations"] == 1
