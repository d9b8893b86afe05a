"""Credit packs, grants and the ledger.

Revision ID: 0006
"""

import sqlalchemy as sa
from alembic import op

from service_kit.db.columns import BigInt, BoolInt, JsonText, UtcDateTime
from tenant_service.billing.triggers_v1 import ledger_triggers_v1

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

def upgrade() -> None:
    _credit_packs()
    _credit_pack_prices()
    _purchases()
    _billing_accounts()
    _credit_grants()
    _credit_txns()
    _credit_ledger()
    _credit_reservations()
    for statement in ledger_triggers_v1(op.get_bind().dialect.name):
        op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("a database goes forward; restore a backup to go back")


def _credit_packs() -> None:
    op.create_table(
        "credit_packs",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("replies", BigInt, nullable=False),
        sa.Column("sort_order", BigInt, nullable=False),
        sa.Column("active", BoolInt(), nullable=False),
        sa.Column("version", BigInt, nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.CheckConstraint("active IN (0, 1)", name=op.f("ck_credit_packs_active")),
        sa.CheckConstraint("length(name) BETWEEN 1 AND 80", name=op.f("ck_credit_packs_name")),
        sa.CheckConstraint("replies > 0", name=op.f("ck_credit_packs_replies")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_credit_packs")),
        sqlite_strict=True,
    )
    op.create_index("ix_credit_packs_order", "credit_packs", ["sort_order", "id"], unique=False)
    op.create_index("uq_credit_packs_name", "credit_packs", [sa.text("lower(name)")], unique=True)


def _credit_pack_prices() -> None:
    op.create_table(
        "credit_pack_prices",
        sa.Column("pack_id", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("amount_minor", BigInt, nullable=False),
        sa.CheckConstraint("currency IN ('INR', 'USD')", name=op.f("ck_credit_pack_prices_currency")),
        sa.CheckConstraint("amount_minor > 0", name=op.f("ck_credit_pack_prices_amount_minor")),
        sa.ForeignKeyConstraint(
            ["pack_id"],
            ["credit_packs.id"],
            name=op.f("fk_credit_pack_prices_pack_id_credit_packs"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("pack_id", "currency", name=op.f("pk_credit_pack_prices")),
        sqlite_strict=True,
    )


def _purchases() -> None:
    op.create_table(
        "purchases",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("organization_id", sa.Text(), nullable=False),
        sa.Column("pack_id", sa.Text(), nullable=True),
        sa.Column("pack_snapshot", JsonText(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("amount_minor", BigInt, nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("provider_ref", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("version", BigInt, nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.CheckConstraint("currency IN ('INR', 'USD')", name=op.f("ck_purchases_currency")),
        sa.CheckConstraint(
            "status IN ('pending', 'paid', 'failed', 'refunded')", name=op.f("ck_purchases_status")
        ),
        sa.CheckConstraint("amount_minor > 0", name=op.f("ck_purchases_amount_minor")),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organizations.id"], name=op.f("fk_purchases_organization_id_organizations")
        ),
        sa.ForeignKeyConstraint(
            ["pack_id"],
            ["credit_packs.id"],
            name=op.f("fk_purchases_pack_id_credit_packs"),
            ondelete="SET NULL",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_purchases")),
        sa.UniqueConstraint("provider_ref", name=op.f("uq_purchases_provider_ref")),
        sqlite_strict=True,
    )
    op.create_index(
        "ix_purchases_organization", "purchases", ["organization_id", "created_at", "id"], unique=False
    )
    op.create_index("ix_purchases_pack", "purchases", ["pack_id"], unique=False)


def _billing_accounts() -> None:
    op.create_table(
        "billing_accounts",
        sa.Column("organization_id", sa.Text(), nullable=False),
        sa.Column("replies_remaining", BigInt, nullable=False),
        sa.Column("replies_reserved", BigInt, nullable=False),
        sa.Column("replies_used", BigInt, nullable=False),
        sa.Column("replies_granted", BigInt, nullable=False),
        sa.Column("replies_expired", BigInt, nullable=False),
        sa.Column("replies_voided", BigInt, nullable=False),
        sa.Column("low_balance_threshold", BigInt, nullable=False),
        sa.Column("version", BigInt, nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.CheckConstraint(
            "low_balance_threshold >= 0", name=op.f("ck_billing_accounts_low_balance_threshold")
        ),
        sa.CheckConstraint("replies_expired >= 0", name=op.f("ck_billing_accounts_replies_expired")),
        sa.CheckConstraint(
            "replies_granted = replies_remaining + replies_reserved + replies_used + replies_expired + replies_voided",
            name=op.f("ck_billing_accounts_adds_up"),
        ),
        sa.CheckConstraint("replies_granted >= 0", name=op.f("ck_billing_accounts_replies_granted")),
        sa.CheckConstraint("replies_remaining >= 0", name=op.f("ck_billing_accounts_replies_remaining")),
        sa.CheckConstraint("replies_reserved >= 0", name=op.f("ck_billing_accounts_replies_reserved")),
        sa.CheckConstraint("replies_used >= 0", name=op.f("ck_billing_accounts_replies_used")),
        sa.CheckConstraint("replies_voided >= 0", name=op.f("ck_billing_accounts_replies_voided")),
        sa.ForeignKeyConstraint(
            ["organization_id"],
            ["organizations.id"],
            name=op.f("fk_billing_accounts_organization_id_organizations"),
        ),
        sa.PrimaryKeyConstraint("organization_id", name=op.f("pk_billing_accounts")),
        sqlite_strict=True,
    )
    op.create_index(
        "ix_billing_accounts_low", "billing_accounts", ["replies_remaining", "organization_id"], unique=False
    )


def _credit_grants() -> None:
    op.create_table(
        "credit_grants",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("organization_id", sa.Text(), nullable=False),
        sa.Column("amount", BigInt, nullable=False),
        sa.Column("remaining", BigInt, nullable=False),
        sa.Column("category", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("priority", BigInt, nullable=False),
        sa.Column("effective_at", UtcDateTime(), nullable=False),
        sa.Column("expires_at", UtcDateTime(), nullable=True),
        sa.Column("voided_at", UtcDateTime(), nullable=True),
        sa.Column("voided_by", sa.Text(), nullable=True),
        sa.Column("void_reason", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("ticket_ref", sa.Text(), nullable=False),
        sa.Column("granted_by_type", sa.Text(), nullable=False),
        sa.Column("granted_by_id", sa.Text(), nullable=False),
        sa.Column("granted_by_email", sa.Text(), nullable=False),
        sa.Column("pack_id", sa.Text(), nullable=True),
        sa.Column("pack_snapshot", JsonText(), nullable=True),
        sa.Column("purchase_id", sa.Text(), nullable=True),
        sa.Column("version", BigInt, nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.CheckConstraint(
            "category IN ('promotional', 'paid', 'adjustment')", name=op.f("ck_credit_grants_category")
        ),
        sa.CheckConstraint(
            "source IN ('operator_grant', 'pack_purchase', 'correction')",
            name=op.f("ck_credit_grants_source"),
        ),
        sa.CheckConstraint(
            "(voided_at IS NULL) = (void_reason IS NULL)", name=op.f("ck_credit_grants_void_reason")
        ),
        sa.CheckConstraint(
            "(voided_at IS NULL) = (voided_by IS NULL)", name=op.f("ck_credit_grants_voided_by")
        ),
        sa.CheckConstraint("amount > 0", name=op.f("ck_credit_grants_amount")),
        sa.CheckConstraint(
            "expires_at IS NULL OR expires_at > effective_at", name=op.f("ck_credit_grants_expires_at")
        ),
        sa.CheckConstraint("length(reason) >= 10", name=op.f("ck_credit_grants_reason")),
        sa.CheckConstraint("priority BETWEEN 0 AND 100", name=op.f("ck_credit_grants_priority")),
        sa.CheckConstraint("remaining BETWEEN 0 AND amount", name=op.f("ck_credit_grants_remaining")),
        sa.ForeignKeyConstraint(
            ["organization_id"],
            ["organizations.id"],
            name=op.f("fk_credit_grants_organization_id_organizations"),
        ),
        sa.ForeignKeyConstraint(
            ["pack_id"],
            ["credit_packs.id"],
            name=op.f("fk_credit_grants_pack_id_credit_packs"),
            ondelete="SET NULL",
        ),
        sa.ForeignKeyConstraint(
            ["purchase_id"], ["purchases.id"], name=op.f("fk_credit_grants_purchase_id_purchases")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_credit_grants")),
        sqlite_strict=True,
    )
    op.create_index(
        "ix_credit_grants_burn",
        "credit_grants",
        ["organization_id", "priority", "expires_at", "created_at"],
        unique=False,
        sqlite_where=sa.text("remaining > 0"),
        postgresql_where=sa.text("remaining > 0"),
    )
    op.create_index(
        "ix_credit_grants_expiry",
        "credit_grants",
        ["expires_at", "id"],
        unique=False,
        sqlite_where=sa.text("remaining > 0"),
        postgresql_where=sa.text("remaining > 0"),
    )
    op.create_index(
        "ix_credit_grants_granter", "credit_grants", ["granted_by_id", "created_at"], unique=False
    )
    op.create_index(
        "ix_credit_grants_organization",
        "credit_grants",
        ["organization_id", "created_at", "id"],
        unique=False,
    )
    op.create_index("ix_credit_grants_pack", "credit_grants", ["pack_id"], unique=False)


def _credit_txns() -> None:
    op.create_table(
        "credit_txns",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("organization_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("idempotency_key", sa.Text(), nullable=False),
        sa.Column("request_hash", sa.Text(), nullable=False),
        sa.Column("reverses_txn_id", sa.Text(), nullable=True),
        sa.Column("actor_type", sa.Text(), nullable=False),
        sa.Column("actor_id", sa.Text(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("answer", JsonText(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.CheckConstraint(
            "actor_type IN ('operator', 'runtime', 'system')", name=op.f("ck_credit_txns_actor_type")
        ),
        sa.CheckConstraint(
            "kind IN ('grant', 'consume', 'reserve', 'commit', 'release', 'restore', 'expire', 'void', 'adjust')",
            name=op.f("ck_credit_txns_kind"),
        ),
        sa.ForeignKeyConstraint(
            ["organization_id"],
            ["organizations.id"],
            name=op.f("fk_credit_txns_organization_id_organizations"),
        ),
        sa.ForeignKeyConstraint(
            ["reverses_txn_id"], ["credit_txns.id"], name=op.f("fk_credit_txns_reverses_txn_id_credit_txns")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_credit_txns")),
        sa.UniqueConstraint(
            "organization_id", "idempotency_key", name=op.f("uq_credit_txns_organization_id_idempotency_key")
        ),
        sa.UniqueConstraint("reverses_txn_id", name=op.f("uq_credit_txns_reverses_txn_id")),
        sqlite_strict=True,
    )
    op.create_index(
        "ix_credit_txns_organization", "credit_txns", ["organization_id", "created_at", "id"], unique=False
    )
    op.create_index("ix_credit_txns_time", "credit_txns", ["created_at"], unique=False)


def _credit_ledger() -> None:
    op.create_table(
        "credit_ledger",
        sa.Column("seq", BigInt, sa.Identity(always=True), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("txn_id", sa.Text(), nullable=False),
        sa.Column("organization_id", sa.Text(), nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("grant_id", sa.Text(), nullable=False),
        sa.Column("amount", BigInt, nullable=False),
        sa.Column("balance_after", BigInt, nullable=True),
        sa.CheckConstraint(
            "(account = 'available') = (balance_after IS NOT NULL)",
            name=op.f("ck_credit_ledger_balance_after"),
        ),
        sa.CheckConstraint(
            "account IN ('issued', 'available', 'reserved', 'consumed', 'expired', 'voided')",
            name=op.f("ck_credit_ledger_account"),
        ),
        sa.CheckConstraint("amount <> 0", name=op.f("ck_credit_ledger_amount")),
        sa.CheckConstraint(
            "balance_after IS NULL OR balance_after >= 0", name=op.f("ck_credit_ledger_never_negative")
        ),
        sa.ForeignKeyConstraint(
            ["grant_id"], ["credit_grants.id"], name=op.f("fk_credit_ledger_grant_id_credit_grants")
        ),
        sa.ForeignKeyConstraint(
            ["organization_id"],
            ["organizations.id"],
            name=op.f("fk_credit_ledger_organization_id_organizations"),
        ),
        sa.ForeignKeyConstraint(
            ["txn_id"], ["credit_txns.id"], name=op.f("fk_credit_ledger_txn_id_credit_txns")
        ),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_credit_ledger")),
        sa.UniqueConstraint("id", name=op.f("uq_credit_ledger_id")),
        sqlite_strict=True,
    )
    op.create_index("ix_credit_ledger_grant", "credit_ledger", ["grant_id", "account"], unique=False)
    op.create_index(
        "ix_credit_ledger_organization", "credit_ledger", ["organization_id", "seq"], unique=False
    )
    op.create_index("ix_credit_ledger_txn", "credit_ledger", ["txn_id", "grant_id"], unique=False)


def _credit_reservations() -> None:
    op.create_table(
        "credit_reservations",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("organization_id", sa.Text(), nullable=False),
        sa.Column("amount", BigInt, nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("expires_at", UtcDateTime(), nullable=False),
        sa.Column("txn_id", sa.Text(), nullable=False),
        sa.Column("version", BigInt, nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.CheckConstraint(
            "state IN ('held', 'committed', 'released', 'expired')", name=op.f("ck_credit_reservations_state")
        ),
        sa.CheckConstraint("amount > 0", name=op.f("ck_credit_reservations_amount")),
        sa.ForeignKeyConstraint(
            ["organization_id"],
            ["organizations.id"],
            name=op.f("fk_credit_reservations_organization_id_organizations"),
        ),
        sa.ForeignKeyConstraint(
            ["txn_id"], ["credit_txns.id"], name=op.f("fk_credit_reservations_txn_id_credit_txns")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_credit_reservations")),
        sa.UniqueConstraint("txn_id", name=op.f("uq_credit_reservations_txn_id")),
        sqlite_strict=True,
    )
    op.create_index(
        "ix_credit_reservations_due",
        "credit_reservations",
        ["expires_at", "id"],
        unique=False,
        sqlite_where=sa.text("state = 'held'"),
        postgresql_where=sa.text("state = 'held'"),
    )
    op.create_index(
        "ix_credit_reservations_held",
        "credit_reservations",
        ["organization_id"],
        unique=False,
        sqlite_where=sa.text("state = 'held'"),
        postgresql_where=sa.text("state = 'held'"),
    )
