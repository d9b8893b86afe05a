"""The service's own check of the operator's row, on every request (R-039, R-064)."""

import pytest

from service_kit.identity.model import Role
from tests.integration.admin_service.admin_process import AUDIENCE, OPERATORS, AdminProcess

ME = "/api/admin/me"
TARGETS = (ME, OPERATORS, "/api/admin/audit-logs", "/manage", "/nowhere")


@pytest.mark.parametrize("target", TARGETS)
async def test_without_an_identity_there_is_nothing(sqlite_process: AdminProcess, target: str) -> None:
    """No identity: 401 for every path, existing or not (R-005)."""
    response = await sqlite_process.client.get(target)

    assert response.status == 401
    assert (await response.json())["code"] == "INTERNAL_IDENTITY_REQUIRED"


@pytest.mark.parametrize("target", TARGETS)
async def test_a_deactivated_row_is_refused(process: AdminProcess, target: str) -> None:
    """A signed identity of a deactivated operator opens nothing (R-064, R-133)."""
    await process.add(deactivated_at=process.clock.now())

    response = await process.ask("GET", target)

    assert response.status == 403
    assert (await response.json())["error"] == "Account deactivated"
    assert (await response.json())["code"] == "ACCOUNT_DEACTIVATED"


@pytest.mark.parametrize("case", ["no row", "pending", "other sub"])
async def test_a_row_that_is_not_this_persons_is_refused(process: AdminProcess, case: str) -> None:
    """No row, a row that nobody claimed, and a row of another `sub` are the same refusal (R-060, R-063)."""
    if case == "pending":
        await process.add_pending("adm_super_admin", "enr_p")
    if case == "other sub":
        await process.add(cf_access_sub="somebody-else")

    response = await process.ask("GET", ME)

    assert response.status == 403
    assert (await response.json())["error"] == "Not authorized"
    assert (await response.json())["code"] == "ENROLLMENT_REQUIRED"


async def test_the_row_decides_the_role(process: AdminProcess) -> None:
    """A token that still says super_admin cannot act as one after a demotion, nor the reverse (R-064)."""
    await process.add()
    await process.add(operator_id="adm_b")
    await process.sql("UPDATE global_admins SET role = 'support' WHERE id = 'adm_super_admin'")

    demoted = await process.ask("GET", OPERATORS, Role.SUPER_ADMIN)
    promoted = await process.ask("GET", OPERATORS, Role.READ_ONLY, operator_id="adm_b", sub="sub-b")

    assert demoted.status == 403
    assert (await demoted.json())["code"] == "PERMISSION_DENIED"
    assert promoted.status == 200


async def test_an_identity_for_another_service_is_refused(sqlite_process: AdminProcess) -> None:
    """An identity or delegation addressed to the tenant service is no identity here (R-005)."""
    await sqlite_process.add()
    foreign = sqlite_process.vouch.headers(audience="tenant_service", target=ME)
    delegated = sqlite_process.vouch.headers(audience=AUDIENCE, target=ME, delegate="tenant_service")

    for headers in (foreign, delegated):
        response = await sqlite_process.client.get(ME, headers=headers)

        assert response.status == 401


async def test_a_person_without_a_row_reaches_enrollment_only(sqlite_process: AdminProcess) -> None:
    """A verified person who is no operator sees the enrollment page and no operator's endpoint (R-066)."""
    enrollment = await sqlite_process.ask("GET", "/enrollment", None)
    me = await sqlite_process.ask("GET", ME, None)

    assert enrollment.status == 200
    assert me.status == 403
