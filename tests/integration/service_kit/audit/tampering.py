"""What somebody who owns a database can do to the audit log in it."""

import re
from collections.abc import Sequence

from sqlalchemy import text, update

from service_kit.audit.chain import GENESIS, row_hash
from service_kit.db.session import Database
from tests.fakes.clock import FrozenClock
from tests.integration.service_kit.audit.writing import chains, entry, record
from tests.integration.service_kit.db.tables import AUDIT

ALL_TABLES = (
    "audit_events",
    "audit_pii",
    "audit_erasures",
    "audit_chain_heads",
    "audit_checkpoints",
    "audit_witnesses",
)
WITH_THEIR_PEOPLE = "DELETE FROM audit_pii WHERE event_id NOT IN (SELECT id FROM audit_events)"
"""What a careful attacker does after deleting rows."""


async def unlock(database: Database) -> None:
    """What somebody with the database's owner does first: the triggers and the rules go."""
    if database.dialect == "postgresql":
        drop = [
            *(f"ALTER TABLE {table} DISABLE TRIGGER ALL" for table in ALL_TABLES),
            "ALTER TABLE audit_pii DROP CONSTRAINT IF EXISTS fk_audit_pii_event_id_audit_events",
            "ALTER TABLE audit_erasures DROP CONSTRAINT IF EXISTS fk_audit_erasures_event_id_audit_events",
            "ALTER TABLE audit_erasures DROP CONSTRAINT IF EXISTS fk_audit_erasures_erasure_id_audit_events",
            *(
                f"ALTER TABLE audit_events DROP CONSTRAINT IF EXISTS ck_audit_events_{rule}"
                for rule in (
                    "scope",
                    "severity",
                    "outcome",
                    "actor_type",
                    "scope_organization",
                    "predicate_is_critical",
                )
            ),
        ]
    else:
        drop = [
            f"DROP TRIGGER IF EXISTS {table}_no_{what}"
            for table in ALL_TABLES
            for what in ("update", "delete", "overwrite")
        ]
    async with database.write_engine.connect() as connection:
        if database.dialect == "sqlite":
            await connection.exec_driver_sql("COMMIT")
            for pragma in ("foreign_keys=OFF", "ignore_check_constraints=ON"):
                await connection.exec_driver_sql(f"PRAGMA {pragma}")
    await attack(database, *drop)


async def attack(database: Database, *statements: str) -> None:
    async with database.write() as session:
        for statement in statements:
            # A colon within a JSON text is no parameter.
            await session.execute(text(re.sub(r"(?<!:):(?!:)", r"\:", statement)))


async def filled(database: Database, clock: FrozenClock, pairs: int = 6) -> Sequence[tuple[str, ...]]:
    """A global chain, and a tenant's chain of the same actions."""
    return await record(
        database,
        clock,
        *(
            entry(
                details={"n": number, "who": "Zoë"},
                details_pii={"name": f"Person {number}"},
                reason="why",
                request_id="req_1",
                ticket_ref="T-1",
                ip="192.0.2.1",
                user_agent="Agent",
            )
            for number in range(pairs)
        ),
    )


async def rewrite(database: Database, chain: str, *, reason: str) -> None:
    """Change the first row of a chain, and every hash and head after it, without a flaw."""
    events, heads = AUDIT.events, AUDIT.heads
    before = GENESIS
    for number, row in enumerate((await chains(database))[chain]):
        changed = {**row, "prev_hash": before, **({"reason": reason} if number == 0 else {})}
        before = changed["hash"] = row_hash(before, changed)
        async with database.write() as session:
            await session.execute(
                update(events)
                .where(events.c.chain == chain, events.c.chain_seq == row["chain_seq"])
                .values(reason=changed["reason"], prev_hash=changed["prev_hash"], hash=changed["hash"])
            )
    async with database.write() as session:
        await session.execute(update(heads).where(heads.c.chain == chain).values(hash=before))
