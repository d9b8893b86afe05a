"""The registry of the tenants' plane: its endpoints as a table of values, each behind its own door.

The same table makes the routes, the check before each handler and the OpenAPI document.
"""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from aiohttp import web
from pydantic import BaseModel

from service_kit.web.api import Result, read_body, read_query, respond
from service_kit.web.problems import Handler
from tenant_service.people.errors import MayNotError, NotSignedInError
from tenant_service.people.visitor import SignedIn, Visitor
from tenant_service.public.plane import PLANE, SIGNED_IN, VISITOR, Plane

LOGIN: Final = "/login"


class Door(StrEnum):
    """Who may come in."""

    OPEN = "anybody"
    SESSION = "a signed-in member"
    MANAGER = "an owner or an admin"


@dataclass(frozen=True, slots=True)
class Visit:
    """One request that came through its door, with input that fits its schema."""

    request: web.Request
    plane: Plane
    visitor: Visitor
    signed_in: SignedIn | None
    body: Any = None
    query: Any = None

    @property
    def by(self) -> SignedIn:
        """Who asks, behind a door that asks for a session."""
        if self.signed_in is None:
            raise NotSignedInError
        return self.signed_in

    def path(self, name: str) -> str:
        return self.request.match_info[name]


@dataclass(frozen=True, slots=True)
class PublicEndpoint:
    """One row of the registry. `errors` lists the codes that the caller must expect."""

    method: str
    path: str
    access: Door
    handler: Callable[[Visit], Awaitable[Result]]
    summary: str
    body: type[BaseModel] | None = None
    query: type[BaseModel] | None = None
    returns: type[BaseModel] | None = None
    status: int = 200
    errors: tuple[str, ...] = ()
    page: bool = False
    """An HTML page: no part of the OpenAPI document."""
    files: tuple[str, ...] = ()
    """The media types of the files that it may answer with instead."""


def mount_public(app: web.Application, endpoints: Iterable[PublicEndpoint]) -> None:
    """Register every endpoint behind its door."""
    for endpoint in endpoints:
        guarded = _guarded(endpoint)
        app.router.add_route(endpoint.method, endpoint.path, guarded)
        if endpoint.method == "GET":
            app.router.add_route("HEAD", endpoint.path, guarded)


def _guarded(endpoint: PublicEndpoint) -> Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        plane, visitor = request.app[PLANE], request[VISITOR]
        signed_in = await _who(request, plane, visitor)
        if endpoint.access is not Door.OPEN and signed_in is None:
            if endpoint.page:
                return web.Response(status=303, headers={"Location": LOGIN, "Cache-Control": "no-store"})
            raise NotSignedInError
        if endpoint.access is Door.MANAGER and not (signed_in is not None and signed_in.manages):
            raise MayNotError(Door.MANAGER.value)
        visit = Visit(
            request,
            plane,
            visitor,
            signed_in,
            query=read_query(request, endpoint.query) if endpoint.query else None,
            body=await read_body(request, endpoint.body) if endpoint.body else None,
        )
        return respond(await endpoint.handler(visit), endpoint.status)

    return handle


async def _who(request: web.Request, plane: Plane, visitor: Visitor) -> SignedIn | None:
    token = plane.cookie.read(request)
    signed_in = await plane.signing.proven(visitor, token) if token else None
    if signed_in is not None:
        request[SIGNED_IN] = signed_in
    return signed_in
