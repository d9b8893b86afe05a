"""Changing an operator's role (G-01, R-072, R-076, R-079)."""

from collections.abc import Mapping
from typing import Any

import pytest
from aiohttp import ClientResponse

from admin_service.operators.errors import LastSuperAdminError, SuperAdminGrantForbiddenError
from service_kit.errors import ForbiddenError
from service_kit.identity.model import OPERATOR_PERMISSIONS, Role
from tests.integration.admin_service.admin_process import (
    EXCHANGE,
    OPERATORS,
    AdminProcess,
    asker,
)

BODY = {"role": "security", "reason": "moved to another team"}


async def change(
    process: AdminProcess,
    operator_id: str = "adm_support",
    body: Mapping[str, Any] = BODY,
    *,
    role: Role = Role.SUPER_ADMIN,
    tag: str | None = '"1"',
) -> ClientResponse:
    headers = {"If-Match": tag} if tag is not None else {}
    target = f"{OPERATORS}/{operator_id}/role"
    return await process.ask("POST", target, role, body=body, headers=headers)


@pytest.fixture
def everybody_manages(monkeypatch: pytest.MonkeyPatch) -> None:
    """A future in which support manages operators too."""
    matrix = {**OPERATOR_PERMISSIONS, Role.SUPPORT: OPERATOR_PERMISSIONS[Role.SUPER_ADMIN]}
    monkeypatch.setattr("service_kit.identity.model.OPERATOR_PERMISSIONS", matrix)
    monkeypatch.setattr("admin_service.operators.changes.OPERATOR_PERMISSIONS", matrix)


async def test_a_role_is_changed_and_recorded(process: AdminProcess) -> None:
    """G-01: the row has the new role and the next version; one WARNING row says who, whom, what and why."""
    await process.add()
    await process.add(Role.SUPPORT)

    response = await change(process)
    answer = await response.json()
    row, (event,) = await process.row("adm_support"), await process.rows("audit_events")

    assert response.status == 200
    assert (answer["role"], answer["version"], response.headers["ETag"]) == ("security", 2, '"2"')
    assert (row["role"], row["version"], row["cf_access_sub"]) == ("security", 2, "sub-support")
    assert (event["event"], event["action"], event["severity"]) == (
        "admin.operator.role_changed",
        "change_role",
        "WARNING",
    )
    assert (event["actor_id"], event["resource_id"], event["reason"]) == (
        "adm_super_admin",
        "adm_support",
        "moved to another team",
    )
    assert "support" in str(event["details"])
    assert "security" in str(event["details"])


async def test_the_new_role_holds_for_sessions_that_are_open(process: AdminProcess) -> None:
    """R-064: a session goes on, and says the new role at its next use; nothing of the old one is left."""
    await process.add()
    await process.add(Role.SUPPORT)
    token = await process.hold("adm_support", "axs_open")

    await change(process)
    shown = await process.ask("GET", f"{EXCHANGE}/session", Role.SUPPORT, headers={"X-AX-Token": token})
    me = await (await process.ask("GET", "/api/admin/me", Role.SUPPORT)).json()

    assert (await shown.json())["operator"]["role"] == "security"
    assert set(me["permissions"]) == {one.value for one in OPERATOR_PERMISSIONS[Role.SECURITY]}
    assert len(await process.live_sessions("adm_support")) == 1


async def test_without_a_version_nothing_changes(process: AdminProcess) -> None:
    """G-01: no If-Match is 428 PRECONDITION_REQUIRED."""
    await process.add()
    await process.add(Role.SUPPORT)

    response = await change(process, tag=None)

    assert (response.status, (await response.json())["code"]) == (428, "PRECONDITION_REQUIRED")
    assert (await process.row("adm_support"))["role"] == "support"
    assert await process.events() == []


async def test_a_version_that_is_over_is_412_with_what_is(process: AdminProcess) -> None:
    """G-01: 412 VERSION_CONFLICT shows the operator as they are, with their ETag, and changes nothing."""
    await process.add()
    await process.add(Role.SUPPORT)
    await change(process)

    response = await change(process, body={**BODY, "role": "read_only"})
    problem = await response.json()

    assert (response.status, problem["code"]) == (412, "VERSION_CONFLICT")
    assert (problem["current"]["role"], problem["current"]["version"]) == ("security", 2)
    assert response.headers["ETag"] == '"2"'
    assert (await change(process, tag=response.headers["ETag"], body={**BODY, "role": "read_only"})).ok
    assert (await process.row("adm_support"))["role"] == "read_only"


async def test_the_role_that_they_have_changes_nothing(process: AdminProcess) -> None:
    """A repeat is 200 and writes neither row nor audit row."""
    await process.add()
    await process.add(Role.SUPPORT)
    before = await process.row("adm_support")

    response = await change(process, body={**BODY, "role": "support"})

    assert response.status == 200
    assert await process.row("adm_support") == before
    assert await process.events() == []


