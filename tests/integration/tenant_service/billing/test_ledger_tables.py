"""The ledger in the database: it only grows, it sums to zero, and a wrong total is found and told of."""

import json

import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy.exc import DBAPIError

from tenant_service.billing.credits.runtime_schemas import Hold, Use
from tenant_service.billing.credits.watching import LedgerMetrics, LedgerWatch
from tests.integration.tenant_service.billing.ledger_house import LedgerHouse
from tests.integration.tenant_service.billing.test_ledger_killed import started

OVERWRITES = {
    "sqlite": (
        "INSERT OR REPLACE INTO {table} SELECT * FROM {table}",
        "REPLACE INTO {table} SELECT * FROM {table} LIMIT 1",
        "INSERT INTO {table} SELECT * FROM {table} WHERE true ON CONFLICT (id) DO UPDATE SET id = 'x'",
    ),
    "postgresql": (
        "TRUNCATE {table} CASCADE",
        (
            "INSERT INTO {table} OVERRIDING SYSTEM VALUE SELECT * FROM {table} WHERE true "
            "ON CONFLICT (id) DO UPDATE SET id = 'x'"
        ),
    ),
}
CHANGES = {
    "credit_txns": ("UPDATE credit_txns SET note = 'other'", "DELETE FROM credit_txns"),
    "credit_ledger": ("UPDATE credit_ledger SET amount = amount * 2", "DELETE FROM credit_ledger"),
}


async def used(house: LedgerHouse) -> str:
    """A tenant that has used some of its credit."""
    tenant = await house.tenant()
    await house.grant(tenant, 10)
    await house.parts.runtime.consume("r", tenant, Use(amount=4), key="u")
    return tenant


async def test_no_sql_changes_what_was_booked(house: LedgerHouse) -> None:
    """C-16, G-13: update, delete, overwrite and truncate are refused by the database itself."""
    await used(house)
    for table, changes in CHANGES.items():
        before = await house.rows(f"SELECT * FROM {table}")
        overwrites = OVERWRITES[house.database.dialect]

        for statement in (*changes, *(each.format(table=table) for each in overwrites)):
            with pytest.raises(DBAPIError, match="append-only"):
                await house.sql(statement)
            if house.database.dialect == "postgresql":
                with pytest.raises(DBAPIError, match="append-only"):
                    await house.sql("SET LOCAL session_replication_role = replica", statement)

        assert await house.rows(f"SELECT * FROM {table}") == before


async def test_a_grant_is_not_rewritten(house: LedgerHouse) -> None:
    """G-12: amount, tenant and origin of a grant stay what they were, and no grant is deleted."""
    await used(house)
    for statement in (
        "UPDATE credit_grants SET amount = amount + 1",
        "UPDATE credit_grants SET category = 'paid'",
        "DELETE FROM credit_grants",
    ):
        with pytest.raises(DBAPIError, match="not rewritten"):
            await house.sql(statement)


CANNOT_BE = (
    "UPDATE billing_accounts SET replies_remaining = -1",
    "UPDATE billing_accounts SET replies_remaining = replies_remaining + 1",
    "UPDATE billing_accounts SET replies_granted = replies_granted + 1",
    "UPDATE credit_grants SET remaining = -1",
    "UPDATE credit_grants SET remaining = amount + 1",
    "UPDATE credit_grants SET priority = 101",
    "UPDATE credit_grants SET reason = 'short'",
    "UPDATE credit_grants SET expires_at = effective_at",
    "UPDATE credit_grants SET voided_at = created_at",
    "UPDATE credit_reservations SET state = 'lost'",
    "INSERT INTO credit_pack_prices VALUES ('pack_none', 'INR', 1)",
)


async def test_the_database_refuses_totals_that_cannot_be(house: LedgerHouse) -> None:
    """R-022, G-12: nothing is negative, and whatever was granted is in exactly one place; by any SQL."""
    tenant = await used(house)
    await house.parts.runtime.reserve("r", tenant, Hold(amount=1), key="h")

    for statement in CANNOT_BE:
        with pytest.raises(DBAPIError):
            await house.sql(statement)


