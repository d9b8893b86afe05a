"""The route registry: a service's endpoints as a table of values.

Each row says who may call, what comes in, what goes out and what can go wrong. The same table makes
the aiohttp routes, the permission check before each handler and the OpenAPI document, so that none
of them can forget a row (R-081).
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from aiohttp import web
from pydantic import BaseModel, ValidationError

from service_kit.errors import (
    BadRequestError,
    FieldProblem,
    ForbiddenError,
    UnprocessableError,
    UnsupportedMediaError,
)
from service_kit.identity.model import InternalIdentity, Permission, Scope, roles_with
from service_kit.web.guard import IDENTITY, origin_of
from service_kit.web.problems import REQUEST_ID, Handler

MOST_BODY_BYTES: Final = 64 * 1024
BODY_SECONDS: Final = 30.0
_MOST_FIELDS_NAMED: Final = 20
"""A body of a thousand wrong members is answered with the first of them, not with a longer list."""


class Audience(StrEnum):
    """Who may call, where no single permission decides."""

    OPERATOR = "operator"
    """Any active operator; the handler or page checks more."""
    PERSON = "identity"
    """Any person whom Access proved, operator or not."""


Access = Permission | Audience | Scope

_FOR_PROCESSES: Final = {
    Scope.ROSTER: "Only the sidecar may do this",
    Scope.CREDITS: "Only the product's runtime may do this",
}


@dataclass(frozen=True, slots=True)
class RequestOrigin:
    """Where a request came from, as the sidecar vouched for it; kept in audit rows."""

    request_id: str
    ip: str
    user_agent: str


@dataclass(frozen=True, slots=True)
class Call:
    """One authorised request: the caller, and input that fits its schema."""

    request: web.Request
    actor: InternalIdentity
    origin: RequestOrigin
    body: Any = None
    query: Any = None

    def path(self, name: str) -> str:
        return self.request.match_info[name]


@dataclass(frozen=True, slots=True)
class Reply:
    """A result that needs another status or further headers."""

    body: BaseModel | None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


Result = BaseModel | Reply | web.StreamResponse


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One row of the registry. `errors` lists the codes that the caller must expect."""

    method: str
    path: str
    access: Access
    handler: Callable[[Call], Awaitable[Result]]
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


def mount(app: web.Application, endpoints: Iterable[Endpoint]) -> None:
    """Register every endpoint behind its access check."""
    for endpoint in endpoints:
        guarded = _guarded(endpoint)
        app.router.add_route(endpoint.method, endpoint.path, guarded)
        if endpoint.method == "GET" and not isinstance(endpoint.access, Scope):
            app.router.add_route("HEAD", endpoint.path, guarded)  # RFC 9110 9.1: where GET is, HEAD is


def _guarded(endpoint: Endpoint) -> Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        actor = request[IDENTITY]
        require_access(actor, endpoint.access)
        call = Call(
            request=request,
            actor=actor,
            origin=RequestOrigin(request[REQUEST_ID], *origin_of(request)),
            query=read_query(request, endpoint.query) if endpoint.query else None,
            body=await read_body(request, endpoint.body) if endpoint.body else None,
        )
        return respond(await endpoint.handler(call), endpoint.status)

    return handle


def require_access(actor: InternalIdentity, access: Access) -> None:
    """Raise ForbiddenError unless the caller is whom the endpoint serves."""
    match access:
        case Permission():
            if not actor.may(access):
                raise permission_denied(access)
        case Audience.OPERATOR:
            if not actor.is_operator:
                raise ForbiddenError("PERMISSION_DENIED", "Only operators may do this")
        case Audience.PERSON:
            if actor.scope is not None:
                raise ForbiddenError("PERMISSION_DENIED", "Only people may do this")
        case Scope():
            if actor.scope is not access:
                raise ForbiddenError("PERMISSION_DENIED", _FOR_PROCESSES[access])


def permission_denied(permission: Permission) -> ForbiddenError:
    """The refusal that names the permission and the roles that hold it."""
    roles = [role.value for role in roles_with(permission)]
    return ForbiddenError(
        "PERMISSION_DENIED", "Permission denied", extra={"permission": permission.value, "roles": roles}
    )


def read_query(request: web.Request, model: type[BaseModel]) -> BaseModel:
    """The query by its schema. Raises BadRequestError `QUERY_INVALID`."""
    given: dict[str, str] = {}
    for name, value in request.query.items():
        if name in given:
            raise BadRequestError("QUERY_INVALID", f"The parameter {name[:40]!r} is given more than once")
        given[name] = value
    known = {name for field, info in model.model_fields.items() for name in (field, info.alias)}
    if unknown := given.keys() - known:
        raise BadRequestError("QUERY_INVALID", f"There is no parameter {min(unknown)[:40]!r}")
    try:
        return model.model_validate({name: value for name, value in given.items() if value})
    except ValidationError as error:
        raise BadRequestError("QUERY_INVALID", "A query parameter is wrong", fields=_fields(error)) from None


async def read_body(request: web.Request, model: type[BaseModel]) -> BaseModel:
    """The JSON body by its schema. Raises the ProblemError that says what is wrong with it."""
    if not request.can_read_body:
        raw = b"{}"  # an endpoint whose members are all optional may be called with no body at all
    elif request.content_type == "application/json":
        raw = await read_in_time(request)
    else:
        raise UnsupportedMediaError("UNSUPPORTED_MEDIA_TYPE", "Send application/json")
    try:
        return model.model_validate_json(raw)
    except ValidationError as error:
        if any(details["type"] == "json_invalid" for details in error.errors(include_input=False)):
            raise BadRequestError("MALFORMED_JSON", "The body is not JSON") from None
        raise UnprocessableError("VALIDATION_FAILED", "A field is wrong", fields=_fields(error)) from None


async def read_in_time(request: web.Request) -> bytes:
    """The whole body of at most 64 KiB. Raises BadRequestError `BODY_INCOMPLETE` when it does not come."""
    try:
        async with asyncio.timeout(BODY_SECONDS):
            return await request.read()
    except (TimeoutError, ConnectionError, web.RequestPayloadError) as error:
        raise BadRequestError("BODY_INCOMPLETE", "The body did not arrive") from error


def _fields(error: ValidationError) -> tuple[FieldProblem, ...]:
    return tuple(
        FieldProblem(
            pointer="".join(f"/{_escaped(part)}" for part in details["loc"]),
            code=details["type"].upper(),
            message=details["msg"].removeprefix("Value error, "),
        )
        for details in error.errors(include_input=False, include_url=False)[:_MOST_FIELDS_NAMED]
    )


def _escaped(part: object) -> str:
    return str(part).replace("~", "~0").replace("/", "~1")  # RFC 6901: a client may name a member "a/b"


def respond(result: Result, status: int) -> web.StreamResponse:
    """The answer to what a handler gave; `status` counts where it named none."""
    if isinstance(result, web.StreamResponse):
        return result
    reply = result if isinstance(result, Reply) else Reply(result, status)
    headers = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", **reply.headers}
    if reply.body is None:
        return web.Response(status=reply.status, headers=headers)
    text = json.dumps(reply.body.model_dump(mode="json", by_alias=True), ensure_ascii=False)
    return web.Response(status=reply.status, text=text, content_type="application/json", headers=headers)
