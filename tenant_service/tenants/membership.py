"""Who is in a tenant, and ending their sessions (G-04); it changes no membership."""

from dataclasses import asdict, dataclass

from service_kit.db.session import Database
from service_kit.web.once import Once
from service_kit.web.pages import PageModel, cut, read_cursor
from service_kit.web.paging import CursorCodec
from tenant_service.asking import Asker
from tenant_service.events import SESSIONS_REVOKED
from tenant_service.tenants.changes import Because, Happened, TenantChanges
from tenant_service.tenants.named import named_tenant
from tenant_service.tenants.people import TenantPeople
from tenant_service.tenants.schemas import (
    MemberPage,
    MemberRow,
    PagingQuery,
    RevokedSessions,
    RevokeSessions,
)


@dataclass(frozen=True, slots=True)
class TenantMembership:
    """A tenant's members and sessions, for operators."""

    database: Database
    changes: TenantChanges
    people: TenantPeople
    cursors: CursorCodec

    async def page(self, reference: str, query: PagingQuery) -> MemberPage:
        """Members, newest first. Raises TenantNotFoundError, BadRequestError `INVALID_CURSOR`."""
        async with self.database.read() as session:
            tenant = await named_tenant(self.changes.tenants, session, reference)
            bound = {"list": "members", "tenant": tenant.id}
            position = read_cursor(self.cursors, query.cursor, bound)
            rows = await self.people.page(session, tenant.id, position=position, limit=query.limit + 1)
        page = cut(
            rows,
            limit=query.limit,
            position=position,
            key=lambda person: (person.since, person.id),
            encode=lambda place: self.cursors.encode(place, bound),
        )
        return MemberPage(data=[MemberRow(**asdict(each)) for each in page.rows], page=PageModel.of(page))

    async def revoke(
        self, asker: Asker, reference: str, wish: RevokeSessions, *, once: Once | None = None
    ) -> RevokedSessions:
        """End every session of the tenant, or of one person there. Raises TenantNotFoundError."""
        async with self.changes.held(asker, reference, once=once) as held:
            ended = await self.people.end_sessions(
                held.session, held.tenant.id, now=held.now, user_id=wish.user_id
            )
            happened = Happened(
                SESSIONS_REVOKED,
                held.tenant.id,
                Because(wish.reason, wish.ticket_ref),
                {"revoked": ended, "userId": wish.user_id},
            )
            return await held.done(RevokedSessions(revoked=ended), happened)
