"""Seeing tenants: the list, one tenant, and how many there are (R-018, R-020, R-083, R-084).

It changes nothing. What a role may not read of the audit log is not read (R-080).
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Final, Protocol

from service_kit.audit.queries import AuditFilter, AuditQueries
from service_kit.clock import Clock
from service_kit.db.keyset import Position
from service_kit.db.session import Database, ReadSession
from service_kit.identity.model import Permission
from service_kit.web.paging import CursorCodec
from tenant_service.asking import Asker
from tenant_service.audit.schemas import AuditRow
from tenant_service.hosts import TenantHosts
from tenant_service.invitations.models import InvitationStatus
from tenant_service.invitations.repository import InvitationRepository
from tenant_service.tenants.counting import TenantCounter
from tenant_service.tenants.models import Organization, OwnerState, TenantFilter
from tenant_service.tenants.named import named_tenant
from tenant_service.tenants.people import Person, TenantPeople
from tenant_service.tenants.repository import TenantRepository
from tenant_service.tenants.schemas import (
    BillingSummary,
    ConnectedAccount,
    FeatureFlag,
    Owner,
    PageInfo,
    PendingInvitation,
    TenantCounts,
    TenantDetail,
    TenantDetailCounts,
    TenantPage,
    TenantQuery,
    TenantRow,
    TenantSort,
)

_MOST_INVITATIONS: Final = 20
_MOST_ACCOUNTS: Final = 20
_RECENT_ROWS: Final = 10

_OwnerInvitations = Mapping[tuple[str, InvitationStatus], datetime]


class Accounts(Protocol):
    """What a tenant has connected."""

    async def newest_of(
        self, session: ReadSession, organization_id: str, *, limit: int
    ) -> Sequence[ConnectedAccount]: ...

    async def count_of(self, session: ReadSession, organization_id: str) -> int: ...


class Flags(Protocol):
    """What is switched on for a tenant."""

    async def all_of(self, session: ReadSession, organization_id: str) -> Sequence[FeatureFlag]: ...


class Billing(Protocol):
    """The totals of tenants that have a billing account."""

    async def totals(
        self, session: ReadSession, organization_ids: Sequence[str]
    ) -> Mapping[str, BillingSummary]: ...


@dataclass(frozen=True, slots=True)
class TenantService:
    """The operators' view of all tenants."""

    database: Database
    tenants: TenantRepository
    invitations: InvitationRepository
    audit: AuditQueries
    cursors: CursorCodec
    counter: TenantCounter
    clock: Clock
    hosts: TenantHosts
    people: TenantPeople
    accounts: Accounts
    flags: Flags
    billing: Billing

    async def page(self, query: TenantQuery) -> TenantPage:
        """One page. Raises BadRequestError for a cursor of another list or another filter."""
        wanted = _filter(query)
        bound = {"list": "tenants", "sort": query.sort.value, **asdict(wanted)}
        position = self.cursors.decode(query.cursor, bound) if query.cursor else None
        async with self.database.read() as session:
            found = await self.tenants.page(
                session,
                wanted,
                position=position,
                oldest_first=query.sort is TenantSort.OLDEST,
                limit=query.limit + 1,
            )
            rows, more = _cut(found, query.limit, position)
            owners = await self.invitations.owner_invitations(session, [row.id for row in rows])
            totals = await self.billing.totals(session, [row.id for row in rows])
        data = [self._row(row, owners, totals.get(row.id)) for row in rows]
        return TenantPage(data=data, page=self._page_info(rows, position, bound, more=more))

    async def detail(self, asker: Asker, reference: str) -> TenantDetail:
        """One tenant by id or slug. Raises TenantNotFoundError."""
        async with self.database.read() as session:
            tenant = await named_tenant(self.tenants, session, reference)
            pending = await self.invitations.pending_of(session, tenant.id, limit=_MOST_INVITATIONS)
            open_count = await self.invitations.count_pending(session, tenant.id)
            owners = await self.invitations.owner_invitations(session, [tenant.id])
            recent = await self._recent(session, asker, tenant.id)
            counts = await self._counts(session, tenant.id, open_invitations=open_count)
            owner = await self.people.owner(session, tenant.id)
            accounts = await self.accounts.newest_of(session, tenant.id, limit=_MOST_ACCOUNTS)
            flags = await self.flags.all_of(session, tenant.id)
            totals = await self.billing.totals(session, [tenant.id])
        return TenantDetail(
            id=tenant.id,
            slug=tenant.slug,
            name=tenant.name,
            email=tenant.primary_email,
            plan=tenant.plan,
            currency=tenant.currency,
            status=tenant.status,
            status_since=tenant.status_since,
            status_reason=tenant.status_reason,
            purge_after=tenant.purge_after,
            purged_at=tenant.purged_at,
            hosted_at=self.hosts.host(tenant.slug),
            created_at=tenant.created_at,
            updated_at=tenant.updated_at,
            created_by=tenant.created_by_operator_id,
            version=tenant.version,
            owner_state=self._owner_state(tenant.id, owners),
            owner=_owner(owner),
            pending_invitations=[
                PendingInvitation(
                    id=invitation.id,
                    email=invitation.email,
                    role=invitation.role,
                    created_at=invitation.created_at,
                    expires_at=invitation.expires_at,
                )
                for invitation in pending
            ],
            counts=counts,
            connected_accounts=list(accounts),
            billing=totals.get(tenant.id),
            flags=list(flags),
            recent_audit=recent,
        )

    async def counts(self) -> TenantCounts:
        """How many tenants there are, by state."""
        counted = await self.counter.count()
        by_status = counted.by_status
        return TenantCounts(
            total=by_status.total,
            active=by_status.active,
            suspended=by_status.suspended,
            deleted=by_status.deleted,
            pending_invitations=counted.pending_invitations,
            approximate=counted.approximate,
        )

    async def _counts(
        self, session: ReadSession, tenant_id: str, *, open_invitations: int
    ) -> TenantDetailCounts:
        return TenantDetailCounts(
            members=await self.people.count(session, tenant_id),
            pending_invitations=open_invitations,
            connected_accounts=await self.accounts.count_of(session, tenant_id),
            open_sessions=await self.people.count_open_sessions(session, tenant_id, now=self.clock.now()),
        )

    async def _recent(self, session: ReadSession, asker: Asker, tenant_id: str) -> list[AuditRow] | None:
        if not asker.identity.may(Permission.VIEW_AUDIT_LOGS_GLOBAL):
            return None
        rows = await self.audit.page(
            session,
            AuditFilter(organization_id=tenant_id, scope="tenant"),
            hide_admin_events=asker.hides_admin_events,
            position=None,
            limit=_RECENT_ROWS,
        )
        return [AuditRow.of(row) for row in rows]

    def _row(
        self, tenant: Organization, owners: _OwnerInvitations, billing: BillingSummary | None
    ) -> TenantRow:
        return TenantRow(
            id=tenant.id,
            slug=tenant.slug,
            name=tenant.name,
            email=tenant.primary_email,
            plan=tenant.plan,
            status=tenant.status,
            created_at=tenant.created_at,
            credits_remaining=billing.remaining if billing is not None else None,
            owner_state=self._owner_state(tenant.id, owners),
        )

    def _owner_state(self, tenant_id: str, owners: _OwnerInvitations) -> OwnerState:
        if (tenant_id, InvitationStatus.ACCEPTED) in owners:
            return OwnerState.JOINED
        pending_until = owners.get((tenant_id, InvitationStatus.PENDING))
        if pending_until is None:
            expired = (tenant_id, InvitationStatus.EXPIRED) in owners
            return OwnerState.INVITATION_EXPIRED if expired else OwnerState.NONE
        is_open = pending_until > self.clock.now()
        return OwnerState.INVITED if is_open else OwnerState.INVITATION_EXPIRED

    def _page_info(
        self, rows: Sequence[Organization], position: Position | None, bound: object, *, more: bool
    ) -> PageInfo:
        backward = position is not None and position.backward
        has_later = bool(rows) and (backward or more)
        has_earlier = bool(rows) and (more if backward else position is not None)
        next_cursor = _cursor_at(rows[-1], backward=False) if has_later else None
        prev_cursor = _cursor_at(rows[0], backward=True) if has_earlier else None
        return PageInfo(
            next_cursor=self.cursors.encode(next_cursor, bound) if next_cursor else None,
            prev_cursor=self.cursors.encode(prev_cursor, bound) if prev_cursor else None,
            has_more=has_later,
        )


def _owner(person: Person | None) -> Owner | None:
    if person is None:
        return None
    return Owner(
        name=person.name,
        email=person.email,
        since=person.since,
        last_sign_in_at=person.last_sign_in_at,
    )


def _filter(query: TenantQuery) -> TenantFilter:
    return TenantFilter(
        query.q, query.status, query.plan, query.created_from, query.created_to, query.low_balance
    )


def _cut(
    found: Sequence[Organization], limit: int, position: Position | None
) -> tuple[Sequence[Organization], bool]:
    """The page without the extra row that shows whether there are more, and whether there are."""
    if len(found) <= limit:
        return found, False
    backward = position is not None and position.backward
    return (found[-limit:] if backward else found[:limit]), True


def _cursor_at(row: Organization, *, backward: bool) -> Position:
    return Position(row.created_at, row.id, backward=backward)
