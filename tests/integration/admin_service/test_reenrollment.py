"""A new token, a row bound anew, and coming back (R-070, R-094, G-04, G-09)."""

import hashlib
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import pytest
from aiohttp import ClientResponse

from admin_service.enrollment.errors import EnrollmentRefusedError
from admin_service.enrollment.models import Claimant
from admin_service.operators.errors import EnrollmentRequiredError
from service_kit.identity.model import OPERATOR_PERMISSIONS, Role
from tests.integration.admin_service.admin_process import (
    OPERATORS,
    ORIGIN,
    AdminProcess,
    asker,
)

REBIND = {"rebind": True, "confirm": "support@example.com"}


async def reissue(
    process: AdminProcess,
    operator_id: str,
    body: Mapping[str, Any] | None = None,
    role: Role = Role.SUPER_ADMIN,
) -> ClientResponse:
    return await process.ask("POST", f"{OPERATORS}/{operator_id}/reissue-enrollment", role, body=body)


async def reactivate(
    process: AdminProcess,
    operator_id: str,
    body: Mapping[str, Any] | None = None,
    role: Role = Role.SUPER_ADMIN,
) -> ClientResponse:
    sent = {"reason": "came back"} if body is None else body
    return await process.ask("POST", f"{OPERATORS}/{operator_id}/reactivate", role, body=sent)


async def code_of(response: ClientResponse) -> tuple[int, str]:
    return response.status, (await response.json())["code"]


async def claim(process: AdminProcess, token: str, sub: str, email: str) -> str:
    """The id of the operator who enrolled."""
    enrolled = await process.services.enrollment.claim(Claimant(sub, email), token, ORIGIN)
    return enrolled.operator.id


def digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


@pytest.fixture
def support_manages(monkeypatch: pytest.MonkeyPatch) -> None:
    """A future in which support manages operators too."""
    matrix = {**OPERATOR_PERMISSIONS, Role.SUPPORT: OPERATOR_PERMISSIONS[Role.SUPER_ADMIN]}
    monkeypatch.setattr("service_kit.identity.model.OPERATOR_PERMISSIONS", matrix)
    monkeypatch.setattr("admin_service.operators.changes.OPERATOR_PERMISSIONS", matrix)


async def test_a_new_token_kills_the_old_one(process: AdminProcess) -> None:
    """R-070, R-094: shown once with 24 h to go; the old token enrolls nobody, the new one does."""
    await process.add()
    await process.add_pending("adm_p", "enr_old")

    response = await reissue(process, "adm_p")
    answer = await response.json()
    row = await process.row("adm_p")

    assert response.status == 200
    assert set(answer) == {"id", "enrollmentToken", "enrollmentTokenExpiresAt", "shownOnce"}
    expires = datetime.fromisoformat(answer["enrollmentTokenExpiresAt"])
    assert expires - process.clock.now() == timedelta(hours=24)
    assert row["enrollment_token_hash"] == digest(answer["enrollmentToken"])
    assert (row["enrollment_issued_by"], row["version"]) == ("adm_super_admin", 2)
    assert await process.events() == ["admin.enrollment.reissued"]
    with pytest.raises(EnrollmentRefusedError):
        await claim(process, "enr_old", "sub-p", "p@example.com")
    assert await claim(process, answer["enrollmentToken"], "sub-p", "p@example.com") == "adm_p"


async def test_an_expired_token_is_replaced(process: AdminProcess) -> None:
    """R-070: the usual case: a token that nobody used in time."""
    await process.add()
    await process.add_pending("adm_p", "enr_old", expires_in=60)
    process.clock.advance(3600)

    token = (await (await reissue(process, "adm_p")).json())["enrollmentToken"]

    assert await claim(process, token, "sub-p", "p@example.com") == "adm_p"


async def test_no_read_and_no_log_shows_a_reissued_token(process: AdminProcess) -> None:
    """R-068: neither the token nor its digest is anywhere but in the one answer."""
    await process.add()
    await process.add(Role.SUPPORT)
    await process.add_pending("adm_p", "enr_old")
    tokens = [
        (await (await reissue(process, "adm_p")).json())["enrollmentToken"],
        (await (await reissue(process, "adm_support", REBIND)).json())["enrollmentToken"],
    ]

    shown = [
        await (await process.ask("GET", path)).text()
        for path in (
            OPERATORS,
            f"{OPERATORS}/adm_p",
            f"{OPERATORS}/adm_support",
            "/api/admin/audit-logs?allow_partial=1",
        )
    ]
    kept = repr([await process.rows(table) for table in ("audit_events", "audit_pii")])

    for token in tokens:
        assert token not in repr(await process.rows("global_admins"))
        assert all(secret not in text for secret in (token, digest(token)) for text in (*shown, kept))


