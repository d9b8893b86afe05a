"""The jump search (P-25): a few hits of each kind that the caller may see, and never a person of a tenant.

Who looks for a person uses the recorded search; this one only says that the text looks like an address.
"""

import asyncio
import re
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol, TypeVar

from admin_service.audit.models import AuditDetail, AuditRow
from admin_service.audit.service import Reader
from admin_service.operators.models import Operator, OperatorFilter
from admin_service.tenant_answers import TenantDetail, TenantPage
from admin_service.tenant_api import OnBehalf, TenantListQuery
from admin_service.tenant_billing import Pack
from service_kit.errors import (
    BadRequestError,
    ForbiddenError,
    NotFoundError,
    UnavailableError,
    UnprocessableError,
)
from service_kit.identity.model import InternalIdentity, Permission
from service_kit.ids import is_id
from service_kit.web.pages import Page

MOST_HITS: Final = 5
"""Of each kind: whoever needs more uses the list of that kind."""
MOST_CHARACTERS: Final = 120
_SLUG: Final = re.compile(r"[a-z][a-z0-9-]{1,61}[a-z0-9]")
_FINDS_NOTHING: Final = (NotFoundError, BadRequestError, UnprocessableError, ForbiddenError)

T = TypeVar("T")


class Tenants(Protocol):
    async def list(self, behalf: OnBehalf, query: TenantListQuery) -> TenantPage: ...

    async def get(self, behalf: OnBehalf, id_or_slug: str) -> TenantDetail: ...


class Packs(Protocol):
    async def packs(self, behalf: OnBehalf) -> Sequence[Pack]: ...


class Operators(Protocol):
    async def page(
        self, wanted: OperatorFilter, *, limit: int = 100, cursor: str | None = None
    ) -> Page[Operator]: ...

    async def by_id(self, operator_id: str) -> Operator: ...


class AuditLog(Protocol):
    async def by_id(self, reader: Reader, event_id: str) -> AuditDetail: ...


@dataclass(frozen=True, slots=True)
class FoundTenant:
    id: str
    slug: str
    name: str
    status: str


@dataclass(frozen=True, slots=True)
class Jumps:
    """What was found, the exact hit first. `missing` says that the tenant service did not answer.

    `offers_person_search` when the text looks like an address and the caller may run the recorded search;
    nothing of it was run.
    """

    tenants: tuple[FoundTenant, ...] = ()
    packs: tuple[Pack, ...] = ()
    operators: tuple[Operator, ...] = ()
    events: tuple[AuditRow, ...] = ()
    offers_person_search: bool = False
    missing: bool = False

    @property
    def is_empty(self) -> bool:
        return not (self.tenants or self.packs or self.operators or self.events)


@dataclass(frozen=True, slots=True)
class Asking:
    """Who looks, what for, and with which leave of the tenant service; None: it cannot be asked."""

    actor: InternalIdentity
    text: str
    behalf: OnBehalf | None

    @property
    def words(self) -> str:
        return self.text.strip()[:MOST_CHARACTERS]

    def may(self, permission: Permission) -> bool:
        return self.actor.may(permission)


class JumpSearch:
    """Asks each owner for its own, side by side."""

    def __init__(self, tenants: Tenants, packs: Packs, operators: Operators, audit: AuditLog) -> None:
        self._tenants = tenants
        self._packs = packs
        self._operators = operators
        self._audit = audit

    async def find(self, asking: Asking) -> Jumps:
        """Raises UnavailableError only when this service's own database is away."""
        if not asking.words:
            return Jumps()
        operators = await self._found_operators(asking)
        (tenants, no_tenants), (packs, no_packs), (events, no_events) = await asyncio.gather(
            _or_missing(self._found_tenants(asking)),
            _or_missing(self._found_packs(asking)),
            _or_missing(self._found_events(asking)),
        )
        return Jumps(
            tenants=tuple(tenants),
            packs=tuple(packs),
            operators=tuple(operators),
            events=tuple(events),
            offers_person_search="@" in asking.words and asking.may(Permission.VIEW_AUDIT_LOGS_GLOBAL),
            missing=no_tenants or no_packs or no_events,
        )

    async def _found_tenants(self, asking: Asking) -> Sequence[FoundTenant]:
        if not asking.may(Permission.TENANT_LIST):
            return ()
        behalf, words = _behalf(asking), asking.words
        # The list looks through names, slugs and addresses, and shows the newest: the exact one may be old.
        exact = await self._exact_tenant(asking, behalf)
        try:
            page = await self._tenants.list(behalf, TenantListQuery(q=words, limit=MOST_HITS))
        except _FINDS_NOTHING:
            return exact
        found = [FoundTenant(row.id, row.slug, row.name, row.status) for row in page.data]
        return [*exact, *(one for one in found if one not in exact)][:MOST_HITS]

    async def _exact_tenant(self, asking: Asking, behalf: OnBehalf) -> list[FoundTenant]:
        named = asking.words.lower() if _SLUG.fullmatch(asking.words.lower()) else asking.words
        is_named = is_id(named, "org") or _SLUG.fullmatch(named) is not None
        if not is_named or not asking.may(Permission.TENANT_VIEW):
            return []
        try:
            found = await self._tenants.get(behalf, named)
        except _FINDS_NOTHING:
            return []
        return [FoundTenant(found.id, found.slug, found.name, found.status)]

    async def _found_packs(self, asking: Asking) -> Sequence[Pack]:
        if not asking.may(Permission.BILLING_VIEW):
            return ()
        wanted = asking.words.casefold()
        packs = await self._packs.packs(_behalf(asking))
        return [pack for pack in packs if asking.words == pack.id or wanted in pack.name.casefold()][
            :MOST_HITS
        ]

    async def _found_events(self, asking: Asking) -> Sequence[AuditRow]:
        if not is_id(asking.words, "aud") or not asking.may(Permission.VIEW_AUDIT_LOGS_GLOBAL):
            return ()
        reader = Reader(asking.actor, asking.behalf.delegation if asking.behalf else None)
        try:
            return [(await self._audit.by_id(reader, asking.words)).row]
        except _FINDS_NOTHING:
            return ()

    async def _found_operators(self, asking: Asking) -> Sequence[Operator]:
        if not asking.may(Permission.MANAGE_GLOBAL_ADMINS):
            return ()
        words = asking.words
        if is_id(words, "adm"):
            try:
                return [await self._operators.by_id(words)]
            except NotFoundError:
                return ()
        return (await self._operators.page(OperatorFilter(q=words), limit=MOST_HITS)).rows


def _behalf(asking: Asking) -> OnBehalf:
    if asking.behalf is None:
        raise UnavailableError("TENANT_SERVICE_UNAVAILABLE", "The tenant service cannot be asked")
    return asking.behalf


async def _or_missing(answer: Awaitable[Sequence[T]]) -> tuple[Sequence[T], bool]:
    try:
        return await answer, False
    except UnavailableError:
        return (), True
