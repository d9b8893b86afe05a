"""Seeing and removing the channels that a tenant has connected (R-021); it connects none."""

from collections.abc import Sequence
from dataclasses import dataclass

from service_kit.db.session import Database, ReadSession
from service_kit.ids import is_id
from service_kit.web.pages import PageModel, cut, read_cursor
from service_kit.web.paging import CursorCodec
from tenant_service.accounts.errors import AccountNotFoundError
from tenant_service.accounts.models import Account
from tenant_service.accounts.repository import AccountRepository
from tenant_service.accounts.schemas import AccountPage, RemoveAccount
from tenant_service.asking import Asker
from tenant_service.events import CONNECTED_ACCOUNT_REMOVED
from tenant_service.tenants.changes import Because, Happened, Held, TenantChanges
from tenant_service.tenants.named import named_tenant
from tenant_service.tenants.schemas import ConnectedAccount, PagingQuery
from tenant_service.tenants.states import living


@dataclass(frozen=True, slots=True)
class AccountService:
    """Connected accounts, for operators."""

    database: Database
    changes: TenantChanges
    accounts: AccountRepository
    cursors: CursorCodec

    async def page(self, reference: str, query: PagingQuery) -> AccountPage:
        """Accounts, newest first. Raises TenantNotFoundError, BadRequestError `INVALID_CURSOR`."""
        async with self.database.read() as session:
            tenant = await named_tenant(self.changes.tenants, session, reference)
            bound = {"list": "connected-accounts", "tenant": tenant.id}
            position = read_cursor(self.cursors, query.cursor, bound)
            rows = await self.accounts.page(session, tenant.id, position=position, limit=query.limit + 1)
        page = cut(
            rows,
            limit=query.limit,
            position=position,
            key=lambda account: (account.connected_at, account.id),
            encode=lambda place: self.cursors.encode(place, bound),
        )
        return AccountPage(data=[_shown(each) for each in page.rows], page=PageModel.of(page))

    async def remove(self, asker: Asker, reference: str, account_id: str, wish: RemoveAccount) -> None:
        """Forget a connected account.

        Raises TenantNotFoundError, TenantDeletedError, AccountNotFoundError.
        """
        async with self.changes.held(asker, reference) as held:
            living(held.tenant)
            account = await self._named(held, account_id)
            await self.accounts.remove(held.session, account)
            happened = Happened(
                CONNECTED_ACCOUNT_REMOVED,
                account.id,
                Because(wish.reason, wish.ticket_ref),
                {"provider": account.provider.value},
                {"externalId": account.external_id, "displayName": account.display_name},
            )
            await held.done(None, happened)

    async def newest_of(
        self, session: ReadSession, organization_id: str, *, limit: int
    ) -> Sequence[ConnectedAccount]:
        """For the tenant's page: see `tenants.service.Accounts`."""
        rows = await self.accounts.page(session, organization_id, position=None, limit=limit)
        return [_shown(each) for each in rows]

    async def count_of(self, session: ReadSession, organization_id: str) -> int:
        return await self.accounts.count(session, organization_id)

    async def _named(self, held: Held, account_id: str) -> Account:
        is_named = is_id(account_id, "conn")
        found = await self.accounts.by_id(held.session, held.tenant.id, account_id) if is_named else None
        if found is None:
            raise AccountNotFoundError
        return found


def _shown(account: Account) -> ConnectedAccount:
    return ConnectedAccount(
        id=account.id,
        provider=account.provider.value,
        display_name=account.display_name,
        external_id=account.external_id,
        status=account.status.value,
        connected_at=account.connected_at,
    )
