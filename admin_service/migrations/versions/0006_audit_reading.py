"""Indexes and rules of the audit log for a million rows.

Revision ID: 0006
"""

from alembic import op

from service_kit.audit.schema_v3 import deepen_audit_schema

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    dialect = op.get_bind().dialect.name
    if dialect == "postgresql":
        # A migration that cannot get its lock soon gives up instead of stopping the service. Building the
        # indexes of a long log takes its time: about ten seconds for a million rows.
        op.execute("SET LOCAL lock_timeout = '3s'")
        op.execute("SET LOCAL statement_timeout = '10min'")
    deepen_audit_schema(dialect)
