"""Connected accounts as stored: the table, its closed sets, and the frozen value that the repository gives.

No credential of a provider has a place here.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import Column, ForeignKey, Index, MetaData, Table, Text, UniqueConstraint
from sqlalchemy.schema import SchemaItem

from service_kit.db.columns import BigInt, JsonText, UtcDateTime, one_of


class Provider(StrEnum):
    WHATSAPP = "whatsapp"
    INSTAGRAM = "instagram"
    DISCORD = "discord"
    EMAIL = "email"
    LEAD_FORM = "lead_form"
    OTHER = "other"


class AccountStatus(StrEnum):
    CONNECTED = "connected"
    DISCONNECTED = "disconnected"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Account:
    """One linked channel; `external_id` is the provider's name for it."""

    id: str
    organization_id: str
    provider: Provider
    external_id: str
    display_name: str
    status: AccountStatus
    connected_at: datetime


def connected_accounts_table(metadata: MetaData) -> Table:
    return Table("connected_accounts", metadata, *_columns(), sqlite_strict=True)


def _columns() -> tuple[SchemaItem, ...]:
    return (
        Column("id", Text, primary_key=True),
        Column("organization_id", Text, ForeignKey("organizations.id"), nullable=False),
        Column("provider", Text, nullable=False),
        Column("external_id", Text, nullable=False),
        Column("display_name", Text, nullable=False),
        Column("status", Text, nullable=False),
        Column("connected_at", UtcDateTime, nullable=False),
        Column("metadata", JsonText, nullable=False),
        Column("created_at", UtcDateTime, nullable=False),
        Column("updated_at", UtcDateTime, nullable=False),
        Column("version", BigInt, nullable=False),
        UniqueConstraint("provider", "external_id"),
        one_of("provider", Provider),
        one_of("status", AccountStatus),
        Index("ix_connected_accounts_organization", "organization_id", "connected_at", "id"),
    )
