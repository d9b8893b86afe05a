"""No SQL at all changes or removes an audit row, on either database."""

import re

import pytest
from sqlalchemy import text

from service_kit.audit.recorder import AuditRecorder
from service_kit.db.session import Database
from service_kit.ids import IdFactory
from tests.fakes.clock import FrozenClock
from tests.integration.service_kit.audit.writing import broken, chains, entry, record
from tests.integration.service_kit.db.tables import AUDIT, opened

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
        with pytest.raises(Exception, match=r"append-only|foreign key"):
            await attack(database, statement)

        assert len(await chains(database)) == 2


HARD = (
    "UPDATE audit_pii SET ip = ip",
    "DELETE FROM audit_pii",
    "UPDATE audit_chain_heads SET seq = seq - 1",
    "UPDATE audit_chain_heads SET seq = seq + 1",
    "UPDATE audit_chain_heads SET hash = 'x'",
    "UPDATE audit_chain_heads SET chain = 'x' WHERE chain = 'global'",
    "DELETE FROM audit_chain_heads",
    "INSERT INTO audit_chain_heads VALUES ('org_9', 5, 'x')",
    "INSERT INTO audit_chain_heads VALUES ('global', 0, 'x') ON CONFLICT (chain) DO UPDATE SET seq = 0",
    "INSERT INTO audit_pii SELECT * FROM audit_pii WHERE true ON CONFLICT (event_id) DO UPDATE SET ip = 'x'",
    "INSERT INTO audit_erasures SELECT id, id FROM audit_events",
)
HARD_SQLITE = (
    "REPLACE INTO audit_pii SELECT * FROM audit_pii",
    "UPDATE OR REPLACE audit_pii SET event_id = (SELECT max(event_id) FROM audit_pii)",
    "REPLACE INTO audit_chain_heads SELECT chain, 0, hash FROM audit_chain_heads",
    "REPLACE INTO audit_erasures SELECT id, id FROM audit_events",
)
HARD_POSTGRES = (
    "TRUNCATE audit_pii",
    "TRUNCATE audit_erasures",
    "TRUNCATE audit_chain_heads",
    "TRUNCATE audit_events CASCADE",
    "SET LOCAL session_replication_role = replica; DELETE FROM audit_pii",
    "SET LOCAL session_replication_role = replica; UPDATE audit_chain_heads SET seq = 0",
    "DROP TABLE audit_events",
)


async def test_no_statement_changes_people_erasures_or_heads(database: Database, clock: FrozenClock) -> None:
    """R-132: the other tables of the log are as hard: heads only move on, data goes by an erasure only."""
    await record(database, clock, entry(), entry())
    before = await everything(database)
    for statement in (*HARD, *(HARD_SQLITE if database.dialect == "sqlite" else HARD_POSTGRES)):
        with pytest.raises(Exception, match=r"append-only|depend on it"):  # noqa: PT012 - one statement may be two
            async with database.write() as session:
                for part in statement.split("; "):
                    await session.execute(text(part))

    assert await everything(database) == before


async def everything(database: Database) -> list[list[tuple[object, ...]]]:
    tables = ("audit_events", "audit_pii", "audit_erasures", "audit_chain_heads")
    async with database.read() as session:
        return [
            sorted(
                tuple(map(str, row.values())) for row in await session.rows(text(f"SELECT * FROM {table}"))
            )
            for table in tables
        ]


@pytest.mark.postgres
async def test_a_role_with_grants_alone_cannot_drop_or_disarm(postgres_url: str, clock: FrozenClock) -> None:
    """R-132: dropping and disabling are the owner's; a role with SELECT and INSERT can still record."""
    async with opened(postgres_url) as database:
        await record(database, clock, entry())
        await attack(database, "CREATE ROLE audit_writer NOLOGIN")
        await attack(database, "GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA public TO audit_writer")
        await attack(database, "GRANT UPDATE ON audit_chain_heads TO audit_writer")
        try:
            for statement in (
                "DROP TABLE audit_pii",
                "ALTER TABLE audit_events DISABLE TRIGGER ALL",
                "DROP TRIGGER audit_events_no_change ON audit_events",
                "TRUNCATE audit_chain_heads",
                "UPDATE audit_events SET reason = 'x'",
                "SET LOCAL session_replication_role = replica",
            ):
                with pytest.raises(Exception, match=r"owner|permission denied"):  # noqa: PT012 - role and deed
                    async with database.write() as session:
                        await session.execute(text("SET LOCAL ROLE audit_writer"))
                        await session.execute(text(statement))
            recorder = AuditRecorder(AUDIT, IdFactory(clock), clock)
            async with database.write() as session:
                await session.execute(text("SET LOCAL ROLE audit_writer"))
                assert len(await recorder.record(session, entry())) == 2
        finally:
            await attack(database, "DROP OWNED BY audit_writer")
            await attack(database, "DROP ROLE audit_writer")


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
