"""What every page is given: the services it may ask, the frame around it, and the way it is sent.

It fetches nothing of a page's own, and it knows no SQL: services come in through narrow Protocols.
"""

import asyncio
import secrets
from collections.abc import Awaitable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final, Protocol, TypeVar

from aiohttp import web

from admin_service.api_document.document import ApiDocument
from admin_service.audit.evidence import Evidence
from admin_service.audit.export import Export, ExportAsked
from admin_service.audit.models import Activity, AuditDetail, AuditPage, KnownEvent
from admin_service.audit.service import Reader
from admin_service.caller import Caller, Origin
from admin_service.enrollment.models import Claimant, Enrolled
from admin_service.jumping.finding import JumpSearch
from admin_service.operators.models import IssuedEnrollment, NewOperator, Operator, OperatorFilter
from admin_service.oversight.service import OperatorOverview
from admin_service.panel.assets import Assets
from admin_service.panel.forms import FormTokens
from admin_service.panel.layout import THEMES, Frame, SignedInOperator, Theme, known_zone, page_headers
from admin_service.panel.live import LiveReadings
from admin_service.panel.rendering import Renderer, View
from admin_service.profile.models import PreferenceChange, Preferences, Profile
from admin_service.saved_views.models import ListName, SavedView
from admin_service.sessions.models import ListedSession
from admin_service.support_search import FoundPeople, PersonQuery, SearchBudget
from admin_service.system.answers import Queue, Workflow
from admin_service.system.models import Merged, Wish
from admin_service.tenant_answers import Answer, CreatedTenant, TenantCounts, TenantDetail, TenantPage
from admin_service.tenant_api import NewTenant, OnBehalf, TenantListQuery
from admin_service.tenant_billing import TenantBilling
from service_kit.audit.queries import AuditFilter
from service_kit.clock import Clock
from service_kit.errors import UnavailableError
from service_kit.identity.binding import DELEGATION_HEADER
from service_kit.identity.model import InternalIdentity, Role
from service_kit.web.api import Call
from service_kit.web.once import Once
from service_kit.web.pages import Page
from service_kit.web.problems import REQUEST_ID

THEME_COOKIE: Final = "panel_theme"
THEME_FORM: Final = "theme"
_NONCE_BYTES: Final = 24
_HOME: Final = "/manage"

A = TypeVar("A")
B = TypeVar("B")
Read = TypeVar("Read", bound=Answer)


class OperatorDirectory(Protocol):
    """The operators, for reading."""

    async def me(self, identity: InternalIdentity) -> Operator: ...

    async def page(
        self, wanted: OperatorFilter, *, limit: int = 100, cursor: str | None = None
    ) -> Page[Operator]: ...

    async def by_id(self, operator_id: str) -> Operator: ...

    async def names(self, operator_ids: Collection[str]) -> Mapping[str, str]: ...


class Provisioning(Protocol):
    """Ways in; each answer holds a token that is shown once."""

    async def create(
        self, caller: Caller, wanted: NewOperator, *, once: Once | None = None
    ) -> IssuedEnrollment: ...

    async def reissue(
        self,
        caller: Caller,
        operator_id: str,
        *,
        rebind: bool = False,
        confirm: str = "",
        once: Once | None = None,
    ) -> IssuedEnrollment: ...

    async def reactivate(
        self, caller: Caller, operator_id: str, *, reason: str, once: Once | None = None
    ) -> IssuedEnrollment: ...


class Standing(Protocol):
    """Deactivation and the role."""

    async def deactivate(
        self, caller: Caller, operator_id: str, *, reason: str = "", once: Once | None = None
    ) -> Operator: ...

    async def change_role(
        self,
        caller: Caller,
        operator_id: str,
        role: Role,
        *,
        reason: str,
        expected: Collection[int],
        once: Once | None = None,
    ) -> Operator: ...


class OperatorSessions(Protocol):
    """The live sessions of operators."""

    async def list_of(self, caller: Caller, operator_id: str) -> Sequence[ListedSession]: ...

    async def end_one(self, caller: Caller, operator_id: str, session_id: str) -> None: ...

    async def end_all_of(self, caller: Caller, operator_id: str) -> int: ...


class SessionCounts(Protocol):
    """How many live sessions each operator of a list has."""

    async def of(self, operator_ids: Collection[str]) -> Mapping[str, int]: ...


