"""The session's cookie as HTTP says it (C-17); it decides nothing about the session."""

from dataclasses import dataclass
from typing import Final

from aiohttp import web

from admin_service.sessions.models import SESSION_LIFETIME

_MOST_VALUES: Final = 8
_ATTRIBUTES: Final = "Path=/; Secure; HttpOnly; SameSite=Lax"
"""No Domain: the cookie is this host's alone. Lax, because the first page after Access's own login
arrives by a cross-site redirect, where a Strict cookie would be missing (C-17)."""


@dataclass(frozen=True, slots=True)
class SessionCookie:
    """The cookie under its configured name."""

    name: str

    def values(self, request: web.Request) -> tuple[str, ...]:
        """Every value that came under the name.

        There may be several: a neighbouring host can set a cookie of the same name for the whole
        domain. Which of them counts is decided by whose session each one is, not by their order.
        """
        pairs = (
            pair.strip().partition("=")
            for line in request.headers.getall("Cookie", [])
            for pair in line.split(";")
        )
        return tuple(value for name, _, value in pairs if name == self.name and value)[:_MOST_VALUES]

    def carrying(self, token: str) -> dict[str, str]:
        """The header that hands the token to the browser."""
        seconds = int(SESSION_LIFETIME.total_seconds())
        return {"Set-Cookie": f"{self.name}={token}; Max-Age={seconds}; {_ATTRIBUTES}"}

    def cleared(self) -> dict[str, str]:
        """The header that makes the browser forget it."""
        return {"Set-Cookie": f"{self.name}=; Max-Age=0; {_ATTRIBUTES}"}


AX_TOKEN: Final = SessionCookie("ax_token")
"""The name that seed 3 gives it."""
