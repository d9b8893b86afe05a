"""Turns a template and its values into an answer with the headers of a page; it marks no text as markup."""

import hashlib
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import aiohttp_jinja2
from aiohttp import web
from jinja2 import FileSystemLoader, StrictUndefined

from service_kit.errors import ProblemError
from service_kit.web.problems import REQUEST_ID
from tenant_service.public.labels import event_words
from tenant_service.public.plane import PLANE, SIGNED_IN, VISITOR

_FOLDER: Final = Path(__file__).parent
STYLE: Final = _FOLDER / "static" / "tenant.css"
STYLE_HASH: Final = web.AppKey("style_hash", str)

_POLICY: Final = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
_HEADERS: Final = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    # The address of an invitation holds its secret: only the site's name is ever told, even to ourselves.
    # Not no-referrer: the Origin of a form would become "null".
    "Referrer-Policy": "strict-origin",
}


def prepare(app: web.Application) -> None:
    """Give the application its templates and the name of its stylesheet."""
    app[STYLE_HASH] = hashlib.sha256(STYLE.read_bytes()).hexdigest()[:16]
    filters: dict[str, Callable[..., str]] = {"iso": _iso, "moment": _moment, "event_words": event_words}
    environment = aiohttp_jinja2.setup(
        app,
        loader=FileSystemLoader(_FOLDER / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
        filters=filters,
        default_helpers=False,
    )
    environment.globals["style"] = f"/assets/tenant.{app[STYLE_HASH]}.css"


def page(
    request: web.Request, template: str, values: Mapping[str, Any] | None = None, *, status: int = 200
) -> web.Response:
    """The page, with what every page shows: the tenant, and who is signed in."""
    visitor, signed_in = request.get(VISITOR), request.get(SIGNED_IN)
    plane = request.app.get(PLANE)
    given = {
        "tenant": visitor.tenant if visitor is not None else None,
        "me": signed_in,
        "here": request.path,
        "sign_out_token": plane.tokens.issue(signed_in.session_id, "sign_out") if plane and signed_in else "",
        **(values or {}),
    }
    response = aiohttp_jinja2.render_template(template, request, given, status=status)
    response.headers.update(_HEADERS)
    secure = plane is None or plane.cookie.secure
    upgrade = "; upgrade-insecure-requests" if secure else ""
    response.headers["Content-Security-Policy"] = _POLICY + upgrade
    if secure:
        response.headers["Strict-Transport-Security"] = "max-age=63072000"
    return response


def problem_page(request: web.Request, error: ProblemError) -> web.StreamResponse | None:
    """The page of an error, for a person; nothing for a program."""
    if request.path.startswith("/api/"):
        return None
    values = {"message": error.message, "code": error.code, "request_id": request.get(REQUEST_ID, "")}
    response = page(request, "problem.html", values, status=error.status)
    response.headers.update(error.headers)
    return response


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _moment(moment: datetime) -> str:
    utc = moment.astimezone(UTC)
    return f"{utc.day} {utc:%b %Y, %H:%M} UTC"
