"""What belongs to a tenant's life: connected accounts, feature flags, purging.

Revision ID: 0004
"""

import sqlalchemy as sa
from alembic import op

from service_kit.db.columns import BigInt, BoolInt, JsonText, UtcDateTime

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_TO_PURGE = sa.text("status = 'deleted' AND purged_at IS NULL")


def upgrade() -> None:
    _connected_accounts()
    _feature_flags()
    op.create_index(
        "ix_organizations_purge",
        "organizations",
        ["purge_after"],
        unique=False,
        sqlite_where=_TO_PURGE,
        postgresql_where=_TO_PURGE,
    )


def downgrade() -> None:
    raise NotImplementedError("a database goes forward; restore a backup to go back")


def _connected_accounts() -> None:
    op.create_table(
        "connected_accounts",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("organization_id", sa.Text(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("external_id", sa.Text(), nullable=False),
        sa.Column("display_name", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("connected_at", UtcDateTime(), nullable=False),
        sa.Column("metadata", JsonText(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.Column("version", BigInt, nullable=False),
        sa.CheckConstraint(
            "provider IN ('whatsapp', 'instagram', 'discord', 'email', 'lead_form', 'other')",
            name=op.f("ck_connected_accounts_provider"),
        ),
        sa.CheckConstraint(
            "status IN ('connected', 'disconnected', 'error')", name=op.f("ck_connected_accounts_status")
        ),
        sa.ForeignKeyConstraint(
            ["organization_id"],
            ["organizations.id"],
            name=op.f("fk_connected_accounts_organization_id_organizations"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_connected_accounts")),
        sa.UniqueConstraint(
            "provider", "external_id", name=op.f("uq_connected_accounts_provider_external_id")
        ),
        sqlite_strict=True,
    )
    op.create_index(
        "ix_connected_accounts_organization",
        "connected_accounts",
        ["organization_id", "connected_at", "id"],
        unique=False,
    )


def _feature_flags() -> None:
    op.create_table(
        "feature_flags",
        sa.Column("organization_id", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("enabled", BoolInt(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("updated_by", sa.Text(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.Column("version", BigInt, nullable=False),
        sa.CheckConstraint("enabled IN (0, 1)", name=op.f("ck_feature_flags_enabled")),
        sa.CheckConstraint("version >= 1", name=op.f("ck_feature_flags_version")),
        sa.ForeignKeyConstraint(
            ["organization_id"],
            ["organizations.id"],
            name=op.f("fk_feature_flags_organization_id_organizations"),
        ),
        sa.PrimaryKeyConstraint("organization_id", "key", name=op.f("pk_feature_flags")),
        sqlite_strict=True,
    )
