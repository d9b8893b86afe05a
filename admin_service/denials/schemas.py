"""The sidecar's report: lengths are refused, characters are cleaned.

No client may get a report refused by what it put into a header, or it could choose not to be recorded.
"""

import unicodedata
from typing import Annotated, Final

from pydantic import AfterValidator, AwareDatetime, Field, StringConstraints, model_validator

from admin_service.denials.models import Denial, DenialReport
from service_kit.web.schemas import ApiModel

_MOST_DENIALS: Final = 100
_MOST_COUNT: Final = 1_000_000_000


def _cleaned(value: str) -> str:
    return "".join("\ufffd" if unicodedata.category(one) in {"Cc", "Cs"} else one for one in value)


_Sub = Annotated[str, StringConstraints(max_length=255), AfterValidator(_cleaned)]
_Email = Annotated[str, StringConstraints(max_length=320), AfterValidator(_cleaned)]
_Route = Annotated[str, StringConstraints(max_length=200), AfterValidator(_cleaned)]
_Id = Annotated[str, StringConstraints(max_length=128), AfterValidator(_cleaned)]
_Address = Annotated[str, StringConstraints(max_length=64), AfterValidator(_cleaned)]
_UserAgent = Annotated[str, StringConstraints(max_length=300), AfterValidator(_cleaned)]
_Count = Annotated[int, Field(ge=1, le=_MOST_COUNT)]


class DenialModel(ApiModel):
    """One kind of refusal, counted."""

    reason: Annotated[str, StringConstraints(pattern=r"^[a-z_]{1,40}$")]
    sub: _Sub
    email: _Email
    operator_id: _Id | None
    route: _Route
    count: _Count
    first_at: AwareDatetime
    last_at: AwareDatetime
    ip: _Address
    user_agent: _UserAgent
    request_id: _Id

    @model_validator(mode="after")
    def _in_order(self) -> "DenialModel":
        if self.first_at > self.last_at:
            raise ValueError("firstAt must not be later than lastAt")
        return self

    @property
    def denial(self) -> Denial:
        return Denial(**{name: getattr(self, name) for name in type(self).model_fields})


class DenialReportBody(ApiModel):
    """What a sidecar refused since its last report."""

    denials: Annotated[list[DenialModel], Field(max_length=_MOST_DENIALS)]
    dropped: Annotated[int, Field(ge=0, le=_MOST_COUNT)]

    @property
    def report(self) -> DenialReport:
        return DenialReport(tuple(one.denial for one in self.denials), self.dropped)