@pytest.mark.postgres
async def test_postgres_commits_no_transaction_that_does_not_sum_to_zero(postgres_url: str) -> None:
    """G-13: one posting without its counterpart is refused at the commit, by whatever SQL it came."""
    from tests.integration.tenant_service.billing.ledger_house import ledger_house

    async with ledger_house(postgres_url) as house:
        await used(house)
        with pytest.raises(DBAPIError, match="do not sum to zero"):
            await house.sql(ONE_SIDED)


ONE_SIDED = (
    "INSERT INTO credit_ledger (id, txn_id, organization_id, account, grant_id, amount)"
    " SELECT 'led_x', txn_id, organization_id, 'expired', grant_id, 1 FROM credit_ledger LIMIT 1"
)
WRONG = {
    "a total": (
        (
            "UPDATE billing_accounts SET replies_remaining = replies_remaining + 1,"
            " replies_granted = replies_granted + 1"
        ),
        {"replies_remaining", "replies_granted"},
    ),
    "a grant": ("UPDATE credit_grants SET remaining = remaining - 1", {"grant"}),
    "a reservation": ("UPDATE credit_reservations SET state = 'released'", {"held reservations"}),
}


@pytest.mark.parametrize("what", sorted(WRONG))
async def test_a_wrong_total_is_found_and_told_of(house: LedgerHouse, what: str) -> None:
    """G-13: the job names the tenant in one CRITICAL row of the platform's log, and moves a metric."""
    tenant = await used(house)
    await house.parts.runtime.reserve("r", tenant, Hold(amount=2), key="h")
    await house.grant(await house.tenant("other"), 5)
    registry = CollectorRegistry()
    watch = LedgerWatch(
        house.database, house.parts.verifier, house.parts.recorder, LedgerMetrics(registry, "test")
    )
    assert (await watch.prove()).ok
    assert registry.get_sample_value("test_ledger_mismatched_accounts") == 0

    statement, named = WRONG[what]
    await house.sql(f"{statement} WHERE organization_id = '{tenant}'")
    verified = await watch.prove()

    assert {found.organization_id for found in verified.mismatches} == {tenant}
    assert {found.what.split(" grant_")[0] for found in verified.mismatches} == named
    assert registry.get_sample_value("test_ledger_mismatched_accounts") == 1
    rows = await house.rows("SELECT * FROM audit_events WHERE event = 'billing.projection.mismatch'")
    assert [(row["severity"], row["scope"], row["resource_id"]) for row in rows] == [
        ("CRITICAL", "global", tenant)
    ]


async def test_sqlite_finds_what_it_cannot_refuse(sqlite_house: LedgerHouse) -> None:
    """G-13: SQLite has no deferred trigger; the proof finds a one-sided posting, with its transaction."""
    tenant = await used(sqlite_house)
    await sqlite_house.sql(ONE_SIDED)

    _count, mismatches = await sqlite_house.parts.verifier.verify_tenant(tenant)

    assert {found.what.split(" txn_")[0] for found in mismatches} == {"transaction", "replies_expired"}


async def test_the_command_names_the_account(sqlite_house: LedgerHouse, sqlite_url: str) -> None:
    """G-13: `tenant-service ledger verify` exits with 1 and names the account; without a database too."""
    tenant = await used(sqlite_house)
    await sqlite_house.sql("UPDATE credit_grants SET remaining = remaining - 1")
    settings = {"TENANT_DATABASE_URL": sqlite_url, "INTERNAL_JWKS_FILE": "/nowhere/jwks.json"}

    command = await started("-m", "tenant_service", "ledger", "verify", "--json", **settings)
    out, errors = await command.communicate()

    assert command.returncode == 1, errors.decode()
    proof = json.loads(out)
    assert proof["ok"] is False
    assert [found["organizationId"] for found in proof["mismatches"]] == [tenant]
