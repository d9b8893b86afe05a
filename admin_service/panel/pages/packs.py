"""All packs and the credits of all tenants (P-13, R-024); packs move up and down here.

The order that the page showed travels with a move, so that a list that changed meanwhile is not mixed up.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from aiohttp import web

from admin_service.panel.context import PanelServices, behalf_of, both, operator_frame, page, see_other
from admin_service.panel.forms import Form
from admin_service.panel.pages.billing_forms import SHOWN_WITH_THE_FORM, notice_of
from admin_service.panel.pages.list_files import ListFile, one_chunk, send_list, wants_file
from admin_service.panel.pages.operator_forms import new_form, read_own_form, require_form_token
from admin_service.panel.pages.trouble import TENANTS_AWAY
from admin_service.panel.pages.undoing import undo
from admin_service.panel.pages.unknown_outcomes import is_unknown
from admin_service.panel.views.billing_packs import (
    BILLING_PATH,
    CURRENCIES,
    PACKS_PATH,
    CreditDay,
    CreditTotals,
    LowTenant,
    PackListView,
    PackRow,
)
from admin_service.panel.views.parts import Notice, page_url, path_segment
from admin_service.tenant_billing import Pack, Summary
from service_kit.errors import BadRequestError, ProblemError, UnavailableError
from service_kit.identity.model import Permission
from service_kit.web.api import Call

DONE: Final = "done"
PACK: Final = "pack"
_FORM: Final = "pack-order"
_HEAD: Final = (
    "id",
    "name",
    "replies",
    *(f"price_{currency.lower()}_minor" for currency in CURRENCIES),
    "status",
    "sort_order",
    "updated_at",
)
_NO_TOTALS: Final = Notice(
    "warning",
    "The totals of all tenants are missing",
    "The packs are complete. Load the page again in a moment.",
)
_UNKNOWN: Final = Notice(
    "warning",
    "Nobody knows yet whether the pack was moved",
    "There was no answer. Look at the list in a moment; move the pack only if it is not where you want it.",
)
"""The list comes back as it is and not as it was sent: to press the button again would be another move."""

_MESSAGES: Final[Mapping[str, Notice]] = {
    "created": Notice("success", "The pack was created"),
    "updated": Notice("success", "The pack was changed"),
    "activated": Notice("success", "The pack is on offer", "Tenants see it from now on."),
    "deactivated": Notice("success", "The pack is not on offer any more", "Tenants see it no longer."),
    "deleted": Notice("success", "The pack was deleted", "Grants and purchases keep what it was."),
    "gone": Notice("info", "This pack was deleted before", "Nothing was changed by you."),
    "moved": Notice("success", "The packs are in their new order"),
}
_INVERSE: Final[Mapping[str, str]] = {"activated": "deactivate", "deactivated": "activate"}


async def list_packs(services: PanelServices, call: Call) -> web.StreamResponse:
    """P-13. Without the tenant service the page stands, and says what is missing; a file is not made then."""
    if wants_file(call):
        found = await services.billing.packs(behalf_of(call))
        return await send_list(services, call, ListFile("credit-packs", _HEAD, _cells, one_chunk(found)))
    told = _told(services, call)
    return await _show(services, call, *([told] if told else []))


def _cells(pack: Pack) -> tuple[object, ...]:
    """Prices in minor units, as the API has them: no comma that a spreadsheet could read another way."""
    prices = (pack.prices.get(currency) for currency in CURRENCIES)
    status = "active" if pack.active else "inactive"
    return pack.id, pack.name, pack.replies, *prices, status, pack.sort_order, pack.updated_at.isoformat()


async def move_pack(services: PanelServices, call: Call) -> web.Response:
    """Move one pack one place up or down (rule 9: no drag)."""
    form = await read_own_form(services, call)
    try:
        require_form_token(services, call, form, _FORM)
        key, ids = form.idempotency_key, moved(form)
        await services.billing.reorder_packs(behalf_of(call), ids, key=key)
    except SHOWN_WITH_THE_FORM as error:
        return await _show(services, call, _UNKNOWN if is_unknown(error) else notice_of(error), error=error)
    return see_other(page_url(BILLING_PATH, {DONE: "moved"}))


def moved(form: Form) -> Sequence[str]:
    """The order that the page showed, with the wanted move done. Raises BadRequestError for no such move."""
    ids = form.text("order").split()
    direction, _, pack_id = form.text("move").partition(" ")
    if pack_id not in ids or direction not in {"up", "down"}:
        raise BadRequestError("FORM_INVALID", "The form does not say what to move")
    place = ids.index(pack_id)
    other = place + (1 if direction == "down" else -1)
    if 0 <= other < len(ids):
        ids[place], ids[other] = ids[other], ids[place]
    return ids


def shown_pack(pack: Pack) -> PackRow:
    return PackRow(
        id=pack.id,
        name=pack.name,
        replies=pack.replies,
        prices=pack.prices,
        active=pack.active,
        sort_order=pack.sort_order,
        version=pack.version,
    )


def done_url(what: str, pack_id: str = "", at: Mapping[str, str] | None = None) -> str:
    return page_url(BILLING_PATH, {DONE: what, PACK: pack_id, **(at or {})})


async def _show(
    services: PanelServices, call: Call, *notices: Notice, error: ProblemError | None = None
) -> web.Response:
    frame, (packs, totals) = await both(
        operator_frame(services, call), both(_packs(services, call), _totals(services, call))
    )
    may_manage = call.actor.may(Permission.BILLING_MANAGE_PACKS)
    view = PackListView(
        packs=packs,
        totals=totals,
        form=new_form(services, call, _FORM) if may_manage and packs else None,
        notices=(*notices, *_missing(packs, totals)),
    )
    if error is not None:
        return page(services, frame, view, status=error.status, headers=error.headers)
    return page(services, frame, view, status=200 if packs is not None else UnavailableError.status)


async def _packs(services: PanelServices, call: Call) -> tuple[PackRow, ...] | None:
    try:
        return tuple(map(shown_pack, await services.billing.packs(behalf_of(call))))
    except UnavailableError:
        return None


async def _totals(services: PanelServices, call: Call) -> CreditTotals | None:
    try:
        return shown_totals(await services.billing.summary(behalf_of(call)))
    except UnavailableError:
        return None


def shown_totals(found: Summary) -> CreditTotals:
    return CreditTotals(
        liability=found.liability.replies,
        reserved=found.liability.reserved,
        days=tuple(CreditDay(day.day, day.granted, day.used, day.expired, day.voided) for day in found.days),
        low=tuple(LowTenant(low.organization_id, low.name, low.remaining) for low in found.low_balances),
    )


def _missing(packs: tuple[PackRow, ...] | None, totals: CreditTotals | None) -> tuple[Notice, ...]:
    if packs is None:
        return (TENANTS_AWAY,)
    return (_NO_TOTALS,) if totals is None else ()


def _told(services: PanelServices, call: Call) -> Notice | None:
    """What the form that led here did, with the way back where there is one (rule 7)."""
    what = call.request.query.get(DONE, "")
    notice, inverse = _MESSAGES.get(what), _INVERSE.get(what)
    pack_id = call.request.query.get(PACK, "")
    if notice is None or inverse is None or not pack_id:
        return notice
    back = undo(
        services,
        call,
        Permission.BILLING_MANAGE_PACKS,
        form=f"pack-{inverse}d",
        action=f"{PACKS_PATH}/{path_segment(pack_id)}/{inverse}",
        label=f"Undo: {inverse}",
    )
    return replace(notice, undo=back)
