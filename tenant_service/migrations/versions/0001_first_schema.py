"""The first schema: tenants with their invitations, idempotency keys, and the audit log.

Revision ID: 0001
"""

import sqlalchemy as sa
from alembic import op

from service_kit.audit.schema_v1 import create_audit_schema
from service_kit.db.columns import BigInt, JsonText, UtcDateTime

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_SLUG = {
    "sqlite": (
        "slug GLOB '[a-z]*' AND slug GLOB '*[a-z0-9]' AND slug NOT GLOB '*[^a-z0-9-]*' "
        "AND instr(slug, '--') = 0 AND length(slug) BETWEEN 3 AND 63"
    ),
    "postgresql": "slug ~ '^[a-z][a-z0-9-]{1,61}[a-z0-9]$' AND strpos(slug, '--') = 0",
}


def upgrade() -> None:
    dialect = op.get_bind().dialect.name
    _organizations(dialect)
    _slug_tombstones()
    _invitations()
    _idempotency_keys()
    _service_keys()
    create_audit_schema(dialect)


def downgrade() -> None:
    raise NotImplementedError("a database goes forward; restore a backup to go back")


def _organizations(dialect: str) -> None:
    op.create_table(
        "organizations",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("slug", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("primary_email", sa.Text(), nullable=False),
        sa.Column("plan", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("suspended_at", UtcDateTime(), nullable=True),
        sa.Column("suspended_by", sa.Text(), nullable=True),
        sa.Column("suspension_reason", sa.Text(), nullable=True),
        sa.Column("deleted_at", UtcDateTime(), nullable=True),
        sa.Column("deleted_by", sa.Text(), nullable=True),
        sa.Column("deletion_reason", sa.Text(), nullable=True),
        sa.Column("purge_after", UtcDateTime(), nullable=True),
        sa.Column("purged_at", UtcDateTime(), nullable=True),
        sa.Column("created_by_operator_id", sa.Text(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.Column("version", BigInt, nullable=False),
        sa.CheckConstraint(
            "(status = 'deleted') = (deleted_at IS NOT NULL)", name=op.f("ck_organizations_deleted_since")
        ),
        sa.CheckConstraint("currency IN ('INR', 'USD')", name=op.f("ck_organizations_currency")),
        sa.CheckConstraint(_SLUG[dialect], name=op.f("ck_organizations_slug")),
        sa.CheckConstraint(
            "status <> 'active' OR suspended_at IS NULL",
            name=op.f("ck_organizations_active_is_not_suspended"),
        ),
        sa.CheckConstraint(
            "status <> 'suspended' OR suspended_at IS NOT NULL", name=op.f("ck_organizations_suspended_since")
        ),
        sa.CheckConstraint(
            "status IN ('active', 'suspended', 'deleted')", name=op.f("ck_organizations_status")
        ),
        sa.CheckConstraint("length(name) BETWEEN 1 AND 120", name=op.f("ck_organizations_name")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_organizations")),
        sqlite_strict=True,
    )
    op.create_index("ix_organizations_email", "organizations", ["primary_email"], unique=False)
    op.create_index("ix_organizations_plan", "organizations", ["plan", "created_at", "id"], unique=False)
    op.create_index("ix_organizations_status", "organizations", ["status", "created_at", "id"], unique=False)
    op.create_index("ix_organizations_time", "organizations", ["created_at", "id"], unique=False)
    op.create_index(
        "uq_organizations_slug",
        "organizations",
        ["slug"],
        unique=True,
        sqlite_where=sa.text("status <> 'deleted'"),
        postgresql_where=sa.text("status <> 'deleted'"),
    )
    op.create_index("ix_organizations_name", "organizations", [sa.text("lower(name)")], unique=False)


def _slug_tombstones() -> None:
    op.create_table(
        "slug_tombstones",
        sa.Column("slug", sa.Text(), nullable=False),
        sa.Column("organization_id", sa.Text(), nullable=False),
        sa.Column("tombstoned_at", UtcDateTime(), nullable=False),
        sa.Column("released_at", UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["organization_id"],
            ["organizations.id"],
            name=op.f("fk_slug_tombstones_organization_id_organizations"),
        ),
        sa.PrimaryKeyConstraint("slug", name=op.f("pk_slug_tombstones")),
        sqlite_strict=True,
    )


def _invitations() -> None:
    op.create_table(
        "invitations",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("secret_hash", sa.Text(), nullable=False),
        sa.Column("organization_id", sa.Text(), nullable=False),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("inviter_id", sa.Text(), nullable=True),
        sa.Column("inviter_operator_id", sa.Text(), nullable=True),
        sa.Column("expires_at", UtcDateTime(), nullable=False),
        sa.Column("accepted_at", UtcDateTime(), nullable=True),
        sa.Column("accepted_user_id", sa.Text(), nullable=True),
        sa.Column("attempts", BigInt, nullable=False),
        sa.Column("last_sent_at", UtcDateTime(), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.Column("version", BigInt, nullable=False),
        sa.CheckConstraint("role IN ('owner', 'admin', 'member')", name=op.f("ck_invitations_role")),
        sa.CheckConstraint(
            "status IN ('pending', 'accepted', 'expired', 'canceled')", name=op.f("ck_invitations_status")
        ),
        sa.CheckConstraint(
            "(inviter_id IS NULL) <> (inviter_operator_id IS NULL)", name=op.f("ck_invitations_one_inviter")
        ),
        sa.ForeignKeyConstraint(
            ["organization_id"],
            ["organizations.id"],
            name=op.f("fk_invitations_organization_id_organizations"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_invitations")),
        sa.UniqueConstraint("secret_hash", name=op.f("uq_invitations_secret_hash")),
        sqlite_strict=True,
    )
    op.create_index("ix_invitations_expiry", "invitations", ["status", "expires_at"], unique=False)
    op.create_index(
        "ix_invitations_organization", "invitations", ["organization_id", "created_at", "id"], unique=False
    )
    op.create_index(
        "uq_invitations_pending",
        "invitations",
        ["organization_id", "email"],
        unique=True,
        sqlite_where=sa.text("status = 'pending'"),
        postgresql_where=sa.text("status = 'pending'"),
    )


def _idempotency_keys() -> None:
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
    op.create_index("ix_idempotency_keys_expiry", "idempotency_keys", ["expires_at"], unique=False)


def _service_keys() -> None:
    op.create_table(
        "service_keys",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_service_keys")),
        sqlite_strict=True,
    )
