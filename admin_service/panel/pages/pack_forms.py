"""A new pack, and every field of one that is there (P-14, R-025, R-026).

Prices are typed in rupees and dollars and sent in paise and cents; what is not clearly an amount is refused
here, with its field named. Whether a change still fits, the tenant service decides by the version.
"""

from typing import Final

from aiohttp import web

from admin_service.panel.context import PanelServices, behalf_of, operator_frame, page, see_other
from admin_service.panel.forms import Form
from admin_service.panel.pages.billing_forms import (
    SHOWN_WITH_THE_FORM,
    billing_refused,
    version_of,
    whole_number,
    wrong,
)
from admin_service.panel.pages.operator_forms import new_form, read_own_form, require_form_token
from admin_service.panel.pages.packs import done_url, shown_pack
from admin_service.panel.pages.unknown_outcomes import is_unknown
from admin_service.panel.views.billing_packs import Difference, PackFormView, PackRow, TypedPack
from admin_service.tenant_billing import Pack, PackWish
from service_kit import money
from service_kit.errors import FieldProblem, NotFoundError, ProblemError, UnprocessableError
from service_kit.web.api import Call

_FORM: Final = "pack"
_CONTROLS: Final = ("name", "replies", "priceInr", "priceUsd", "sortOrder")
_STEP: Final = 10


async def show_new(services: PanelServices, call: Call) -> web.Response:
    """An empty form, with the place after the last pack."""
    packs = await services.billing.packs(behalf_of(call))
    last = max((pack.sort_order for pack in packs), default=0)
    view = PackFormView(TypedPack(sort_order=str(last + _STEP)), new_form(services, call, _FORM))
    return page(services, await operator_frame(services, call), view)


async def create(services: PanelServices, call: Call) -> web.Response:
    """Create the pack, once."""
    form = await read_own_form(services, call)
    try:
        require_form_token(services, call, form, _FORM)
        key, wish, active = form.idempotency_key, _wish(form), form.text("active") != "no"
        await services.billing.create_pack(behalf_of(call), wish, active=active, key=key)
    except SHOWN_WITH_THE_FORM as error:
        return await _show_again(services, call, form, error)
    return see_other(done_url("created"))


async def show_edit(services: PanelServices, call: Call) -> web.Response:
    """The pack as it is. Raises NotFoundError."""
    pack = await named_pack(services, call)
    view = PackFormView(TypedPack.of(pack), new_form(services, call, _FORM), pack)
    return page(services, await operator_frame(services, call), view)


async def update(services: PanelServices, call: Call) -> web.Response:
    """Change the pack that the form showed. Raises NotFoundError."""
    form = await read_own_form(services, call)
    pack_id = call.path("id")
    try:
        require_form_token(services, call, form, _FORM)
        version, wish = version_of(form), _wish(form)
        await services.billing.update_pack(behalf_of(call), pack_id, wish, version=version)
    except SHOWN_WITH_THE_FORM as error:
        pack = _current(error) or await named_pack(services, call)
        if error.code == "VERSION_CONFLICT" and not any(one.differs for one in _versions(pack, form)):
            return see_other(done_url("updated"))  # the same form, sent twice
        return await _show_again(services, call, form, error, pack)
    return see_other(done_url("updated"))


async def named_pack(services: PanelServices, call: Call) -> PackRow:
    """The pack of the address. Raises NotFoundError, UnavailableError."""
    for pack in await services.billing.packs(behalf_of(call)):
        if pack.id == call.path("id"):
            return shown_pack(pack)
    raise NotFoundError("PACK_NOT_FOUND", "No such credit pack")


async def _show_again(
    services: PanelServices, call: Call, form: Form, error: ProblemError, pack: PackRow | None = None
) -> web.Response:
    """The form with every value kept; after a conflict it carries the version that both are shown of."""
    view = PackFormView(
        typed=_typed(form),
        form=billing_refused(services, call, _FORM, error, form=form, controls=_CONTROLS),
        pack=pack,
        conflict=_versions(pack, form) if pack and error.code == "VERSION_CONFLICT" else (),
        # What may have been saved is sent again as of the same version, so that it is not saved twice.
        version=version_of(form) if pack and is_unknown(error) else None,
    )
    frame = await operator_frame(services, call)
    return page(services, frame, view, status=error.status, headers=error.headers)


def _typed(form: Form) -> TypedPack:
    """Exactly as it was typed, spaces and all."""
    given = form.fields
    return TypedPack(
        name=given.get("name", ""),
        replies=given.get("replies", ""),
        price_inr=given.get("priceInr", ""),
        price_usd=given.get("priceUsd", ""),
        sort_order=given.get("sortOrder", ""),
        active=given.get("active", "yes"),
    )


def _wish(form: Form) -> PackWish:
    """What was typed, as the API takes it. Raises UnprocessableError with every wrong field named."""
    problems: list[FieldProblem] = []

    def read(control: str, currency: str = "") -> int:
        try:
            return _price(form, control, currency) if currency else whole_number(form, control)
        except UnprocessableError as error:
            problems.extend(error.fields)
            return 0

    if not form.text("name"):
        problems.append(FieldProblem("/name", "TOO_SHORT", ""))
    wish = PackWish(
        name=form.text("name"),
        replies=read("replies"),
        prices={"INR": read("priceInr", "INR"), "USD": read("priceUsd", "USD")},
        sort_order=read("sortOrder"),
    )
    if problems:
        raise UnprocessableError("VALIDATION_FAILED", "A field is wrong", fields=tuple(problems))
    return wish


def _price(form: Form, control: str, currency: str) -> int:
    try:
        return money.parsed(form.text(control), currency)
    except money.AmountError as error:
        raise wrong(control, f"The price {error}.") from None


def _current(error: ProblemError) -> PackRow | None:
    """The pack as it is, which a conflict tells."""
    current = error.extra.get("current")
    return shown_pack(Pack.model_validate(current)) if isinstance(current, dict) else None


def _versions(pack: PackRow, form: Form) -> tuple[Difference, ...]:
    """Both versions, field by field, in one way of writing."""
    wish = _wish(form)
    return (
        Difference("Name", pack.name, wish.name),
        Difference("Replies", f"{pack.replies:,}", f"{wish.replies:,}"),
        *(
            Difference(f"Price in {code}", pack.price(code), money.shown(wish.prices[code], code))
            for code in wish.prices
        ),
        Difference("Order", f"{pack.sort_order:,}", f"{wish.sort_order:,}"),
    )
