"""One's own page (P-26): the row, what one may do, the live sessions, the preferences, and the shortcuts.

Every operator has it, whatever their role; it shows nobody else.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Final

from admin_service.panel.navigation import NAVIGATION
from admin_service.panel.views.operator_detail import OWN_PATH, OperatorDetailView
from admin_service.panel.views.operator_forms import FormState
from admin_service.profile.models import Density, Theme

PREFERENCES_PATH: Final = f"{OWN_PATH}/preferences"
COMMON_ZONES: Final = (
    "UTC",
    "Asia/Kolkata",
    "Asia/Dubai",
    "Asia/Singapore",
    "Asia/Tokyo",
    "Australia/Sydney",
    "Europe/Berlin",
    "Europe/London",
    "America/New_York",
    "America/Los_Angeles",
)
"""Proposals for the field; any zone of the tz database will do."""
_ON_EVERY_PAGE: Final = (
    (("/",), "Search on this page"),
    (("j",), "Next row"),
    (("k",), "Row before"),
    (("Enter",), "Open the row"),
    (("n",), "New: tenant, operator or pack"),
    (("e",), "Edit what is shown"),
    (("?",), "Show the list of shortcuts"),
    (("Esc",), "Close what is open"),
)


@dataclass(frozen=True, slots=True)
class Shortcut:
    """The keys, one after the other, and what they do."""

    keys: tuple[str, ...]
    does: str


@dataclass(frozen=True, slots=True)
class MatrixRow:
    """One permission, and which roles hold it; the columns are those of the matrix."""

    permission: str
    held: tuple[bool, ...]


@dataclass(frozen=True, slots=True)
class RoleMatrix:
    """Who may do what, as the table in the code says it (R-081)."""

    roles: tuple[str, ...] = ()
    rows: tuple[MatrixRow, ...] = ()


@dataclass(frozen=True, slots=True)
class Liked:
    """The preferences as they are, or as they were typed."""

    theme: str = Theme.SYSTEM
    density: str = Density.COMFORTABLE
    time_zone: str = "UTC"
    shortcuts: bool = True

    @property
    def themes(self) -> tuple[str, ...]:
        return tuple(Theme)

    @property
    def densities(self) -> tuple[str, ...]:
        return tuple(Density)


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnPageView(OperatorDetailView):
    """P-26. `matrix` has one column: the role of whoever looks (R-064)."""

    template: ClassVar[str] = "own_page.html"
    section: ClassVar[str] = ""

    form: FormState
    liked: Liked = field(default_factory=Liked)
    matrix: RoleMatrix = field(default_factory=RoleMatrix)
    permissions: frozenset[str] = frozenset()

    @property
    def title(self) -> tuple[str, ...]:
        return ("Error: You" if self.form.is_refused else "You",)

    @property
    def parents(self) -> tuple[tuple[str, str], ...]:
        return ()

    @property
    def end_href(self) -> str:
        return f"{OWN_PATH}/sessions"

    @property
    def history_href(self) -> str | None:
        """Operator events are not everybody's to read (R-080)."""
        return None

    @property
    def preferences_href(self) -> str:
        return PREFERENCES_PATH

    @property
    def zones(self) -> tuple[str, ...]:
        return COMMON_ZONES

    @property
    def keys(self) -> tuple[Shortcut, ...]:
        return shortcuts_for(self.permissions)


def shortcuts_for(permissions: frozenset[str]) -> tuple[Shortcut, ...]:
    """The shortcuts that lead somewhere for these permissions."""
    places = tuple(
        Shortcut(("g", item.key), f"Go to {item.label}")
        for item in NAVIGATION
        if item.permission is None or item.permission in permissions
    )
    return (*(Shortcut(keys, does) for keys, does in _ON_EVERY_PAGE), *places)


def matrix_of(held_by: Mapping[str, frozenset[str]], permissions: tuple[str, ...]) -> RoleMatrix:
    """The matrix with a column for each role, in their order."""
    return RoleMatrix(
        tuple(held_by),
        tuple(MatrixRow(each, tuple(each in held for held in held_by.values())) for each in permissions),
    )
