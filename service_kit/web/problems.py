"""One shape for every error: RFC 9457 problem documents with the seed's `error` and our `code`."""

import json
from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Middleware

from service_kit.errors import (
    BadRequestError,
    InternalError,
    NotFoundError,
    PayloadTooLargeError,
    ProblemError,
)
from service_kit.telemetry.logging import get_logger

PROBLEM_JSON: Final = "application/problem+json"
_NO_SNIFFING: Final = "X-Content-Type-Options"
REQUEST_ID: Final = web.RequestKey("request_id", str)
HtmlProblem = Callable[[web.Request, ProblemError], web.StreamResponse | None]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_log = get_logger(__name__)


def problem_document(
    status: int, code: str, error: str, *, request_id: str = "", extra: dict[str, object] | None = None
) -> dict[str, object]:
    """The members of a problem document, in the order in which a person reads them."""
    document: dict[str, object] = {
        "type": f"urn:problem:{code.lower().replace('_', '-')}",
        "title": error,
        "status": status,
        "error": error,
        "code": code,
    }
    if request_id:
        document["requestId"] = request_id
    return {**document, **(extra or {})}


def problem_response(error: ProblemError, request_id: str) -> web.Response:
    extra: dict[str, object] = dict(error.extra)
    if error.fields:
        extra["errors"] = [
            {"pointer": field.pointer, "code": field.code, "message": field.message} for field in error.fields
        ]
    document = problem_document(error.status, error.code, error.message, request_id=request_id, extra=extra)
    headers = {"Cache-Control": "no-store", _NO_SNIFFING: "nosniff", **error.headers}
    # A name that a client sent in no UTF-8 holds lone surrogates; \udcff is their way in JSON too.
    body = json.dumps(document, ensure_ascii=False).encode(errors="backslashreplace")
    return web.Response(status=error.status, body=body, content_type=PROBLEM_JSON, headers=headers)


def problem_middleware(html: HtmlProblem | None = None) -> Middleware:
    """Answer every error as a problem, or as a page where `html` gives one.

    An error that nobody named is a defect: it is logged with its trace and answered without one. Every answer
    that passes here, a redirect too, forbids a browser to guess what it is.
    """

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            answer = await handler(request)
            answer.headers.setdefault(_NO_SNIFFING, "nosniff")
            return answer  # noqa: TRY300 - an else branch would stand after four excepts
        except ProblemError as error:
            problem = error
        except web.HTTPException as error:
            problem = _from_http_exception(error)
        except Exception:  # noqa: BLE001 - the last line of defence: no trace reaches a client
            _log.exception("unhandled_error", method=request.method, request_id=request.get(REQUEST_ID, ""))
            problem = InternalError("INTERNAL_ERROR", "Internal error")
        if problem.__cause__ is not None:
            _log.warning("refused", code=problem.code, cause=type(problem.__cause__).__name__)
        page = html(request, problem) if html else None
        return page or problem_response(problem, request.get(REQUEST_ID, ""))

    return middleware


class _MethodNotAllowedError(ProblemError):
    status = 405


def _from_http_exception(error: web.HTTPException) -> ProblemError:
    if isinstance(error, web.HTTPMethodNotAllowed):
        allow = ", ".join(sorted(error.allowed_methods))
        return _MethodNotAllowedError("METHOD_NOT_ALLOWED", "Method not allowed", headers={"Allow": allow})
    if isinstance(error, web.HTTPNotFound):
        return NotFoundError("NOT_FOUND", "Not found")
    if isinstance(error, web.HTTPRequestEntityTooLarge):
        return PayloadTooLargeError("BODY_TOO_LARGE", "The body is larger than 64 KiB")
    if error.status < 500:  # noqa: PLR2004 - a client's error
        return BadRequestError("BAD_REQUEST", "Bad request")
    return InternalError("INTERNAL_ERROR", "Internal error")