async def test_who_is_enrolled_gets_no_token_by_the_way(process: AdminProcess) -> None:
    """R-094: 409 ALREADY_ENROLLED without rebind; the row stays as it is."""
    await process.add()
    await process.add(Role.SUPPORT)
    before = await process.row("adm_support")

    for body in (None, {}, {"rebind": False}, {"confirm": "support@example.com"}):
        assert await code_of(await reissue(process, "adm_support", body)) == (409, "ALREADY_ENROLLED")

    assert await process.row("adm_support") == before
    assert await process.events() == []


async def test_rebinding_unbinds_and_ends_every_session(process: AdminProcess) -> None:
    """G-09: the subject is cleared, the sessions end with it, CRITICAL; then a new sub enrolls."""
    await process.add()
    await process.add(Role.SUPPORT)
    for token in ("axs_1", "axs_2"):
        await process.hold("adm_support", token)

    response = await reissue(process, "adm_support", {**REBIND, "confirm": " Support@Example.com "})
    token = (await response.json())["enrollmentToken"]
    row = await process.row("adm_support")
    rows = {row["event"]: row for row in await process.rows("audit_events")}

    assert response.status == 200
    assert (row["cf_access_sub"], row["enrollment_token_hash"]) == (None, digest(token))
    assert await process.live_sessions("adm_support") == []
    assert await process.events() == [*["admin.session.revoked"] * 2, "admin.enrollment.rebound"]
    assert (rows["admin.enrollment.rebound"]["severity"], rows["admin.enrollment.rebound"]["action"]) == (
        "CRITICAL",
        "rebind_enrollment",
    )
    assert "rebound" in str(rows["admin.session.revoked"]["details"])
    assert any("sub-support" in str(person["details_pii"]) for person in await process.rows("audit_pii"))
    with pytest.raises(EnrollmentRequiredError):
        await process.services.operators.me(asker(Role.SUPPORT).actor)
    assert await claim(process, token, "sub-after-the-removal", "support@example.com") == "adm_support"


@pytest.mark.parametrize("confirm", [None, "", "someone@example.com", "support@example.co", "support"])
async def test_rebinding_asks_for_the_address(sqlite_process: AdminProcess, confirm: str | None) -> None:
    """G-09: without the operator's own address typed it is 400 CONFIRMATION_MISMATCH, and nothing happens."""
    process = sqlite_process
    await process.add()
    await process.add(Role.SUPPORT)
    await process.hold("adm_support", "axs_1")
    body = {"rebind": True} | ({"confirm": confirm} if confirm is not None else {})

    assert await code_of(await reissue(process, "adm_support", body)) == (400, "CONFIRMATION_MISMATCH")
    assert (await process.row("adm_support"))["cf_access_sub"] == "sub-support"
    assert len(await process.live_sessions("adm_support")) == 1


async def test_rebinding_who_never_enrolled_is_a_new_token(process: AdminProcess) -> None:
    """G-09: there is nothing to unbind, so it is no CRITICAL event."""
    await process.add()
    await process.add_pending("adm_p", "enr_old")

    assert (await reissue(process, "adm_p", {"rebind": True, "confirm": "p@example.com"})).ok
    assert await process.events() == ["admin.enrollment.reissued"]


async def test_the_last_super_admin_is_not_unbound(process: AdminProcess) -> None:
    """R-079, G-09: 409 LAST_SUPER_ADMIN, also for oneself; with a second one it works."""
    await process.add()
    await process.add_pending("adm_p", "enr_p")
    body = {"rebind": True, "confirm": "super_admin@example.com"}

    refused = await reissue(process, "adm_super_admin", body)
    await process.add(operator_id="adm_b")
    allowed = await reissue(process, "adm_super_admin", body)

    assert await code_of(refused) == (409, "LAST_SUPER_ADMIN")
    assert allowed.status == 200
    assert (await process.rows("super_admin_guard"))[0]["active"] == 1


