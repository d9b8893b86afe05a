"""A whole tenant service with billing: operators and the product's runtime ask it over HTTP."""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import ClientResponse
from sqlalchemy import insert, select

from service_kit.identity.keys import SigningKey, public_jwks
from service_kit.identity.model import Role, Scope
from service_kit.identity.signing import IdentitySigner, RequestBinding, Subject
from service_kit.ids import IdFactory
from tenant_service.tables import schema
from tests.fixtures.identities import new_key
from tests.integration.tenant_service.tenant_process import (
    AUDIENCE,
    TenantProcess,
    new_tenant,
    tenant_process,
)

PACKS = "/api/admin/credit-packs"
REASON = "a good reason"
Answer = tuple[int, dict[str, Any]]


def new_pack(name: str = "Small", **members: object) -> dict[str, object]:
    """A body that is right."""
    prices = {"INR": 24900, "USD": 300}
    return {"name": name, "replies": 1000, "prices": prices, "sortOrder": 10, **members}


@dataclass(frozen=True)
class BillingProcess:
    """The running service, one tenant in it, and the runtime's key."""

    process: TenantProcess
    tenant: str
    runtime_key: SigningKey

    async def ask(
        self,
        method: str,
        target: str,
        body: Mapping[str, object] | None = None,
        *,
        role: Role | None = Role.SUPER_ADMIN,
        **headers: str,
    ) -> ClientResponse:
        """An operator's call; `if_match` and `idempotency_key` are headers."""
        proof = self.process.vouch.headers(role, audience=AUDIENCE, method=method, target=target)
        named = {name.replace("_", "-").title(): value for name, value in headers.items()}
        answer = await self.process.client.request(method, target, json=body, headers={**proof, **named})
        await answer.read()
        return answer

    def runtime_token(
        self,
        method: str,
        target: str,
        *,
        issuer: str = "runtime",
        key: SigningKey | None = None,
        subject: Subject | None = None,
    ) -> str:
        keys = (key or self.runtime_key,)
        signer = IdentitySigner(lambda: keys, self.process.clock, issuer=issuer)
        asks = subject or Subject(sub="reply-worker", scope=Scope.CREDITS)
        return signer.sign(asks, audience=AUDIENCE, binding=RequestBinding(method, target))

    async def use(
        self, what: str, body: Mapping[str, object] | None = None, *, key: str | None = None
    ) -> ClientResponse:
        """The runtime's call below the tenant's credits."""
        target = f"/internal/v1/tenants/{self.tenant}/credits/{what}"
        headers = {"X-Internal-Identity": self.runtime_token("POST", target)}
        if key is not None:
            headers["Idempotency-Key"] = key
        answer = await self.process.client.post(target, json=body or {}, headers=headers)
        await answer.read()
        return answer

    async def grant(self, replies: int, *, key: str, **members: object) -> dict[str, Any]:
        target = f"/api/admin/tenants/{self.tenant}/credits/grants"
        body = {"replies": replies, "reason": REASON, **members}
        answer = await self.ask("POST", target, body, idempotency_key=key)
        assert answer.status == 201, await answer.text()
        made: dict[str, Any] = await answer.json()
        return made


async def copy_grant(process: TenantProcess, count: int, **changes: object) -> None:
    """So many more grants like the first one, without an entry in the ledger."""
    grants, ids = schema().billing.grants, IdFactory(process.clock)
    async with process.database.write() as session:
        row = (await session.rows(select(grants).order_by(grants.c.id)))[0]
        copies = [{**row, **changes, "id": ids.new("grant")} for _ in range(count)]
        await session.execute(insert(grants), copies)


@asynccontextmanager
async def billing_process(database_url: str, folder: Path, **environ: str) -> AsyncIterator[BillingProcess]:
    key = new_key()
    keys_file = folder / "runtime-keys.json"
    keys_file.write_text(json.dumps(public_jwks([key])))
    async with tenant_process(database_url, CREDITS_KEYS_FILE=str(keys_file), **environ) as process:
        tenant = (await (await process.create(new_tenant())).json())["orgId"]
        yield BillingProcess(process, tenant, key)
