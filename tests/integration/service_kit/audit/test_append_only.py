"""No SQL at all changes or removes an audit row, on either database."""

import re

import pytest
from sqlalchemy import text

from service_kit.db.session import Database
from tests.fakes.clock import FrozenClock
from tests.integration.service_kit.audit.writing import broken, chains, entry, record
from tests.integration.service_kit.db.tables import opened

COLUMNS = """chain, chain_seq, {id}, pair_id, scope, event, event_version, action, severity, outcome,
actor_type, 'forged', actor_role, target_type, target_id, resource_type, resource_id, organization_id,
request_id, session_ref, justification_code, reason, ticket_ref, predicate_digest, predicate_shape,
row_count, page_no, details, pii_commitment, occurred_at, prev_hash, hash"""
COPY = (
    f"INSERT{{how}} INTO audit_events SELECT {COLUMNS} FROM audit_events WHERE chain = 'global' {{conflict}}"
)


async def attack(database: Database, statement: str) -> None:
    async with database.write() as session:
        await session.execute(text(statement))


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_events SET actor_id = 'nobody'",
        "UPDATE audit_events SET hash = hash",
        "UPDATE audit_events SET chain_seq = chain_seq + 10",
        "DELETE FROM audit_events",
        "DELETE FROM audit_events WHERE chain = 'global'",
        COPY.format(how="", id="id", conflict="ON CONFLICT (id) DO UPDATE SET actor_id = 'forged'"),
        COPY.format(
            how="", id="'x'", conflict="ON CONFLICT (chain, chain_seq) DO UPDATE SET actor_id = 'forged'"
        ),
        COPY.format(how="", id="'x'", conflict=""),
    ],
    ids=lambda statement: statement[:30] + statement[-50:],
)
async def test_no_statement_changes_a_row(database: Database, clock: FrozenClock, statement: str) -> None:
    """R-030, R-132: whoever has the service's own database user cannot cover tracks."""
    await record(database, clock, entry())
    before = await chains(database)
    with pytest.raises(Exception, match=r"append-only|duplicate key|UNIQUE"):
        await attack(database, statement)

    assert await chains(database) == before
    assert [broken(rows) for rows in before.values()] == [None, None]


@pytest.mark.parametrize("identifier", ["id", "'x'"])
@pytest.mark.parametrize("recursive", ["ON", "OFF"])
async def test_sqlites_replace_overwrites_nothing(
    sqlite_url: str, clock: FrozenClock, identifier: str, recursive: str
) -> None:
    """INSERT OR REPLACE slips past triggers on UPDATE and DELETE; also on a foreign connection's settings."""
    async with opened(sqlite_url) as database:
        await record(database, clock, entry())
        before = await chains(database)
        async with database.write_engine.connect() as connection:
            await connection.exec_driver_sql("COMMIT")
            await connection.exec_driver_sql(f"PRAGMA recursive_triggers={recursive}")
        with pytest.raises(Exception, match="append-only"):
            await attack(database, COPY.format(how=" OR REPLACE", id=identifier, conflict=""))

        assert await chains(database) == before


@pytest.mark.postgres
@pytest.mark.parametrize("statement", ["TRUNCATE audit_events CASCADE", "TRUNCATE audit_events, audit_pii"])
async def test_postgres_truncates_nothing(postgres_url: str, clock: FrozenClock, statement: str) -> None:
    """TRUNCATE fires no row trigger; it has one of its own."""
    async with opened(postgres_url) as database:
        await record(database, clock, entry())
        with pytest.raises(Exception, match="append-only"):
            await attack(database, statement)

        assert len(await chains(database)) == 2


@pytest.mark.parametrize(
    "changes",
    [
        "scope = 'tenant', organization_id = NULL",
        "scope = 'global', organization_id = 'org_1'",
        "severity = 'INFO', predicate_digest = 'x'",
        "scope = 'other'",
        "severity = 'LOUD'",
        "outcome = 'perhaps'",
        "actor_type = 'robot'",
    ],
)
async def test_a_row_that_contradicts_itself_is_refused(
    database: Database, clock: FrozenClock, changes: str
) -> None:
    """R-126: a tenant row names its organization, a global one none; closed sets stay closed."""
    await record(database, clock, entry())
    columns = dict(part.split(" = ") for part in changes.split(", "))
    statement = COPY.format(how="", id="'x'", conflict="").replace("chain_seq,", "chain_seq + 1,", 1)
    head, body = statement.split("SELECT ", 1)
    for name, value in columns.items():
        body = re.sub(rf"\b{name},", f"{value},", body, count=1)

    with pytest.raises(Exception, match=r"ck_audit_events_|CHECK constraint"):
        await attack(database, f"{head}SELECT {body}")


async def test_personal_data_can_be_erased_and_the_chain_still_holds(
    database: Database, clock: FrozenClock
) -> None:
    """The chain covers a salted commitment: erasing the data (and its salt) breaks nothing."""
    await record(database, clock, *(entry(details_pii={"name": f"Person {n}"}) for n in range(3)))
    await attack(database, "DELETE FROM audit_pii WHERE event_id = (SELECT min(event_id) FROM audit_pii)")

    assert [broken(rows) for rows in (await chains(database)).values()] == [None, None]
