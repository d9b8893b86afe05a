"""A small service made of the kit: its guard, its registry and its errors, on a port of its own."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from prometheus_client import CollectorRegistry

from service_kit.clock import Clock, SystemClock
from service_kit.identity.model import Permission, Scope
from service_kit.identity.replay import MemoryReplayGuard
from service_kit.identity.verifying import IdentityVerifier, PublicKeys, VerifierPolicy
from service_kit.web.api import MOST_BODY_BYTES, Audience, Call, Endpoint, Reply, mount
from service_kit.web.guard import GuardMetrics, guard_middleware
from service_kit.web.problems import HtmlProblem, problem_middleware
from service_kit.web.schemas import ApiModel, EmailAddress, PlainText, QueryModel

AUDIENCE = "tenant_service"


class NoteBody(ApiModel):
    display_name: PlainText
    count: int = 0
    email: EmailAddress | None = None


class OptionalBody(ApiModel):
    name: PlainText = "none"


class NoteQuery(QueryModel):
    limit: int = 10
    text: PlainText = ""


class NoteView(ApiModel):
    display_name: str
    asked_by: str


async def make(call: Call) -> Reply:
    return Reply(
        NoteView(display_name=call.body.display_name, asked_by=call.actor.subject), 201, {"X-Made": "1"}
    )


async def show(call: Call) -> NoteView:
    return NoteView(display_name=f"{call.path('note_id')} {call.query.limit} {call.query.text}", asked_by="")


async def nothing(_call: Call) -> Reply:
    return Reply(None, 204)


async def origin(call: Call) -> web.Response:
    return web.json_response([call.origin.request_id, call.origin.ip, call.origin.user_agent])


async def fail(_call: Call) -> NoteView:
    raise ZeroDivisionError("internal detail")


ENDPOINTS = (
    Endpoint(
        "POST",
        "/notes",
        Permission.TENANT_CREATE,
        make,
        "Make a note",
        body=NoteBody,
        returns=NoteView,
        status=201,
        errors=("VALIDATION_FAILED",),
    ),
    Endpoint(
        "GET", "/notes/{note_id}", Permission.TENANT_VIEW, show, "Show it", query=NoteQuery, returns=NoteView
    ),
    Endpoint("PUT", "/optional", Audience.OPERATOR, nothing, "Change", body=OptionalBody, status=204),
    Endpoint("GET", "/origin", Audience.PERSON, origin, "Who asks", returns=None),
    Endpoint("GET", "/process", Scope.ROSTER, nothing, "For the sidecar", status=204),
    Endpoint("GET", "/fail", Audience.OPERATOR, fail, "Fail", returns=NoteView),
    Endpoint("GET", "/page", Audience.OPERATOR, origin, "A page", page=True),
)


@asynccontextmanager
async def serving(
    keys: PublicKeys,
    *,
    clock: Clock | None = None,
    delegate: str | None = None,
    html: HtmlProblem | None = None,
    endpoints: Sequence[Endpoint] = ENDPOINTS,
) -> AsyncIterator[tuple["TestClient[Any, Any]", CollectorRegistry]]:
    """A client of the service, and its metrics."""
    clock = clock or SystemClock()
    registry = CollectorRegistry()
    verifier = IdentityVerifier(
        VerifierPolicy("auth_proxy", AUDIENCE, delegate), keys, MemoryReplayGuard(clock), clock
    )
    guard = guard_middleware(
        verifier, GuardMetrics(registry, "test"), accepts_delegation=delegate is not None
    )
    app = web.Application(middlewares=[problem_middleware(html), guard], client_max_size=MOST_BODY_BYTES)
    mount(app, endpoints)
    async with TestClient(TestServer(app)) as client:
        yield client, registry
