"""The audit tables as the first release made them, for the first migration of each service.

It is history: a change of the tables is a new migration, never an edit here.
"""

import sqlalchemy as sa
from alembic import op

from service_kit.audit.tables import append_only_ddl
from service_kit.db.columns import BigInt, JsonText, UtcDateTime


def create_audit_schema(dialect: str) -> None:
    """Make the three tables, their indexes, and the triggers that only let them grow."""
    _events()
    _pii_and_heads()
    for statement in append_only_ddl(dialect):
        op.execute(statement)


def _events() -> None:
    op.create_table(
        "audit_events",
        sa.Column("chain", sa.Text(), nullable=False),
        sa.Column("chain_seq", BigInt, autoincrement=False, nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("pair_id", sa.Text(), nullable=True),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("event", sa.Text(), nullable=False),
        sa.Column("event_version", BigInt, nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("severity", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("actor_type", sa.Text(), nullable=False),
        sa.Column("actor_id", sa.Text(), nullable=False),
        sa.Column("actor_role", sa.Text(), nullable=False),
        sa.Column("target_type", sa.Text(), nullable=False),
        sa.Column("target_id", sa.Text(), nullable=False),
        sa.Column("resource_type", sa.Text(), nullable=False),
        sa.Column("resource_id", sa.Text(), nullable=False),
        sa.Column("organization_id", sa.Text(), nullable=True),
        sa.Column("request_id", sa.Text(), nullable=False),
        sa.Column("session_ref", sa.Text(), nullable=True),
        sa.Column("justification_code", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("ticket_ref", sa.Text(), nullable=False),
        sa.Column("predicate_digest", sa.Text(), nullable=True),
        sa.Column("predicate_shape", sa.Text(), nullable=True),
        sa.Column("row_count", BigInt, nullable=True),
        sa.Column("page_no", BigInt, nullable=True),
        sa.Column("details", JsonText(), nullable=False),
        sa.Column("pii_commitment", sa.Text(), nullable=False),
        sa.Column("occurred_at", UtcDateTime(), nullable=False),
        sa.Column("prev_hash", sa.Text(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.CheckConstraint("scope IN ('global', 'tenant')", name=op.f("ck_audit_events_scope")),
        sa.CheckConstraint(
            "severity IN ('INFO', 'NOTICE', 'WARNING', 'CRITICAL')", name=op.f("ck_audit_events_severity")
        ),
        sa.CheckConstraint(
            "outcome IN ('success', 'denied', 'failure')", name=op.f("ck_audit_events_outcome")
        ),
        sa.CheckConstraint(
            "actor_type IN ('global_admin', 'user', 'system', 'anonymous')",
            name=op.f("ck_audit_events_actor_type"),
        ),
        sa.CheckConstraint(
            "(scope = 'tenant') = (organization_id IS NOT NULL)",
            name=op.f("ck_audit_events_scope_organization"),
        ),
        sa.CheckConstraint(
            "severity = 'CRITICAL' OR predicate_digest IS NULL",
            name=op.f("ck_audit_events_predicate_is_critical"),
        ),
        sa.PrimaryKeyConstraint("chain", "chain_seq", name=op.f("pk_audit_events")),
        sa.UniqueConstraint("id", name=op.f("uq_audit_events_id")),
        sqlite_strict=True,
    )
    for name, columns in (
        ("time", ["occurred_at", "id"]),
        ("organization", ["organization_id", "occurred_at", "id"]),
        ("actor", ["actor_id", "occurred_at"]),
        ("event", ["event", "occurred_at"]),
        ("resource", ["resource_type", "resource_id", "occurred_at"]),
        ("pair", ["pair_id"]),
    ):
        op.create_index(f"ix_audit_events_{name}", "audit_events", columns)


def _pii_and_heads() -> None:
    op.create_table(
        "audit_pii",
        sa.Column("event_id", sa.Text(), nullable=False),
        sa.Column("salt", sa.Text(), nullable=False),
        sa.Column("actor_email", sa.Text(), nullable=False),
        sa.Column("actor_name", sa.Text(), nullable=False),
        sa.Column("ip", sa.Text(), nullable=False),
        sa.Column("user_agent", sa.Text(), nullable=False),
        sa.Column("details_pii", JsonText(), nullable=False),
        sa.ForeignKeyConstraint(
            ["event_id"], ["audit_events.id"], name=op.f("fk_audit_pii_event_id_audit_events")
        ),
        sa.PrimaryKeyConstraint("event_id", name=op.f("pk_audit_pii")),
        sqlite_strict=True,
    )
    op.create_table(
        "audit_chain_heads",
        sa.Column("chain", sa.Text(), nullable=False),
        sa.Column("seq", BigInt, nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("chain", name=op.f("pk_audit_chain_heads")),
        sqlite_strict=True,
    )
