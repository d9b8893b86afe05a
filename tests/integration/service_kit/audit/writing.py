"""Audit rows for the tests of the kit."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select

from service_kit.audit.chain import GENESIS, pii_commitment, row_hash
from service_kit.audit.events import Actor, ActorType, AuditEntry, EventType, Severity, Visibility
from service_kit.audit.recorder import AuditRecorder
from service_kit.clock import Clock
from service_kit.db.session import Database
from service_kit.ids import IdFactory
from tests.integration.service_kit.db.tables import AUDIT

SUSPENDED = EventType("tenant.suspended", "suspend_tenant", Severity.WARNING, Visibility.DUAL, "tenant")
PACK_MADE = EventType(
    "billing.pack.created", "create_pack", Severity.NOTICE, Visibility.GLOBAL, "credit_pack"
)
SIGNED_IN = EventType("user.signed_in", "", Severity.INFO, Visibility.TENANT, "user")
ADMIN_MADE = EventType("admin.created", "", Severity.CRITICAL, Visibility.GLOBAL, "global_admin")
ADMIN_PAIR = EventType("admin.support.seen", "", Severity.CRITICAL, Visibility.DUAL, "tenant")
_UNCOMMITTED = ("event_id", "salt", "shelf", "occurred_at")
ADA = Actor(ActorType.GLOBAL_ADMIN, "adm_1", "support", "ada@example.com", "Ada")


def entry(event: EventType = SUSPENDED, *, org: str | None = "org_1", **more: Any) -> AuditEntry:
    return AuditEntry(event, ADA, more.pop("resource_id", org or "pack_1"), org, **more)


async def record(database: Database, clock: Clock, *entries: AuditEntry) -> list[tuple[str, ...]]:
    """Each entry in a transaction of its own; the ids of its rows."""
    recorder = AuditRecorder(AUDIT, IdFactory(clock), clock)
    ids = []
    for item in entries:
        async with database.write() as session:
            ids.append(await recorder.record(session, item))
    return ids


async def chains(database: Database) -> dict[str, list[Mapping[str, Any]]]:
    """Every chain with its rows in their order."""
    events = AUDIT.events
    async with database.read() as session:
        rows = await session.rows(select(events).order_by(events.c.chain, events.c.chain_seq))
    found: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        found.setdefault(row["chain"], []).append(dict(row))
    return found


def broken(rows: list[Mapping[str, Any]]) -> int | None:
    """The number of the first row that does not follow from the one before it, by an own computation."""
    before = GENESIS
    for number, row in enumerate(rows, start=1):
        content = {name: value for name, value in row.items() if name not in ("hash", "prev_hash")}
        honest = row_hash(before, {**content, "prev_hash": before})
        if (row["chain_seq"], row["prev_hash"], row["hash"]) != (number, before, honest):
            return number
        before = row["hash"]
    return None


async def uncommitted_pii(database: Database) -> list[str]:
    """Rows whose personal data is not what the chain committed to."""
    async with database.read() as session:
        pii = {row["event_id"]: dict(row) for row in await session.rows(select(AUDIT.pii))}
    wrong = []
    for rows in (await chains(database)).values():
        for row in rows:
            kept = pii.get(row["id"])
            if kept is None:
                continue
            data = {name: value for name, value in kept.items() if name not in _UNCOMMITTED}
            if pii_commitment(kept["salt"], data) != row["pii_commitment"]:
                wrong.append(row["id"])
    return wrong
