"""The whole admin service with its panel, asked as the sidecar asks it in a browser's name."""

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

import html5lib
from aiohttp import ClientResponse, DummyCookieJar
from aiohttp.test_utils import TestClient, TestServer
from sqlalchemy import insert
from yarl import URL

from admin_service.app import DATABASE, MIGRATIONS, SERVICES, Applications, Services, create_app
from admin_service.operators.models import GLOBAL_ADMINS, Operator
from admin_service.sessions.models import OPERATOR_SESSIONS, SESSION_LIFETIME
from admin_service.settings import AdminSettings
from admin_service.tenant_api import TenantApi
from service_kit.db.session import Database
from service_kit.identity.model import Role
from service_kit.settings import load_settings
from tests.fakes.clock import FrozenClock
from tests.fixtures.databases import with_schema
from tests.fixtures.identities import Vouch
from tests.integration.tenant_service.tenant_process import TenantProcess, tenant_process

NEW = "/manage/tenants/new"
ORIGIN = "https://admin.example.com"
BROWSER = {
    "Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    "User-Agent": "Firefox",
    "X-Forwarded-For": "203.0.113.7",
}


@dataclass(frozen=True)
class Shown:
    """One answer, read."""

    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def tree(self) -> Element:
        tree: Element = html5lib.parse(self.text, namespaceHTMLElements=False)
        return tree

    @property
    def words(self) -> str:
        """What a person reads, each run of spaces as one."""
        main = self.tree.find(".//main")
        words = " ".join(" ".join((self.tree if main is None else main).itertext()).split())
        return re.sub(r" ([,.:])", r"\1", words)

    @property
    def heading(self) -> str:
        found = self.tree.findall(".//h1")
        assert len(found) == 1
        return "".join(found[0].itertext()).strip()

    @property
    def links(self) -> set[str]:
        return {link.get("href", "") for link in self.tree.iter("a")}

    def value(self, name: str) -> str:
        """What a control of the page's own form holds; the theme form stands outside `main`."""
        main = self.tree.find(".//main")
        assert main is not None
        for control in main.iter("input"):
            if control.get("name") == name:
                return control.get("value", "")
        for control in main.iter("select"):
            if control.get("name") == name:
                options = list(control.iter("option"))
                chosen = [option for option in options if "selected" in option.attrib]
                return (chosen or options)[0].get("value", "")
        raise AssertionError(f"the page has no control {name}")

    def value_of(self, element_id: str) -> str:
        """What the control with this id holds."""
        (control,) = [one for one in self.tree.iter("input") if one.get("id") == element_id]
        return control.get("value", "")

    def fields(self) -> dict[str, str]:
        """The page's own form, as a browser would send it unchanged."""
        main = self.tree.find(".//main")
        assert main is not None
        form = next(one for one in main.iter("form") if one.get("method") == "post")
        named = [c for kind in ("input", "select") for c in form.iter(kind) if c.get("name")]
        return {name: self.value(name) for name in (control.get("name", "") for control in named)}


