"""Leads each signed grant to what answers its route: a relay, a folder, a websocket, or the sidecar."""

from collections.abc import Mapping
from typing import Protocol

from aiohttp import web

from auth_proxy.pipeline.exchange import SignedGrant


class Destination(Protocol):
    """One kind of answerer."""

    async def forward(
        self, signed: SignedGrant, request: web.BaseRequest, request_id: str
    ) -> web.StreamResponse:
        """The answer, already sent. Raises Refusal while nothing has been sent yet."""
        ...


class Dispatch:
    """Everything that is not named goes to the relay, which knows every other server."""

    def __init__(self, relay: Destination, websockets: Destination, named: Mapping[str, Destination]) -> None:
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
