"""The panel's own stylesheet, script and icons: behind the gate like everything else (R-160)."""

from typing import Final

from aiohttp import web

from admin_service.panel.context import PanelServices
from service_kit.errors import NotFoundError
from service_kit.web.api import Call

_HEADERS: Final = {
    # The name carries the hash of the body. Private: a shared cache would serve it without identity.
    "Cache-Control": "private, max-age=31536000, immutable",
    "Vary": "Accept-Encoding",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
    # An SVG opened as a page of its own runs nothing and is framed by nobody.
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}


async def send_asset(services: PanelServices, call: Call) -> web.Response:
    """The file of exactly this hashed name. Raises NotFoundError."""
    asset = services.assets.find(call.path("name"))
    if asset is None:
        raise NotFoundError("NOT_FOUND", "Not found")
    response = web.Response(body=asset.body, headers={"Content-Type": asset.content_type, **_HEADERS})
    # Files only: a page holds form tokens beside what a person typed, and its size would tell (BREACH).
    if "gzip" in call.request.headers.get("Accept-Encoding", ""):
        response.enable_compression(web.ContentCoding.gzip)
    return response
