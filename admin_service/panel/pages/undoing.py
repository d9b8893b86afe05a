"""Taking the last step back: a form beside the notice about it, for ten minutes (panel.md, rule 7).

It opens no way of its own: the form is that of the inverse step, with its token, its key and its reason,
and the service behind decides as ever.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

from admin_service.panel.context import PanelServices
from admin_service.panel.pages.operator_forms import new_form
from admin_service.panel.views.parts import Undo
from service_kit.identity.model import Permission
from service_kit.web.api import Call

AT: Final = "at"
_WINDOW: Final = timedelta(minutes=10)
_SECONDS: Final = re.compile(r"[0-9]{1,11}", re.ASCII)


def stamped(services: PanelServices) -> Mapping[str, str]:
    """When the step was done, for the address that tells of it."""
    return {AT: str(int(services.clock.now().timestamp()))}


def undo(
    services: PanelServices,
    call: Call,
    needs: Permission,
    *,
    form: str,
    action: str,
    label: str,
    reason: str = "",
) -> Undo | None:
    """The form of the inverse step; None when it is too late, or not for this role.

    `form` is the name that the inverse step's own form has. Without a `reason` the step asks for none.
    """
    done_at = _done_at(call)
    if done_at is None or not call.actor.may(needs):
        return None
    until = done_at + _WINDOW
    if not done_at - _WINDOW <= services.clock.now() < until:
        return None
    return undo_now(services, call, form=form, action=action, label=label, reason=reason, until=until)


def undo_now(
    services: PanelServices,
    call: Call,
    *,
    form: str,
    action: str,
    label: str,
    reason: str = "",
    until: datetime | None = None,
) -> Undo:
    """The form on a page that tells of the step itself."""
    state = new_form(services, call, form)
    return Undo(
        label=label,
        action=action,
        csrf_token=state.csrf_token,
        idempotency_key=state.idempotency_key,
        until=until or services.clock.now() + _WINDOW,
        reason=reason,
    )


def _done_at(call: Call) -> datetime | None:
    text = call.request.query.get(AT, "")
    return datetime.fromtimestamp(int(text), UTC) if _SECONDS.fullmatch(text) else None