@dataclass(frozen=True)
class BackOffice:
    """The running admin service, and a browser behind a sidecar."""

    client: "TestClient[Any, Any]"
    vouch: Vouch
    clock: FrozenClock
    database_url: str
    apps: Applications

    async def get(
        self,
        target: str | URL,
        role: Role | None = Role.SUPER_ADMIN,
        *,
        delegated: bool = True,
        headers: Mapping[str, str] | None = None,
        **identity: Any,
    ) -> Shown:
        """A navigation; `delegated=False` leaves the delegation out."""
        proof = self.proof("GET", str(target), role, delegated=delegated, **identity)
        sent = {**BROWSER, **proof, **(headers or {})}
        return await shown(await self.client.get(target, headers=sent, allow_redirects=False))

    async def post(
        self,
        target: str,
        fields: Mapping[str, str] | bytes,
        role: Role | None = Role.SUPER_ADMIN,
        *,
        delegated: bool = True,
        headers: Mapping[str, str | None] | None = None,
        **identity: Any,
    ) -> Shown:
        """A form; a header of None is left out."""
        proof = self.proof("POST", target, role, delegated=delegated, **identity)
        given = {**BROWSER, "Origin": ORIGIN, "Sec-Fetch-Site": "same-origin", **proof, **(headers or {})}
        if isinstance(fields, bytes):
            given.setdefault("Content-Type", "application/x-www-form-urlencoded")
        sent = {name: value for name, value in given.items() if value is not None}
        return await shown(await self.client.post(target, data=fields, headers=sent, allow_redirects=False))

    def proof(
        self, method: str, target: str, role: Role | None, *, delegated: bool, **identity: Any
    ) -> dict[str, str]:
        """What the sidecar adds to a request."""
        asked = {"method": method, "target": target, **identity}
        headers = self.vouch.headers(role, audience="admin_service", request_id="req_panel1", **asked)
        if delegated:
            headers |= self.vouch.headers(role, audience="tenant_service", delegate="admin_service", **asked)
        return headers

    async def add_operator(self, role: Role, *, sub: str | None, name: str = "", **columns: Any) -> None:
        """An operator as if enrolled long ago; `sub=None` is one who has not enrolled."""
        now = self.clock.now()
        label = name or role.value
        row = {
            "id": f"adm_{label}",
            "email": f"{label}@example.com",
            "name": f"Test {label}",
            "role": role.value,
            "cf_access_sub": sub,
            "created_by": "system",
            "created_at": now,
            "updated_at": now,
            "version": 1,
            **columns,
        }
        database = Database.open(self.database_url)
        async with database.write() as session:
            await session.execute(insert(GLOBAL_ADMINS).values(**row))
        await database.close()

    async def hold(self, operator_id: str, session_id: str, **columns: Any) -> None:
        """A live session of an operator; `columns` override."""
        now = self.clock.now()
        row = {
            "id": session_id,
            "chain_id": session_id,
            "token_hash": f"digest of {session_id}",
            "admin_id": operator_id,
            "access_sub": operator_id.replace("adm_", "sub-"),
            "created_at": now,
            "expires_at": now + SESSION_LIFETIME,
            "last_seen_at": now,
            "ip": "192.0.2.9",
            "user_agent": "Firefox",
            **columns,
        }
        async with self.database.write() as session:
            await session.execute(insert(OPERATOR_SESSIONS).values(**row))

    async def operator(self, operator_id: str) -> Operator:
        """The row as it is now."""
        return await self.services.operators.by_id(operator_id)

    async def live_sessions(self, operator_id: str) -> int:
        return (await self.services.session_counts.of([operator_id])).get(operator_id, 0)

    @property
    def services(self) -> Services:
        return self.apps.internal[SERVICES]

    @property
    def database(self) -> Database:
        served = self.apps.internal[DATABASE]
        return Database(served.write_engine, served._read)  # with the rights of the owner


async def shown(response: ClientResponse) -> Shown:
    headers = {name.title(): ", ".join(response.headers.getall(name)) for name in response.headers}
    return Shown(response.status, headers, await response.text())


def settings_for(database_url: str, **environ: str) -> AdminSettings:
    given = {
        "ADMIN_DATABASE_URL": database_url,
        "ADMIN_HOST": "admin.example.com",
        "APP_ENV": "test",
        "TENANT_SERVICE_URL": "http://127.0.0.1:1",
        "INTERNAL_JWKS_FILE": "/nowhere/jwks.json",
        **environ,
    }
    return load_settings(AdminSettings, given)


@asynccontextmanager
async def back_office(
    database_url: str,
    *,
    tenant_api: TenantApi | None = None,
    vouch: Vouch | None = None,
    clock: FrozenClock | None = None,
    **environ: str,
) -> AsyncIterator[BackOffice]:
    """The admin service on a database of its own, with one active operator of each role."""
    clock = clock or FrozenClock()
    vouch = vouch or Vouch(clock)
    await with_schema(database_url, MIGRATIONS)
    apps = await create_app(
        settings_for(database_url, **environ),
        clock=clock,
        public_keys=vouch.public_keys,
        tenant_api=tenant_api,
    )
    server = TestServer(apps.internal)
    async with TestClient(server, cookie_jar=DummyCookieJar()) as client:
        office = BackOffice(client, vouch, clock, database_url, apps)
        for role in Role:
            await office.add_operator(role, sub=f"sub-{role.value}")
        yield office


@dataclass(frozen=True)
class House:
    """The panel and the tenant service behind it."""

    office: BackOffice
    tenant: TenantProcess

    async def create(self, **typed: str) -> tuple[Shown, dict[str, str]]:
        """Fill the form in and send it; the answer and what was sent."""
        fields = (await self.office.get(NEW, Role.SUPPORT)).fields()
        sent = {**fields, "name": "Acme", "slug": "acme", "primaryAdminEmail": "boss@acme.example", **typed}
        return await self.office.post(NEW, sent, Role.SUPPORT), sent


@asynccontextmanager
async def house(folder: Path, **environ: str) -> AsyncIterator[House]:
    """Both services; `environ` is the tenant service's."""
    # One signer and one clock for both, as with one sidecar.
    async with tenant_process(f"sqlite:///{folder}/tenant.db", **environ) as tenant:
        clock, vouch = tenant.clock, tenant.vouch
        url = str(tenant.client.make_url("")).rstrip("/")
        async with back_office(
            f"sqlite:///{folder}/admin.db", vouch=vouch, clock=clock, TENANT_SERVICE_URL=url
        ) as office:
            yield House(office, tenant)
