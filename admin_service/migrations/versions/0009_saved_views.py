"""The lists that an operator keeps under a name.

Revision ID: 0009
"""

import sqlalchemy as sa
from alembic import op

from service_kit.db.columns import UtcDateTime
from service_kit.db.roles import grant

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

ROLE = "admin_app"


def upgrade() -> None:
    is_postgresql = op.get_bind().dialect.name == "postgresql"
    if is_postgresql:
        op.execute("SET LOCAL lock_timeout = '3s'")
        op.execute("SET LOCAL statement_timeout = '60s'")
    op.create_table(
        "saved_views",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("admin_id", sa.Text(), nullable=False),
        sa.Column("list", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("query", sa.Text(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.CheckConstraint("list IN ('tenants', 'operators', 'audit')", name=op.f("ck_saved_views_list")),
        sa.CheckConstraint("length(name) BETWEEN 1 AND 60", name=op.f("ck_saved_views_name_length")),
        sa.CheckConstraint("length(query) <= 2000", name=op.f("ck_saved_views_query_length")),
        sa.ForeignKeyConstraint(
            ["admin_id"],
            ["global_admins.id"],
            name=op.f("fk_saved_views_admin_id_global_admins"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_saved_views")),
        sa.UniqueConstraint("admin_id", "list", "name", name=op.f("uq_saved_views_admin_id_list_name")),
        sqlite_strict=True,
    )
    if is_postgresql:
        grant(ROLE, {"SELECT, INSERT, UPDATE, DELETE": ["saved_views"]})
