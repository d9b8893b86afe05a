"""The search and the manual with data: found, nothing found, an address, half of the events."""

from dataclasses import replace
from typing import Final

from admin_service.panel.views.manual import EventLine, ManualView
from admin_service.panel.views.own_page import matrix_of
from admin_service.panel.views.search import Hit, HitGroup, SearchView
from service_kit.identity.model import OPERATOR_PERMISSIONS, Permission
from tests.unit.admin_service.panel.sample_page import Page
from tests.unit.admin_service.panel.sample_values import AWAY, FRAME, READER

_TENANTS: Final = HitGroup(
    "Tenants",
    "tenants",
    (
        Hit("Acme", "acme", "/manage/tenants/org_1", "active"),
        Hit("Acme Asia Pacific", "acme-apac", "/manage/tenants/org_2", "suspended"),
    ),
    "/manage/tenants?q=acme",
)
_PACKS: Final = HitGroup(
    "Credit packs", "billing", (Hit("Acme special", "pack_1", "/manage/billing", "active"),)
)
_OPERATORS: Final = HitGroup(
    "Operators",
    "operators",
    (Hit("Ada Okafor", "ada.okafor@example.com, Super admin", "/manage/operators/adm_1", "active"),),
)
_KINDS: Final = ("tenants by name, slug, address or id", "credit packs by name or id")
_FOUND: Final = SearchView("acme", (_TENANTS, _PACKS, _OPERATORS), _KINDS)
_MANUAL: Final = ManualView(
    matrix=matrix_of(
        {role.value: frozenset(held) for role, held in OPERATOR_PERMISSIONS.items()}, tuple(Permission)
    ),
    events=(
        EventLine("tenant.created", "create_tenant", "NOTICE", "dual", "tenant"),
        EventLine("billing.credits.granted", "grant_replies", "NOTICE", "dual", "tenant"),
        EventLine("admin.enrollment.rebound", "rebind_enrollment", "CRITICAL", "global", "admin"),
    ),
    permissions=FRAME.permissions,
)

GUIDE_PAGES: Final = (
    Page("search", FRAME, SearchView("", kinds=_KINDS)),
    Page("search-found", FRAME, _FOUND),
    Page("search-nothing", FRAME, SearchView("acmme", kinds=_KINDS)),
    Page("search-address", READER, SearchView("ann@acme.example", offers_person_search=True)),
    Page("search-partial", FRAME, replace(_FOUND, groups=(_OPERATORS,), partial=AWAY)),
    Page("manual", FRAME, _MANUAL),
    Page("manual-reader", READER, replace(_MANUAL, permissions=READER.permissions, missing=AWAY)),
)


def hostile_guide_pages(text: str) -> tuple[Page, ...]:
    """The same with a hostile or very long text wherever a text comes from outside."""
    group = HitGroup("Tenants", "tenants", (Hit(text, text, "/x", text),), "/y")
    return (
        Page("search", FRAME, SearchView(text, (group,), (), offers_person_search=True)),
        Page("search-nothing", FRAME, SearchView(text)),
        Page("manual", FRAME, replace(_MANUAL, events=(EventLine(text, text, text, text, text),))),
    )
