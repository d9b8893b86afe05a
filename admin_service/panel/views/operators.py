"""The list of operators (P-19) and the enrollment page (P-28).

Never holds a token or a hash of one: neither is readable once it was issued (R-068).
"""

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class OperatorRow:
    """One person of the back office; `state` is active, pending or deactivated."""

    id: str
    name: str
    email: str
    role: str
    state: str
    last_active_at: datetime | None = None
    enrollment_expires_at: datetime | None = None
    is_you: bool = False


@dataclass(frozen=True, slots=True)
class OperatorListView:
    """P-19, the list only: operators are provisioned through the API for now."""

    template: ClassVar[str] = "operators_list.html"
    section: ClassVar[str] = "operators"

    rows: tuple[OperatorRow, ...]

    @property
    def title(self) -> tuple[str, ...]:
        return ("Operators",)

    def count(self, state: str) -> int:
        return sum(1 for row in self.rows if row.state == state)


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
