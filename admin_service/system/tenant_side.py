"""The tenant service's queues and workflows, asked in the operator's own name."""

from collections.abc import Sequence
from typing import Final
from urllib.parse import quote

from admin_service.caller import Origin
from admin_service.system.answers import Accepted, Queue, Queues, Workflow, Workflows
from admin_service.system.models import Wish
from admin_service.tenant_api import OnBehalf, TenantApi

_SYSTEM: Final = "/internal/v1/system"


class TenantSide:
    """Raises what the tenant service refuses, and UnavailableError when it does not answer."""

    def __init__(self, tenants: TenantApi) -> None:
        self._tenants = tenants

    async def queues(self, delegation: str, origin: Origin) -> Sequence[Queue]:
        return (await self._tenants.at(Queues, f"{_SYSTEM}/queues", OnBehalf(delegation, origin))).data

    async def workflows(self, delegation: str, origin: Origin) -> Sequence[Workflow]:
        return (await self._tenants.at(Workflows, f"{_SYSTEM}/workflows", OnBehalf(delegation, origin))).data

    async def retry(self, delegation: str, wish: Wish, queue: str, message_id: str) -> None:
        await self._order(delegation, wish, f"queues/{_segment(queue)}/messages/{_segment(message_id)}/retry")

    async def run(self, delegation: str, wish: Wish, workflow: str) -> None:
        await self._order(delegation, wish, f"workflows/{_segment(workflow)}/run")

    async def _order(self, delegation: str, wish: Wish, path: str) -> None:
        behalf = OnBehalf(delegation, wish.caller.origin)
        body = {"reason": wish.reason}
        await self._tenants.at(Accepted, f"{_SYSTEM}/{path}", behalf, body, wish.key or "")


def _segment(name: str) -> str:
    return quote(name, safe="")