async def test_what_a_role_change_refuses(process: AdminProcess) -> None:
    """R-078 in spirit, G-01: oneself, an unknown id and a deactivated operator, each by its name."""
    await process.add()
    await process.add(Role.SUPPORT, deactivated_at=process.clock.now())

    own = await change(process, "adm_super_admin")
    unknown = await change(process, "adm_nobody")
    gone = await change(process)

    assert (own.status, (await own.json())["code"]) == (409, "SELF_ROLE_CHANGE_FORBIDDEN")
    assert (unknown.status, (await unknown.json())["code"]) == (404, "OPERATOR_NOT_FOUND")
    assert (gone.status, (await gone.json())["code"]) == (409, "OPERATOR_DEACTIVATED")
    assert await process.events() == []


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"role": "owner", "reason": "x"}, "/role"),
        ({"role": "support"}, "/reason"),
        ({"role": "support", "reason": "  "}, "/reason"),
        ({"role": "support", "reason": "a\x00b"}, "/reason"),
        ({"role": ["support"], "reason": "x"}, "/role"),
        ({"role": "support", "reason": "x", "email": "x@example.com"}, "/email"),
    ],
)
async def test_a_wrong_body_names_its_field(
    sqlite_process: AdminProcess, body: Mapping[str, Any], pointer: str
) -> None:
    """R-071: the role is one of four, the reason is given, and nothing else is taken."""
    await sqlite_process.add()
    await sqlite_process.add(Role.READ_ONLY)

    response = await change(sqlite_process, "adm_read_only", body)

    assert response.status == 422
    assert [entry["pointer"] for entry in (await response.json())["errors"]] == [pointer]


@pytest.mark.parametrize("role", [Role.SUPPORT, Role.READ_ONLY, Role.SECURITY])
async def test_only_who_manages_operators_changes_roles(sqlite_process: AdminProcess, role: Role) -> None:
    """R-072, R-073, R-074, R-075: every other role is 403."""
    await sqlite_process.add()
    await sqlite_process.add(role)

    response = await change(sqlite_process, "adm_super_admin", role=role)

    assert (response.status, (await response.json())["code"]) == (403, "PERMISSION_DENIED")


@pytest.mark.usefixtures("everybody_manages")
async def test_nobody_grants_what_they_are_not(process: AdminProcess) -> None:
    """R-076, R-131: a role that may manage operators still makes no super_admin, of nobody."""
    await process.add()
    await process.add(Role.SUPPORT)
    await process.add(Role.READ_ONLY)

    response = await change(
        process, "adm_read_only", {"role": "super_admin", "reason": "x"}, role=Role.SUPPORT
    )

    assert (response.status, (await response.json())["code"]) == (403, "SUPER_ADMIN_GRANT_FORBIDDEN")
    assert (await process.row("adm_read_only"))["role"] == "read_only"


async def test_a_super_admin_makes_another(process: AdminProcess) -> None:
    """R-072: and the guard counts them from then on (G-08)."""
    await process.add()
    await process.add(Role.SUPPORT)

    assert (await change(process, body={"role": "super_admin", "reason": "second"})).ok
    assert (await process.rows("super_admin_guard"))[0]["active"] == 2


@pytest.mark.usefixtures("everybody_manages")
async def test_the_last_super_admin_keeps_the_role(process: AdminProcess) -> None:
    """R-079, G-08: 409 LAST_SUPER_ADMIN; a second one who never enrolled does not count."""
    await process.add()
    await process.add(Role.SUPPORT)
    await process.add_pending("adm_p", "enr_p")

    response = await change(process, "adm_super_admin", role=Role.SUPPORT)

    assert (response.status, (await response.json())["code"]) == (409, "LAST_SUPER_ADMIN")
    assert (await process.row("adm_super_admin"))["role"] == "super_admin"
    assert await process.events() == []


@pytest.mark.usefixtures("everybody_manages")
async def test_the_service_itself_refuses(process: AdminProcess) -> None:
    """R-076, R-079: the rules stand in the service, whoever calls it."""
    await process.add()
    await process.add(Role.SUPPORT)
    await process.add(Role.READ_ONLY)
    standing, support = process.services.standing, asker(Role.SUPPORT)

    with pytest.raises(SuperAdminGrantForbiddenError):
        await standing.change_role(support, "adm_read_only", Role.SUPER_ADMIN, reason="x", expected={1})
    with pytest.raises(LastSuperAdminError):
        await standing.change_role(support, "adm_super_admin", Role.SUPPORT, reason="x", expected={1})
    with pytest.raises(LastSuperAdminError):
        await standing.deactivate(support, "adm_super_admin")


async def test_a_caller_demoted_meanwhile_changes_no_role(process: AdminProcess) -> None:
    """R-064: who asks is checked again under the lock, whatever the identity said."""
    await process.add()
    await process.add(operator_id="adm_b")
    await process.add(Role.SUPPORT)
    await process.sql("UPDATE global_admins SET role = 'security' WHERE id = 'adm_super_admin'")

    with pytest.raises(ForbiddenError) as caught:
        await process.services.standing.change_role(
            asker(), "adm_support", Role.READ_ONLY, reason="x", expected={1}
        )

    assert caught.value.code == "PERMISSION_DENIED"
    assert (await process.row("adm_support"))["role"] == "support"
