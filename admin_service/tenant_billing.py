"""Packs and credits as the tenant service answers them, asked in the operator's own name.

It keeps nothing and decides nothing: prices, caps and balances are the tenant service's.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final
from urllib.parse import quote

from admin_service.tenant_answers import Answer, PageInfo
from admin_service.tenant_api import OnBehalf, TenantApi
from service_kit.errors import NotFoundError
from service_kit.ids import is_id

_PACKS: Final = "/api/admin/credit-packs"
_TENANTS: Final = "/api/admin/tenants"
_SUMMARY: Final = "/api/admin/billing/summary"


class Pack(Answer):
    """One credit pack; prices are minor units by currency."""

    id: str
    name: str
    replies: int
    prices: Mapping[str, int]
    active: bool
    sort_order: int
    version: int
    updated_at: datetime


class Packs(Answer):
    data: tuple[Pack, ...]


class Balance(Answer):
    """R-022: the totals of a tenant, in replies."""

    remaining: int
    reserved: int
    used: int
    granted: int
    expired: int
    voided: int


class Grant(Answer):
    """One grant; `state` is active, used, expired or voided."""

    id: str
    replies: int
    remaining: int
    state: str
    category: str
    source: str
    priority: int
    expires_at: datetime | None
    reason: str
    ticket_ref: str
    granted_by: str
    created_at: datetime
    void_reason: str | None


class GrantLimits(Answer):
    """How much whoever asks may grant: at once, and on this day (UTC)."""

    at_once: int
    a_day: int
    granted_today: int


class TenantCredits(Answer):
    """A tenant's balance, and its grants in the order in which they are used.

    `grants_cut` says that it has more of them; an older tenant service never says so.
    """

    organization_id: str
    balance: Balance
    lapsed: int
    expires_next: datetime | None
    low_balance_threshold: int
    limits: GrantLimits | None = None
    grants: tuple[Grant, ...]
    grants_cut: bool = False


class Posting(Answer):
    account: str
    grant_id: str
    amount: int


class LedgerRow(Answer):
    """One transaction; `balance_after` is None when nothing available was moved."""

    id: str
    kind: str
    amount: int
    balance_after: int | None
    actor_type: str
    actor_id: str
    note: str
    created_at: datetime
    postings: tuple[Posting, ...]


class LedgerPage(Answer):
    data: tuple[LedgerRow, ...]
    page: PageInfo


class GrantId(Answer):
    id: str


class GrantMade(Answer):
    """`warning` is TENANT_SUSPENDED when the credit cannot be used for now."""

    grant: GrantId
    warning: str | None = None


class SummaryDay(Answer):
    day: date
    granted: int
    used: int
    expired: int
    voided: int


class Liability(Answer):
    """Replies that tenants may still use, and what of them is held now."""

    replies: int
    reserved: int


class LowBalance(Answer):
    organization_id: str
    name: str
    remaining: int


class Summary(Answer):
    """The credits of all tenants over the last thirty days."""

    days: tuple[SummaryDay, ...]
    liability: Liability
    low_balances: tuple[LowBalance, ...]


@dataclass(frozen=True, slots=True)
class PackWish:
    """What a pack should be; prices are minor units."""

    name: str
    replies: int
    prices: Mapping[str, int]
    sort_order: int

    @property
    def body(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "replies": self.replies,
            "prices": dict(self.prices),
            "sortOrder": self.sort_order,
        }


@dataclass(frozen=True, slots=True)
class GrantWish:
    """Free replies for a tenant; without an end they do not expire."""

    replies: int
    reason: str
    expires_at: datetime | None = None
    ticket_ref: str = ""

    @property
    def body(self) -> dict[str, Any]:
        body = {"replies": self.replies, "reason": self.reason, "ticketRef": self.ticket_ref}
        return body if self.expires_at is None else {**body, "expiresAt": self.expires_at.isoformat()}


class TenantBilling:
    """Each call raises the tenant service's own refusal, or UnavailableError when it does not answer."""

    def __init__(self, tenants: TenantApi) -> None:
        self._tenants = tenants

    async def packs(self, behalf: OnBehalf) -> Sequence[Pack]:
        """Every pack, also the inactive ones, by sort order (R-024)."""
        return (await self._tenants.at(Packs, _PACKS, behalf)).data

    async def create_pack(self, behalf: OnBehalf, wish: PackWish, *, active: bool, key: str) -> Pack:
        return await self._tenants.at(Pack, _PACKS, behalf, {**wish.body, "active": active}, key)

    async def update_pack(self, behalf: OnBehalf, pack_id: str, wish: PackWish, *, version: int) -> Pack:
        """Raises PreconditionFailedError with the pack as it is in `extra["current"]`."""
        return await self._tenants.at(
            Pack, _pack(pack_id), behalf, wish.body, method="PATCH", version=version
        )

    async def offer_pack(self, behalf: OnBehalf, pack_id: str, *, active: bool, key: str) -> Pack:
        step = "activate" if active else "deactivate"
        return await self._tenants.at(Pack, f"{_pack(pack_id)}/{step}", behalf, key=key, method="POST")

    async def delete_pack(self, behalf: OnBehalf, pack_id: str, *, confirm: str, version: int) -> None:
        query = {"confirm": confirm}
        await self._tenants.at(Answer, _pack(pack_id), behalf, query=query, method="DELETE", version=version)

    async def reorder_packs(self, behalf: OnBehalf, ids: Sequence[str], *, key: str) -> None:
        """Raises ConflictError PACK_LIST_CHANGED unless `ids` are all packs, each once."""
        await self._tenants.at(Packs, f"{_PACKS}/reorder", behalf, {"ids": list(ids)}, key)

    async def summary(self, behalf: OnBehalf) -> Summary:
        return await self._tenants.at(Summary, _SUMMARY, behalf)

    async def credits(self, behalf: OnBehalf, tenant: str) -> TenantCredits:
        """Raises NotFoundError."""
        return await self._tenants.at(TenantCredits, f"{_tenant(tenant)}/billing", behalf)

    async def credits_and_grant(
        self, behalf: OnBehalf, tenant: str, grant_id: str
    ) -> tuple[TenantCredits, Grant]:
        """The balance, and that one grant, also where the list is cut before it. Raises NotFoundError."""
        if not is_id(grant_id, "grant"):
            raise _no_such_grant()
        path, asked = f"{_tenant(tenant)}/billing", {"grant": grant_id}
        account = await self._tenants.at(TenantCredits, path, behalf, query=asked)
        for grant in account.grants:
            if grant.id == grant_id:  # an older tenant service lists others, too
                return account, grant
        raise _no_such_grant()

    async def ledger(self, behalf: OnBehalf, tenant: str, *, kind: str, cursor: str) -> LedgerPage:
        """One page, newest first."""
        asked = {name: value for name, value in (("kind", kind), ("cursor", cursor)) if value}
        return await self._tenants.at(LedgerPage, f"{_tenant(tenant)}/credits/ledger", behalf, query=asked)

    async def grant(self, behalf: OnBehalf, tenant: str, wish: GrantWish, *, key: str) -> GrantMade:
        return await self._tenants.at(GrantMade, _grants(tenant), behalf, wish.body, key)

    async def void(self, behalf: OnBehalf, tenant: str, grant_id: str, reason: str, *, key: str) -> None:
        """Take back what is left of a grant."""
        path = f"{_grants(tenant)}/{_segment(grant_id)}/void"
        await self._tenants.at(Answer, path, behalf, {"reason": reason}, key)

    async def change_expiry(
        self,
        behalf: OnBehalf,
        tenant: str,
        grant_id: str,
        expires_at: datetime | None,
        reason: str,
        *,
        key: str,
    ) -> None:
        """Let a grant end earlier, later or, with None, never."""
        path = f"{_grants(tenant)}/{_segment(grant_id)}/expiry"
        body = {"expiresAt": expires_at and expires_at.isoformat(), "reason": reason}
        await self._tenants.at(Answer, path, behalf, body, key)


def _pack(pack_id: str) -> str:
    return f"{_PACKS}/{_segment(pack_id)}"


def _tenant(tenant: str) -> str:
    return f"{_TENANTS}/{_segment(tenant)}"


def _grants(tenant: str) -> str:
    return f"{_tenant(tenant)}/credits/grants"


def _no_such_grant() -> NotFoundError:
    return NotFoundError("GRANT_NOT_FOUND", "No such grant")


def _segment(name: str) -> str:
    return quote(name, safe="")
