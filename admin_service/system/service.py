"""The queues and workflows of both services: asked together, shown as one, changed where they live.

When the tenant service is away its part is named as missing, and what this service has is shown. Who
may come here is decided before; the tenant service decides again by the delegated identity.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict
from typing import Final, Protocol, TypeVar

from admin_service.caller import Caller, Origin
from admin_service.system.answers import Queue, Workflow
from admin_service.system.models import Merged, Owner, Wish, read_name
from service_kit.audit.events import Actor
from service_kit.errors import NotFoundError, UnavailableError
from service_kit.ids import is_id
from service_kit.system.desk import Request, SystemDesk

T = TypeVar("T", Queue, Workflow)

_OWN: Final = {"service": Owner.ADMIN.value}


class OtherSide(Protocol):
    """The tenant service's part."""

    async def queues(self, delegation: str, origin: Origin) -> Sequence[Queue]: ...

    async def workflows(self, delegation: str, origin: Origin) -> Sequence[Workflow]: ...

    async def retry(self, delegation: str, wish: Wish, queue: str, message_id: str) -> None: ...

    async def run(self, delegation: str, wish: Wish, workflow: str) -> None: ...


class SystemService:
    """What the pages and the API ask; `delegation` is the operator's leave to ask the other service."""

    def __init__(self, desk: SystemDesk, tenant: OtherSide) -> None:
        self._desk = desk
        self._tenant = tenant

    async def queues(self, caller: Caller, delegation: str | None) -> Merged[Queue]:
        """Every queue of both services."""
        own, merged = await asyncio.gather(
            self._desk.queues(), _asked(self._tenant.queues, caller, delegation)
        )
        shown = tuple(Queue.model_validate({**asdict(one), **_OWN}) for one in own)
        return Merged((*_named(shown, Owner.ADMIN), *_named(merged.rows, Owner.TENANT)), merged.unavailable)

    async def workflows(self, caller: Caller, delegation: str | None) -> Merged[Workflow]:
        """Every workflow of both services."""
        own, merged = await asyncio.gather(
            self._desk.jobs(), _asked(self._tenant.workflows, caller, delegation)
        )
        shown = tuple(
            Workflow.model_validate({**asdict(one), **_OWN, "schedule": one.schedule}) for one in own
        )
        return Merged((*_named(shown, Owner.ADMIN), *_named(merged.rows, Owner.TENANT)), merged.unavailable)

    async def retry(self, wish: Wish, delegation: str | None, queue: str, message_id: str) -> None:
        """Try a dead message again, in the service that owns it and with its audit row there.

        Raises NotFoundError, ConflictError, UnavailableError, and the errors of a key.
        """
        name = read_name(queue)
        if name is None or not is_id(message_id, "out"):
            raise NotFoundError("MESSAGE_NOT_FOUND", "There is no such message in this queue")
        if name.owner is Owner.ADMIN:
            await self._desk.retry(_request(wish), name.local, message_id)
        else:
            await self._tenant.retry(_required(delegation), wish, name.local, message_id)

    async def run(self, wish: Wish, delegation: str | None, workflow: str) -> None:
        """Let a workflow run now. Raises as `retry`."""
        name = read_name(workflow)
        if name is None:
            raise NotFoundError("WORKFLOW_NOT_FOUND", "There is no such workflow")
        if name.owner is Owner.ADMIN:
            await self._desk.run(_request(wish), name.local)
        else:
            await self._tenant.run(_required(delegation), wish, name.local)


async def _asked(
    ask: Callable[[str, Origin], Awaitable[Sequence[T]]], caller: Caller, delegation: str | None
) -> Merged[T]:
    try:
        return Merged(tuple(await ask(_required(delegation), caller.origin)))
    except UnavailableError:
        return Merged((), (Owner.TENANT,))


def _named(rows: Sequence[T], owner: Owner) -> Sequence[T]:
    """Whose they are stands in their names, and is not for the other service to say."""
    return [
        row.model_copy(update={"name": f"{owner.value}.{row.name}", "service": owner.value}) for row in rows
    ]


def _required(delegation: str | None) -> str:
    if delegation is None:
        raise UnavailableError("TENANT_SERVICE_UNAVAILABLE", "The tenant service cannot be asked")
    return delegation


def _request(wish: Wish) -> Request:
    origin = wish.caller.origin
    return Request(
        actor=Actor.of(wish.caller.actor),
        reason=wish.reason,
        request_id=origin.request_id,
        ip=origin.ip,
        user_agent=origin.user_agent,
        key=wish.key,
    )
