"""How each operator likes the panel; and guards that hold in every mode of a PostgreSQL session.

`session_replication_role = replica`, which restores and replication tools set, turns ordinary triggers off:
an UPDATE in such a session could remove the last active super_admin (R-079) or an audit row. A trigger
that is enabled ALWAYS fires there too. SQLite has no such mode.

Revision ID: 0003
"""

import sqlalchemy as sa
from alembic import op

from service_kit.db.columns import BoolInt, UtcDateTime

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    dialect = op.get_bind().dialect.name
    if dialect == "postgresql":
        # A migration that cannot get its lock soon gives up instead of stopping the service.
        op.execute("SET LOCAL lock_timeout = '3s'")
        op.execute("SET LOCAL statement_timeout = '60s'")
    _preferences()
    if dialect == "postgresql":
        for table, trigger in _ALWAYS:
            op.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {trigger}")


def _preferences() -> None:
    op.create_table(
        "operator_preferences",
        sa.Column("admin_id", sa.Text(), nullable=False),
        sa.Column("theme", sa.Text(), nullable=False),
        sa.Column("density", sa.Text(), nullable=False),
        sa.Column("time_zone", sa.Text(), nullable=False),
        sa.Column("shortcuts", BoolInt(), nullable=False),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.CheckConstraint("theme IN ('system', 'light', 'dark')", name=op.f("ck_operator_preferences_theme")),
        sa.CheckConstraint(
            "density IN ('comfortable', 'compact')", name=op.f("ck_operator_preferences_density")
        ),
        sa.CheckConstraint("time_zone <> ''", name=op.f("ck_operator_preferences_time_zone_not_empty")),
        sa.CheckConstraint("shortcuts IN (0, 1)", name=op.f("ck_operator_preferences_shortcuts_on_or_off")),
        sa.ForeignKeyConstraint(
            ["admin_id"],
            ["global_admins.id"],
            name=op.f("fk_operator_preferences_admin_id_global_admins"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("admin_id", name=op.f("pk_operator_preferences")),
        sqlite_strict=True,
    )


_ALWAYS = (
    ("global_admins", "global_admins_guard"),
    ("global_admins", "global_admins_roster"),
    ("global_admins", "global_admins_no_truncate"),
    ("super_admin_guard", "super_admin_guard_by_trigger_only"),
    ("super_admin_guard", "super_admin_guard_no_truncate"),
    ("roster_version", "roster_version_forward"),
    ("roster_version", "roster_version_no_delete"),
    ("roster_version", "roster_version_no_truncate"),
    ("audit_events", "audit_events_no_change"),
    ("audit_events", "audit_events_no_truncate"),
)

