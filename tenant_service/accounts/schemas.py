"""What comes in and goes out of the connected accounts' endpoints."""

from typing import Annotated

from pydantic import StringConstraints

from service_kit.web.pages import PageModel
from service_kit.web.schemas import ApiModel
from tenant_service.tenants.schemas import ConnectedAccount, Reason, TicketRef


class AccountPage(ApiModel):
    data: list[ConnectedAccount]
    page: PageModel


class RemoveAccount(ApiModel):
    """The tenant reads the reason in its own log."""

    reason: Annotated[Reason, StringConstraints(min_length=1)]
    ticket_ref: TicketRef = ""
