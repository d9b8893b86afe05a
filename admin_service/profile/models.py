"""An operator's preferences: how the panel looks to them, and nothing that anybody's access depends on."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from sqlalchemy import CheckConstraint, Column, ForeignKey, Table, Text

from admin_service.operators.models import Operator
from admin_service.tables import METADATA
from service_kit.db.columns import BoolInt, UtcDateTime, one_of


class Theme(StrEnum):
    SYSTEM = "system"
    LIGHT = "light"
    DARK = "dark"


class Density(StrEnum):
    COMFORTABLE = "comfortable"
    COMPACT = "compact"


OPERATOR_PREFERENCES: Final = Table(
    "operator_preferences",
    METADATA,
    Column("admin_id", Text, ForeignKey("global_admins.id", ondelete="CASCADE"), primary_key=True),
    Column("theme", Text, nullable=False),
    Column("density", Text, nullable=False),
    Column("time_zone", Text, nullable=False),
    Column("shortcuts", BoolInt, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    one_of("theme", Theme),
    one_of("density", Density),
    CheckConstraint("time_zone <> ''", name="time_zone_not_empty"),
    CheckConstraint("shortcuts IN (0, 1)", name="shortcuts_on_or_off"),
    sqlite_strict=True,
)
"""A row comes with the first change; without one the defaults hold."""


@dataclass(frozen=True, slots=True)
class Preferences:
    theme: Theme = Theme.SYSTEM
    density: Density = Density.COMFORTABLE
    time_zone: str = "UTC"
    shortcuts: bool = True


@dataclass(frozen=True, slots=True)
class PreferenceChange:
    """What to change; None leaves a preference as it is."""

    theme: Theme | None = None
    density: Density | None = None
    time_zone: str | None = None
    shortcuts: bool | None = None


@dataclass(frozen=True, slots=True)
class Profile:
    """The operator who asks, as their row says it now."""

    operator: Operator
    preferences: Preferences
