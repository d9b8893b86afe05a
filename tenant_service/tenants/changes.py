"""What every change of a tenant, or of what belongs to it, has in common: its row held, one transaction.

It decides nothing about a change. Locks are taken in one order everywhere: the tenant's row, the
idempotency key, what belongs to the tenant, and last the heads of the audit chains; so two changes never
wait for each other in a circle.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

from service_kit.audit.events import AuditEntry, EventType
from service_kit.clock import Clock
from service_kit.db.session import Database, WriteSession
from service_kit.web.idempotency import IdempotencyStore
from service_kit.web.once import AlreadyDoneError, Once
from tenant_service.asking import Asker
from tenant_service.recording import Recorder
from tenant_service.tenants.models import Organization
from tenant_service.tenants.named import named_tenant
from tenant_service.tenants.repository import TenantRepository

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Because:
    """Why an operator does something, in their own words."""

    reason: str = ""
    ticket_ref: str = ""


@dataclass(frozen=True, slots=True)
class Happened:
    """What an audit row will say. `person` is what of it must stay erasable."""

    event: EventType
    resource_id: str
    because: Because = Because()
    details: Mapping[str, Any] = field(default_factory=dict)
    person: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Held:
    """The transaction of a change: the tenant as it is now, its row held until the commit."""

    session: WriteSession
    asker: Asker
    tenant: Organization
    now: datetime
    recorder: Recorder
    keys: IdempotencyStore
    once: Once | None = None

    async def done(self, result: R, *happened: Happened) -> R:
        """The result; with a key it is kept as the answer. Call it last, because it records.

        Nothing happened means that nothing was changed: then there is no audit row.
        """
        if self.once is not None:
            await self.keys.finish(self.session, self.once.request, self.once.answer(result))
        for each in happened:
            await self.recorder.record(self.session, self._entry(each))
        return result

    def _entry(self, happened: Happened) -> AuditEntry:
        return AuditEntry(
            event=happened.event,
            actor=self.asker.actor,
            resource_id=happened.resource_id,
            organization_id=self.tenant.id,
            request_id=self.asker.request_id,
            ip=self.asker.ip,
            user_agent=self.asker.user_agent,
            reason=happened.because.reason,
            ticket_ref=happened.because.ticket_ref,
            details=happened.details,
            details_pii=happened.person,
        )


@dataclass(frozen=True, slots=True)
class TenantChanges:
    """Opens the transaction of a change."""

    database: Database
    tenants: TenantRepository
    recorder: Recorder
    keys: IdempotencyStore
    clock: Clock

    @asynccontextmanager
    async def held(self, asker: Asker, reference: str, *, once: Once | None = None) -> AsyncIterator[Held]:
        """A transaction that holds the row of the tenant with this id or slug.

        Raises TenantNotFoundError; with `once` also AlreadyDoneError, and what `IdempotencyStore.begin`
        raises.
        """
        async with self.database.write() as session:
            tenant = await named_tenant(self.tenants, session, reference, hold=True)
            stored = await self.keys.begin(session, once.request) if once else None
            if stored is not None:
                raise AlreadyDoneError(stored)
            yield Held(session, asker, tenant, self.clock.now(), self.recorder, self.keys, once)
