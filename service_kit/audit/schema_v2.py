"""The tables of signed checkpoints and witnesses as they were first made, for a migration of each service.

It is history: a change of the tables is a new migration, never an edit here.
"""

import sqlalchemy as sa
from alembic import op

from service_kit.audit.tables import append_only_anchors_ddl
from service_kit.db.columns import BigInt, UtcDateTime

_ALWAYS = ("audit_events_no_change", "audit_events_no_truncate")


def create_anchor_schema(dialect: str) -> None:
    """Make both tables, which only grow; and let no PostgreSQL session mode turn the log's triggers off."""
    _table("audit_checkpoints")
    _table("audit_witnesses", sa.Column("received_at", UtcDateTime(), nullable=False))
    for statement in append_only_anchors_ddl(dialect):
        op.execute(statement)
    if dialect == "postgresql":
        for trigger in _ALWAYS:
            op.execute(f"ALTER TABLE audit_events ENABLE ALWAYS TRIGGER {trigger}")


def _table(name: str, *more: sa.Column[object]) -> None:
    op.create_table(
        name,
        sa.Column("chain", sa.Text(), nullable=False),
        sa.Column("seq", BigInt, autoincrement=False, nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("key_id", sa.Text(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        *more,
        sa.PrimaryKeyConstraint("chain", "seq", "hash", name=op.f(f"pk_{name}")),
        sqlite_strict=True,
    )
    op.create_index(f"ix_{name}_time", name, ["at", "chain"])
