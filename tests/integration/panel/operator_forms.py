"""Filling in the forms about operators, as a browser does."""

import re
from typing import Any

import pytest

from admin_service.operators.models import Operator, OperatorFilter
from service_kit.identity.model import Role
from tests.integration.panel.back_office import BackOffice, Shown

LIST = "/manage/operators"
NEW = f"{LIST}/new"
SUPPORT = f"{LIST}/adm_support"
TYPED = {"name": "Sam Ito", "email": "Sam.Ito@Example.com", "role": "support"}
REASON = "left the company in November"
TOKEN = re.compile(r"enr_[A-Za-z0-9_-]{43}")
STEPS: dict[str, dict[str, str]] = {
    f"{SUPPORT}/role": {"role": "security", "reason": REASON},
    f"{SUPPORT}/token": {"confirm": "support@example.com"},
    f"{SUPPORT}/deactivate": {"reason": REASON},
    f"{LIST}/adm_gone/reactivate": {"reason": REASON},
    NEW: TYPED,
}
every_step = pytest.mark.parametrize("path", STEPS)


async def fill(office: BackOffice, path: str, **typed: str) -> Shown:
    """Open the form, fill it in, and send it."""
    return await office.post(path, await filled(office, path, **typed))


async def filled(office: BackOffice, path: str, **typed: str) -> dict[str, str]:
    return {**(await office.get(path)).fields(), **STEPS.get(path, {}), **typed}


async def add_gone(office: BackOffice, email: str = "gone@example.com") -> None:
    now = office.clock.now()
    await office.add_operator(Role.SECURITY, sub="sub-gone", name="gone", email=email, deactivated_at=now)


def token_of(page: Shown) -> str:
    assert page.status == 200
    return page.value_of("enrollment-token")


async def enroll(office: BackOffice, token: str, email: str, sub: str) -> Shown:
    person: dict[str, Any] = {"sub": sub, "email": email}
    fields = (await office.get("/enrollment", None, **person)).fields()
    return await office.post("/enrollment", {**fields, "token": token}, None, **person)


async def sam(office: BackOffice) -> Operator:
    (found,) = [one for one in await everybody(office) if one.email == "sam.ito@example.com"]
    return found


async def everybody(office: BackOffice) -> list[Operator]:
    return list((await office.services.operators.page(OperatorFilter())).rows)
