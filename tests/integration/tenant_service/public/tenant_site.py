"""A tenant's own host for tests: the public listener of a whole tenant service, asked as a browser would."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from http.cookies import SimpleCookie
from typing import Any

from aiohttp import DummyCookieJar
from aiohttp.test_utils import TestClient, TestServer

from tenant_service.public.plane import PLANE, Plane
from tests.integration.tenant_service.lives import Said
from tests.integration.tenant_service.tenant_process import TenantProcess, new_tenant, tenant_process

COOKIE = "__Host-tenant_session"
PASSWORD = "plum-Verandah-29-otter"
OTHER_PASSWORD = "quartz-Mitten-83-velvet"
ACCEPT = "/api/invitations/accept"


@dataclass(frozen=True)
class Browser:
    """Somebody at one host, with the session that they have."""

    client: "TestClient[Any, Any]"
    host: str
    cookie: str = field(default="", repr=False)

    async def ask(
        self, method: str, path: str, body: object = None, *, headers: Mapping[str, str] | None = None
    ) -> Said:
        """JSON to and from the API."""
        answer = await self.client.request(
            method, path, json=body, headers={**self._own(method), **(headers or {})}, allow_redirects=False
        )
        raw = await answer.read()
        read = await answer.json(content_type=None) if "json" in answer.content_type and raw else raw.decode()
        return Said(answer.status, read, answer.headers)

    async def form(self, path: str, fields: Mapping[str, str], **headers: str) -> Said:
        """A form as a browser sends it."""
        own = {**self._own("POST"), "Content-Type": "application/x-www-form-urlencoded", **headers}
        answer = await self.client.post(path, data=dict(fields), headers=own, allow_redirects=False)
        return Said(answer.status, await answer.text(), answer.headers)

    def with_cookie_of(self, said: Said) -> "Browser":
        return replace(self, cookie=cookie_of(said))

    def at(self, slug: str) -> "Browser":
        return replace(self, host=f"{slug}.app.example.com")

    def _own(self, method: str) -> dict[str, str]:
        headers = {"Host": self.host}
        if self.cookie:
            headers["Cookie"] = f"{COOKIE}={self.cookie}"
        if method != "GET":
            headers["Origin"] = f"https://{self.host}"
        return headers


def cookie_of(said: Said) -> str:
    """The session token that an answer sets."""
    return SimpleCookie(said.headers["Set-Cookie"])[COOKIE].value


@dataclass(frozen=True)
class TenantSite:
    """The running service, and its public listener."""

    process: TenantProcess
    public: "TestClient[Any, Any]"

    @property
    def plane(self) -> Plane:
        return self.process.apps.public[PLANE]

    def replace_plane(self, **parts: Any) -> None:
        """Put something else in the place of a service, as a fault would."""
        self.process.apps.public._state[PLANE] = replace(self.plane, **parts)

    def browser(self, slug: str = "acme") -> Browser:
        return Browser(self.public, f"{slug}.app.example.com")

    async def tenant(self, slug: str = "acme", **members: object) -> Mapping[str, str]:
        """A tenant made by an operator: `orgId`, and `invitationId` with its secret."""
        answer = await self.process.create(new_tenant(slug, **members))
        made: Mapping[str, str] = await answer.json()
        assert answer.status == 201, made
        return made

    async def owner(self, slug: str = "acme", email: str = "bob@example.com") -> Browser:
        """The owner of a new tenant, signed in."""
        made = await self.tenant(slug, primaryAdminEmail=email)
        said = await self.accept(made["invitationId"], slug=slug)
        assert said.status == 200, said
        return self.browser(slug).with_cookie_of(said)

    async def accept(
        self, link: str, password: str = PASSWORD, *, slug: str = "acme", name: str = "Bob"
    ) -> Said:
        body = {"name": name, "password": password}
        return await self.browser(slug).ask("POST", f"{ACCEPT}/{link}", body)

    async def count(self, table: str) -> int:
        return len(await self.process.rows(table))


@asynccontextmanager
async def tenant_site(database_url: str, **environ: str) -> AsyncIterator[TenantSite]:
    async with (
        tenant_process(database_url, **environ) as process,
        TestClient(TestServer(process.apps.public), cookie_jar=DummyCookieJar()) as public,
    ):
        yield TenantSite(process, public)
