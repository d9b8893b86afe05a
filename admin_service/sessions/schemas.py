"""What the session endpoints answer; no answer has room for a token: it travels in the cookie alone."""

from pydantic import AwareDatetime

from admin_service.sessions.models import LiveSession
from service_kit.identity.model import OPERATOR_PERMISSIONS, Permission, Role
from service_kit.web.schemas import ApiModel


class SessionOperatorModel(ApiModel):
    """The operator whose session it is, and what they may do."""

    id: str
    email: str
    name: str
    role: Role
    permissions: list[Permission]


class SessionModel(ApiModel):
    """A live session."""

    operator: SessionOperatorModel
    expires_at: AwareDatetime

    @classmethod
    def of(cls, live: LiveSession) -> "SessionModel":
        operator = live.operator
        return cls(
            operator=SessionOperatorModel(
                id=operator.id,
                email=operator.email,
                name=operator.name,
                role=operator.role,
                permissions=sorted(OPERATOR_PERMISSIONS[operator.role]),
            ),
            expires_at=live.expires_at,
        )
