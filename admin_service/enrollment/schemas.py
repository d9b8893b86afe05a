"""What the sidecar sends when a person shows an enrollment token, and what it learns."""

from typing import Annotated

from pydantic import StringConstraints

from admin_service.enrollment.models import Claimant, Enrolled
from service_kit.identity.model import Role
from service_kit.web.schemas import ApiModel, EmailAddress


class ClaimBody(ApiModel):
    """The verified person and what they typed. Any text is a token: a misshapen one is a wrong one."""

    # Never trimmed or folded: a subject is compared byte for byte.
    sub: Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f]{1,255}$")]
    email: EmailAddress
    token: Annotated[str, StringConstraints(max_length=512)]

    @property
    def claimant(self) -> Claimant:
        return Claimant(self.sub, self.email)


class EnrolledModel(ApiModel):
    """The operator; `version` is the roster version from which on the feed shows it."""

    id: str
    email: str
    name: str
    role: Role
    version: int

    @classmethod
    def of(cls, enrolled: Enrolled) -> "EnrolledModel":
        operator = enrolled.operator
        return cls(
            id=operator.id,
            email=operator.email,
            name=operator.name,
            role=operator.role,
            version=enrolled.roster_version,
        )
