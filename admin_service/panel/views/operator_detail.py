"""One operator in detail (P-20): the row, the live sessions, the last actions.

It says what may be done next, and decides nothing: the services refuse what must not be.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from admin_service.panel.views.audit import AUDIT_PATH, AuditRow
from admin_service.panel.views.operators import OPERATORS_PATH, OperatorRow
from admin_service.panel.views.parts import Author, Link, Notice, page_url

OWN_PATH = "/manage/me"


@dataclass(frozen=True, slots=True)
class SessionLine:
    """One live session; nothing in it is a credential."""

    id: str
    ip: str
    user_agent: str
    last_seen_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class OperatorDetailView:
    """P-20. `recent` holds what the operator did last; `missing` names a service that did not answer."""

    template: ClassVar[str] = "operator_detail.html"
    section: ClassVar[str] = "operators"

    operator: OperatorRow
    created_at: datetime
    created_by: Author
    version: int
    sessions: tuple[SessionLine, ...]
    recent: tuple[AuditRow, ...]
    deactivated_at: datetime | None = None
    token_expired_at: datetime | None = None
    missing: tuple[str, ...] = ()
    notice: Notice | None = None

    @property
    def title(self) -> tuple[str, ...]:
        return (self.operator.name, "Operators")

    @property
    def parents(self) -> tuple[tuple[str, str], ...]:
        return (("Operators", OPERATORS_PATH),)

    @property
    def end_href(self) -> str:
        """Where sessions are ended; a session's own link adds its id."""
        return f"{self.operator.href}/sessions"

    def end_one_href(self, session_id: str) -> str:
        return page_url(self.end_href, {"session": session_id})

    @property
    def done_href(self) -> str:
        """What the operator did, in the audit log."""
        return page_url(AUDIT_PATH, {"actorEmail": self.operator.email, "range": "all"})

    @property
    def history_href(self) -> str | None:
        """What was done to the operator, in the audit log."""
        filters = {"resourceType": "operator", "resourceId": self.operator.id, "range": "all"}
        return page_url(AUDIT_PATH, filters)

    @property
    def actions(self) -> tuple[Link, ...]:
        """The changes that apply, the dangerous one last; none to oneself."""
        if self.operator.is_you:
            return ()
        if self.operator.state == "deactivated":
            return (Link("Reactivate", f"{self.operator.href}/reactivate"),)
        token = "New token" if self.operator.state == "pending" else "Rebind"
        return (
            Link("Change role", f"{self.operator.href}/role"),
            Link(token, f"{self.operator.href}/token"),
            Link("Deactivate", f"{self.operator.href}/deactivate"),
        )
