"""How many tenants there are; exact while that is cheap, some seconds old when there are very many."""

from dataclasses import dataclass, replace
from typing import Final

from service_kit.clock import Clock
from service_kit.db.session import Database
from tenant_service.invitations.repository import InvitationRepository
from tenant_service.tenants.models import StatusCounts
from tenant_service.tenants.repository import TenantRepository

EXACT_UP_TO: Final = 10_000
"""Above this a count may be approximate (http-api 3.0)."""

REMEMBERED_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True)
class Counted:
    by_status: StatusCounts
    pending_invitations: int
    approximate: bool = False


class TenantCounter:
    """Counts, and remembers a large count for a short while."""

    def __init__(
        self,
        database: Database,
        tenants: TenantRepository,
        invitations: InvitationRepository,
        clock: Clock,
        *,
        exact_up_to: int = EXACT_UP_TO,
    ) -> None:
        self._database = database
        self._tenants = tenants
        self._invitations = invitations
        self._clock = clock
        self._exact_up_to = exact_up_to
        self._remembered: Counted | None = None
        self._counted_at = 0.0

    async def count(self) -> Counted:
        age = self._clock.monotonic() - self._counted_at
        if self._remembered is not None and age < REMEMBERED_SECONDS:
            return replace(self._remembered, approximate=True)
        async with self._database.read() as session:
            by_status = await self._tenants.count(session)
            pending = await self._invitations.count_pending(session)
        counted = Counted(by_status, pending, approximate=by_status.total > self._exact_up_to)
        self._remembered = counted if counted.approximate else None
        self._counted_at = self._clock.monotonic()
        return counted