class Oversight(Protocol):
    """One operator with their sessions and last actions."""

    async def overview(
        self, caller: Caller, operator_id: str, delegation: str | None
    ) -> OperatorOverview: ...


class Enrollment(Protocol):
    """Where a person becomes an operator."""

    async def claim(self, claimant: Claimant, token: str, origin: Origin) -> Enrolled: ...
    async def is_enrolled(self, sub: str) -> bool: ...


class EvidenceCounts(Protocol):
    """What an auditor asks of a period."""

    async def of(self, reader: Reader, since: datetime, until: datetime, *, verify: bool) -> Evidence: ...


class AuditLog(Protocol):
    """The merged audit log of both services."""

    async def page(
        self,
        reader: Reader,
        wanted: AuditFilter,
        *,
        limit: int = 100,
        cursor: str | None = None,
        allow_partial: bool = False,
        noted_from: Origin | None = None,
    ) -> AuditPage: ...

    async def by_id(self, reader: Reader, event_id: str) -> AuditDetail: ...

    async def activity(self, reader: Reader, *, days: int = 14) -> Activity: ...

    async def catalogue(self, reader: Reader) -> Sequence[KnownEvent]: ...


class Tenants(Protocol):
    """The tenant service, asked in the operator's name."""

    async def list(self, behalf: OnBehalf, query: TenantListQuery) -> TenantPage: ...

    async def get(self, behalf: OnBehalf, id_or_slug: str) -> TenantDetail: ...

    async def counts(self, behalf: OnBehalf) -> TenantCounts: ...

    async def create(self, behalf: OnBehalf, wanted: NewTenant, *, idempotency_key: str) -> CreatedTenant: ...

    async def at(
        self,
        kind: type[Read],
        path: str,
        behalf: OnBehalf,
        body: Mapping[str, Any] | None = None,
        key: str = "",
        *,
        query: Mapping[str, str] | None = None,
        method: str = "",
        version: int | None = None,
    ) -> Read: ...


class System(Protocol):
    """The queues and workflows of both services."""

    async def queues(self, caller: Caller, delegation: str | None) -> Merged[Queue]: ...

    async def workflows(self, caller: Caller, delegation: str | None) -> Merged[Workflow]: ...

    async def retry(self, wish: Wish, delegation: str | None, queue: str, message_id: str) -> None: ...

    async def run(self, wish: Wish, delegation: str | None, workflow: str) -> None: ...


class People(Protocol):
    """The search over the people of all tenants; each call of `search` costs one and is recorded."""

    async def search(self, behalf: OnBehalf, query: PersonQuery) -> FoundPeople: ...

    async def budget(self, behalf: OnBehalf) -> SearchBudget: ...

    async def check(self, behalf: OnBehalf, event_id: str, params: Mapping[str, Any]) -> bool: ...


class AuditExports(Protocol):
    """Exports of the audit log, each recorded before its first byte."""

    def open(
        self, caller: Caller, reader: Reader, asked: ExportAsked
    ) -> AbstractAsyncContextManager[Export]: ...


class ListExports(Protocol):
    """Records that a list leaves as a file, and lets only a few do so at once."""

    def open(
        self, caller: Caller, name: str, details: Mapping[str, Any], personal: Mapping[str, Any]
    ) -> AbstractAsyncContextManager[None]: ...


class SavedViews(Protocol):
    """The lists that an operator keeps under a name."""

    async def of(self, identity: InternalIdentity, name: ListName) -> Sequence[SavedView]: ...

    async def save(self, caller: Caller, where: ListName, name: str, query: str) -> None: ...

    async def remove(self, caller: Caller, view_id: str) -> None: ...


class Profiles(Protocol):
    """The operator who asks, with how they like the panel."""

    async def of(self, identity: InternalIdentity) -> Profile: ...

    async def prefer(self, caller: Caller, change: PreferenceChange) -> Preferences: ...


