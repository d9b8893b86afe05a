"""Both services and a tenant's own host, with somebody and something in every state that a request needs."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

from aiohttp import DummyCookieJar
from aiohttp.test_utils import TestClient, TestServer

from admin_service.sessions.tokens import session_digest
from service_kit.identity.model import Role
from tests.integration.panel.back_office import BackOffice, back_office
from tests.integration.tenant_service.billing.billing_process import new_pack
from tests.integration.tenant_service.lives import add_session, bring_to, lively_tenant
from tests.integration.tenant_service.people import add_user
from tests.integration.tenant_service.public.tenant_site import Browser, TenantSite
from tests.integration.tenant_service.tenant_process import TENANTS, TenantProcess, tenant_process

SENTINEL: Final = "Zaphod"
"""The name of a person and the reason of an act: what no refused reading may show."""

_FORM: Final = re.compile(r'action="([^"]+)"[^>]*>\s*<input type="hidden" name="csrf_token" value="([^"]+)"')
REASON: Final = {"reason": f"{SENTINEL} asked for it"}
HELD: Final = "ops_held"
TOKEN: Final = "axs_held"
PACKS: Final = "/api/admin/credit-packs"

Sent = tuple[int, str]
"""The status of an answer, and all of its text."""


@dataclass
class Lived:
    """Both services and the tenants' own host, with somebody and something in every state that is needed."""

    office: BackOffice
    site: TenantSite
    names: dict[str, str] = field(default_factory=dict)
    browsers: dict[str, Browser] = field(default_factory=dict)

    @property
    def tenant(self) -> TenantProcess:
        return self.site.process

    async def admin(self, method: str, target: str, body: object = None, **headers: str) -> Sent:
        """A super admin's request to the admin service."""
        target = target.format(**self.names)
        proof = self.office.proof(method, target, Role.SUPER_ADMIN, delegated=True)
        answer = await self.office.client.request(
            method, target, headers={**proof, **_named(headers)}, json=body
        )
        return answer.status, await answer.text()

    async def page(self, path: str, /, **typed: str) -> Sent:
        """A form of the panel, filled in and sent."""
        path = path.format(**self.names)
        fields = {**(await self.office.get(path)).fields(), **typed}
        said = await self.office.post(path, fields)
        return said.status, said.text

    async def operators(self, method: str, target: str, body: object = None, **headers: str) -> Sent:
        """An operator's request to the tenant service."""
        target = target.format(**self.names)
        proof = self.tenant.vouch.headers(
            Role.SUPER_ADMIN, audience="tenant_service", method=method, target=target
        )
        answer = await self.tenant.client.request(
            method, target, json=body, headers={**proof, **_named(headers)}
        )
        return answer.status, await answer.text()

    async def member(self, who: str, method: str, path: str, body: object = None) -> Sent:
        """A request at the tenant's own host."""
        said = await self.browsers[who].ask(method, path.format(**self.names), body)
        return said.status, str(said.body)

    async def form(self, who: str, page: str, action: str, **fields: str) -> Sent:
        page, action = page.format(**self.names), action.format(**self.names)
        shown = await self.browsers[who].ask("GET", page)
        token = dict(_FORM.findall(str(shown.body)))[action]
        said = await self.browsers[who].form(action, {"csrf_token": token, **fields})
        return said.status, str(said.body)


Send = Callable[[Lived], Awaitable[Sent]]


def _named(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.replace("_", "-").title(): value for name, value in headers.items()}


@asynccontextmanager
async def lived_in(tenant_url: str, admin_url: str) -> AsyncIterator[Lived]:
    """The house, on a database for each service."""
    async with tenant_process(tenant_url, FEATURE_FLAGS="new_inbox") as tenant:
        url = str(tenant.client.make_url("")).rstrip("/")
        async with (
            back_office(
                admin_url,
                vouch=tenant.vouch,
                clock=tenant.clock,
                TENANT_SERVICE_URL=url,
            ) as office,
            TestClient(TestServer(tenant.apps.public), cookie_jar=DummyCookieJar()) as public,
        ):
            lived = Lived(office, TenantSite(tenant, public))
            await _tenants(lived)
            await _credit(lived)
            await _people(lived)
            await _operators(lived)
            yield lived


async def _tenants(lived: Lived) -> None:
    tenant, names = lived.tenant, lived.names
    names["live"] = await lively_tenant(tenant, "live-one")
    names["paused"] = await lively_tenant(tenant, "paused-one")
    names["gone"] = await lively_tenant(tenant, "gone-one")
    await bring_to(tenant, names["paused"], "suspended")
    await bring_to(tenant, names["gone"], "deleted")
    for word, table in (("invitation", "invitations"), ("account", "connected_accounts")):
        rows = [row for row in await tenant.rows(table) if row["organization_id"] == names["live"]]
        names[word] = str(rows[0]["id"])
    await tenant.sql("UPDATE outbox SET state = 'dead', attempts = 15, finished_at = created_at")
    names["letter"] = str((await tenant.rows("outbox"))[0]["id"])


async def _credit(lived: Lived) -> None:
    for name, active in (("on", True), ("off", False)):
        assert (await lived.operators("POST", PACKS, new_pack(name, active=active)))[0] == 201
    lived.names |= {row["name"]: str(row["id"]) for row in await lived.tenant.rows("credit_packs")}
    path = f"{TENANTS}/{{live}}/credits/grants"
    made = await lived.operators("POST", path, {"replies": 5, **REASON}, idempotency_key="first")
    assert made[0] == 201, made
    lived.names["grant"] = str((await lived.tenant.rows("credit_grants"))[0]["id"])


async def _people(lived: Lived) -> None:
    """An owner with a colleague and an open invitation; a search that found somebody."""
    site, names = lived.site, lived.names
    lived.browsers["owner"] = owner = await site.owner("team-one", "bob@example.com")
    lived.browsers["nobody"] = site.browser("team-one")
    lived.browsers["fresh"] = site.browser("fresh-one")
    names["fresh"] = (await site.tenant("fresh-one", primaryAdminEmail="new@example.com"))["invitationId"]
    [team] = [row for row in await site.process.rows("organizations") if row["slug"] == "team-one"]
    colleague = await add_user(site.process, "max@example.com", team["id"], name=SENTINEL)
    await add_session(site.process, team["id"], colleague)
    members = (await owner.ask("GET", "/api/tenant/members")).body["data"]
    names["colleague"] = next(row["id"] for row in members if row["email"] == "max@example.com")
    invited = {"email": "ann@example.com", "role": "member"}
    said = await owner.ask("POST", "/api/auth/organization/invite-member", invited)
    assert said.status == 201, said
    names["open"] = said.body["id"]
    assert (await lived.operators("GET", "/api/admin/users?email=max@example.com"))[0] == 200
    rows = await site.process.rows("audit_events")
    names["search"] = next(row["id"] for row in rows if row["event"] == "admin.support_query.executed")


async def _operators(lived: Lived) -> None:
    office = lived.office
    now = office.clock.now()
    await office.add_operator(Role.SUPPORT, sub=None, name="pending")
    await office.add_operator(Role.SUPPORT, sub="sub-gone", name="gone", deactivated_at=now)
    await office.add_operator(Role.SUPER_ADMIN, sub="sub-second", name="second")
    for operator in ("support", "super_admin"):
        await office.hold(f"adm_{operator}", f"{HELD}_{operator}")
    await office.hold("adm_support", "ops_other", token_hash=session_digest(TOKEN))
