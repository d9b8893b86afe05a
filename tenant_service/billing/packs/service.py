"""Packs as operators keep them: list, create, change, offer or not, order and delete (R-024…R-028).

Each change is one transaction with its audit row; nobody but a holder of `billing.manage_packs` comes here.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Protocol

from sqlalchemy.exc import IntegrityError

from service_kit.audit.events import AuditEntry, EventType
from service_kit.clock import Clock
from service_kit.db.session import Database, WriteSession
from service_kit.ids import IdFactory, is_id
from service_kit.web.idempotency import IdempotencyStore
from service_kit.web.once import AlreadyDoneError, Once
from tenant_service.asking import Asker
from tenant_service.billing.packs.errors import (
    confirmation_mismatch,
    list_changed,
    name_taken,
    pack_not_found,
    version_conflict,
)
from tenant_service.billing.packs.models import Pack
from tenant_service.billing.packs.repository import PackRepository
from tenant_service.billing.packs.schemas import NewPack, PackChange, PackList, PackModel, PackOrder
from tenant_service.billing_events import (
    PACK_ACTIVATED,
    PACK_CREATED,
    PACK_DEACTIVATED,
    PACK_DELETED,
    PACK_UPDATED,
    PACKS_REORDERED,
)
from tenant_service.recording import Recorder
from tenant_service.tenants.models import Currency

_STEP = 10
"""Between two packs after a reorder, so that one can be put in between by its number."""


class _Answer(Protocol):
    """What a change can be answered with."""

    def model_dump(self, *, mode: str, by_alias: bool) -> dict[str, Any]: ...


@dataclass(frozen=True, slots=True)
class PackService:
    """The one way in which a pack comes to be, changes and goes."""

    database: Database
    packs: PackRepository
    recorder: Recorder
    idempotency: IdempotencyStore
    ids: IdFactory
    clock: Clock

    async def list(self, *, inactive: bool) -> PackList:
        """Every pack by sort order (R-024); only those on offer for `inactive=False`."""
        async with self.database.read() as session:
            found = await self.packs.all(session, inactive=inactive)
        return PackList(data=[PackModel.of(pack) for pack in found])

    async def create(self, asker: Asker, wish: NewPack, *, once: Once | None) -> PackModel:
        """Raises ConflictError PACK_NAME_TAKEN."""
        now = self.clock.now()
        pack = Pack(
            id=self.ids.new("pack"),
            name=wish.name,
            replies=wish.replies,
            sort_order=wish.sort_order,
            active=wish.active,
            prices=wish.prices.by_currency,
            created_at=now,
            updated_at=now,
        )
        async with self._change(once) as session:
            if not await self.packs.add(session, pack):
                raise name_taken()
            made = PackModel.of(pack)
            await self._finish(session, once, made)
            await self._record(session, asker, PACK_CREATED, pack.id, pack.snapshot)
        return made

    async def update(
        self, asker: Asker, pack_id: str, wish: PackChange, *, expected: frozenset[int]
    ) -> PackModel:
        """Raises NotFoundError, PreconditionFailedError VERSION_CONFLICT, ConflictError PACK_NAME_TAKEN."""
        async with self._change(None) as session:
            pack = await self._expected(session, pack_id, expected)
            changed = _changed(pack, wish)
            if await self.packs.name_of_other(session, changed.name, pack.id):
                raise name_taken()
            if changed == pack:
                return PackModel.of(pack)
            changed = replace(changed, version=pack.version + 1, updated_at=self.clock.now())
            await self.packs.save(session, changed)
            details = {"name": changed.name, "changed": _difference(pack, changed)}
            await self._record(session, asker, PACK_UPDATED, pack.id, details)
        return PackModel.of(changed)

    async def offer(self, asker: Asker, pack_id: str, *, active: bool, once: Once | None) -> PackModel:
        """Activate or deactivate (R-027). A repeat changes nothing and writes no second audit row."""
        async with self._change(once) as session:
            pack = await self._find(session, pack_id)
            changed = pack
            if pack.active is not active:
                now = self.clock.now()
                changed = replace(pack, active=active, version=pack.version + 1, updated_at=now)
                await self.packs.save(session, changed)
            made = PackModel.of(changed)
            await self._finish(session, once, made)
            if changed is not pack:
                event = PACK_ACTIVATED if active else PACK_DEACTIVATED
                await self._record(session, asker, event, pack.id, {"name": pack.name})
        return made

    async def reorder(self, asker: Asker, wish: PackOrder, *, once: Once | None) -> PackList:
        """Put the packs in this order. Raises ConflictError PACK_LIST_CHANGED unless each is named once."""
        async with self._change(once) as session:
            packs = {pack.id: pack for pack in await self.packs.all(session, hold=True)}
            if sorted(wish.ids) != sorted(packs):
                raise list_changed()
            ordered = [
                _placed(packs[pack_id], _STEP * place, self.clock.now())
                for place, pack_id in enumerate(wish.ids, start=1)
            ]
            moved = [pack for pack in ordered if pack is not packs[pack.id]]
            for pack in moved:
                await self.packs.save(session, pack)
            made = PackList(data=[PackModel.of(pack) for pack in ordered])
            await self._finish(session, once, made)
            if moved:
                await self._record(session, asker, PACKS_REORDERED, "credit_packs", {"ids": wish.ids})
        return made

    async def delete(self, asker: Asker, pack_id: str, *, confirm: str, expected: frozenset[int]) -> None:
        """Delete the row (R-028). Raises BadRequestError CONFIRMATION_MISMATCH, PreconditionFailedError."""
        async with self._change(None) as session:
            pack = await self._expected(session, pack_id, expected)
            if confirm != pack.name:
                raise confirmation_mismatch()
            await self.packs.remove(session, pack.id)
            await self._record(session, asker, PACK_DELETED, pack.id, pack.snapshot)

    @asynccontextmanager
    async def _change(self, once: Once | None) -> AsyncIterator[WriteSession]:
        """A transaction of a change. Raises AlreadyDoneError when its key was used before."""
        try:
            async with self.database.write() as session:
                if once is not None and (before := await self.idempotency.begin(session, once.request)):
                    raise AlreadyDoneError(before)
                yield session
        except IntegrityError as error:  # the index of names, between the check and the write
            raise name_taken() from error

    async def _finish(self, session: WriteSession, once: Once | None, made: _Answer) -> None:
        if once is not None:
            await self.idempotency.finish(session, once.request, once.answer(made))

    async def _find(self, session: WriteSession, pack_id: str) -> Pack:
        pack = await self.packs.by_id(session, pack_id) if is_id(pack_id, "pack") else None
        if pack is None:
            raise pack_not_found()
        return pack

    async def _expected(self, session: WriteSession, pack_id: str, expected: frozenset[int]) -> Pack:
        pack = await self._find(session, pack_id)
        if pack.version not in expected:
            raise version_conflict(PackModel.of(pack).as_json)
        return pack

    async def _record(
        self, session: WriteSession, asker: Asker, event: EventType, subject: str, details: Mapping[str, Any]
    ) -> None:
        entry = AuditEntry(
            event=event,
            actor=asker.actor,
            resource_id=subject,
            request_id=asker.request_id,
            ip=asker.ip,
            user_agent=asker.user_agent,
            details=details,
        )
        await self.recorder.record(session, entry)


def _changed(pack: Pack, wish: PackChange) -> Pack:
    prices = dict(pack.prices)
    if wish.prices is not None:
        given = {Currency.INR: wish.prices.inr, Currency.USD: wish.prices.usd}
        prices |= {currency: amount for currency, amount in given.items() if amount is not None}
    return replace(
        pack,
        name=pack.name if wish.name is None else wish.name,
        replies=pack.replies if wish.replies is None else wish.replies,
        sort_order=pack.sort_order if wish.sort_order is None else wish.sort_order,
        active=pack.active if wish.active is None else wish.active,
        prices=prices,
    )


def _difference(before: Pack, after: Pack) -> dict[str, Any]:
    """What changed, from and to, for the audit row."""
    one = {**before.snapshot, "sortOrder": before.sort_order, "active": before.active}
    other = {**after.snapshot, "sortOrder": after.sort_order, "active": after.active}
    return {name: {"from": one[name], "to": other[name]} for name in one if one[name] != other[name]}


def _placed(pack: Pack, sort_order: int, now: datetime) -> Pack:
    if pack.sort_order == sort_order:
        return pack
    return replace(pack, sort_order=sort_order, version=pack.version + 1, updated_at=now)
