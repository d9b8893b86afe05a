"""Keys and answers of requests that must have one effect, however often they are sent.

Revision ID: 0004
"""

import sqlalchemy as sa
from alembic import op

from service_kit.db.columns import BigInt, JsonText, UtcDateTime

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        # A migration that cannot get its lock soon gives up instead of stopping the service.
        op.execute("SET LOCAL lock_timeout = '3s'")
        op.execute("SET LOCAL statement_timeout = '60s'")
    op.create_table(
        "idempotency_keys",
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("request_hash", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("status_code", BigInt, nullable=True),
        sa.Column("response_json", JsonText(), nullable=True),
        sa.Column("locked_until", UtcDateTime(), nullable=True),
        sa.Column("expires_at", UtcDateTime(), nullable=False),
        sa.CheckConstraint("state IN ('in_progress', 'done')", name=op.f("ck_idempotency_keys_state")),
        sa.PrimaryKeyConstraint("scope", "key", name=op.f("pk_idempotency_keys")),
        sqlite_strict=True,
    )
    op.create_index("ix_idempotency_keys_expiry", "idempotency_keys", ["expires_at"])
