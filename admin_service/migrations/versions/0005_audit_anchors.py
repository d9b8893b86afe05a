"""Signed checkpoints of the audit log, and the other service's, kept as a witness.

Revision ID: 0005
"""

from alembic import op

from service_kit.audit.schema_v2 import create_anchor_schema

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    dialect = op.get_bind().dialect.name
    if dialect == "postgresql":
        # A migration that cannot get its lock soon gives up instead of stopping the service.
        op.execute("SET LOCAL lock_timeout = '3s'")
        op.execute("SET LOCAL statement_timeout = '60s'")
    create_anchor_schema(dialect)
