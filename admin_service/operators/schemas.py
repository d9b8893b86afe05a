"""What comes in and goes out of the operators' endpoints; no answer has room for a hash."""

from typing import Annotated, Final, Literal

from pydantic import AwareDatetime, Field, StringConstraints

from admin_service.operators.models import (
    IssuedEnrollment,
    NewOperator,
    Operator,
    OperatorFilter,
    OperatorState,
    Sighting,
)
from admin_service.paging import MOST_ROWS, Page, PageModel
from service_kit.identity.model import Permission, Role
from service_kit.web.schemas import ApiModel, EmailAddress, PlainText, QueryModel

_MOST_SIGHTINGS: Final = 1000

OperatorName = Annotated[PlainText, StringConstraints(min_length=1, max_length=120)]
Reason = Annotated[PlainText, StringConstraints(max_length=500)]


class NewOperatorBody(ApiModel):
    """`POST /api/admin/global-admins` (R-067)."""

    email: EmailAddress
    name: OperatorName
    role: Role

    @property
    def wanted(self) -> NewOperator:
        return NewOperator(self.email, self.name, self.role)


class IssuedEnrollmentModel(ApiModel):
    """The one answer that holds the token; it cannot be asked for again (R-068)."""

    id: str
    enrollment_token: str
    enrollment_token_expires_at: AwareDatetime
    shown_once: Literal[True] = True

    @classmethod
    def of(cls, issued: IssuedEnrollment) -> "IssuedEnrollmentModel":
        return cls(
            id=issued.operator.id,
            enrollment_token=issued.token,
            enrollment_token_expires_at=issued.expires_at,
        )


class OperatorQuery(QueryModel):
    state: OperatorState | None = None
    role: Role | None = None
    q: Annotated[PlainText, StringConstraints(max_length=120)] = ""
    limit: int = Field(default=MOST_ROWS, ge=1, le=MOST_ROWS)
    cursor: str | None = None

    @property
    def wanted(self) -> OperatorFilter:
        return OperatorFilter(self.state, self.role, self.q)


class OperatorModel(ApiModel):
    """One operator as a super_admin sees it."""

    id: str
    email: str
    name: str
    role: Role
    state: OperatorState
    enrollment_token_expires_at: AwareDatetime | None
    last_active_at: AwareDatetime | None
    deactivated_at: AwareDatetime | None
    created_at: AwareDatetime
    created_by: str
    version: int

    @classmethod
    def of(cls, operator: Operator) -> "OperatorModel":
        return cls(
            id=operator.id,
            email=operator.email,
            name=operator.name,
            role=operator.role,
            state=operator.state,
            enrollment_token_expires_at=operator.enrollment_expires_at,
            last_active_at=operator.last_active_at,
            deactivated_at=operator.deactivated_at,
            created_at=operator.created_at,
            created_by=operator.created_by,
            version=operator.version,
        )


class OperatorListModel(ApiModel):
    data: list[OperatorModel]
    page: PageModel

    @classmethod
    def of(cls, page: Page[Operator]) -> "OperatorListModel":
        return cls(data=[OperatorModel.of(row) for row in page.rows], page=PageModel.of(page))


class DeactivateBody(ApiModel):
    reason: Reason = ""


class MeModel(ApiModel):
    """The caller: who they are here, and what they may do."""

    id: str
    email: str
    name: str
    role: Role
    permissions: list[Permission]
    last_active_at: AwareDatetime | None


class SightingModel(ApiModel):
    id: Annotated[str, StringConstraints(min_length=1, max_length=64)]
    at: AwareDatetime


class ActivityBody(ApiModel):
    """What a sidecar saw since its last report; unknown ids are ignored."""

    seen: list[SightingModel] = Field(max_length=_MOST_SIGHTINGS)

    @property
    def sightings(self) -> tuple[Sighting, ...]:
        return tuple(Sighting(one.id, one.at) for one in self.seen)
