"""Enrollment (P-28, R-066): a person whom Access knows pastes the token that a super admin gave them.

One message answers every wrong token: the page is no oracle (R-061). The token is in no URL, and it
is never put back into the form.
"""

import asyncio
from collections.abc import Mapping
from typing import Final

from aiohttp import web

from admin_service.enrollment.errors import EnrollmentLimitedError, EnrollmentRefusedError
from admin_service.enrollment.models import Claimant
from admin_service.panel.context import PanelServices, identity_frame, page, see_other
from admin_service.panel.forms import CSRF_FIELD, read_form, require_own_origin
from admin_service.panel.views.operators import EnrollmentView
from service_kit.errors import ForbiddenError, UnavailableError
from service_kit.web.api import Call

FORM: Final = "enrollment"
_DASHBOARD: Final = "/manage"
_ENROLLMENT: Final = "/enrollment"
_AGAIN: Final = "again"
_AGAIN_SECONDS: Final = 0.2
_MOST_AGAIN: Final = 10
"""Browsers follow twenty redirects; this many are two seconds and more."""


async def show_enrollment(services: PanelServices, call: Call) -> web.Response:
    """The form; somebody who is an operator already has no use for it.

    Raises UnavailableError `ROSTER_UNAVAILABLE` when the sidecar does not learn of an operator in time.
    """
    if call.actor.is_operator:
        return see_other(_DASHBOARD)
    if await services.enrollment.is_enrolled(call.actor.subject):
        return await _until_the_sidecar_knows(call)
    return _form_page(services, call)


async def _until_the_sidecar_knows(call: Call) -> web.Response:
    """Come again: who enrolled a moment ago may be here before the roster feed has told the sidecar."""
    times = call.request.query.get(_AGAIN, "0")
    past = int(times) if times.isascii() and times.isdecimal() and len(times) <= len(str(_MOST_AGAIN)) else 0
    if past >= _MOST_AGAIN:
        raise UnavailableError(
            "ROSTER_UNAVAILABLE",
            "You are enrolled, but the gate has not heard of it yet. Try again in a moment",
        )
    await asyncio.sleep(_AGAIN_SECONDS)
    return see_other(f"{_ENROLLMENT}?{_AGAIN}={past + 1}")


async def claim_enrollment(services: PanelServices, call: Call) -> web.Response:
    """Claim with the pasted token. Raises ForbiddenError `ORIGIN_REJECTED` or `CSRF_REJECTED`."""
    require_own_origin(call.request, services.origins)
    form = await read_form(call.request)
    if call.actor.is_operator:
        return see_other(_DASHBOARD)
    if not services.tokens.is_valid(form.text(CSRF_FIELD), call.actor.subject, FORM):
        raise ForbiddenError("CSRF_REJECTED", "The form is no longer valid")
    claimant = Claimant(call.actor.subject, call.actor.email)
    # Sent again, because the answer to the first was lost: nobody tries a wrong token here.
    if await services.enrollment.is_enrolled(claimant.sub):
        return see_other(_ENROLLMENT)
    try:
        await services.enrollment.claim(claimant, form.text("token"), call.origin)
    except EnrollmentRefusedError as error:
        if await services.enrollment.is_enrolled(claimant.sub):  # sent twice at the same time
            return see_other(_ENROLLMENT)
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
