"""Claiming an operator row: conditions, the one refusal, the limit of tries (R-061…R-063, G-17, G-18)."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from aiohttp import ClientResponse

from service_kit.identity.model import Role
from tests.integration.admin_service.admin_process import CLAIM, AdminProcess

TOKEN = "enr_" + "a" * 43
EMAIL = "pending@example.com"


async def claim(
    process: AdminProcess, token: str = TOKEN, sub: str = "sub-new", email: str = EMAIL
) -> ClientResponse:
    return await process.ask_as_sidecar("POST", CLAIM, {"sub": sub, "email": email, "token": token})


async def test_a_claim_binds_the_row_to_the_person(process: AdminProcess) -> None:
    """The right token with the right address sets sub and last activity and spends the token (R-062)."""
    await process.add_pending("adm_pending", TOKEN, role=Role.SUPER_ADMIN, name="Ada")

    response = await claim(process, email="Pending@Example.com")
    row = await process.row("adm_pending")

    assert response.status == 200
    assert await response.json() == {
        "id": "adm_pending",
        "email": EMAIL,
        "name": "Ada",
        "role": "super_admin",
        "version": (await process.rows("roster_version"))[0]["version"],
    }
    assert row["cf_access_sub"] == "sub-new"
    assert row["enrollment_token_hash"] is None
    assert row["enrollment_token_expires_at"] is None
    assert row["last_active_at"] is not None
    assert row["version"] == 2
    assert (await process.rows("super_admin_guard"))[0]["active"] == 1


async def test_a_claim_is_recorded_in_the_name_of_the_new_operator(process: AdminProcess) -> None:
    """The audit row names the operator, not the sidecar that carried the claim."""
    await process.add_pending("adm_pending", TOKEN, role=Role.SUPPORT)

    await claim(process)
    row = (await process.rows("audit_events"))[0]

    assert (row["event"], row["outcome"], row["severity"]) == (
        "admin.enrollment.claimed",
        "success",
        "WARNING",
    )
    assert (row["actor_type"], row["actor_id"], row["actor_role"]) == (
        "global_admin",
        "adm_pending",
        "support",
    )
    assert (await process.rows("audit_pii"))[0]["actor_email"] == EMAIL


Prepare = Callable[[AdminProcess], Awaitable[Any]]


async def a_pending_row(process: AdminProcess) -> None:
    await process.add_pending("adm_pending", TOKEN)


async def an_expired_row(process: AdminProcess) -> None:
    await process.add_pending("adm_pending", TOKEN, expires_in=0)


async def an_enrolled_row(process: AdminProcess) -> None:
    await process.add(operator_id="adm_pending")


async def a_deactivated_row(process: AdminProcess) -> None:
    await process.add_pending("adm_pending", TOKEN, deactivated_at=process.clock.now())


async def a_row_for_somebody_who_has_one(process: AdminProcess) -> None:
    await process.add(Role.SUPPORT, operator_id="adm_old", cf_access_sub="sub-new")
    await process.add_pending("adm_pending", TOKEN)


FAILURES: dict[str, tuple[Prepare, dict[str, str]]] = {
    "wrong token": (a_pending_row, {"token": "enr_wrong"}),
    "no token": (a_pending_row, {"token": ""}),
    "other address": (a_pending_row, {"email": "other@example.com"}),
    "expired": (an_expired_row, {}),
    "used": (an_enrolled_row, {}),
    "deactivated": (a_deactivated_row, {}),
    "sub taken": (a_row_for_somebody_who_has_one, {}),
}


@pytest.mark.parametrize("name", FAILURES)
async def test_every_failed_claim_has_one_answer(process: AdminProcess, name: str) -> None:
    """Wrong, expired, used, foreign, deactivated: the same 403, so it is no oracle (R-061, R-135)."""
    prepare, given = FAILURES[name]
    await prepare(process)
    before = await process.rows("global_admins")

    response = await claim(process, **given)
    body = await response.json()
    row = (await process.rows("audit_events"))[0]
    body.pop("requestId")

    assert response.status == 403
    assert body == {
        "type": "urn:problem:enrollment-required",
        "title": "Not authorized",
        "status": 403,
        "error": "Not authorized",
        "code": "ENROLLMENT_REQUIRED",
    }
    assert await process.rows("global_admins") == before
    assert (row["event"], row["outcome"]) == ("admin.enrollment.failed", "denied")
    assert (row["actor_type"], row["actor_id"]) == ("anonymous", "sub-new")
    assert TOKEN not in repr(await process.rows("audit_events"))


async def test_a_used_token_is_dead(process: AdminProcess) -> None:
    """A token works once, also for the person who used it (R-062)."""
    await process.add_pending("adm_pending", TOKEN)

    first, again = await claim(process), await claim(process)

    assert (first.status, again.status) == (200, 403)


async def test_five_failed_tries_in_a_quarter_of_an_hour(process: AdminProcess) -> None:
    """The sixth try is 429 even with the right token; tries leave the window one by one (G-18)."""
    await process.add_pending("adm_pending", TOKEN, expires_in=7200)
    for _ in range(5):
        assert (await claim(process, "enr_wrong")).status == 403
        process.clock.advance(60)

    limited = await claim(process)
    other = await claim(process, "enr_wrong", sub="sub-other")
    process.clock.advance(600 + 1)
    after = await claim(process)

    assert limited.status == 429
    assert (await limited.json())["code"] == "ENROLLMENT_LIMITED"
    assert limited.headers["Retry-After"] == "600"
    assert other.status == 403
    assert after.status == 200


async def test_the_window_slides(process: AdminProcess) -> None:
    """A limit that began to lift lets one try through for each that left the window, not five (G-18)."""
    for _ in range(5):
        await claim(process, "enr_wrong")
        process.clock.advance(60)
    process.clock.advance(600 + 1)

    first, second = await claim(process, "enr_wrong"), await claim(process, "enr_wrong")

    assert (first.status, second.status) == (403, 429)


async def test_a_limited_try_writes_nothing(process: AdminProcess) -> None:
    """Whoever goes on trying fills neither the audit log nor the table of tries (G-18)."""
    for _ in range(8):
        await claim(process, "enr_wrong")

    assert len(await process.rows("enrollment_attempts")) == 5
    assert await process.events() == ["admin.enrollment.failed"] * 5


async def test_only_the_sidecar_claims(sqlite_process: AdminProcess) -> None:
    """An operator's or person's own identity cannot claim for a `sub` of its choice (R-005)."""
    await sqlite_process.add()
    await sqlite_process.add_pending("adm_pending", TOKEN)
    body = {"sub": "sub-new", "email": EMAIL, "token": TOKEN}

    for role in (Role.SUPER_ADMIN, None):
        response = await sqlite_process.ask("POST", CLAIM, role, body=body)

        assert response.status == 403
        assert (await response.json())["code"] == "PERMISSION_DENIED"
    assert (await sqlite_process.row("adm_pending"))["cf_access_sub"] is None
