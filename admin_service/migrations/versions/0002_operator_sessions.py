"""Operators' sessions, made by the boot exchange of seed 3.

Revision ID: 0002
"""

import sqlalchemy as sa
from alembic import op

from service_kit.db.columns import UtcDateTime

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        # A migration that cannot get its lock soon gives up instead of stopping the service.
        op.execute("SET LOCAL lock_timeout = '3s'")
        op.execute("SET LOCAL statement_timeout = '60s'")
    op.create_table(
        "operator_sessions",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("chain_id", sa.Text(), nullable=False),
        sa.Column("token_hash", sa.Text(), nullable=False),
        sa.Column("admin_id", sa.Text(), nullable=False),
        sa.Column("access_sub", sa.Text(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("expires_at", UtcDateTime(), nullable=False),
        sa.Column("last_seen_at", UtcDateTime(), nullable=False),
        sa.Column("ip", sa.Text(), nullable=False),
        sa.Column("user_agent", sa.Text(), nullable=False),
        sa.Column("revoked_at", UtcDateTime(), nullable=True),
        sa.Column("revoked_reason", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "revoked_reason IN ('rotated', 'signed_out', 'deactivated', 'too_many')",
            name=op.f("ck_operator_sessions_revoked_reason"),
        ),
        sa.CheckConstraint(
            "(revoked_at IS NULL) = (revoked_reason IS NULL)",
            name=op.f("ck_operator_sessions_revoked_for_a_reason"),
        ),
        sa.CheckConstraint("expires_at > created_at", name=op.f("ck_operator_sessions_expires_later")),
        sa.CheckConstraint("access_sub <> ''", name=op.f("ck_operator_sessions_sub_not_empty")),
        sa.ForeignKeyConstraint(
            ["admin_id"], ["global_admins.id"], name=op.f("fk_operator_sessions_admin_id_global_admins")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_operator_sessions")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_operator_sessions_token_hash")),
        sqlite_strict=True,
    )
    op.create_index("ix_operator_sessions_admin", "operator_sessions", ["admin_id", "revoked_at"])
    op.create_index("ix_operator_sessions_expires", "operator_sessions", ["expires_at"])
