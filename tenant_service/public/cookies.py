"""The one cookie of the tenants' plane, for one host and nobody else (R-109).

`__Host-` makes browsers hold us to it: Secure, Path=/ and no Domain. Over plain http, which only the demo
on this machine may speak, browsers take no such cookie, and it has another name.
"""

from dataclasses import dataclass
from typing import Final

from aiohttp import web

from tenant_service.people.sessions import LIFETIME

SECURE_NAME: Final = "__Host-tenant_session"
DEVELOPMENT_NAME: Final = "tenant_session_on_localhost"
"""Only where TENANT_BASE_DOMAIN is localhost, which only APP_ENV=development allows."""


@dataclass(frozen=True, slots=True)
class SessionCookie:
    """How the session travels."""

    secure: bool

    @property
    def name(self) -> str:
        return SECURE_NAME if self.secure else DEVELOPMENT_NAME

    def read(self, request: web.Request) -> str:
        """The token that the browser sent; empty when it sent none."""
        return request.cookies.get(self.name, "")

    def set(self, response: web.StreamResponse, token: str) -> None:
        response.set_cookie(
            self.name,
            token,
            path="/",
            secure=self.secure,
            httponly=True,
            samesite="Lax",
            max_age=int(LIFETIME.total_seconds()),
        )

    def clear(self, response: web.StreamResponse) -> None:
        response.del_cookie(self.name, path="/", secure=self.secure, httponly=True, samesite="Lax")
