"""The list of operators (P-19) and the enrollment page (P-28).

Never holds a token or a hash of one: neither is readable once it was issued (R-068).
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import ClassVar, Final

from admin_service.panel.views.list_tools import ListTools
from admin_service.panel.views.parts import Choice, Notice, Pager, choices, path_segment

OPERATORS_PATH: Final = "/manage/operators"
STATE_OPTIONS: Final[tuple[tuple[str | None, str], ...]] = (
    (None, "All"),
    ("active", "Active"),
    ("pending", "Pending"),
    ("deactivated", "Deactivated"),
)
ROLE_OPTIONS: Final[tuple[tuple[str | None, str], ...]] = (
    (None, "Any role"),
    ("super_admin", "Super admin"),
    ("support", "Support"),
    ("read_only", "Read only"),
    ("security", "Security"),
)


@dataclass(frozen=True, slots=True)
class OperatorRow:
    """One person of the back office; `state` is active, pending or deactivated.

    `enrollment_expires_at` is set while a token works; `token_left` says for how long, in words.
    """

    id: str
    name: str
    email: str
    role: str
    state: str
    last_active_at: datetime | None = None
    enrollment_expires_at: datetime | None = None
    token_left: str = ""
    sessions: int = 0
    is_you: bool = False

    @property
    def href(self) -> str:
        return f"{OPERATORS_PATH}/{path_segment(self.id)}"


@dataclass(frozen=True, slots=True)
class OperatorListView:
    """P-19. The filters are the state of the URL; `complete` is True when every operator is in `rows`."""

    template: ClassVar[str] = "operators_list.html"
    section: ClassVar[str] = "operators"

    rows: tuple[OperatorRow, ...]
    query: str = ""
    state: str = ""
    role: str = ""
    pager: Pager = field(default_factory=Pager)
    notice: Notice | None = None
    tools: ListTools = field(default_factory=lambda: ListTools("operators", OPERATORS_PATH, {}))

    @property
    def title(self) -> tuple[str, ...]:
        return ("Operators",)

    def count(self, state: str) -> int:
        return sum(1 for row in self.rows if row.state == state)

    @property
    def complete(self) -> bool:
        return not (self.filter_text or self.pager.needed)

    @property
    def filter_text(self) -> str:
        """The filters that are on, as the URL says them."""
        return " ".join(f"{name}={value}" for name, value in self._filters.items() if value)

    @property
    def state_choices(self) -> tuple[Choice, ...]:
        return choices(OPERATORS_PATH, self._parameters, "state", STATE_OPTIONS)

    @property
    def role_choices(self) -> tuple[Choice, ...]:
        return choices(OPERATORS_PATH, self._parameters, "role", ROLE_OPTIONS)

    @property
    def _parameters(self) -> dict[str, str]:
        return {**self._filters, **self.tools.looks}

    @property
    def _filters(self) -> dict[str, str]:
        return {"q": self.query, "state": self.state, "role": self.role}


def time_left(left: timedelta) -> str:
    """`23 h 12 min`, `4 min`: a token's remaining life, rounded down so that it promises nothing."""
    hours, minutes = divmod(max(0, int(left.total_seconds())) // 60, 60)
    if hours:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    return f"{minutes} min" if minutes else "less than a minute"


@dataclass(frozen=True, slots=True)
class EnrollmentView:
    """P-28 (R-066): a person with a valid Access identity, and no operator row yet.

    `refused` is one flag, not a reason: wrong, expired, used and foreign tokens answer alike, so
    that the page is no oracle.
    """

    template: ClassVar[str] = "enrollment.html"
    section: ClassVar[str] = ""

    email: str
    csrf_token: str
    refused: bool = False
    too_many_attempts: bool = False

    @property
    def title(self) -> tuple[str, ...]:
        return ("Error: Enrollment" if self.refused or self.too_many_attempts else "Enrollment",)
