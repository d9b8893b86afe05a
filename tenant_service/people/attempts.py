"""How often somebody may try: sign-ins by account and by address, accepts by link, invitations by tenant.

A try is counted before it is judged, so that a hundred at once are not all let in. The counts stand in the
database and hold over all replicas; an account that does not exist is counted like one that does.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from tenant_service.people.errors import too_many
from tenant_service.people.networks import network_of
from tenant_service.people.scope import TenantWrite
from tenant_service.people.sliding_log import Limit, SlidingLog

_QUARTER: Final = timedelta(minutes=15)
BY_ACCOUNT: Final = Limit(10, _QUARTER)
BY_ADDRESS: Final = Limit(100, _QUARTER)
BY_LINK: Final = Limit(10, _QUARTER)
INVITATIONS: Final = Limit(100, timedelta(hours=1))


@dataclass(frozen=True, slots=True)
class Attempts:
    """Takes tries from budgets, in the caller's transaction."""

    log: SlidingLog

    async def sign_in(self, at: TenantWrite, email: str, ip: str, now: datetime) -> datetime | None:
        """Count a sign-in; when the account's budget is spent by it, until when. Raises RateLimitedError."""
        await self._take(at, _address(ip), BY_ADDRESS, now)
        return await self._take(at, _account(email), BY_ACCOUNT, now)

    async def accept(self, at: TenantWrite, invitation_id: str, ip: str, now: datetime) -> None:
        """Count a try at a password behind a link. Raises RateLimitedError."""
        await self._take(at, _address(ip), BY_ADDRESS, now)
        await self._take(at, f"accept:{invitation_id}", BY_LINK, now)

    async def invitation(self, at: TenantWrite, now: datetime) -> None:
        """Count an invitation by a tenant. Raises RateLimitedError."""
        await self._take(at, f"invite:{at.scope.organization_id}", INVITATIONS, now)

    async def right(self, at: TenantWrite, email: str) -> None:
        """The password was right: wrong ones before it count no longer."""
        await self.log.forget(at.session, _account(email))

    async def _take(self, at: TenantWrite, partition: str, limit: Limit, now: datetime) -> datetime | None:
        standing = await self.log.take(at.session, partition, limit, now)
        frees_at = standing.frees_at or now + limit.window
        if not standing.granted:
            raise too_many((frees_at - now).total_seconds())
        return frees_at if standing.hits >= limit.most else None


def _account(email: str) -> str:
    """A digest: this table is no list of addresses that somebody typed."""
    return f"sign_in:account:{hashlib.sha256(email.encode('utf-8', 'replace')).hexdigest()[:32]}"


def _address(ip: str) -> str:
    return f"sign_in:address:{network_of(ip)}"
