"""Both services with something to export, for the tests of the export."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp

from admin_service.tables import AUDIT
from service_kit.identity.keys import SigningKey, load_signing_keys, public_jwks
from service_kit.identity.model import Role
from tenant_service.tables import schema
from tests.integration.panel.back_office import House, house
from tests.integration.service_kit.audit.signing import sign_heads

EXPORT = "/api/admin/audit-logs/export"
READS = 3
"""How many rows the admin service has; the tenant service has four, in three chains."""


@asynccontextmanager
async def lived_in(folder: Path) -> AsyncIterator[House]:
    """Both services with rows in four chains, and signed checkpoints over all of them."""
    async with house(folder) as both:
        await both.create(slug="acme")
        await both.tenant.record_admin_event()
        for _ in range(READS):
            both.office.clock.advance(9 * 3600)
            await both.office.get("/manage/audit?event=tenant.created", Role.SUPPORT)
        both.office.clock.advance(1)
        for service, database, tables in (
            ("admin_service", both.office.database, AUDIT),
            ("tenant_service", both.tenant.database, schema().audit),
        ):
            await sign_heads(database, tables, service, key_of(folder, service), both.office.clock)
        yield both


def key_of(folder: Path, service: str) -> SigningKey:
    """The key of a service, wherever its settings put it."""
    (file,) = [
        file for file in folder.glob("*.pem") if file.name.startswith(service.removesuffix("_service"))
    ]
    (key,) = load_signing_keys(file)
    return key


def public_keys(folder: Path) -> Path:
    """A file with the public keys of both services, as an auditor has it."""
    keys = [key_of(folder, service) for service in ("admin_service", "tenant_service")]
    file = folder / "keys.json"
    file.write_text(json.dumps(public_jwks(keys)))
    return file


async def ask(
    both: House, query: str, role: Role = Role.SECURITY, *, delegated: bool = True, method: str = "GET"
) -> tuple[aiohttp.ClientResponse, bytes]:
    target = f"{EXPORT}?{query}"
    headers = both.office.proof(method, target, role, delegated=delegated)
    response = await both.office.client.request(method, target, headers=headers)
    return response, await response.read()


async def exported(both: House, query: str = "format=ndjson&scope=all") -> bytes:
    response, data = await ask(both, query)
    assert response.status == 200, data
    return data
