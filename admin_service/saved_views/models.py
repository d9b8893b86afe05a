"""A saved view: the address of a list under a name, of one operator."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from sqlalchemy import CheckConstraint, Column, ForeignKey, Table, Text, UniqueConstraint

from admin_service.tables import METADATA
from service_kit.db.columns import UtcDateTime, one_of
from service_kit.errors import ConflictError

MOST_OF_ONE: Final = 20
"""Of one operator and one list: as many as a menu can show."""

LONGEST_NAME: Final = 60
LONGEST_QUERY: Final = 2000


class ListName(StrEnum):
    TENANTS = "tenants"
    OPERATORS = "operators"
    AUDIT = "audit"


SAVED_VIEWS: Final = Table(
    "saved_views",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("admin_id", Text, ForeignKey("global_admins.id", ondelete="CASCADE"), nullable=False),
    Column("list", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("query", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    one_of("list", ListName),
    CheckConstraint(f"length(name) BETWEEN 1 AND {LONGEST_NAME}", name="name_length"),
    CheckConstraint(f"length(query) <= {LONGEST_QUERY}", name="query_length"),
    UniqueConstraint("admin_id", "list", "name", name="uq_saved_views_admin_id_list_name"),
    sqlite_strict=True,
)


@dataclass(frozen=True, slots=True)
class SavedView:
    """`query` is what follows the question mark, without a place in the list."""

    id: str
    list: ListName
    name: str
    query: str


class TooManyViewsError(ConflictError):
    """The menu is full."""

    def __init__(self) -> None:
        super().__init__("TOO_MANY_VIEWS", f"There are {MOST_OF_ONE} saved views of this list already")
