"""A refusal as the client can use it: JSON for a program, a page for a person, bare text for a seed.

A program never gets a redirect; a person without enrollment is sent to `/enrollment`. Nothing of the
request but its id is repeated.
"""

import base64
import hashlib
import json
from html import escape
from string import Template
from typing import Final, NamedTuple

from aiohttp import web

from auth_proxy.refusals import Reason, Refusal
from auth_proxy.routes import ENROLLMENT
from service_kit.web.problems import PROBLEM_JSON, problem_document

SERVER: Final = "sallyport"
"""What every answer calls its server: no library, no version."""
SIGN_OUT_PATH: Final = "/cdn-cgi/access/logout"
_TO_ENROLLMENT: Final = frozenset({Reason.ENROLLMENT_REQUIRED, Reason.SUBJECT_CHANGED})
_CURED_BY_ENROLLMENT: Final = _TO_ENROLLMENT | {Reason.ENROLLMENT_FAILED}
_EXPLANATION: Final = "/"
"""Where a person's browser is told why: any page of a refused host is the page of the refusal."""
_MET_BY_NAVIGATION: Final = frozenset({403, 429, 503})

_STYLE: Final = """
:root{color-scheme:light dark;font:16px/1.5 system-ui,sans-serif}
body{margin:0;min-block-size:100vh;display:grid;place-items:center;
background:light-dark(#f6f7f9,#0f1115);color:light-dark(#1a1d23,#e8eaed)}
main{max-inline-size:34rem;padding:2rem;margin:1rem;border-radius:12px;
background:light-dark(#fff,#181b21);border:1px solid light-dark(#dfe3e8,#2b3038)}
p.status{margin:0;font-size:.8125rem;letter-spacing:.06em;color:light-dark(#5b6472,#9aa3b2)}
h1{margin:.25rem 0 1rem;font-size:1.5rem;line-height:1.25}
dl{margin:1.5rem 0 0;font-size:.875rem;color:light-dark(#5b6472,#9aa3b2)}
dd{margin:0 0 .5rem;overflow-wrap:anywhere}
code{font-family:ui-monospace,monospace;user-select:all}
a{color:light-dark(#2347c5,#9db4ff)}
a:focus-visible{outline:2px solid currentColor;outline-offset:3px}
"""
# By its hash, not by a nonce: all pages of a reason differ in nothing but the request id.
_STYLE_HASH: Final = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_POLICY: Final = (
    f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; frame-ancestors 'none'"
)

_PAGE: Final = Template(
    """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$error · $status</title>
<style>$style</style>
</head>
<body>
<main>
<p class="status">$status · $code</p>
<h1>$error</h1>
<p>$why</p>
<p>$fix</p>
$actions<dl><dt>Request id</dt><dd><code>$request_id</code></dd></dl>
</main>
</body>
</html>
"""
)
_SIGN_OUT: Final = f'<p><a href="{SIGN_OUT_PATH}">Sign out of Access</a></p>\n'


class Reader(NamedTuple):
    """Who reads the answer, and what for."""

    wants_page: bool = False
    navigates: bool = False
    """A person's browser is going to a page."""
    boots: bool = False
    """A frontend asks who it has before it, and must know where to send them instead (R-165)."""
    can_enroll: bool = True
    """Whether there is a page where an enrollment token is entered."""


def render(refusal: Refusal, request_id: str, reader: Reader, *, method: str) -> web.Response:
    """The answer to a refused request."""
    answer = refusal.answer
    headers = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", **refusal.headers}
    headers["X-Request-Id"] = request_id
    headers["Server"] = SERVER
    if answer.retry_after is not None:
        headers.setdefault("Retry-After", str(answer.retry_after))
    if answer.plain:
        return web.Response(status=answer.status, text=answer.error, headers=headers)
    enrolls = reader.can_enroll and refusal.reason in _TO_ENROLLMENT
    if reader.navigates and method in ("GET", "HEAD") and enrolls:
        return web.Response(status=303, headers={**headers, "Location": ENROLLMENT})
    if reader.wants_page:
        return _page(refusal, request_id, headers)
    extra: dict[str, object] = {"fix": answer.fix}
    if reader.boots and (fallback := _fallback(refusal, reader)):
        extra["fallback"] = fallback
    document = problem_document(answer.status, answer.code, answer.error, request_id=request_id, extra=extra)
    body = json.dumps(document, ensure_ascii=False).encode()
    return web.Response(status=answer.status, body=body, content_type=PROBLEM_JSON, headers=headers)


def _fallback(refusal: Refusal, reader: Reader) -> str:
    """Where a frontend sends the person; nowhere, if the page there would only load and ask again."""
    if reader.can_enroll and refusal.reason in _CURED_BY_ENROLLMENT:
        return ENROLLMENT
    meets = refusal.answer.status in _MET_BY_NAVIGATION and refusal.reason is not Reason.ORIGIN_REJECTED
    return _EXPLANATION if meets else ""


def _page(refusal: Refusal, request_id: str, headers: dict[str, str]) -> web.Response:
    answer = refusal.answer
    html = _PAGE.substitute(
        status=answer.status,
        code=escape(answer.code),
        error=escape(answer.error),
        why=escape(answer.why),
        fix=escape(answer.fix),
        request_id=escape(request_id),
        style=_STYLE,
        # Without a proven person there may be nothing to sign out of, but the link never hurts.
        actions=_SIGN_OUT,
    )
    security = {
        "Content-Security-Policy": _POLICY,
        "X-Frame-Options": "DENY",
        "Referrer-Policy": "same-origin",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
    }
    return web.Response(
        status=answer.status, text=html, content_type="text/html", headers={**headers, **security}
    )


def prefers_page(accept: str, fetch_mode: str, requested_with: str) -> bool:
    """Whether the client is a person's browser rather than a program.

    `Sec-Fetch-Mode` decides where it is sent; otherwise an `Accept` that names HTML before JSON does.
    """
    if requested_with.lower() == "xmlhttprequest":
        return False
    if fetch_mode:
        return fetch_mode.lower() == "navigate"
    html, program = accept.find("text/html"), accept.find("json")
    return html >= 0 and (program < 0 or html < program)
