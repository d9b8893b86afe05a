"""Searching the people of all tenants: allowed, counted, read and recorded, or nothing (R-120…R-126).

The answer is made only after the commit that made the audit rows durable. An answer that gets lost on
its way leaves a row for what nobody saw; no answer is ever without its row. It impersonates nobody.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Histogram

from service_kit.audit.failing import AuditWriteFailedError
from service_kit.clock import Clock
from service_kit.db.session import Database, WriteSession
from service_kit.errors import ProblemError
from service_kit.identity.model import Role
from service_kit.web.pages import PageModel
from tenant_service.asking import Asker
from tenant_service.people.sliding_log import Limit, SlidingLog
from tenant_service.support.asking import wanted_of
from tenant_service.support.cursors import PlaceCodec
from tenant_service.support.errors import (
    BudgetSpentError,
    invalid_cursor,
    role_may_not_search,
)
from tenant_service.support.models import BUDGET, MOST_ROWS, Budget, FoundMembership, FoundUser, Place, Wanted
from tenant_service.support.recording import SearchLog, Shown
from tenant_service.support.repository import SupportRepository
from tenant_service.support.schemas import (
    BudgetModel,
    Membership,
    SearchAudit,
    SearchStanding,
    SupportPage,
    SupportQuery,
    SupportUser,
)
from tenant_service.support.transactions import reading_all_tenants

_FIRST_PAGE = 1
_LEFT = (0, 5, 15, 30, 45, BUDGET.most)
_TOLD_ONCE = Limit(1, BUDGET.window)


class SearchMetrics:
    """How searches ended, and how often a budget was found spent."""

    def __init__(self, registry: CollectorRegistry, namespace: str) -> None:
        self.searches = Counter(
            "support_searches_total",
            "Searches over the people of all tenants, by how they ended.",
            ["outcome"],
            namespace=namespace,
            registry=registry,
        )
        for outcome in ("executed", "rate_limited", "refused", "audit_failed"):
            self.searches.labels(outcome)  # a counter that was never moved shows 0, not nothing
        self.left = Histogram(
            "support_search_budget_left",
            "What a search left of its operator's budget of the hour.",
            namespace=namespace,
            registry=registry,
            buckets=_LEFT,
        )

    def failed(self, error: ProblemError) -> None:
        match error:
            case BudgetSpentError():
                self.searches.labels("rate_limited").inc()
            case AuditWriteFailedError():
                self.searches.labels("audit_failed").inc()
            case _:
                self.searches.labels("refused").inc()


@dataclass(frozen=True, slots=True)
class _Read:
    """What the transaction of a search leaves behind."""

    users: Sequence[FoundUser]
    memberships: Sequence[FoundMembership]
    more: bool
    event_id: str


@dataclass(frozen=True, slots=True)
class SupportSearch:
    """The one way in which an operator finds a person without knowing their tenant."""

    database: Database
    people: SupportRepository
    hits: SlidingLog
    log: SearchLog
    cursors: PlaceCodec
    roles: frozenset[Role]
    metrics: SearchMetrics
    clock: Clock

    async def search(self, asker: Asker, query: SupportQuery) -> tuple[SupportPage, Budget]:
        """One page, which costs one of the budget whatever it finds.

        Raises the refusals of `errors`, and UnavailableError; after each of them nothing was shown.
        """
        try:
            page = await self._search(asker, query)
        except ProblemError as error:
            self.metrics.failed(error)
            raise
        self.metrics.searches.labels("executed").inc()
        return page

    async def standing(self, asker: Asker) -> SearchStanding:
        """What the operator has left; asking costs nothing."""
        self._require_role(asker)
        async with self.database.read() as session:
            standing = await self.hits.standing(session, _partition(asker), BUDGET, self.clock.now())
        budget = Budget.of(standing, self.clock)
        return SearchStanding.of(budget, tenants_told=self.log.tells_tenants)

    async def _search(self, asker: Asker, query: SupportQuery) -> tuple[SupportPage, Budget]:
        self._require_role(asker)
        wanted = wanted_of(query.email, query.q, query.match)
        place = self.cursors.decode(query.cursor, wanted, asker.actor.id) if query.cursor else None
        budget = await self._spend(asker)
        read = await self._read(asker, query, wanted, place)
        return self._answer(asker, wanted, place, read, budget), budget

    def _require_role(self, asker: Asker) -> None:
        if asker.identity.role not in self.roles:
            raise role_may_not_search(self.roles)

    async def _spend(self, asker: Asker) -> Budget:
        """One of the budget, for good: a search that fails afterwards has cost it too.

        A denied try writes a row, but not each of a flood: the next one is written an hour later.
        """
        now, partition = self.clock.now(), _partition(asker)
        async with self.database.write() as session:
            standing = await self.hits.take(session, partition, BUDGET, now)
            if not standing.granted and await self._is_first_denial(session, partition):
                await self.log.rate_limited(session, asker)
        budget = Budget.of(standing, self.clock)
        self.metrics.left.observe(budget.remaining)
        if not standing.granted:
            raise BudgetSpentError(budget)
        return budget

    async def _is_first_denial(self, session: WriteSession, partition: str) -> bool:
        told = await self.hits.take(session, f"{partition}:denied", _TOLD_ONCE, self.clock.now())
        return told.granted

    async def _read(self, asker: Asker, query: SupportQuery, wanted: Wanted, place: Place | None) -> _Read:
        """Rows and the audit rows about them in one transaction (R-121)."""
        limit = min(query.limit, MOST_ROWS)
        async with reading_all_tenants(self.database) as session:
            after = await self._edge(session, place)
            found = await self.people.page(session, wanted, after=after, limit=limit + 1)
            users = found[:limit]
            memberships = await self.people.memberships(session, [user.id for user in users])
            shown = Shown(
                wanted=wanted,
                users=users,
                memberships=memberships,
                limit=limit,
                page_no=place.page_no if place else _FIRST_PAGE,
                cursor_digest=self.log.key.place(place),
                justification=query.justification,
                ticket_ref=query.ticket_ref,
            )
            event_id = await self.log.executed(session, asker, shown)
        return _Read(users, memberships, len(found) > limit, event_id)

    async def _edge(self, session: WriteSession, place: Place | None) -> tuple[str, str] | None:
        if place is None:
            return None
        edge = await self.people.edge(session, place.user_id)
        if edge is None:  # the last person of the page before is gone: begin again
            raise invalid_cursor()
        return edge

    def _answer(
        self, asker: Asker, wanted: Wanted, place: Place | None, read: _Read, budget: Budget
    ) -> SupportPage:
        following = None
        if read.more:
            page_no = (place.page_no if place else _FIRST_PAGE) + 1
            following = self.cursors.encode(Place(read.users[-1].id, page_no), wanted, asker.actor.id)
        return SupportPage(
            data=[_user(user, read.memberships) for user in read.users],
            page=PageModel(next_cursor=following, prev_cursor=None, has_more=read.more),
            audit=SearchAudit(event_id=read.event_id, row_count=len(read.users)),
            rate_limit=BudgetModel.of(budget),
        )


def _partition(asker: Asker) -> str:
    return f"{asker.actor.id}:support_query"


def _user(user: FoundUser, memberships: Sequence[FoundMembership]) -> SupportUser:
    return SupportUser(
        user_id=user.id,
        email=user.email,
        name=user.name,
        email_verified=user.email_verified,
        memberships=[
            Membership(org_id=one.organization_id, slug=one.slug, role=one.role, status=one.status)
            for one in memberships
            if one.user_id == user.id
        ],
    )
