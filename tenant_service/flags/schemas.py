"""What comes in and goes out of the feature flags' endpoints."""

from typing import Annotated, Final

from pydantic import StringConstraints

from service_kit.web.schemas import ApiModel, PlainText
from tenant_service.tenants.schemas import FeatureFlag, TicketRef

_MOST_NOTE: Final = 500


class FlagList(ApiModel):
    """Every flag that the settings know, in their order, also those that nobody has set."""

    data: list[FeatureFlag]


class SetFlag(ApiModel):
    """`note` says why; the tenant reads it in its own log."""

    enabled: bool
    note: Annotated[PlainText, StringConstraints(max_length=_MOST_NOTE)] = ""
    ticket_ref: TicketRef = ""
