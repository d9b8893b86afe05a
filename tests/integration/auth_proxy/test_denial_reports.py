"""Denials of the running sidecar on their way to the audit log."""

import asyncio
from typing import Any

import pytest

from service_kit.identity.model import Role
from tests.fixtures.sidecar import AUD, DEACTIVATED, STRANGER, SidecarUnderTest, person


async def told(sidecar: SidecarUnderTest, number: int) -> list[dict[str, Any]]:
    """What the admin service was told, once it is as much as expected."""
    async with asyncio.timeout(15):
        while len(sidecar.admin.denials) < number:
            await asyncio.sleep(0.1)
    return sidecar.admin.denials


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reports every tenth of a second instead of every five."""
    defaults = "auth_proxy.roster.denials.AggregatedDenials.__init__.__kwdefaults__"
    monkeypatch.setattr(defaults, {"every_seconds": 0.1})


async def test_each_kind_of_denial_becomes_one_report(sidecar: SidecarUnderTest) -> None:
    """R-060, R-130, R-170…R-172: who was refused, why, where from; many tries are one entry."""
    sidecar.admin.tokens.clear()
    browser = (("User-Agent", "Browser/1"),)
    support, ada = person(Role.SUPPORT), person(Role.SUPER_ADMIN)
    for _ in range(3):
        await sidecar.get("/api/admin/global-admins", token=sidecar.token(support), headers=browser)
    await sidecar.get(token=sidecar.token(STRANGER))
    await sidecar.get(token=sidecar.token(DEACTIVATED))
    await sidecar.get(token=sidecar.issuer.mint(ada, audience=AUD, sub="somebody-new"))
    await sidecar.get(headers=(("Cf-Access-Authenticated-User-Email", "x@example.com"),))
    await sidecar.get(method="POST")
    await sidecar.get(token=None, headers=(("X-Internal-Identity", "x"),))
    await sidecar.get(token=None)
    await sidecar.get(token="garbage")

    entries = {entry["reason"]: entry for entry in await told(sidecar, 7)}

    assert set(entries) == {
        "permission_denied",
        "enrollment_required",
        "operator_deactivated",
        "subject_changed",
        "email_header_contradicts",
        "origin_rejected",
        "identity_header_spoofed",
    }
    denied = entries["permission_denied"]
    assert (denied["sub"], denied["email"], denied["operatorId"]) == (
        support.sub,
        support.email,
        f"adm_{support.sub}",
    )
    assert (denied["route"], denied["ip"], denied["userAgent"]) == (
        "/api/admin/global-admins",
        "127.0.0.1",
        "Browser/1",
    )
    assert 1 <= denied["count"] <= 3
    assert entries["subject_changed"]["email"] == ada.email
    assert entries["subject_changed"]["sub"] == "somebody-new"
    assert entries["operator_deactivated"]["operatorId"] == f"adm_{DEACTIVATED.sub}"
    assert entries["identity_header_spoofed"]["sub"] == ""
    assert len(sidecar.admin.denials) == 7


async def test_an_admin_service_that_cannot_write_is_told_again(sidecar: SidecarUnderTest) -> None:
    """No denial is lost while the audit log's database is away, and no request waits for it."""
    sidecar.admin.denials_status = 503
    await sidecar.get(token=sidecar.token(STRANGER))
    await asyncio.sleep(0.4)
    assert sidecar.admin.denials == []
    sidecar.admin.denials_status = 204

    (entry,) = await told(sidecar, 1)
    assert (entry["reason"], entry["count"]) == ("enrollment_required", 1)
