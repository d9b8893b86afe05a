"""P-25: the search box's page. It jumps to what the role may see, and runs no recorded search by itself."""

from collections.abc import Iterator
from typing import Final

from aiohttp import web

from admin_service.jumping.finding import Asking, Jumps
from admin_service.panel.context import PanelServices, both, operator_frame, page, usable_delegation
from admin_service.panel.labels import event_label, role_name
from admin_service.panel.pages.trouble import TENANTS_AWAY
from admin_service.panel.views.audit import AUDIT_PATH
from admin_service.panel.views.billing_packs import BILLING_PATH, PACKS_PATH
from admin_service.panel.views.operators import OPERATORS_PATH
from admin_service.panel.views.parts import page_url, path_segment
from admin_service.panel.views.search import Hit, HitGroup, SearchView
from admin_service.panel.views.tenants import TENANTS_PATH
from admin_service.tenant_api import OnBehalf
from service_kit.identity.model import Permission
from service_kit.web.api import Call

_KINDS: Final = (
    (Permission.TENANT_LIST, "tenants by name, slug, address or id"),
    (Permission.BILLING_VIEW, "credit packs by name or id"),
    (Permission.MANAGE_GLOBAL_ADMINS, "operators by name, address or id"),
    (Permission.VIEW_AUDIT_LOGS_GLOBAL, "events by id"),
)


async def show_search(services: PanelServices, call: Call) -> web.Response:
    """What `q` leads to; without one, only the box."""
    words = call.request.query.get("q", "").strip()
    delegation = usable_delegation(call.request)
    behalf = OnBehalf(delegation, call.origin) if delegation is not None else None
    asking = Asking(call.actor, _printable(words), behalf)
    frame, found = await both(operator_frame(services, call), services.jumps.find(asking))
    view = SearchView(
        query=asking.words,
        groups=tuple(group for group in _groups(call, found, asking.words) if group.hits),
        kinds=tuple(text for permission, text in _KINDS if call.actor.may(permission)),
        offers_person_search=found.offers_person_search,
        partial=TENANTS_AWAY if found.missing else None,
    )
    return page(services, frame, view)


def _printable(text: str) -> str:
    """Without what no database keeps: NUL, and halves of surrogate pairs."""
    return "".join(letter for letter in text if letter.isprintable())


def _groups(call: Call, found: Jumps, words: str) -> Iterator[HitGroup]:
    yield HitGroup("Tenants", "tenants", tuple(_tenants(found)), page_url(TENANTS_PATH, {"q": words}))
    may_manage = call.actor.may(Permission.BILLING_MANAGE_PACKS)
    yield HitGroup("Credit packs", "billing", tuple(_packs(found, may_edit=may_manage)), BILLING_PATH)
    operators = page_url(OPERATORS_PATH, {"q": words})
    yield HitGroup("Operators", "operators", tuple(_operators(found)), operators)
    yield HitGroup("Events", "audit", tuple(_events(found)))


def _tenants(found: Jumps) -> Iterator[Hit]:
    for one in found.tenants:
        yield Hit(one.name, one.slug, f"{TENANTS_PATH}/{path_segment(one.id)}", one.status)


def _packs(found: Jumps, *, may_edit: bool) -> Iterator[Hit]:
    for one in found.packs:
        href = f"{PACKS_PATH}/{path_segment(one.id)}/edit" if may_edit else BILLING_PATH
        yield Hit(one.name, one.id, href, "active" if one.active else "deactivated")


def _operators(found: Jumps) -> Iterator[Hit]:
    for one in found.operators:
        href = f"{OPERATORS_PATH}/{path_segment(one.id)}"
        yield Hit(one.name, f"{one.email}, {role_name(one.role.value)}", href, one.state.value)


def _events(found: Jumps) -> Iterator[Hit]:
    for one in found.events:
        yield Hit(event_label(one.event), one.id, f"{AUDIT_PATH}/{path_segment(one.id)}")
