"""People who have an account and no place: whose acceptance failed half-way, as a job lists them (R-112).

A platform's job: it reads all tenants and changes nothing. A row leaves the list when the person comes back
by the same link, or when the invitation dies.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from prometheus_client import CollectorRegistry, Gauge
from sqlalchemy import Select, Table, and_, func, select

from service_kit.audit.tables import AuditTables
from service_kit.clock import Clock
from service_kit.db.session import Database, ReadSession
from service_kit.telemetry.logging import get_logger
from tenant_service.invitations.models import InvitationStatus
from tenant_service.people.models import PeopleTables
from tenant_service.people_events import INVITATION_PARTIAL_FAILURE

_log = get_logger(__name__)
_RESOURCE: Final = INVITATION_PARTIAL_FAILURE.resource_type


@dataclass(frozen=True, slots=True)
class HalfAcceptedRows:
    """Open invitations whose person has an account already, and no membership yet."""

    invitations: Table
    people: PeopleTables
    audit: AuditTables

    async def count(self, session: ReadSession, now: datetime) -> int:
        """How many there are, of all tenants."""
        found = self.query(now).order_by(None).subquery()
        return int(await session.scalar(select(func.count()).select_from(found)))

    async def accounts(
        self, session: ReadSession, invitation_ids: Sequence[str], now: datetime
    ) -> Mapping[str, str]:
        """The account that each of these invitations left without a place; most have none."""
        query = self.query(now).where(self.invitations.c.id.in_(invitation_ids))
        return {row["invitation_id"]: row["user_id"] for row in await session.rows(query)}

    def query(self, now: datetime) -> Select[Any]:
        """Each with its invitation's id, the one that ends first before the others."""
        invitations, users = self.invitations.c, self.people.users.c
        members, events = self.people.members.c, self.audit.events.c
        told = select(events.id).where(
            events.resource_type == _RESOURCE,
            events.resource_id == invitations.id,
            events.event == INVITATION_PARTIAL_FAILURE.name,
        )
        placed = and_(members.user_id == users.id, members.organization_id == invitations.organization_id)
        return (
            select(invitations.id.label("invitation_id"), users.id.label("user_id"))
            .select_from(self.invitations)
            .join(self.people.users, users.email == invitations.email)
            .outerjoin(self.people.members, placed)
            .where(
                invitations.status == InvitationStatus.PENDING.value,
                invitations.expires_at > now,
                members.id.is_(None),
                told.exists(),
            )
            .order_by(invitations.expires_at, invitations.id)
        )


@dataclass(frozen=True, slots=True)
class HalfAccepted:
    """Lists what acceptances left behind."""

    database: Database
    rows: HalfAcceptedRows
    clock: Clock
    waiting: Gauge

    @classmethod
    def gauge(cls, registry: CollectorRegistry, namespace: str) -> Gauge:
        return Gauge(
            "half_accepted_invitations",
            "Open invitations whose person has an account already, and no membership yet.",
            namespace=namespace,
            registry=registry,
        )

    async def list(self, limit: int) -> int:
        """Log each of at most `limit` people by their ids, and show how many there are. Changes nothing."""
        async with self.database.read() as session:
            rows = await session.rows(self.rows.query(self.clock.now()).limit(limit))
        for row in rows:
            _log.warning("half_accepted", invitation_id=row["invitation_id"], user_id=row["user_id"])
        self.waiting.set(len(rows))
        return 0  # however long the list is, there is nothing to go on with
