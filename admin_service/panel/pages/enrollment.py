"""Enrollment (P-28, R-066): a person whom Access knows pastes the token that a super admin gave them.

One message answers every wrong token: the page is no oracle (R-061). The token is in no URL, and it
is never put back into the form.
"""

from collections.abc import Mapping
from typing import Final

from aiohttp import web

from admin_service.enrollment.errors import EnrollmentLimitedError, EnrollmentRefusedError
from admin_service.enrollment.models import Claimant
from admin_service.panel.context import PanelServices, identity_frame, page, see_other
from admin_service.panel.forms import CSRF_FIELD, read_form, require_own_origin
from admin_service.panel.views.operators import EnrollmentView
from service_kit.errors import ForbiddenError
from service_kit.web.api import Call

FORM: Final = "enrollment"
_DASHBOARD: Final = "/manage"


async def show_enrollment(services: PanelServices, call: Call) -> web.Response:
    """The form; somebody who is an operator already has no use for it."""
    if call.actor.is_operator:
        return see_other(_DASHBOARD)
    return _form_page(services, call)


async def claim_enrollment(services: PanelServices, call: Call) -> web.Response:
    """Claim with the pasted token. Raises ForbiddenError `ORIGIN_REJECTED` or `CSRF_REJECTED`."""
    require_own_origin(call.request, services.origins)
    form = await read_form(call.request)
    if call.actor.is_operator:
        return see_other(_DASHBOARD)
    if not services.tokens.is_valid(form.text(CSRF_FIELD), call.actor.subject, FORM):
        raise ForbiddenError("CSRF_REJECTED", "The form is no longer valid")
    claimant = Claimant(call.actor.subject, call.actor.email)
    try:
        await services.enrollment.claim(claimant, form.text("token"), call.origin)
    except EnrollmentRefusedError as error:
        return _form_page(services, call, status=error.status, refused=True)
    except EnrollmentLimitedError as error:
        return _form_page(services, call, status=error.status, limited=True, headers=error.headers)
    return see_other(_DASHBOARD)


def _form_page(
    services: PanelServices,
    call: Call,
    *,
    status: int = 200,
    refused: bool = False,
    limited: bool = False,
    headers: Mapping[str, str] | None = None,
) -> web.Response:
    view = EnrollmentView(
        email=call.actor.email,
        csrf_token=services.tokens.issue(call.actor.subject, FORM),
        refused=refused,
        too_many_attempts=limited,
    )
    frame = identity_frame(services, call.request, call.actor)
    return page(services, frame, view, status=status, headers=headers)
