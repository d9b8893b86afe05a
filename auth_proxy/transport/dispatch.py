"""Leads each signed grant to what answers its route: a relay, a folder, a websocket, or the sidecar.

Only a relay answers without a task: the others wait for something of their own.
"""

from collections.abc import Mapping
from typing import Protocol

from aiohttp import web

from auth_proxy.pipeline.exchange import SignedGrant
from auth_proxy.transport.relay import AnsweringClient
from auth_proxy.transport.transfer import Done


class Destination(Protocol):
    """One kind of answerer."""

    async def forward(
        self, signed: SignedGrant, request: web.BaseRequest, request_id: str
    ) -> web.StreamResponse:
        """The answer, already sent. Raises Refusal while nothing has been sent yet."""
        ...


class Carrier(Destination, Protocol):
    """One that can answer without a task."""

    def carry(
        self,
        signed: SignedGrant,
        client: AnsweringClient,
        request_id: str,
        *,
        keeps_alive: bool,
        speaks_1_1: bool,
        done: Done,
    ) -> bool:
        """Begin; False where it cannot, and then nothing was done."""
        ...


class Dispatch:
    """Everything that is not named goes to the relay, which knows every other server."""

    def __init__(self, relay: Carrier, websockets: Destination, named: Mapping[str, Destination]) -> None:
        self._relay = relay
        self._websockets = websockets
        self._named = named

    async def forward(
        self, signed: SignedGrant, request: web.BaseRequest, request_id: str
    ) -> web.StreamResponse:
        if signed.grant.person.screened.upgrade is not None:  # authorize let none but websockets pass
            return await self._websockets.forward(signed, request, request_id)
        destination = self._named.get(signed.grant.route.target, self._relay)
        return await destination.forward(signed, request, request_id)

    def carry(
        self,
        signed: SignedGrant,
        client: AnsweringClient,
        request_id: str,
        *,
        keeps_alive: bool,
        speaks_1_1: bool,
        done: Done,
    ) -> bool:
        """Begin to answer without a task; False where only `forward` can answer."""
        if signed.grant.person.screened.upgrade is not None or signed.grant.route.target in self._named:
            return False
        return self._relay.carry(
            signed, client, request_id, keeps_alive=keeps_alive, speaks_1_1=speaks_1_1, done=done
        )
