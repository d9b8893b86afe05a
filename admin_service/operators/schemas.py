"""What comes in and goes out of the operators' endpoints; no answer has room for a hash."""

from typing import Annotated, Any, Final, Literal

from pydantic import AwareDatetime, ConfigDict, Field, StringConstraints, ValidationInfo, field_validator

from admin_service.operators.models import (
    IssuedEnrollment,
    NewOperator,
    Operator,
    OperatorFilter,
    OperatorState,
    Sighting,
)
from service_kit.identity.model import Role
from service_kit.web.pages import MOST_ROWS, Page, PageModel
from service_kit.web.schemas import ApiModel, EmailAddress, PlainText, QueryModel, replayed_without

_MOST_SIGHTINGS: Final = 1000

OperatorName = Annotated[PlainText, StringConstraints(min_length=1, max_length=120)]
Reason = Annotated[PlainText, StringConstraints(max_length=500)]
GivenReason = Annotated[PlainText, StringConstraints(min_length=1, max_length=500)]


class NewOperatorBody(ApiModel):
    """`POST /api/admin/global-admins` (R-067)."""

    email: EmailAddress
    name: OperatorName
    role: Role

    @property
    def wanted(self) -> NewOperator:
        return NewOperator(self.email, self.name, self.role)


class BreakGlassArguments(ApiModel):
    """`admin-service break-glass`: who is to get in again, and why."""

    email: EmailAddress
    confirm: EmailAddress
    reason: GivenReason
    name: Annotated[PlainText, StringConstraints(max_length=120)] = ""

    @field_validator("confirm")
    @classmethod
    def _is_the_address(cls, value: str, info: ValidationInfo) -> str:
        if "email" in info.data and value != info.data["email"]:
            raise ValueError("must repeat --email")
        return value


class IssuedEnrollmentModel(ApiModel):
    """The one answer that holds the token; it cannot be asked for again (R-068)."""

    model_config = ConfigDict(json_schema_extra=replayed_without("enrollmentToken"))

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


def without_token(issued: IssuedEnrollment) -> dict[str, Any]:
    """What may be kept of the answer that shows a token, for a replay of its request (data-model 2.5)."""
    shown = IssuedEnrollmentModel.of(issued).model_dump(mode="json", by_alias=True)
    return {name: value for name, value in shown.items() if name != "enrollmentToken"} | {
        "secretOmitted": True
    }


def as_shown(operator: Operator) -> dict[str, Any]:
    return OperatorModel.of(operator).model_dump(mode="json", by_alias=True)


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


class RoleBody(ApiModel):
    """`POST …/{id}/role` (G-01)."""

    role: Role
    reason: GivenReason


class ReactivateBody(ApiModel):
    reason: GivenReason


class ReissueBody(ApiModel):
    """`POST …/{id}/reissue-enrollment` (R-094, G-09)."""

    rebind: bool = Field(default=False, description="Unbind an enrolled operator from their Access subject.")
    confirm: Annotated[PlainText, StringConstraints(max_length=320)] = Field(
        default="", description="With `rebind`: the operator's e-mail address, typed."
    )


class SightingModel(ApiModel):
    id: Annotated[str, StringConstraints(min_length=1, max_length=64)]
    at: AwareDatetime


class ActivityBody(ApiModel):
    """What a sidecar saw since its last report; unknown ids are ignored."""

    seen: list[SightingModel] = Field(max_length=_MOST_SIGHTINGS)

    @property
    def sightings(self) -> tuple[Sighting, ...]:
        return tuple(Sighting(one.id, one.at) for one in self.seen)
