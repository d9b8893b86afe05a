"""The operator's own: `me` and preferences."""

from collections.abc import Mapping
from typing import Any

import pytest
from sqlalchemy.exc import DBAPIError

from admin_service.operators.errors import AccountDeactivatedError
from admin_service.profile.models import PreferenceChange, Theme
from service_kit.identity.model import Role
from tests.integration.admin_service.admin_process import AdminProcess, asker

PREFERENCES = "/api/admin/me/preferences"
DEFAULTS = {"theme": "system", "density": "comfortable", "timeZone": "UTC", "shortcuts": True}


async def preferred(process: AdminProcess, role: Role = Role.SUPER_ADMIN) -> Mapping[str, Any]:
    shown = await (await process.ask("GET", "/api/admin/me", role)).json()
    preferences: Mapping[str, Any] = shown["preferences"]
    return preferences


@pytest.mark.parametrize("role", list(Role))
async def test_every_role_has_preferences_of_its_own(sqlite_process: AdminProcess, role: Role) -> None:
    """P-26: defaults at first; what is sent changes, the rest stays, and nobody else's changes with it."""
    for one in Role:
        await sqlite_process.add(one)
    assert await preferred(sqlite_process, role) == DEFAULTS

    first = await sqlite_process.ask("PATCH", PREFERENCES, role, body={"theme": "dark", "shortcuts": False})
    second = await sqlite_process.ask("PATCH", PREFERENCES, role, body={"timeZone": "Asia/Kolkata"})

    expected = {**DEFAULTS, "theme": "dark", "shortcuts": False, "timeZone": "Asia/Kolkata"}
    assert first.status == second.status == 200
    assert await second.json() == expected
    assert await preferred(sqlite_process, role) == expected
    others = [await preferred(sqlite_process, one) for one in Role if one is not role]
    assert others == [DEFAULTS] * 3


async def test_preferences_are_kept_by_each_database(process: AdminProcess) -> None:
    """Every member is written and read back, and written over."""
    await process.add()

    for body in (
        {"theme": "light", "density": "compact", "timeZone": "America/New_York", "shortcuts": False},
        {"theme": "dark", "density": "comfortable", "timeZone": "Europe/Paris", "shortcuts": True},
    ):
        assert await (await process.ask("PATCH", PREFERENCES, body=body)).json() == body
        assert await preferred(process) == body
    assert len(await process.rows("operator_preferences")) == 1
    assert (await process.row("adm_super_admin"))["version"] == 1


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"theme": "pink"}, "/theme"),
        ({"density": ""}, "/density"),
        ({"shortcuts": 1}, "/shortcuts"),
        ({"shortcuts": "true"}, "/shortcuts"),
        ({"timeZone": "Mars/Olympus"}, "/timeZone"),
        ({"timeZone": "../../etc/passwd"}, "/timeZone"),
        ({"timeZone": "/etc/localtime"}, "/timeZone"),
        ({"timeZone": "Europe"}, "/timeZone"),
        ({"timeZone": ""}, "/timeZone"),
        ({"timeZone": "UTC\x00"}, "/timeZone"),
        ({"timeZone": "A" * 65}, "/timeZone"),
        ({"language": "de"}, "/language"),
        ({"theme": None}, ""),
    ],
)
async def test_a_wrong_preference_is_named(
    sqlite_process: AdminProcess, body: Mapping[str, Any], pointer: str
) -> None:
    """422 with the member's pointer; nothing is written."""
    await sqlite_process.add()

    response = await sqlite_process.ask("PATCH", PREFERENCES, body=body)

    assert response.status == 422
    assert [entry["pointer"] for entry in (await response.json())["errors"]] == [pointer]
    assert await sqlite_process.rows("operator_preferences") == []


async def test_who_was_deactivated_meanwhile_changes_nothing(process: AdminProcess) -> None:
    """R-064: the row is asked again under its lock."""
    await process.add()
    await process.add(Role.SUPPORT, deactivated_at=process.clock.now())

    with pytest.raises(AccountDeactivatedError):
        await process.services.profiles.prefer(asker(Role.SUPPORT), PreferenceChange(theme=Theme.DARK))

    assert await process.rows("operator_preferences") == []


@pytest.mark.parametrize(
    "change",
    [
        "theme = 'pink'",
        "density = 'wide'",
        "time_zone = ''",
        "shortcuts = 7",
        "theme = NULL",
        "admin_id = 'adm_nobody'",
    ],
)
async def test_the_database_refuses_preferences_that_make_no_sense(
    process: AdminProcess, change: str
) -> None:
    """Closed sets, a zone, and an operator whose they are, against raw SQL too."""
    await process.add()
    await process.ask("PATCH", PREFERENCES, body={"theme": "dark"})

    with pytest.raises(DBAPIError):
        await process.sql(f"UPDATE operator_preferences SET {change}")