@dataclass(frozen=True, slots=True)
class PanelServices:
    """Everything the panel needs from outside.

    `origins` are the panel's own, as browsers send them; `host_suffix` is what follows a tenant's slug
    (`.app.example.com`); `form_key` signs form tokens.
    """

    operators: OperatorDirectory
    provisioning: Provisioning
    standing: Standing
    sessions: OperatorSessions
    session_counts: SessionCounts
    oversight: Oversight
    enrollment: Enrollment
    audit: AuditLog
    evidence: EvidenceCounts
    audit_exports: AuditExports
    tenants: Tenants
    support: People
    exports: ListExports
    saved_views: SavedViews
    billing: TenantBilling
    system: System
    profiles: Profiles
    live: LiveReadings[Any]
    jumps: JumpSearch
    renderer: Renderer
    assets: Assets
    form_key: bytes = field(repr=False)
    clock: Clock
    origins: tuple[str, ...]
    environment: str
    host_suffix: str
    api: ApiDocument

    @property
    def over_https(self) -> bool:
        """False only where the panel is served over plain HTTP: the demo on loopback."""
        return all(origin.startswith("https://") for origin in self.origins)

    @property
    def tokens(self) -> FormTokens:
        return FormTokens(self.form_key, self.clock)


async def both(first: Awaitable[A], second: Awaitable[B]) -> tuple[A, B]:
    """Two fetches side by side; when one fails, the other is let finish before the failure goes on.

    A fetch that is cancelled or left alone in the middle of a read would take its connection along.
    """
    one, two = await asyncio.gather(first, second, return_exceptions=True)
    if isinstance(one, BaseException):
        raise one
    if isinstance(two, BaseException):
        raise two
    return one, two


def usable_delegation(request: web.Request) -> str | None:
    """The one delegation of the request; None when there is none, or when nobody can say which counts."""
    given = request.headers.getall(DELEGATION_HEADER, [])
    return given[0] if len(given) == 1 else None


def behalf_of(call: Call) -> OnBehalf:
    """In whose name the tenant service is asked. Raises UnavailableError when nobody gave leave."""
    delegation = usable_delegation(call.request)
    if delegation is None:
        raise UnavailableError("TENANT_SERVICE_UNAVAILABLE", "The tenant service cannot be asked")
    return OnBehalf(delegation, call.origin)


def reader_of(call: Call) -> Reader:
    """Who reads the audit log; without a delegation only this service's own rows."""
    return Reader(call.actor, usable_delegation(call.request))


async def operator_frame(services: PanelServices, call: Call) -> Frame:
    """The frame of a page for an operator, with the header as their own row says it."""
    profile = await services.profiles.of(call.actor)
    row, likes = profile.operator, profile.preferences
    operator = SignedInOperator(row.name, row.email, row.role.value, row.last_active_at)
    frame = frame_for(services, call.request, call.actor, operator)
    return replace(
        frame,
        theme=_theme(call.request, likes.theme.value),
        zone=known_zone(likes.time_zone),
        density=likes.density.value,
        shortcuts=likes.shortcuts,
    )


def identity_frame(services: PanelServices, request: web.Request, actor: InternalIdentity) -> Frame:
    """The frame from the identity alone: for refusals, and for people who are not operators."""
    operator = SignedInOperator(actor.name, actor.email, actor.role.value) if actor.role else None
    return frame_for(services, request, actor, operator)


def frame_for(
    services: PanelServices,
    request: web.Request,
    actor: InternalIdentity,
    operator: SignedInOperator | None,
) -> Frame:
    return Frame(
        nonce=secrets.token_urlsafe(_NONCE_BYTES),
        request_id=request.get(REQUEST_ID, ""),
        environment=services.environment,
        operator=operator,
        permissions=frozenset(permission.value for permission in actor.permissions),
        theme=_theme(request),
        theme_csrf=services.tokens.issue(actor.subject, THEME_FORM) if operator else "",
        return_to=request.path_qs if request.method == "GET" else _HOME,
    )


def page(
    services: PanelServices,
    frame: Frame,
    view: View,
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
) -> web.Response:
    """The whole document with every header that an HTML page carries (http-api 3.0)."""
    return web.Response(
        text=services.renderer.render(frame, view),
        status=status,
        content_type="text/html",
        charset="utf-8",
        headers={**page_headers(frame.nonce, upgrade=services.over_https), **(headers or {})},
    )


def see_other(path: str) -> web.Response:
    """Go on to a page of our own after a form (POST, redirect, GET)."""
    return web.Response(status=303, headers={"Location": path, "Cache-Control": "no-store"})


def _theme(request: web.Request, liked: str = "system") -> Theme:
    """What this browser was told, else what the operator prefers."""
    told = request.cookies.get(THEME_COOKIE, "")
    chosen = told if told in THEMES else liked
    return next((theme for theme in THEMES if theme == chosen), "system")
