"""Feature flags of a tenant (P-10, G-03): which there are, who set them, and switching one with a note."""

from typing import Final

from aiohttp import web

from admin_service.panel.context import PanelServices, both, operator_frame, page
from admin_service.panel.pages.authors import author, names_of
from admin_service.panel.pages.tenant_asking import Done, head_of, permissions_of, tenant_of
from admin_service.panel.pages.tenant_detail import notice_of
from admin_service.panel.pages.tenant_life import not_offered
from admin_service.panel.pages.tenant_steps import Seen, Sent, TenantStep, back_to
from admin_service.panel.pages.unknown_outcomes import is_unknown
from admin_service.panel.views.operator_forms import FormState
from admin_service.panel.views.parts import Link, path_segment
from admin_service.panel.views.tenant_place import FlagLine, TenantFlagsView
from admin_service.panel.views.tenant_steps import Control, TenantStepView
from admin_service.tenant_answers import FeatureFlag, TenantDetail
from service_kit.errors import NotFoundError, PreconditionFailedError
from service_kit.web.api import Call

_PATH: Final = "/flags"
_LEAST_NOTE: Final = 1


async def list_flags(services: PanelServices, call: Call) -> web.Response:
    """Every flag that the settings know. Raises NotFoundError, UnavailableError."""
    frame, tenant = await both(operator_frame(services, call), tenant_of(services, call))
    head, names = head_of(tenant), await names_of(services, [flag.updated_by for flag in tenant.flags])
    rows = tuple(
        FlagLine(
            key=flag.key,
            enabled=flag.enabled,
            note=flag.note,
            updated_by=author(names, flag.updated_by) if flag.updated_by else None,
            updated_at=flag.updated_at,
            href=f"{head.href}{_PATH}/{path_segment(flag.key)}",
        )
        for flag in tenant.flags
    )
    view = TenantFlagsView(
        head=head, permissions=permissions_of(call.actor), notice=notice_of(services, call), rows=rows
    )
    return page(services, frame, view)


def _flag(tenant: TenantDetail, key: str) -> FeatureFlag:
    for flag in tenant.flags:
        if flag.key == key:
            return flag
    raise NotFoundError("UNKNOWN_FLAG", "There is no such flag")


async def _view(seen: Seen, state: FormState) -> TenantStepView:
    head, flag = head_of(seen.tenant), _flag(seen.tenant, seen.call.path("key"))
    turn, version = "off" if flag.enabled else "on", str(flag.version)
    if is_unknown(seen.error):
        # It may be switched already: the form must ask for the same once more, and not for the way back.
        turn = "on" if seen.form.text("enabled") == "on" else "off"
        version = seen.typed("version", version)
    return TenantStepView(
        head=head,
        heading=f"Switch {flag.key} {turn}",
        action=f"{head.href}{_PATH}/{path_segment(flag.key)}",
        back=Link("Flags", head.href + _PATH),
        form=state,
        button=f"Switch {turn}",
        controls=(
            Control(name="version", label="", kind="hidden", value=version),
            Control(name="enabled", label="", kind="hidden", value=turn),
            Control(
                name="note",
                label="Note",
                value=seen.typed("note"),
                hint="Why. The tenant reads it in its own log.",
                is_required=True,
            ),
            Control(name="ticketRef", label="Ticket (optional)", value=seen.typed("ticketRef"), most=100),
        ),
        facts=(
            ("Now", "On" if flag.enabled else "Off"),
            ("Then", turn.capitalize()),
            *((("Note now", flag.note),) if flag.note else ()),
        ),
        not_offered=not_offered(seen.tenant, "active", "suspended"),
    )


async def _switch(sent: Sent) -> web.StreamResponse:
    key, enabled = sent.call.path("key"), sent.form.text("enabled") == "on"
    note, version = sent.given("note", _LEAST_NOTE), sent.version()
    body = {"enabled": enabled, "note": note, "ticketRef": sent.form.text("ticketRef")}
    try:
        await sent.order(Done, ("feature-flags", key), body, method="PUT", version=version)
    except PreconditionFailedError:
        now = _flag(await tenant_of(sent.services, sent.call), key)
        if (now.enabled, now.note) != (enabled, note):
            raise
        # The same form, sent twice: it is as it was wanted.
    return back_to(sent.call, _PATH, "flag-on" if enabled else "flag-off")


SWITCH: Final = TenantStep("tenant-flag", _view, _switch)
