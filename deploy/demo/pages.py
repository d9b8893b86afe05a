"""Renders the edge's own pages: each one self-contained, without script, under a strict content policy."""

import secrets
from collections.abc import Mapping
from pathlib import Path

from aiohttp import web
from jinja2 import Environment, FileSystemLoader, StrictUndefined

POLICY = (
    "default-src 'none'; style-src 'nonce-{nonce}'; img-src data:; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)


class Pages:
    """The templates of this folder."""

    def __init__(self) -> None:
        self._templates = Environment(
            loader=FileSystemLoader(Path(__file__).parent / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )

    def chooser(self, **values: object) -> web.Response:
        return self._page("chooser.html", 200, values)

    def message(
        self, status: int, title: str, text: str, *, link: str = "", link_text: str = ""
    ) -> web.Response:
        """One short message, with at most one way on."""
        values = {"title": title, "text": text, "link": link, "link_text": link_text}
        return self._page("message.html", status, values)

    def _page(self, template: str, status: int, values: Mapping[str, object]) -> web.Response:
        nonce = secrets.token_urlsafe(16)
        html = self._templates.get_template(template).render(values, nonce=nonce)
        headers = {
            "Content-Security-Policy": POLICY.format(nonce=nonce),
            "Cache-Control": "no-store",
            "Referrer-Policy": "same-origin",
            "X-Content-Type-Options": "nosniff",
        }
        return web.Response(text=html, status=status, headers=headers, content_type="text/html")
