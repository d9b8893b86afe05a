"""What the tables of people hold against raw SQL too: a tenant keeps an owner (data-model 2.3)."""

import asyncio
import sqlite3
from contextlib import closing

import pytest
from sqlalchemy.exc import DBAPIError, IntegrityError

from tenant_service.people.models import MemberRole, refuses_last_owner
from tests.integration.tenant_service.people import add_tenant, add_user
from tests.integration.tenant_service.tenant_process import TenantProcess

OWNER = MemberRole.OWNER
OUSTING = (
    "UPDATE members SET role = 'admin' WHERE role = 'owner'",
    "DELETE FROM members",
    "DELETE FROM members WHERE role = 'owner'",
)


async def owners(process: TenantProcess) -> list[int]:
    """What the guard counts, checked against the members themselves."""
    members = [row for row in await process.rows("members") if row["role"] == "owner"]
    guard = {row["organization_id"]: row["owners"] for row in await process.rows("org_owner_guard")}
    counted: dict[str, int] = {}
    for row in members:
        counted[row["organization_id"]] = counted.get(row["organization_id"], 0) + 1
    assert counted == guard
    return sorted(guard.values())


async def test_the_last_owner_stays(process: TenantProcess) -> None:
    """No SQL takes a living tenant's last owner, and the refusal can be told from any other."""
    org = await add_tenant(process)
    await add_user(process, "ann@a.example", org, role=OWNER)
    await add_user(process, "bob@a.example", org)

    for statement in OUSTING:
        with pytest.raises(IntegrityError) as refusal:
            await process.sql(statement)
        assert refuses_last_owner(refusal.value)

    assert await owners(process) == [1]


async def test_the_guard_follows_every_way_in_and_out(process: TenantProcess) -> None:
    """Insert, promotion, demotion, removal and moving to another tenant keep the count right."""
    one, two = await add_tenant(process, "one"), await add_tenant(process, "two")
    await add_user(process, "ann@a.example", one, two, role=OWNER)
    bob = await add_user(process, "bob@a.example", one)
    await process.sql(f"UPDATE members SET role = 'owner' WHERE user_id = '{bob}'")
    assert await owners(process) == [1, 2]

    await process.sql(f"UPDATE members SET organization_id = '{two}' WHERE user_id = '{bob}'")
    assert await owners(process) == [1, 2]
    with pytest.raises(IntegrityError):
        await process.sql(f"DELETE FROM members WHERE organization_id = '{one}'")
    await process.sql(f"DELETE FROM members WHERE user_id = '{bob}'")
    assert await owners(process) == [1, 1]


async def test_a_deleted_tenant_may_lose_its_people(process: TenantProcess) -> None:
    """The purge of a deleted tenant removes every member; the guard's row goes with the last owner."""
    org, other = await add_tenant(process, "gone"), await add_tenant(process, "here")
    await add_user(process, "ann@a.example", org, other, role=OWNER)
    await add_user(process, "bob@a.example", org, role=OWNER)

    await process.sql(
        f"UPDATE organizations SET status = 'deleted', deleted_at = created_at WHERE id = '{org}'",
        f"DELETE FROM members WHERE organization_id = '{org}'",
    )

    assert await owners(process) == [1]


BY_HAND = (
    "UPDATE org_owner_guard SET owners = 7",
    "DELETE FROM org_owner_guard",
    "INSERT INTO org_owner_guard (organization_id, owners) SELECT id, 3 FROM organizations",
)


async def test_the_guard_is_not_written_by_hand(process: TenantProcess) -> None:
    """Only the triggers move the count, so it cannot be talked up first."""
    await add_user(process, "ann@a.example", await add_tenant(process), role=OWNER)
    await add_tenant(process, "two")

    for statement in BY_HAND:
        with pytest.raises(DBAPIError):
            await process.sql(statement)


REPLACE = (
    "INSERT OR REPLACE INTO members (id, organization_id, user_id, role, created_at, updated_at, version) "
    "SELECT id, organization_id, user_id, 'member', created_at, updated_at, 1 FROM members "
    "WHERE role = 'owner'"
)


PAST_THE_GUARD = (
    REPLACE,
    "UPDATE OR IGNORE members SET role = 'member' WHERE role = 'owner'",
    (
        "UPDATE OR REPLACE members SET user_id = (SELECT user_id FROM members WHERE role = 'owner') "
        "WHERE role = 'member'"
    ),
)


async def test_sqlites_conflict_clauses_do_not_slip_past(
    sqlite_url: str, sqlite_process: TenantProcess
) -> None:
    """OR REPLACE and OR IGNORE are refused, also on a plain connection without recursive triggers."""
    process = sqlite_process
    org = await add_tenant(process)
    await add_user(process, "ann@a.example", org, role=OWNER)
    await add_user(process, "bob@a.example", org)

    for statement in PAST_THE_GUARD:
        with pytest.raises(DBAPIError):
            await process.sql(statement)
        with (
            closing(sqlite3.connect(sqlite_url.removeprefix("sqlite:///"), isolation_level=None)) as plain,
            pytest.raises(sqlite3.IntegrityError),
        ):
            plain.execute(statement)

    assert await owners(process) == [1]


@pytest.mark.postgres
async def test_the_guard_holds_in_a_replicating_session(postgres_process: TenantProcess) -> None:
    """`session_replication_role = replica` turns ordinary triggers off; these fire there too."""
    org = await add_tenant(postgres_process)
    await add_user(postgres_process, "ann@a.example", org, role=OWNER)

    for statement in (*OUSTING, "TRUNCATE members", "TRUNCATE org_owner_guard"):
        with pytest.raises(DBAPIError):
            await postgres_process.sql("SET LOCAL session_replication_role = replica", statement)

    assert await owners(postgres_process) == [1]


async def test_owners_who_oust_each_other_at_once_leave_one(process: TenantProcess) -> None:
    """A ring of owners, each demoting the next at the same moment: one is always left."""
    org = await add_tenant(process)
    people = [await add_user(process, f"o{n}@a.example", org, role=OWNER) for n in range(4)]

    demotions = (process.sql(f"UPDATE members SET role = 'member' WHERE user_id = '{one}'") for one in people)
    results = await asyncio.gather(*demotions, return_exceptions=True)

    assert sum(isinstance(result, IntegrityError) for result in results) == 1
    assert await owners(process) == [1]


CANNOT_BE = (
    "UPDATE users SET email = 'Ann@a.example'",
    "UPDATE users SET email = ''",
    "UPDATE users SET name = ''",
    "UPDATE users SET email_verified = 2",
    "UPDATE members SET role = 'king'",
    "UPDATE members SET user_id = 'usr_none'",
    "UPDATE members SET organization_id = 'org_none'",
    (
        "INSERT INTO users SELECT 'usr_2', email, name, email_verified, disabled_at, created_at, "
        "updated_at, version FROM users"
    ),
    "DELETE FROM users",
)


async def test_the_database_refuses_people_that_cannot_be(process: TenantProcess) -> None:
    """The closed sets, keys and unique addresses of data-model 2.3 hold against raw SQL."""
    await add_user(process, "ann@a.example", await add_tenant(process), role=OWNER)

    for statement in CANNOT_BE:
        with pytest.raises(DBAPIError):
            await process.sql(statement)
