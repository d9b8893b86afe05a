"""Every failure is one shape; what nobody named is logged with its trace and answered without one."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import structlog
from aiohttp import ClientResponse, web
from aiohttp.test_utils import TestClient, TestServer

from service_kit import errors
from service_kit.errors import ConflictError, FieldProblem, ProblemError, UnavailableError
from service_kit.web.problems import problem_document, problem_middleware, problem_response

SECRET = "hunter2"


def raising(error: BaseException) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def handler(_request: web.Request) -> web.StreamResponse:
        raise error

    return handler


async def answer_to(error: BaseException, html: Any = None) -> tuple[ClientResponse, bytes]:
    app = web.Application(middlewares=[problem_middleware(html)])
    app.router.add_get("/", raising(error))
    async with TestClient(TestServer(app)) as client:
        response = await client.get("/")
        return response, await response.read()


async def test_every_answer_forbids_sniffing() -> None:
    """A redirect or a small answer that its handler wrote by hand is no exception (ASVS 3.4.4)."""

    async def moved(_request: web.Request) -> web.StreamResponse:
        return web.Response(status=303, headers={"Location": "/"})

    async def own(_request: web.Request) -> web.StreamResponse:
        return web.json_response({}, headers={"X-Content-Type-Options": "nosniff"})

    app = web.Application(middlewares=[problem_middleware()])
    app.router.add_get("/moved", moved)
    app.router.add_get("/own", own)
    async with TestClient(TestServer(app)) as client:
        for path in ("/moved", "/own"):
            response = await client.get(path, allow_redirects=False)
            assert response.headers.getall("X-Content-Type-Options") == ["nosniff"]


NAMED = [
    kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, ProblemError) and kind is not ProblemError
]


@pytest.mark.parametrize("kind", NAMED, ids=lambda kind: kind.__name__)
async def test_every_refusal_is_a_problem_document(kind: type[ProblemError]) -> None:
    """Status, code and text of each kind of refusal, uncached and never sniffed as another type."""
    response, body = await answer_to(kind("SOME_CODE", "Some text"))

    assert response.status == kind.status
    assert json.loads(body) == {
        "type": "urn:problem:some-code",
        "title": "Some text",
        "status": kind.status,
        "error": "Some text",
        "code": "SOME_CODE",
    }
    assert response.content_type == "application/problem+json"
    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    "error",
    [RuntimeError(SECRET), KeyError(SECRET), AssertionError(SECRET), asyncio.InvalidStateError(SECRET)],
)
async def test_what_nobody_named_is_an_internal_error(error: Exception) -> None:
    """500 with nothing of the exception in it; the log has the trace and names the method."""
    with structlog.testing.capture_logs() as log:
        response, body = await answer_to(error)

    assert response.status == 500
    assert json.loads(body)["code"] == "INTERNAL_ERROR"
    assert SECRET.encode() not in body
    assert b"Traceback" not in body
    [entry] = log
    assert (entry["event"], entry["log_level"], entry["method"]) == ("unhandled_error", "error", "GET")
    assert entry["exc_info"]


async def test_a_cause_goes_to_the_log_alone() -> None:
    """Why the database is away is the engineer's; the caller learns when to come back."""
    error = UnavailableError("DATABASE_UNAVAILABLE", "The database does not answer")
    error.__cause__ = ConnectionError(SECRET)
    with structlog.testing.capture_logs() as log:
        response, body = await answer_to(error)

    assert response.headers["Retry-After"] == "2"
    assert SECRET.encode() not in body
    [entry] = log
    assert (entry["event"], entry["code"], entry["cause"]) == (
        "refused",
        "DATABASE_UNAVAILABLE",
        "ConnectionError",
    )
    assert SECRET not in str(entry)


@pytest.mark.parametrize(
    "error, status, code",
    [
        (web.HTTPNotFound(), 404, "NOT_FOUND"),
        (web.HTTPRequestEntityTooLarge(max_size=1, actual_size=2), 413, "BODY_TOO_LARGE"),
        (web.HTTPBadRequest(text=SECRET), 400, "BAD_REQUEST"),
        (web.HTTPExpectationFailed(text=SECRET), 400, "BAD_REQUEST"),
        (web.HTTPForbidden(text=SECRET), 400, "BAD_REQUEST"),
        (web.HTTPBadGateway(text=SECRET), 500, "INTERNAL_ERROR"),
        (web.HTTPMethodNotAllowed("PUT", ["POST", "GET"]), 405, "METHOD_NOT_ALLOWED"),
    ],
)
async def test_the_frameworks_own_errors_get_the_same_shape(
    error: web.HTTPException, status: int, code: str
) -> None:
    """No plain-text answer of the framework passes, and nothing of its text."""
    response, body = await answer_to(error)

    assert (response.status, json.loads(body)["code"]) == (status, code)
    assert response.content_type == "application/problem+json"
    assert SECRET.encode() not in body
    assert response.headers.get("Allow") == ("GET, POST" if status == 405 else None)


def test_fields_extra_and_headers_are_added() -> None:
    """A refusal's further members stand beside the fixed ones, its headers on the answer."""
    error = ConflictError(
        "SLUG_TAKEN",
        "The name is taken",
        fields=(FieldProblem("/slug", "TAKEN", "is taken"),),
        headers={"X-A": "1"},
        extra={"slug": "acme"},
    )
    response = problem_response(error, "req_1")
    document = json.loads(response.text or "")

    assert document["errors"] == [{"pointer": "/slug", "code": "TAKEN", "message": "is taken"}]
    assert (document["slug"], document["requestId"], response.headers["X-A"]) == ("acme", "req_1", "1")


def test_a_refusal_can_always_be_written() -> None:
    """A client's bytes that are no UTF-8 come back escaped: naming them must not become a 500."""
    error = ConflictError("X", "a\udcff", fields=(FieldProblem("/\ud800", "C", "m"),))
    response = problem_response(error, "")

    assert json.loads(response.text or "")["errors"][0]["pointer"] == "/\ud800"


def test_a_document_is_read_from_the_top() -> None:
    """The members stand in a person's order; without a request there is no request id."""
    assert list(problem_document(404, "NOT_FOUND", "Not found")) == [
        "type",
        "title",
        "status",
        "error",
        "code",
    ]


async def test_a_page_may_take_the_place_of_the_document() -> None:
    """The panel shows pages; where it gives none, the document is sent."""

    def html(_request: web.Request, error: ProblemError) -> web.StreamResponse | None:
        return web.Response(status=error.status, text="<h1>No") if error.status == 409 else None

    assert (await answer_to(ConflictError("X", "x"), html))[1] == b"<h1>No"
    assert json.loads((await answer_to(RuntimeError(), html))[1])["code"] == "INTERNAL_ERROR"
