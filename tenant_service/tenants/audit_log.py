"""A tenant's own view of the audit log, for operators: the rows that the tenant may read, and no other.

It changes nothing, and it hides `admin.*` from everybody, as it is hidden from the tenant.
"""

from dataclasses import asdict, dataclass

from pydantic import Field

from service_kit.audit.events import AuditScope, Outcome, Severity
from service_kit.audit.queries import AuditFilter, AuditQueries
from service_kit.db.session import Database
from service_kit.web.pages import PageModel, cut, read_cursor
from service_kit.web.paging import CursorCodec
from service_kit.web.schemas import ApiModel, QueryModel
from tenant_service.audit.schemas import AuditRow, Word
from tenant_service.moments import UtcMoment
from tenant_service.tenants.named import named_tenant
from tenant_service.tenants.repository import TenantRepository


class TenantAuditQuery(QueryModel):
    """The filters of the platform's own log, and a place in the list."""

    event: Word = ""
    action: Word = ""
    actor_email: Word = ""
    resource_type: Word = ""
    resource_id: Word = ""
    severity: Severity | None = None
    outcome: Outcome | None = None
    since: UtcMoment | None = Field(default=None, alias="from")
    until: UtcMoment | None = Field(default=None, alias="to")
    limit: int = Field(default=50, ge=1, le=100)
    cursor: str | None = Field(default=None, max_length=512)

    def of(self, organization_id: str) -> AuditFilter:
        """The filter, held to one tenant's own rows."""
        return AuditFilter(
            event=self.event,
            action=self.action,
            actor_email=self.actor_email.lower(),
            resource_type=self.resource_type,
            resource_id=self.resource_id,
            organization_id=organization_id,
            severity=self.severity or "",
            outcome=self.outcome or "",
            scope=AuditScope.TENANT.value,
            since=self.since,
            until=self.until,
        )


class TenantAuditPage(ApiModel):
    data: list[AuditRow]
    page: PageModel


@dataclass(frozen=True, slots=True)
class TenantAuditLog:
    """Reads the rows of one tenant's view at a time."""

    database: Database
    tenants: TenantRepository
    audit: AuditQueries
    cursors: CursorCodec

    async def page(self, reference: str, query: TenantAuditQuery) -> TenantAuditPage:
        """Rows, newest first. Raises TenantNotFoundError, BadRequestError `INVALID_CURSOR`."""
        async with self.database.read() as session:
            tenant = await named_tenant(self.tenants, session, reference)
            wanted = query.of(tenant.id)
            bound = {"list": "tenant_audit", **asdict(wanted)}
            position = read_cursor(self.cursors, query.cursor, bound)
            rows = await self.audit.page(
                session, wanted, hide_admin_events=True, position=position, limit=query.limit + 1
            )
        page = cut(
            [AuditRow.of(row) for row in rows],
            limit=query.limit,
            position=position,
            key=lambda row: (row.occurred_at, row.id),
            encode=lambda place: self.cursors.encode(place, bound),
        )
        return TenantAuditPage(data=list(page.rows), page=PageModel.of(page))
