"""Taking the last step back: a form beside the notice about it, for ten minutes (panel.md, rule 7).

It opens no way of its own: the form is that of the inverse step, with its token, its key and its reason,
and the service behind decides as ever. It is offered only to whoever did the step: a link that somebody made
up would else put one click, with a reason that is not true, where a page with a warning stands.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

from admin_service.panel.context import PanelServices
from admin_service.panel.forms import TOKEN_SECONDS
from admin_service.panel.pages.operator_forms import new_form
from admin_service.panel.views.parts import Undo
from service_kit.identity.model import Permission
from service_kit.web.api import Call

AT: Final = "at"
_WINDOW: Final = timedelta(minutes=10)
_STAMP: Final = "undo"
"""No form has this name, so that a stamp is no form's token."""


def stamped(services: PanelServices, call: Call) -> Mapping[str, str]:
    """When the step was done and by whom, signed, for the address that tells of it."""
    return {AT: services.tokens.issue(call.actor.subject, _STAMP)}


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
    done_at = _done_at(services, call)
    if done_at is None or not call.actor.may(needs):
        return None
    until = done_at + _WINDOW
    if services.clock.now() >= until:
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


def _done_at(services: PanelServices, call: Call) -> datetime | None:
    """None for a stamp that is not ours, or not of whoever asks."""
    stamp = call.request.query.get(AT, "")
    if not services.tokens.is_valid(stamp, call.actor.subject, _STAMP):
        return None
    ends, _dot, _mac = stamp.partition(".")
    return datetime.fromtimestamp(int(ends) - TOKEN_SECONDS, UTC)
