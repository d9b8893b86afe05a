"""What surrounds every page: the frame around the content, and the response headers of HTML.

Knows no page and no request; whoever answers fills a `Frame` and sends `page_headers`.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from admin_service.panel.navigation import VisibleItem, visible_items
from admin_service.panel.views.parts import Link, Tone

PRODUCT = "Back office"
SIGN_OUT_URL = "/cdn-cgi/access/logout"
THEME_URL = "/manage/theme"
Theme = Literal["system", "light", "dark"]
THEMES: tuple[Theme, ...] = ("system", "light", "dark")
Density = Literal["comfortable", "compact"]

# What may stand between the quotes of 'nonce-…': base64 of at least 128 bits. A quote or a
# semicolon here would let a caller write its own policy.
NONCE = re.compile(r"[A-Za-z0-9+/_-]{22,}={0,2}")

REFUSED_FEATURES = (
    "accelerometer",
    "autoplay",
    "browsing-topics",
    "camera",
    "display-capture",
    "encrypted-media",
    "fullscreen",
    "geolocation",
    "gyroscope",
    "hid",
    "idle-detection",
    "magnetometer",
    "microphone",
    "midi",
    "payment",
    "picture-in-picture",
    "publickey-credentials-get",
    "screen-wake-lock",
    "serial",
    "usb",
    "xr-spatial-tracking",
)
PERMISSIONS_POLICY = ", ".join([*(f"{name}=()" for name in REFUSED_FEATURES), "clipboard-write=(self)"])


@dataclass(frozen=True, slots=True)
class Toast:
    """A message about the step that was just done; it stays until it is dismissed or the page is left."""

    tone: Tone
    text: str
    link: Link | None = None


@dataclass(frozen=True, slots=True)
class SignedInOperator:
    """Who works here, as the header shows it."""

    name: str
    email: str
    role: str
    last_active_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Frame:
    """Everything of a page that is not its content.

    `operator` is None for a person who is not an operator (enrollment, refusals): such a page has
    no navigation and no theme form. `theme_csrf` is the token of the theme form, `return_to` the
    path that it leads back to.
    """

    nonce: str
    request_id: str
    environment: str
    operator: SignedInOperator | None = None
    permissions: frozenset[str] = frozenset()
    theme: Theme = "system"
    theme_csrf: str = ""
    return_to: str = "/manage"
    zone: tzinfo = UTC
    toasts: tuple[Toast, ...] = ()
    shortcuts: bool = True
    density: Density = "comfortable"

    def navigation(self, section: str) -> tuple[VisibleItem, ...]:
        """What this operator sees; nothing for a person who is not one."""
        return visible_items(self.permissions, section) if self.operator else ()


def known_zone(name: str) -> tzinfo:
    """A zone that this machine does not know any more is shown in UTC, and no page fails for it."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return UTC


def document_title(parts: tuple[str, ...]) -> str:
    """The parts and the product: `Acme · Tenants · Back office`."""
    return " · ".join((*parts, PRODUCT))


def content_security_policy(nonce: str, *, upgrade: bool) -> str:
    """The policy of panel.md; `upgrade` is False only where the panel is served over plain HTTP.

    Raises ValueError for a nonce that is short or could end its own quotes.
    """
    if not NONCE.fullmatch(nonce):
        raise ValueError("a CSP nonce is base64 of at least 128 bits")
    directives = [
        "default-src 'none'",
        f"script-src 'nonce-{nonce}'",
        "style-src 'self'",
        "img-src 'self'",
        "font-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
        "object-src 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types panel",
    ]
    if upgrade:
        directives.append("upgrade-insecure-requests")
    return "; ".join(directives)


def page_headers(nonce: str, *, upgrade: bool) -> dict[str, str]:
    """Every response header of an HTML page (http-api 3.0), except its content type."""
    headers = {
        "Content-Security-Policy": content_security_policy(nonce, upgrade=upgrade),
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Permissions-Policy": PERMISSIONS_POLICY,
        # never no-referrer: the Origin of a form would become "null", and the CSRF check would refuse it
        "Referrer-Policy": "same-origin",
    }
    if upgrade:
        headers["Strict-Transport-Security"] = "max-age=63072000"
    return headers
