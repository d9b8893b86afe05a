"""What is shown of an operator and of their sessions; no answer has room for a token or a digest."""

from collections.abc import Sequence

from pydantic import AwareDatetime, Field

from admin_service.audit.models import AuditSource
from admin_service.audit.schemas import AuditRowModel
from admin_service.operators.schemas import OperatorModel
from admin_service.oversight.service import OperatorOverview
from admin_service.sessions.models import ListedSession
from service_kit.web.schemas import ApiModel


class ListedSessionModel(ApiModel):
    """One live session; `id` is its name in the audit log."""

    id: str
    renewed_at: AwareDatetime
    last_seen_at: AwareDatetime
    expires_at: AwareDatetime
    ip: str
    user_agent: str

    @classmethod
    def of(cls, session: ListedSession) -> "ListedSessionModel":
        return cls(
            id=session.id,
            renewed_at=session.renewed_at,
            last_seen_at=session.last_seen_at,
            expires_at=session.expires_at,
            ip=session.ip,
            user_agent=session.user_agent,
        )


class ListedSessionsModel(ApiModel):
    """All of them: an operator holds a bounded number, so there is no paging."""

    data: list[ListedSessionModel]

    @classmethod
    def of(cls, sessions: Sequence[ListedSession]) -> "ListedSessionsModel":
        return cls(data=[ListedSessionModel.of(one) for one in sessions])


class LastActionsModel(ApiModel):
    """What the operator did last, newest first; `partial` when `missing` did not answer."""

    data: list[AuditRowModel]
    partial: bool
    missing: list[AuditSource]


class OperatorDetailModel(OperatorModel):
    """One operator with their live sessions and last actions; ETag is the row's version."""

    sessions: list[ListedSessionModel] = Field(description="Live ones, the last used first.")
    last_actions: LastActionsModel

    @classmethod
    def of_overview(cls, seen: OperatorOverview) -> "OperatorDetailModel":
        actions = seen.actions
        return cls(
            **OperatorModel.of(seen.operator).model_dump(),
            sessions=[ListedSessionModel.of(one) for one in seen.sessions],
            last_actions=LastActionsModel(
                data=[AuditRowModel.of(row) for row in actions.rows],
                partial=actions.partial,
                missing=list(actions.missing),
            ),
        )
