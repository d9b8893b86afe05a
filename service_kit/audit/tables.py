"""The audit tables and the triggers that make them append-only (data-model 2.6).

Personal data stands in `audit_pii`, outside the hash chain, so that it can be erased without
breaking the chain: the chain covers a salted commitment to it.
"""

from typing import Final

from sqlalchemy import (
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.schema import SchemaItem

from service_kit.audit.events import ActorType, AuditScope, Outcome, Severity
from service_kit.db.columns import BigInt, JsonText, UtcDateTime, one_of

ADMIN_EVENTS: Final = "admin."
"""How the names of the events begin that support and read_only never see (R-080)."""

IS_ADMIN_EVENT: Final = "CAST(substr(event, 1, 6) = 'admin.' AS INTEGER)"
"""The same as SQL, 1 or 0, because PostgreSQL turns a negated comparison round and then finds it in no index.

With the scope it tells on which of four shelves a row stands: whoever reads the log may see some shelves
whole and the others not at all. Both stand in every index for a filter, before the time, so that no page has
to walk over rows that the reader may not see.
"""

FILTER_INDEXES: Final = {
    "organization": "organization_id",
    "actor": "actor_id",
    "action": "action",
    "resource_type": "resource_type",
    "resource_id": "resource_id",
    "severity": "severity",
    "outcome": "outcome",
    "request": "request_id",
}
"""One index for each filter of the list; that of the event needs no shelf, because its name tells it."""


def shelf_of(event: str, scope: str) -> str:
    """The name of a shelf, as `audit_pii` keeps it."""
    return f"{ADMIN_EVENTS if event.startswith(ADMIN_EVENTS) else ''}{scope}"


class AuditTables:
    """The audit tables of one service."""

    def __init__(self, metadata: MetaData) -> None:
        self.events = Table("audit_events", metadata, *_event_columns(), sqlite_strict=True)
        self.pii = Table(
            "audit_pii",
            metadata,
            Column("event_id", Text, ForeignKey("audit_events.id"), primary_key=True),
            Column("salt", Text, nullable=False),
            Column("actor_email", Text, nullable=False),
            Column("actor_name", Text, nullable=False),
            Column("ip", Text, nullable=False),
            Column("user_agent", Text, nullable=False),
            Column("details_pii", JsonText, nullable=False),
            # Copies from the row, for the index; no commitment covers them, verification compares them.
            Column("shelf", Text, nullable=False),
            Column("occurred_at", UtcDateTime, nullable=False),
            Index("ix_audit_pii_actor_email", "actor_email", "shelf", "occurred_at", "event_id"),
            sqlite_strict=True,
        )
        self.erasures = Table(
            "audit_erasures",
            metadata,
            Column("event_id", Text, ForeignKey("audit_events.id"), primary_key=True),
            Column("erasure_id", Text, ForeignKey("audit_events.id"), nullable=False),
            Index("ix_audit_erasures_erasure", "erasure_id", "event_id"),
            sqlite_strict=True,
        )
        self.heads = Table(
            "audit_chain_heads",
            metadata,
            Column("chain", Text, primary_key=True),
            Column("seq", BigInt, nullable=False),
            Column("hash", Text, nullable=False),
            sqlite_strict=True,
        )
        self.checkpoints = Table(
            "audit_checkpoints",
            metadata,
            *_anchor_columns(),
            PrimaryKeyConstraint("chain", "seq", "hash"),
            Index("ix_audit_checkpoints_time", "at", "chain"),
            sqlite_strict=True,
        )
        self.witnesses = Table(
            "audit_witnesses",
            metadata,
            *_anchor_columns(),
            Column("received_at", UtcDateTime, nullable=False),
            PrimaryKeyConstraint("chain", "seq", "hash"),
            Index("ix_audit_witnesses_time", "at", "chain"),
            sqlite_strict=True,
        )


def _anchor_columns() -> tuple[SchemaItem, ...]:
    """A signed checkpoint; two that contradict each other must both find room."""
    return (
        Column("chain", Text, nullable=False),
        Column("seq", BigInt, autoincrement=False, nullable=False),
        Column("hash", Text, nullable=False),
        Column("at", UtcDateTime, nullable=False),
        Column("key_id", Text, nullable=False),
        Column("note", Text, nullable=False),
    )


def _event_columns() -> tuple[SchemaItem, ...]:
    return (
        Column("chain", Text, primary_key=True),
        Column("chain_seq", BigInt, primary_key=True, autoincrement=False),
        Column("id", Text, nullable=False),
        Column("pair_id", Text, nullable=True),
        Column("scope", Text, nullable=False),
        Column("event", Text, nullable=False),
        Column("event_version", BigInt, nullable=False),
        Column("action", Text, nullable=False),
        Column("severity", Text, nullable=False),
        Column("outcome", Text, nullable=False),
        Column("actor_type", Text, nullable=False),
        Column("actor_id", Text, nullable=False),
        Column("actor_role", Text, nullable=False),
        Column("target_type", Text, nullable=False),
        Column("target_id", Text, nullable=False),
        Column("resource_type", Text, nullable=False),
        Column("resource_id", Text, nullable=False),
        Column("organization_id", Text, nullable=True),
        Column("request_id", Text, nullable=False),
        Column("session_ref", Text, nullable=True),
        Column("justification_code", Text, nullable=True),
        Column("reason", Text, nullable=False),
        Column("ticket_ref", Text, nullable=False),
        Column("predicate_digest", Text, nullable=True),
        Column("predicate_shape", Text, nullable=True),
        Column("row_count", BigInt, nullable=True),
        Column("page_no", BigInt, nullable=True),
        Column("details", JsonText, nullable=False),
        Column("pii_commitment", Text, nullable=False),
        Column("occurred_at", UtcDateTime, nullable=False),
        Column("prev_hash", Text, nullable=False),
        Column("hash", Text, nullable=False),
        UniqueConstraint("id"),
        one_of("scope", AuditScope),
        one_of("severity", Severity),
        one_of("outcome", Outcome),
        one_of("actor_type", ActorType),
        CheckConstraint("(scope = 'tenant') = (organization_id IS NOT NULL)", name="scope_organization"),
        CheckConstraint("severity = 'CRITICAL' OR predicate_digest IS NULL", name="predicate_is_critical"),
        Index("ix_audit_events_time", "occurred_at", "id"),
        Index("ix_audit_events_pair", "pair_id"),
        Index("ix_audit_events_event", "event", "scope", "occurred_at", "id"),
        Index("ix_audit_events_shelf", "scope", text(IS_ADMIN_EVENT), "occurred_at", "id"),
        *(
            Index(f"ix_audit_events_{name}", column, "scope", text(IS_ADMIN_EVENT), "occurred_at", "id")
            for name, column in FILTER_INDEXES.items()
        ),
    )


def append_only_ddl(dialect: str) -> tuple[str, ...]:
    """The statements, for a migration, that forbid changing or removing an audit row by any SQL."""
    return _POSTGRES if dialect == "postgresql" else _SQLITE


def append_only_anchors_ddl(dialect: str) -> tuple[str, ...]:
    """The same for signed checkpoints and for the other service's, which this one keeps as a witness."""
    template = _POSTGRES_ANCHORS if dialect == "postgresql" else _SQLITE_ANCHORS
    return tuple(line.format(table=table) for table in _ANCHORS for line in template)


_ANCHORS = ("audit_checkpoints", "audit_witnesses")
_SQLITE_ANCHORS = (
    """CREATE TRIGGER {table}_no_update BEFORE UPDATE ON {table}
       BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END""",
    """CREATE TRIGGER {table}_no_delete BEFORE DELETE ON {table}
       BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END""",
    """CREATE TRIGGER {table}_no_overwrite BEFORE INSERT ON {table}
       WHEN EXISTS (SELECT 1 FROM {table}
                    WHERE chain = NEW.chain AND seq = NEW.seq AND hash = NEW.hash)
       BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END""",
)
_POSTGRES_ANCHORS = (
    """CREATE FUNCTION {table}_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
       BEGIN RAISE EXCEPTION '{table} is append-only'; END $$""",
    """CREATE TRIGGER {table}_no_change BEFORE UPDATE OR DELETE ON {table}
       FOR EACH ROW EXECUTE FUNCTION {table}_append_only()""",
    """CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table}
       FOR EACH STATEMENT EXECUTE FUNCTION {table}_append_only()""",
    # A session that plays replicated changes turns ordinary triggers off.
    "ALTER TABLE {table} ENABLE ALWAYS TRIGGER {table}_no_change",
    "ALTER TABLE {table} ENABLE ALWAYS TRIGGER {table}_no_truncate",
)

_SQLITE = (
    """CREATE TRIGGER audit_events_no_update BEFORE UPDATE ON audit_events
       BEGIN SELECT RAISE(ABORT, 'audit_events is append-only'); END""",
    """CREATE TRIGGER audit_events_no_delete BEFORE DELETE ON audit_events
       BEGIN SELECT RAISE(ABORT, 'audit_events is append-only'); END""",
    # INSERT OR REPLACE and ON CONFLICT DO UPDATE slip past the two triggers above.
    """CREATE TRIGGER audit_events_no_overwrite BEFORE INSERT ON audit_events
       WHEN EXISTS (SELECT 1 FROM audit_events
                    WHERE id = NEW.id OR (chain = NEW.chain AND chain_seq = NEW.chain_seq))
       BEGIN SELECT RAISE(ABORT, 'audit_events is append-only'); END""",
)

_POSTGRES = (
    """CREATE FUNCTION audit_events_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
       BEGIN RAISE EXCEPTION 'audit_events is append-only'; END $$""",
    """CREATE TRIGGER audit_events_no_change BEFORE UPDATE OR DELETE ON audit_events
       FOR EACH ROW EXECUTE FUNCTION audit_events_append_only()""",
    """CREATE TRIGGER audit_events_no_truncate BEFORE TRUNCATE ON audit_events
       FOR EACH STATEMENT EXECUTE FUNCTION audit_events_append_only()""",
)
