"""Writing audit rows in the transaction of the change they tell of, as its last step.

No row without the change and no change without the row: whoever calls this passes its own session
(data-model 2.6). The heads of the chains are locked here, always `global` before the tenant's, so
that two transactions never wait for each other in a circle.
"""

import secrets
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import insert, select, update
from sqlalchemy.dialects.postgresql import insert as postgres_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from service_kit.audit.chain import GENESIS, GLOBAL_CHAIN, pii_commitment, row_hash, stored_form
from service_kit.audit.events import AuditEntry, AuditScope, Visibility
from service_kit.audit.failing import recording
from service_kit.audit.tables import AuditTables, shelf_of
from service_kit.clock import Clock
from service_kit.db.session import WriteSession
from service_kit.ids import IdFactory


class AuditRecorder:
    """The only way to write an audit row."""

    def __init__(
        self,
        tables: AuditTables,
        ids: IdFactory,
        clock: Clock,
        *,
        failed: Callable[[], None] = lambda: None,
    ) -> None:
        self._tables = tables
        self._ids = ids
        self._clock = clock
        self._failed = failed

    async def record(self, session: WriteSession, entry: AuditEntry) -> tuple[str, ...]:
        """Append the row, or the pair of rows, of an event; their ids, the global one first.

        Call it last in the transaction: the chain heads stay locked until the commit.
        Raises ValueError when an event that a tenant may read names no organization, and
        AuditWriteFailedError when the database refuses the row: then the transaction must end too.
        `failed` is told of every row that was not written.
        """
        scopes = _scopes(entry.event.visibility)
        if AuditScope.TENANT in scopes and entry.organization_id is None:
            raise ValueError(f"{entry.event.name} needs an organization")
        pair_id = entry.pair_id or (self._ids.new("pair") if len(scopes) > 1 else None)
        occurred_at = self._clock.now()
        try:
            with recording(entry.event.name):
                return tuple(
                    [await self._append(session, entry, scope, pair_id, occurred_at) for scope in scopes]
                )
        except BaseException:
            self._failed()
            raise

    async def _append(
        self,
        session: WriteSession,
        entry: AuditEntry,
        scope: AuditScope,
        pair_id: str | None,
        occurred_at: datetime,
    ) -> str:
        chain = GLOBAL_CHAIN if scope is AuditScope.GLOBAL else str(entry.organization_id)
        seq, prev_hash = await self._lock_head(session, chain)
        event_id = self._ids.new("aud")
        salt, pii = secrets.token_hex(16), stored_form(_pii(entry))
        row = {
            "chain": chain,
            "chain_seq": seq + 1,
            "id": event_id,
            "pair_id": pair_id,
            "occurred_at": occurred_at,
            "pii_commitment": pii_commitment(salt, pii),
            "prev_hash": prev_hash,
            **stored_form(_content(entry, scope)),
        }
        row["hash"] = row_hash(prev_hash, row)
        await session.execute(insert(self._tables.events).values(**row))
        copies = {"shelf": shelf_of(entry.event.name, scope.value), "occurred_at": occurred_at}
        await session.execute(insert(self._tables.pii).values(event_id=event_id, salt=salt, **pii, **copies))
        await self._move_head(session, chain, seq + 1, row["hash"])
        return event_id

    async def _lock_head(self, session: WriteSession, chain: str) -> tuple[int, str]:
        heads = self._tables.heads
        query = select(heads).where(heads.c.chain == chain).with_for_update()
        head = await session.first(query)
        if head is None:
            make = postgres_insert if session.dialect == "postgresql" else sqlite_insert
            first = make(heads).values(chain=chain, seq=0, hash=GENESIS)
            await session.execute(first.on_conflict_do_nothing(index_elements=["chain"]))
            head = await session.first(query)
        if head is None:
            raise RuntimeError("the head of an audit chain vanished under its lock")
        return head["seq"], head["hash"]

    async def _move_head(self, session: WriteSession, chain: str, seq: int, digest: str) -> None:
        heads = self._tables.heads
        await session.execute(update(heads).where(heads.c.chain == chain).values(seq=seq, hash=digest))


def _scopes(visibility: Visibility) -> tuple[AuditScope, ...]:
    match visibility:
        case Visibility.GLOBAL:
            return (AuditScope.GLOBAL,)
        case Visibility.TENANT:
            return (AuditScope.TENANT,)
        case Visibility.DUAL:
            return (AuditScope.GLOBAL, AuditScope.TENANT)


def _pii(entry: AuditEntry) -> dict[str, Any]:
    return {
        "actor_email": entry.actor.email,
        "actor_name": entry.actor.name,
        "ip": entry.ip,
        "user_agent": entry.user_agent,
        "details_pii": dict(entry.details_pii),
    }


def _content(entry: AuditEntry, scope: AuditScope) -> Mapping[str, Any]:
    tenant = scope is AuditScope.TENANT
    predicate = entry.predicate
    target = entry.organization_id or entry.resource_id
    return {
        "scope": scope.value,
        "event": entry.event.name,
        "event_version": entry.event.version,
        "action": entry.event.action,
        "severity": entry.event.severity.value,
        "outcome": entry.outcome.value,
        "actor_type": entry.actor.type.value,
        "actor_id": entry.actor.id,
        "actor_role": entry.actor.role,
        "target_type": _target_type(entry, tenant=tenant),
        "target_id": target,
        "resource_type": entry.event.resource_type,
        "resource_id": entry.resource_id,
        "organization_id": entry.organization_id if tenant else None,
        "request_id": entry.request_id,
        "session_ref": None,
        "justification_code": None,
        "reason": entry.reason,
        "ticket_ref": entry.ticket_ref,
        "predicate_digest": predicate.digest if predicate else None,
        "predicate_shape": predicate.shape if predicate else None,
        "row_count": predicate.row_count if predicate else None,
        "page_no": predicate.page_no if predicate else None,
        "details": dict(entry.details),
    }


def _target_type(entry: AuditEntry, *, tenant: bool) -> str:
    """R-126: the platform's log says `tenant`, the tenant's own log says `organization`."""
    if tenant:
        return "organization"
    return "tenant" if entry.organization_id is not None else entry.event.resource_type
