"""Seeing and setting the feature flags of one tenant (G-03).

The settings say which flags there are; a flag that nobody has set is off. Rows of flags that the settings
no longer name stay where they are and mean nothing.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from service_kit.db.session import Database, ReadSession
from tenant_service.asking import Asker
from tenant_service.events import FEATURE_FLAG_CHANGED
from tenant_service.flags.errors import FlagChangedError, UnknownFlagError
from tenant_service.flags.models import NEVER_SET, Flag
from tenant_service.flags.repository import FlagRepository
from tenant_service.flags.schemas import FlagList, SetFlag
from tenant_service.tenants.changes import Because, Happened, Held, TenantChanges
from tenant_service.tenants.named import named_tenant
from tenant_service.tenants.schemas import FeatureFlag
from tenant_service.tenants.states import living


@dataclass(frozen=True, slots=True)
class FlagService:
    """Feature flags, for operators. `known` are the keys of the settings, in their order."""

    database: Database
    changes: TenantChanges
    flags: FlagRepository
    known: tuple[str, ...]

    async def list(self, reference: str) -> FlagList:
        """Every known flag of a tenant. Raises TenantNotFoundError."""
        async with self.database.read() as session:
            tenant = await named_tenant(self.changes.tenants, session, reference)
            return FlagList(data=list(await self.all_of(session, tenant.id)))

    async def set(
        self, asker: Asker, reference: str, key: str, wish: SetFlag, *, expected: Collection[int]
    ) -> FeatureFlag:
        """Switch a flag; what is so already changes nothing.

        `expected` are the versions that the caller has seen, 0 for a flag that nobody has set. Raises
        TenantNotFoundError, UnknownFlagError, TenantDeletedError, FlagChangedError.
        """
        async with self.changes.held(asker, reference) as held:
            if key not in self.known:
                raise UnknownFlagError
            living(held.tenant)
            before = (await self.flags.of(held.session, held.tenant.id, (key,))).get(key)
            if (before.version if before is not None else NEVER_SET) not in expected:
                raise FlagChangedError(_shown(key, before))
            if before is not None and (before.enabled, before.note) == (wish.enabled, wish.note):
                return _shown(key, before)
            return await self._set(held, key, wish, before)

    async def all_of(self, session: ReadSession, organization_id: str) -> Sequence[FeatureFlag]:
        """For the tenant's page: see `tenants.service.Flags`."""
        found = await self.flags.of(session, organization_id, self.known)
        return [_shown(key, found.get(key)) for key in self.known]

    async def _set(self, held: Held, key: str, wish: SetFlag, before: Flag | None) -> FeatureFlag:
        after = _after(held, key, wish, before)
        await (self.flags.add if before is None else self.flags.save)(held.session, after)
        details = {
            "key": key,
            "before": before.enabled if before is not None else None,
            "after": after.enabled,
        }
        because = Because(wish.note, wish.ticket_ref)
        return await held.done(_shown(key, after), Happened(FEATURE_FLAG_CHANGED, key, because, details))


def _after(held: Held, key: str, wish: SetFlag, before: Flag | None) -> Flag:
    flag = before or Flag(
        organization_id=held.tenant.id,
        key=key,
        enabled=wish.enabled,
        note=wish.note,
        updated_by="",
        created_at=held.now,
        updated_at=held.now,
        version=NEVER_SET,
    )
    return replace(
        flag,
        enabled=wish.enabled,
        note=wish.note,
        updated_by=held.asker.actor.id,
        updated_at=held.now,
        version=flag.version + 1,
    )


def _shown(key: str, flag: Flag | None) -> FeatureFlag:
    if flag is None:
        return FeatureFlag(
            key=key, enabled=False, note="", updated_by=None, updated_at=None, version=NEVER_SET
        )
    return FeatureFlag(
        key=key,
        enabled=flag.enabled,
        note=flag.note,
        updated_by=flag.updated_by,
        updated_at=flag.updated_at,
        version=flag.version,
    )
