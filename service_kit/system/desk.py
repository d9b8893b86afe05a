"""One service's queues and jobs: shown, and changed by an operator together with the audit row.

It shows no body of a message to anybody. Who may come here is decided before.
"""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from service_kit.audit.events import Actor, AuditEntry, EventType
from service_kit.clock import Clock
from service_kit.db.session import Database, WriteSession
from service_kit.jobs.overview import JobOverview, JobState, QueueState
from service_kit.system.events import MESSAGE_RETRIED, WORKFLOW_REQUESTED
from service_kit.web.idempotency import IdempotencyStore, IdempotentRequest, StoredAnswer, hash_of

_ACCEPTED: Final = 202


class Recorder(Protocol):
    """Writes audit rows in the caller's transaction, as its last step."""

    async def record(self, session: WriteSession, entry: AuditEntry) -> tuple[str, ...]: ...


@dataclass(frozen=True, slots=True)
class Request:
    """Who asks, from where, and why. With a `key` the same request has one effect."""

    actor: Actor
    reason: str
    request_id: str = ""
    ip: str = ""
    user_agent: str = ""
    key: str | None = None


_Change = Callable[[WriteSession], Awaitable[tuple[EventType, str, Mapping[str, Any]]]]
"""Makes the change; the event, the id of what was changed, and the details of the audit row."""


@dataclass(frozen=True, slots=True)
class SystemDesk:
    """`queue_names` are the queues of this build: they are shown when they are empty, too."""

    database: Database
    overview: JobOverview
    queue_names: Collection[str]
    recorder: Recorder
    keys: IdempotencyStore
    clock: Clock

    async def queues(self) -> Sequence[QueueState]:
        async with self.database.read() as session:
            return await self.overview.queues(session, self.queue_names, self.clock.now())

    async def jobs(self) -> Sequence[JobState]:
        async with self.database.read() as session:
            return await self.overview.jobs(session)

    async def retry(self, request: Request, queue: str, message_id: str) -> bool:
        """Try a dead message again; True when an earlier request with this key did it.

        Raises NotFoundError, ConflictError, and the errors of `IdempotencyStore.begin`.
        """

        async def change(session: WriteSession) -> tuple[EventType, str, Mapping[str, Any]]:
            letter = await self.overview.retry(session, queue, message_id, self.clock.now())
            details = {
                "queue": queue,
                "kind": letter.kind,
                "organizationId": letter.organization_id,
                "attempts": letter.attempts,
                "lastError": letter.last_error,
            }
            return MESSAGE_RETRIED, message_id, details

        return await self._once(request, f"retry {queue} {message_id}", change)

    async def run(self, request: Request, name: str) -> bool:
        """Let a job run now; True when an earlier request with this key asked for it. Raises as `retry`."""

        async def change(session: WriteSession) -> tuple[EventType, str, Mapping[str, Any]]:
            await self.overview.ask_for(session, name, request.actor.id, self.clock.now())
            return WORKFLOW_REQUESTED, name, {"workflow": name}

        return await self._once(request, f"run {name}", change)

    async def _once(self, request: Request, what: str, change: _Change) -> bool:
        async with self.database.write() as session:
            once = _once_of(request, what)
            if once is not None and await self.keys.begin(session, once) is not None:
                return True
            event, resource_id, details = await change(session)
            if once is not None:
                await self.keys.finish(session, once, StoredAnswer(_ACCEPTED, {}))
            await self.recorder.record(session, _entry(request, event, resource_id, details))
        return False


def _once_of(request: Request, what: str) -> IdempotentRequest | None:
    if request.key is None:
        return None
    return IdempotentRequest(f"{request.actor.id} {what}", request.key, hash_of({"reason": request.reason}))


def _entry(request: Request, event: EventType, resource_id: str, details: Mapping[str, Any]) -> AuditEntry:
    return AuditEntry(
        event=event,
        actor=request.actor,
        resource_id=resource_id,
        request_id=request.request_id,
        ip=request.ip,
        user_agent=request.user_agent,
        reason=request.reason,
        details=details,
    )