async def test_who_is_deactivated_is_reactivated_first(process: AdminProcess) -> None:
    """R-094: 409 OPERATOR_DEACTIVATED; an unknown id is 404."""
    await process.add()
    await process.add(Role.SUPPORT, deactivated_at=process.clock.now())

    for body in (None, REBIND):
        assert await code_of(await reissue(process, "adm_support", body)) == (409, "OPERATOR_DEACTIVATED")
    assert await code_of(await reissue(process, "adm_nobody")) == (404, "OPERATOR_NOT_FOUND")


async def test_reactivation_asks_for_a_new_enrollment(process: AdminProcess) -> None:
    """G-04, R-064: live with the role they had, bound to nobody; the old subject alone opens nothing."""
    await process.add()
    await process.add(Role.SUPPORT)
    await process.ask("POST", f"{OPERATORS}/adm_support/deactivate", body={"reason": "left"})

    response = await reactivate(process, "adm_support")
    answer = await response.json()
    row = await process.row("adm_support")

    assert response.status == 200
    assert set(answer) == {"id", "enrollmentToken", "enrollmentTokenExpiresAt", "shownOnce"}
    assert (row["role"], row["cf_access_sub"], row["version"]) == ("support", None, 3)
    assert (row["deactivated_at"], row["deactivated_by"], row["deactivation_reason"]) == (None, None, None)
    assert await process.events() == [
        "admin.operator.deactivated",
        "admin.operator.reactivated",
        "admin.enrollment.issued",
    ]
    with pytest.raises(EnrollmentRequiredError):
        await process.services.operators.me(asker(Role.SUPPORT).actor)
    assert (
        await claim(process, answer["enrollmentToken"], "sub-support", "support@example.com") == "adm_support"
    )


async def test_what_reactivation_refuses(process: AdminProcess) -> None:
    """G-04: who is not deactivated, an unknown id, and an address that somebody else has by now."""
    await process.add()
    await process.add(Role.SUPPORT)
    await process.add_pending("adm_p", "enr_p")
    await process.add(
        Role.SECURITY, email="support@example.com", deactivated_at=process.clock.now(), cf_access_sub=None
    )

    assert await code_of(await reactivate(process, "adm_support")) == (409, "OPERATOR_NOT_DEACTIVATED")
    assert await code_of(await reactivate(process, "adm_p")) == (409, "OPERATOR_NOT_DEACTIVATED")
    assert await code_of(await reactivate(process, "adm_nobody")) == (404, "OPERATOR_NOT_FOUND")
    assert await code_of(await reactivate(process, "adm_security")) == (409, "OPERATOR_EXISTS")
    assert (await reactivate(process, "adm_security", {})).status == 422
    assert await process.events() == []


@pytest.mark.usefixtures("support_manages")
async def test_only_a_super_admin_hands_out_a_super_admins_token(process: AdminProcess) -> None:
    """R-076, R-131: a token for a super_admin's row is a grant of super_admin, whichever way it is issued."""
    await process.add()
    await process.add(operator_id="adm_b")
    await process.add(Role.SUPPORT)
    await process.add_pending("adm_p", "enr_p")
    await process.add(operator_id="adm_gone", deactivated_at=process.clock.now())
    rebind = {"rebind": True, "confirm": "b@example.com"}

    refused = [
        await reissue(process, "adm_p", role=Role.SUPPORT),
        await reissue(process, "adm_b", rebind, role=Role.SUPPORT),
        await reactivate(process, "adm_gone", role=Role.SUPPORT),
    ]

    assert {await code_of(one) for one in refused} == {(403, "SUPER_ADMIN_GRANT_FORBIDDEN")}
    assert await process.events() == []


@pytest.mark.parametrize("role", [Role.SUPPORT, Role.READ_ONLY, Role.SECURITY])
async def test_every_other_role_is_refused(sqlite_process: AdminProcess, role: Role) -> None:
    """R-073, R-074, R-075: 403 for whoever does not manage operators."""
    await sqlite_process.add()
    await sqlite_process.add(role)
    await sqlite_process.add_pending("adm_p", "enr_p")

    assert await code_of(await reissue(sqlite_process, "adm_p", role=role)) == (403, "PERMISSION_DENIED")
    assert await code_of(await reactivate(sqlite_process, "adm_p", role=role)) == (403, "PERMISSION_DENIED")
