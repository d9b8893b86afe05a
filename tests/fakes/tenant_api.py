"""A tenant service in memory, behind the admin service's own client class."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

from admin_service.tenant_answers import (
    CreatedTenant,
    DetailCounts,
    PageInfo,
    PendingInvitation,
    TenantCounts,
    TenantDetail,
    TenantPage,
    TenantRow,
)
from admin_service.tenant_api import A, Body, NewTenant, OnBehalf, TenantApi, TenantListQuery
from service_kit.audit.queries import AuditFilter
from service_kit.db.keyset import Position
from service_kit.errors import BadRequestError, NotFoundError, ProblemError, UnavailableError

NO_BILLING: Mapping[str, Mapping[str, Any]] = {
    "/api/admin/credit-packs": {"data": []},
    "/api/admin/billing/summary": {
        "days": [],
        "liability": {"replies": 0, "reserved": 0},
        "lowBalances": [],
    },
}
"""What a tenant service without packs and grants answers."""
ATTENTION = "/internal/v1/tenant-attention"
SINCE = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)


@dataclass(frozen=True)
class Creation:
    """One creation that was asked for."""

    behalf: OnBehalf
    wanted: NewTenant
    key: str


@dataclass
class Steering:
    """What a test makes the tenant service do."""

    away: bool = False
    refuses: ProblemError | None = None
    cursor_fits: bool = True
    loses_answers: bool = False
    queues: Sequence[Mapping[str, Any]] | None = None
    """Without any given, the tenant service does not tell its queues."""
    attention: Mapping[str, int | None] = field(
        default_factory=lambda: {"expiringInvitations": 0, "lowBalances": 0, "partialFailures": 0}
    )


@dataclass
class Memory:
    """What the tenant service holds, and what it was asked."""

    tenants: list[TenantRow] = field(default_factory=list)
    audit: list[Mapping[str, Any]] = field(default_factory=list)
    keys: dict[str, CreatedTenant] = field(default_factory=dict)
    creations: list[Creation] = field(default_factory=list)
    delegations: list[str] = field(default_factory=list)
    filters: list[AuditFilter] = field(default_factory=list)
    queries: list[TenantListQuery] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    """What was asked by path."""


class FakeTenantApi(TenantApi):
    """Answers from memory; steered by a test."""

    def __init__(self) -> None:
        super().__init__(None)
        self.steer = Steering()
        self.memory = Memory()

    async def at(
        self,
        kind: type[A],
        path: str,
        behalf: OnBehalf,
        body: Body = None,
        key: str = "",
        *,
        query: Mapping[str, str] | None = None,
        method: str = "",
        version: int | None = None,
    ) -> A:
        self.memory.paths.append(path)
        answers: dict[str, Mapping[str, Any]] = {**NO_BILLING, ATTENTION: self.steer.attention}
        if self.steer.queues is not None:
            answers["/internal/v1/system/queues"] = {"data": self.steer.queues}
        if path in answers and not self.steer.away:
            return kind.model_validate(answers[path])
        return await super().at(kind, path, behalf, body, key, query=query, method=method, version=version)

    def add(
        self, slug: str, name: str, *, email: str = "", plan: str = "pro", status: str = "active"
    ) -> TenantRow:
        """A tenant that was there before."""
        row = TenantRow(
            id=f"org_{slug}",
            slug=slug,
            name=name,
            email=email or f"owner@{slug}.example",
            plan=plan,
            status=status,
            created_at=SINCE,
            credits_remaining=None,
            owner_state="invited",
        )
        self.memory.tenants.append(row)
        return row

    async def list(self, behalf: OnBehalf, query: TenantListQuery) -> TenantPage:
        self._asked(behalf.delegation)
        self.memory.queries.append(query)
        if query.cursor and not self.steer.cursor_fits:
            raise BadRequestError("INVALID_CURSOR", "The cursor does not belong to this list")
        found = [row for row in self.memory.tenants if query.status in {"", row.status}]
        found = [row for row in found if query.q.lower() in row.name.lower()]
        more = "next" if len(found) > query.limit else None
        return TenantPage(data=found[: query.limit], page=PageInfo(next_cursor=more, prev_cursor=None))

    async def get(self, behalf: OnBehalf, id_or_slug: str) -> TenantDetail:
        self._asked(behalf.delegation)
        for row in self.memory.tenants:
            if id_or_slug in {row.id, row.slug}:
                return _detail(row)
        raise NotFoundError("TENANT_NOT_FOUND", "No such tenant")

    async def counts(self, behalf: OnBehalf) -> TenantCounts:
        self._asked(behalf.delegation)
        count = len(self.memory.tenants)
        return TenantCounts(total=count, active=count, suspended=0, pending_invitations=count)

    async def create(self, behalf: OnBehalf, wanted: NewTenant, *, idempotency_key: str) -> CreatedTenant:
        self._asked(behalf.delegation)
        self.memory.creations.append(Creation(behalf, wanted, idempotency_key))
        if self.steer.refuses is not None:
            raise self.steer.refuses
        if idempotency_key in self.memory.keys:
            return self.memory.keys[idempotency_key].model_copy(update={"accept_url": None})
        row = self.add(wanted.slug, wanted.name, email=wanted.primary_admin_email, plan=wanted.plan)
        made = CreatedTenant(
            org_id=row.id,
            hosted_at=f"{row.slug}.app.example.com",
            accept_url=f"https://{row.slug}.app.example.com/accept-invite/inv_public_SECRET",
            expires_at=SINCE + timedelta(hours=48),
        )
        self.memory.keys[idempotency_key] = made
        if self.steer.loses_answers:
            raise _away()
        return made

    async def audit_page(
        self, delegation: str, wanted: AuditFilter, *, position: Position | None, limit: int
    ) -> Sequence[Mapping[str, Any]]:
        self._asked(delegation)
        self.memory.filters.append(wanted)
        rows = self.memory.audit
        if position is not None:
            rows = [row for row in rows if (row["occurred_at"], row["id"]) < (position.at, position.id)]
        return rows[:limit]

    async def audit_event(self, delegation: str, event_id: str) -> Mapping[str, Any] | None:
        self._asked(delegation)
        found = [row for row in self.memory.audit if row["id"] == event_id]
        return {"row": found[0], "twin": None} if found else None

    async def audit_activity(self, delegation: str, days: int) -> Mapping[date, int]:
        self._asked(delegation)
        today = SINCE.date()
        return {today - timedelta(days=number): 0 for number in range(days)}

    def _asked(self, delegation: str) -> None:
        self.memory.delegations.append(delegation)
        if self.steer.away:
            raise _away()


def _away() -> UnavailableError:
    return UnavailableError("TENANT_SERVICE_UNAVAILABLE", "The tenant service does not answer")


def _detail(row: TenantRow) -> TenantDetail:
    invitation = PendingInvitation(
        id="inv_public",
        email=row.email,
        role="owner",
        created_at=SINCE,
        expires_at=SINCE + timedelta(hours=48),
    )
    return TenantDetail(
        id=row.id,
        slug=row.slug,
        name=row.name,
        email=row.email,
        plan=row.plan,
        currency="INR",
        status=row.status,
        status_since=None,
        status_reason=None,
        purge_after=None,
        purged_at=None,
        hosted_at=f"{row.slug}.app.example.com",
        created_at=row.created_at,
        created_by="adm_super_admin",
        version=1,
        owner=None,
        pending_invitations=[invitation],
        counts=DetailCounts(members=0, pending_invitations=1, connected_accounts=0, open_sessions=0),
        connected_accounts=[],
        billing=None,
        flags=[],
        recent_audit=[],
    )
