"""Indexes for a million rows and the rules of erasure, as first made, for a migration of each service.

It is history: a change of the tables is a new migration, never an edit here.
"""

import sqlalchemy as sa
from alembic import op

from service_kit.audit.guards import guard_ddl
from service_kit.db.columns import JsonText, UtcDateTime

_IS_ADMIN_EVENT = "CAST(substr(event, 1, 6) = 'admin.' AS INTEGER)"
_DROPPED = ("organization", "actor", "event", "resource")
_FILTERS = {
    "organization": "organization_id",
    "actor": "actor_id",
    "action": "action",
    "resource_type": "resource_type",
    "resource_id": "resource_id",
    "severity": "severity",
    "outcome": "outcome",
    "request": "request_id",
}


def deepen_audit_schema(dialect: str) -> None:
    """Make the indexes anew, tell each person's row its time and shelf, and let data go by one way only."""
    _erasures()
    if dialect == "postgresql":
        _pii_on_postgres()
    else:
        _pii_on_sqlite()
    op.create_index(
        "ix_audit_pii_actor_email", "audit_pii", ["actor_email", "shelf", "occurred_at", "event_id"]
    )
    _indexes()
    for statement in guard_ddl(dialect):
        op.execute(statement)


def _indexes() -> None:
    for name in _DROPPED:
        op.drop_index(f"ix_audit_events_{name}", "audit_events")
    op.create_index(
        "ix_audit_events_shelf", "audit_events", ["scope", sa.text(_IS_ADMIN_EVENT), "occurred_at", "id"]
    )
    op.create_index("ix_audit_events_event", "audit_events", ["event", "scope", "occurred_at", "id"])
    for name, column in _FILTERS.items():
        op.create_index(
            f"ix_audit_events_{name}",
            "audit_events",
            [column, "scope", sa.text(_IS_ADMIN_EVENT), "occurred_at", "id"],
        )


def _erasures() -> None:
    op.create_table(
        "audit_erasures",
        sa.Column("event_id", sa.Text(), nullable=False),
        sa.Column("erasure_id", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["event_id"], ["audit_events.id"], name=op.f("fk_audit_erasures_event_id_audit_events")
        ),
        sa.ForeignKeyConstraint(
            ["erasure_id"], ["audit_events.id"], name=op.f("fk_audit_erasures_erasure_id_audit_events")
        ),
        sa.PrimaryKeyConstraint("event_id", name=op.f("pk_audit_erasures")),
        sqlite_strict=True,
    )
    op.create_index("ix_audit_erasures_erasure", "audit_erasures", ["erasure_id", "event_id"])


def _pii_on_postgres() -> None:
    op.add_column("audit_pii", sa.Column("shelf", sa.Text(), nullable=True))
    op.add_column("audit_pii", sa.Column("occurred_at", UtcDateTime(), nullable=True))
    op.execute(
        "UPDATE audit_pii SET occurred_at = audit_events.occurred_at, shelf = "
        "CASE WHEN substr(event, 1, 6) = 'admin.' THEN 'admin.' ELSE '' END || scope "
        "FROM audit_events WHERE audit_events.id = audit_pii.event_id"
    )
    op.alter_column("audit_pii", "shelf", nullable=False)
    op.alter_column("audit_pii", "occurred_at", nullable=False)


def _pii_on_sqlite() -> None:
    """SQLite adds no column without a default: the rows move to a new table of the same name."""
    op.rename_table("audit_pii", "audit_pii_before")
    op.create_table(
        "audit_pii",
        sa.Column("event_id", sa.Text(), nullable=False),
        sa.Column("salt", sa.Text(), nullable=False),
        sa.Column("actor_email", sa.Text(), nullable=False),
        sa.Column("actor_name", sa.Text(), nullable=False),
        sa.Column("ip", sa.Text(), nullable=False),
        sa.Column("user_agent", sa.Text(), nullable=False),
        sa.Column("details_pii", JsonText(), nullable=False),
        sa.Column("shelf", sa.Text(), nullable=False),
        sa.Column("occurred_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["event_id"], ["audit_events.id"], name=op.f("fk_audit_pii_event_id_audit_events")
        ),
        sa.PrimaryKeyConstraint("event_id", name=op.f("pk_audit_pii")),
        sqlite_strict=True,
    )
    op.execute(
        "INSERT INTO audit_pii SELECT audit_pii_before.*, "
        "CASE WHEN substr(event, 1, 6) = 'admin.' THEN 'admin.' ELSE '' END || scope, "
        "audit_events.occurred_at "
        "FROM audit_pii_before JOIN audit_events ON audit_events.id = audit_pii_before.event_id"
    )
    op.drop_table("audit_pii_before")
