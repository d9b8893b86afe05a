"""Operators and their sessions as the pages show them; no page sees a subject, a token or a digest."""

from datetime import datetime

from admin_service.operators.models import Operator, OperatorState
from admin_service.panel.views.operator_detail import SessionLine
from admin_service.panel.views.operators import OperatorRow, time_left
from admin_service.sessions.models import ListedSession


def shown_operator(operator: Operator, now: datetime, *, you: str | None, sessions: int = 0) -> OperatorRow:
    """`you` is the id of the operator at work."""
    until = usable_until(operator, now)
    return OperatorRow(
        id=operator.id,
        name=operator.name,
        email=operator.email,
        role=operator.role.value,
        state=operator.state.value,
        last_active_at=operator.last_active_at,
        enrollment_expires_at=until,
        token_left=time_left(until - now) if until else "",
        sessions=sessions,
        is_you=operator.id == you,
    )


def usable_until(operator: Operator, now: datetime) -> datetime | None:
    """Until when the enrollment token works; None when there is none, or it is dead."""
    expiry = operator.enrollment_expires_at
    return expiry if operator.state is OperatorState.PENDING and expiry and expiry > now else None


def shown_session(session: ListedSession) -> SessionLine:
    return SessionLine(
        id=session.id,
        ip=session.ip,
        user_agent=session.user_agent,
        last_seen_at=session.last_seen_at,
        expires_at=session.expires_at,
    )
