"""Tenants in each state for tests, what belongs to them, and asking for changes as the sidecar would."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import insert, select

from service_kit.identity.model import Role
from service_kit.ids import IdFactory
from service_kit.jobs.sealing import Seal
from tenant_service.people.models import MemberRole
from tenant_service.system.working import JOBS
from tenant_service.tables import schema
from tests.integration.tenant_service.people import add_tenant, add_user
from tests.integration.tenant_service.tenant_process import (
    AUDIENCE,
    TENANTS,
    TenantProcess,
    settings_for,
)

GRACE_SECONDS = 30 * 24 * 3600
KEPT_WHEN_REFUSED = (
    "organizations",
    "slug_tombstones",
    "invitations",
    "sessions",
    "members",
    "users",
    "connected_accounts",
    "feature_flags",
    "idempotency_keys",
    "outbox",
    "audit_events",
    "audit_pii",
    "audit_chain_heads",
)
"""Every table that a change of a tenant touches."""


@dataclass(frozen=True)
class Said:
    """An answer, read."""

    status: int
    body: Any
    headers: Mapping[str, str]

    @property
    def code(self) -> str:
        """The code of a refusal; nothing of an answer that is none."""
        return str(self.body.get("code", "")) if isinstance(self.body, dict) else ""


async def ask(
    process: TenantProcess,
    method: str,
    path: str,
    body: Mapping[str, object] | None = None,
    *,
    role: Role | None = Role.SUPER_ADMIN,
    key: str | None = None,
    version: object = None,
    **identity: Any,
) -> Said:
    """Ask below `/api/admin/tenants`; `version` is sent as If-Match."""
    target = f"{TENANTS}{path}"
    headers = process.vouch.headers(role, audience=AUDIENCE, method=method, target=target, **identity)
    headers |= {"Idempotency-Key": key} if key else {}
    headers |= {"If-Match": f'"{version}"'} if version is not None else {}
    answer = await process.client.request(method, target, json=body, headers=headers)
    read = await answer.json() if answer.content_length else None
    return Said(answer.status, read, answer.headers)


async def add_session(process: TenantProcess, organization_id: str, user_id: str) -> str:
    """An open session of a member; its id."""
    ids, now = IdFactory(process.clock), process.clock.now()
    session_id = ids.new("ses")
    values = {
        "id": session_id,
        "token_hash": f"digest of {session_id}",
        "user_id": user_id,
        "organization_id": organization_id,
        "created_at": now,
        "expires_at": now + timedelta(hours=8),
        "last_seen_at": now,
        "ip": "192.0.2.1",
        "user_agent": "browser",
        "revoked_at": None,
    }
    async with process.database.write() as session:
        await session.execute(insert(schema().people.sessions).values(values))
    return session_id


async def add_account(process: TenantProcess, organization_id: str, name: str = "+41790000000") -> str:
    """A connected account; its id."""
    ids, now = IdFactory(process.clock), process.clock.now()
    account_id = ids.new("conn")
    values = {
        "id": account_id,
        "organization_id": organization_id,
        "provider": "whatsapp",
        "external_id": name,
        "display_name": f"Shop {name}",
        "status": "connected",
        "connected_at": now,
        "metadata": {},
        "created_at": now,
        "updated_at": now,
        "version": 1,
    }
    async with process.database.write() as session:
        await session.execute(insert(schema().connected_accounts).values(values))
    return account_id


async def lively_tenant(process: TenantProcess, slug: str = "acme") -> str:
    """A tenant with an owner who is signed in twice, an open invitation and an account; its id."""
    tenant_id = await add_tenant(process, slug)
    owner = await add_user(process, f"owner@{slug}.example", tenant_id, role=MemberRole.OWNER)
    for _ in range(2):
        await add_session(process, tenant_id, owner)
    await add_account(process, tenant_id, f"account of {slug}")
    return tenant_id


async def bring_to(process: TenantProcess, tenant_id: str, state: str) -> None:
    """Lead an active tenant to a state of data-model 2.7 by the operators' own ways."""
    if state in {"suspended", "suspended and deleted"}:
        assert (await ask(process, "POST", f"/{tenant_id}/suspend", {})).status == 200
    if state in {"deleted", "suspended and deleted", "past grace"}:
        assert (await ask(process, "DELETE", f"/{tenant_id}")).status == 200
    if state == "past grace":
        process.clock.advance(GRACE_SECONDS)


async def status_of(process: TenantProcess, tenant_id: str) -> str:
    [row] = [row for row in await process.rows("organizations") if row["id"] == tenant_id]
    return str(row["status"])


async def everything(process: TenantProcess) -> dict[str, list[str]]:
    """Every row of every table that a change touches, in an order of its own."""
    return {table: sorted(map(str, await process.rows(table))) for table in KEPT_WHEN_REFUSED}


async def events(process: TenantProcess, organization_id: str) -> list[str]:
    """What a tenant's own log says, oldest first."""
    rows = [row for row in await process.rows("audit_events") if row["chain"] == organization_id]
    return [str(row["event"]) for row in sorted(rows, key=lambda row: row["chain_seq"])]


async def letters(process: TenantProcess, database_url: str) -> list[str]:
    """The waiting letters' payloads, opened with the service's own key, oldest first."""
    seal = Seal.of_file(settings_for(database_url).outbox_key)
    outbox = schema().jobs.outbox
    async with process.database.read() as session:
        rows = await session.rows(select(outbox).order_by(outbox.c.created_at, outbox.c.id))
    return [seal.open(row["id"], row["sealed_payload"]).decode() for row in rows]


async def run_job(process: TenantProcess, name: str, *, limit: int) -> int:
    """One run of a job that the application has registered; how much it did."""
    [job] = [job for job in process.apps.internal[JOBS] if job.name == name]
    return await job.work(limit)
