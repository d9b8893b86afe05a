"""Feature flags as stored: the table, and the frozen value that the repository gives.

Which flags there are is no part of it: the settings name them.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import CheckConstraint, Column, ForeignKey, MetaData, Table, Text
from sqlalchemy.schema import SchemaItem

from service_kit.db.columns import BigInt, BoolInt, UtcDateTime

NEVER_SET = 0
"""The version of a flag that nobody has set for this tenant."""


@dataclass(frozen=True, slots=True)
class Flag:
    """One flag of one tenant; `updated_by` is the operator who set it."""

    organization_id: str
    key: str
    enabled: bool
    note: str
    updated_by: str
    created_at: datetime
    updated_at: datetime
    version: int


def feature_flags_table(metadata: MetaData) -> Table:
    return Table("feature_flags", metadata, *_columns(), sqlite_strict=True)


def _columns() -> tuple[SchemaItem, ...]:
    return (
        Column("organization_id", Text, ForeignKey("organizations.id"), primary_key=True),
        Column("key", Text, primary_key=True),
        Column("enabled", BoolInt, nullable=False),
        Column("note", Text, nullable=False),
        Column("updated_by", Text, nullable=False),
        Column("created_at", UtcDateTime, nullable=False),
        Column("updated_at", UtcDateTime, nullable=False),
        Column("version", BigInt, nullable=False),
        CheckConstraint("enabled IN (0, 1)", name="enabled"),
        CheckConstraint("version >= 1", name="version"),
    )
