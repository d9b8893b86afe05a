"""The billing tables of data-model 2.4; what makes the ledger append-only stands in the migration.

They hold no query. `billing_accounts` and `credit_grants.remaining` are projections: the ledger is the truth.
"""

from sqlalchemy import (
    CheckConstraint,
    Column,
    ForeignKey,
    Identity,
    Index,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.schema import SchemaItem

from service_kit.db.columns import BigInt, BoolInt, JsonText, UtcDateTime, one_of
from tenant_service.billing.closed_sets import (
    Account,
    ActorKind,
    Category,
    Kind,
    PurchaseStatus,
    ReservationState,
    Source,
)
from tenant_service.tenants.models import Currency


class BillingTables:
    """The tables of packs, grants and the ledger."""

    def __init__(self, metadata: MetaData) -> None:
        self.packs = Table("credit_packs", metadata, *_packs(), sqlite_strict=True)
        self.prices = Table("credit_pack_prices", metadata, *_prices(), sqlite_strict=True)
        self.purchases = Table("purchases", metadata, *_purchases(), sqlite_strict=True)
        self.accounts = Table("billing_accounts", metadata, *_accounts(), sqlite_strict=True)
        self.grants = Table("credit_grants", metadata, *_grants(), sqlite_strict=True)
        self.txns = Table("credit_txns", metadata, *_txns(), sqlite_strict=True)
        self.postings = Table("credit_ledger", metadata, *_postings(), sqlite_strict=True)
        self.reservations = Table("credit_reservations", metadata, *_reservations(), sqlite_strict=True)


def _organization() -> Column[str]:
    return Column("organization_id", Text, ForeignKey("organizations.id"), nullable=False)


def _packs() -> tuple[SchemaItem, ...]:
    name = Column("name", Text, nullable=False)
    return (
        Column("id", Text, primary_key=True),
        name,
        Column("replies", BigInt, nullable=False),
        Column("sort_order", BigInt, nullable=False),
        Column("active", BoolInt, nullable=False),
        Column("version", BigInt, nullable=False),
        Column("created_at", UtcDateTime, nullable=False),
        Column("updated_at", UtcDateTime, nullable=False),
        CheckConstraint("length(name) BETWEEN 1 AND 80", name="name"),
        CheckConstraint("replies > 0", name="replies"),
        CheckConstraint("active IN (0, 1)", name="active"),
        Index("uq_credit_packs_name", func.lower(name), unique=True),
        Index("ix_credit_packs_order", "sort_order", "id"),
    )


def _prices() -> tuple[SchemaItem, ...]:
    return (
        Column("pack_id", Text, ForeignKey("credit_packs.id", ondelete="CASCADE"), primary_key=True),
        Column("currency", Text, primary_key=True),
        Column("amount_minor", BigInt, nullable=False),
        one_of("currency", Currency),
        CheckConstraint("amount_minor > 0", name="amount_minor"),
    )


def _purchases() -> tuple[SchemaItem, ...]:
    return (
        Column("id", Text, primary_key=True),
        _organization(),
        # C-16: a deleted pack takes no history with it.
        Column("pack_id", Text, ForeignKey("credit_packs.id", ondelete="SET NULL"), nullable=True),
        Column("pack_snapshot", JsonText, nullable=False),
        Column("currency", Text, nullable=False),
        Column("amount_minor", BigInt, nullable=False),
        Column("provider", Text, nullable=False),
        Column("provider_ref", Text, nullable=False),
        Column("status", Text, nullable=False),
        Column("version", BigInt, nullable=False),
        Column("created_at", UtcDateTime, nullable=False),
        Column("updated_at", UtcDateTime, nullable=False),
        UniqueConstraint("provider_ref"),
        one_of("currency", Currency),
        one_of("status", PurchaseStatus),
        CheckConstraint("amount_minor > 0", name="amount_minor"),
        Index("ix_purchases_organization", "organization_id", "created_at", "id"),
        Index("ix_purchases_pack", "pack_id"),
    )


def _accounts() -> tuple[SchemaItem, ...]:
    counted = ("remaining", "reserved", "used", "granted", "expired", "voided")
    return (
        Column("organization_id", Text, ForeignKey("organizations.id"), primary_key=True),
        *(Column(f"replies_{name}", BigInt, nullable=False) for name in counted),
        Column("low_balance_threshold", BigInt, nullable=False),
        Column("version", BigInt, nullable=False),
        Column("created_at", UtcDateTime, nullable=False),
        Column("updated_at", UtcDateTime, nullable=False),
        *(CheckConstraint(f"replies_{name} >= 0", name=f"replies_{name}") for name in counted),
        # Double entry, in one row: whatever was granted is in exactly one place.
        CheckConstraint(
            "replies_granted = replies_remaining + replies_reserved + replies_used"
            " + replies_expired + replies_voided",
            name="adds_up",
        ),
        CheckConstraint("low_balance_threshold >= 0", name="low_balance_threshold"),
        Index("ix_billing_accounts_low", "replies_remaining", "organization_id"),
    )


def _grants() -> tuple[SchemaItem, ...]:
    left = text("remaining > 0")
    return (
        Column("id", Text, primary_key=True),
        _organization(),
        Column("amount", BigInt, nullable=False),
        Column("remaining", BigInt, nullable=False),
        Column("category", Text, nullable=False),
        Column("source", Text, nullable=False),
        Column("priority", BigInt, nullable=False),
        Column("effective_at", UtcDateTime, nullable=False),
        Column("expires_at", UtcDateTime, nullable=True),
        Column("voided_at", UtcDateTime, nullable=True),
        Column("voided_by", Text, nullable=True),
        Column("void_reason", Text, nullable=True),
        Column("reason", Text, nullable=False),
        Column("ticket_ref", Text, nullable=False),
        Column("granted_by_type", Text, nullable=False),
        Column("granted_by_id", Text, nullable=False),
        Column("granted_by_email", Text, nullable=False),
        Column("pack_id", Text, ForeignKey("credit_packs.id", ondelete="SET NULL"), nullable=True),
        Column("pack_snapshot", JsonText, nullable=True),
        Column("purchase_id", Text, ForeignKey("purchases.id"), nullable=True),
        Column("version", BigInt, nullable=False),
        Column("created_at", UtcDateTime, nullable=False),
        Column("updated_at", UtcDateTime, nullable=False),
        CheckConstraint("amount > 0", name="amount"),
        CheckConstraint("remaining BETWEEN 0 AND amount", name="remaining"),
        one_of("category", Category),
        one_of("source", Source),
        CheckConstraint("priority BETWEEN 0 AND 100", name="priority"),
        CheckConstraint("expires_at IS NULL OR expires_at > effective_at", name="expires_at"),
        CheckConstraint("length(reason) >= 10", name="reason"),
        CheckConstraint("(voided_at IS NULL) = (voided_by IS NULL)", name="voided_by"),
        CheckConstraint("(voided_at IS NULL) = (void_reason IS NULL)", name="void_reason"),
        Index(
            "ix_credit_grants_burn",
            "organization_id",
            "priority",
            "expires_at",
            "created_at",
            sqlite_where=left,
            postgresql_where=left,
        ),
        Index("ix_credit_grants_expiry", "expires_at", "id", sqlite_where=left, postgresql_where=left),
        Index("ix_credit_grants_organization", "organization_id", "created_at", "id"),
        Index("ix_credit_grants_granter", "granted_by_id", "created_at"),
        Index("ix_credit_grants_pack", "pack_id"),
    )


def _txns() -> tuple[SchemaItem, ...]:
    return (
        Column("id", Text, primary_key=True),
        _organization(),
        Column("kind", Text, nullable=False),
        Column("idempotency_key", Text, nullable=False),
        Column("request_hash", Text, nullable=False),
        Column("reverses_txn_id", Text, ForeignKey("credit_txns.id"), nullable=True),
        Column("actor_type", Text, nullable=False),
        Column("actor_id", Text, nullable=False),
        Column("note", Text, nullable=False),
        # What the caller was answered: a replay is the same answer, not a new look at the balance.
        Column("answer", JsonText, nullable=False),
        Column("created_at", UtcDateTime, nullable=False),
        one_of("kind", Kind),
        one_of("actor_type", ActorKind),
        UniqueConstraint("organization_id", "idempotency_key"),
        UniqueConstraint("reverses_txn_id"),
        Index("ix_credit_txns_organization", "organization_id", "created_at", "id"),
        Index("ix_credit_txns_time", "created_at"),
    )


def _postings() -> tuple[SchemaItem, ...]:
    return (
        Column("seq", BigInt, Identity(always=True), primary_key=True),
        Column("id", Text, nullable=False),
        Column("txn_id", Text, ForeignKey("credit_txns.id"), nullable=False),
        _organization(),
        Column("account", Text, nullable=False),
        Column("grant_id", Text, ForeignKey("credit_grants.id"), nullable=False),
        Column("amount", BigInt, nullable=False),
        Column("balance_after", BigInt, nullable=True),
        UniqueConstraint("id"),
        one_of("account", Account),
        CheckConstraint("amount <> 0", name="amount"),
        CheckConstraint("(account = 'available') = (balance_after IS NOT NULL)", name="balance_after"),
        CheckConstraint("balance_after IS NULL OR balance_after >= 0", name="never_negative"),
        Index("ix_credit_ledger_txn", "txn_id", "grant_id"),
        Index("ix_credit_ledger_organization", "organization_id", "seq"),
        Index("ix_credit_ledger_grant", "grant_id", "account"),
    )


def _reservations() -> tuple[SchemaItem, ...]:
    held = text("state = 'held'")
    return (
        Column("id", Text, primary_key=True),
        _organization(),
        Column("amount", BigInt, nullable=False),
        Column("state", Text, nullable=False),
        Column("expires_at", UtcDateTime, nullable=False),
        Column("txn_id", Text, ForeignKey("credit_txns.id"), nullable=False),
        Column("version", BigInt, nullable=False),
        Column("created_at", UtcDateTime, nullable=False),
        Column("updated_at", UtcDateTime, nullable=False),
        CheckConstraint("amount > 0", name="amount"),
        one_of("state", ReservationState),
        UniqueConstraint("txn_id"),
        Index("ix_credit_reservations_due", "expires_at", "id", sqlite_where=held, postgresql_where=held),
        Index("ix_credit_reservations_held", "organization_id", sqlite_where=held, postgresql_where=held),
    )
