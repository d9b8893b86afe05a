"""A whole admin service for tests: the real application, on a real database, asked with signed identities."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

from aiohttp import ClientResponse
from aiohttp.test_utils import TestClient, TestServer
from sqlalchemy import insert, text

from admin_service.app import DATABASE, MIGRATIONS, SERVICES, Applications, Services, create_app
from admin_service.operators.models import GLOBAL_ADMINS
from admin_service.operators.tokens import token_digest
from admin_service.sessions.models import OPERATOR_SESSIONS, SESSION_LIFETIME
from admin_service.sessions.tokens import session_digest
from admin_service.settings import AdminSettings
from admin_service.tenant_answers import Anchors, AuditProof, CataloguedEvent, EventCatalogue
from admin_service.tenant_api import TenantApi
from admin_service.tenant_export import TenantExport
from service_kit.audit.export_rows import ExportedRow
from service_kit.audit.queries import AuditFilter
from service_kit.audit.verifying import Stretch
from service_kit.clock import Clock
from service_kit.db.keyset import Position
from service_kit.db.session import Database
from service_kit.errors import UnavailableError
from service_kit.identity.model import InternalIdentity, Role, Scope
from service_kit.settings import load_settings
from service_kit.web.api import RequestOrigin
from tests.fakes.clock import FrozenClock
from tests.fixtures.audit_keys import audit_key
from tests.fixtures.databases import with_schema
from tests.fixtures.identities import Vouch

AUDIENCE = "admin_service"
OPERATORS = "/api/admin/global-admins"
AUDIT_LOG = "/api/admin/audit-logs"
CLAIM = "/internal/v1/enrollments/claim"
ACTIVITY = "/internal/v1/operators/activity"
FEED = "/internal/v1/roster/feed"
DENIALS = "/internal/v1/access-denials"
EXCHANGE = "/api/access-sso"
ORIGIN = RequestOrigin("req_test", "192.0.2.7", "test agent")

_ENVIRON = {
    "INTERNAL_JWKS_FILE": "/nowhere/jwks.json",
    "TENANT_SERVICE_URL": "http://127.0.0.1:1",
    "ADMIN_HOST": "admin.example.com",
}


def settings_for(database_url: str, **environ: str) -> AdminSettings:
    given = {**_ENVIRON, **audit_key(database_url, "admin"), "ADMIN_DATABASE_URL": database_url}
    return load_settings(AdminSettings, {**given, **environ})


class ExportedRows(TenantExport):
    """Rows from memory, after which the tenant service may break off."""

    def __init__(self, found: Sequence[ExportedRow], *, breaks_off: bool) -> None:
        self._found = found
        self._breaks_off = breaks_off
        self.places = ()

    async def rows(self) -> AsyncIterator[ExportedRow]:
        for one in self._found:
            yield one
        if self._breaks_off:
            raise UnavailableError("TENANT_SERVICE_UNAVAILABLE", "away")


class FakeTenants(TenantApi):
    """The tenant service as a list of audit rows; it can be away."""

    def __init__(self) -> None:
        super().__init__(None)
        self.away = False
        self.rows: list[Mapping[str, Any]] = []
        self.exported: list[ExportedRow] = []
        self.breaks_off = False
        self.known = CataloguedEvent(
            event="tenant.created",
            action="create_tenant",
            severity="NOTICE",
            scope="dual",
            version=1,
            resource_type="tenant",
        )
        self.asked_with: list[str] = []
        self.asked_to_verify: list[Stretch] = []
        none = Anchors(state="none", checked=0, newest_at=None)
        self.proof = AuditProof(ok=True, checked=3, first_break=None, checkpoints=none, witness=none)

    async def audit_page(
        self, delegation: str, wanted: AuditFilter, *, position: Position | None, limit: int
    ) -> Sequence[Mapping[str, Any]]:
        self._answer(delegation)
        rows = sorted(self.rows, key=_key, reverse=True)
        if wanted.event:
            rows = [row for row in rows if row["event"] == wanted.event]
        if position is None:
            return rows[:limit]
        edge = (position.at, position.id)
        if position.backward:
            return [row for row in rows if _key(row) > edge][-limit:]
        return [row for row in rows if _key(row) < edge][:limit]

    async def audit_event(self, delegation: str, event_id: str) -> Mapping[str, Any] | None:
        self._answer(delegation)
        found = next((row for row in self.rows if row["id"] == event_id), None)
        return {"row": found, "twin": None} if found is not None else None

    @asynccontextmanager
    async def audit_export(self, delegation: str, wanted: AuditFilter) -> AsyncIterator[TenantExport]:  # noqa: ARG002 - all rows
        self._answer(delegation)
        yield ExportedRows(self.exported, breaks_off=self.breaks_off)

    async def event_catalogue(self, delegation: str) -> EventCatalogue:
        self._answer(delegation)
        return EventCatalogue(data=[self.known])

    async def audit_proof(self, delegation: str, wanted: Stretch) -> AuditProof:
        self._answer(delegation)
        self.asked_to_verify.append(wanted)
        return self.proof

    async def audit_activity(self, delegation: str, days: int) -> Mapping[date, int]:  # noqa: ARG002 - one fake answer
        self._answer(delegation)
        counts: dict[date, int] = {}
        for row in self.rows:
            counts[row["occurred_at"].date()] = counts.get(row["occurred_at"].date(), 0) + 1
        return counts

    def _answer(self, delegation: str) -> None:
        self.asked_with.append(delegation)
        if self.away:
            raise UnavailableError("TENANT_SERVICE_UNAVAILABLE", "away")


def _key(row: Mapping[str, Any]) -> tuple[Any, Any]:
    return row["occurred_at"], row["id"]


@dataclass(frozen=True)
class Asker:
    """A `Caller` for tests that speak to a service object."""

    actor: InternalIdentity
    origin: RequestOrigin = field(default=ORIGIN)


def asker(role: Role = Role.SUPER_ADMIN, operator_id: str | None = None, sub: str | None = None) -> Asker:
    """The operator that `AdminProcess.add` makes for the same role or id."""
    named = operator_id or f"adm_{role.value}"
    return Asker(
        InternalIdentity(
            subject=sub or named.replace("adm_", "sub-"),
            email=f"{named.removeprefix('adm_')}@example.com",
            name=f"Test {named}",
            audience=AUDIENCE,
            token_id="0" * 16,
            expires_at=0,
            operator_id=named,
            role=role,
            roster_version=1,
        )
    )


@dataclass(frozen=True)
class AdminProcess:
    """The running service and what a test needs to ask it."""

    apps: Applications
    client: "TestClient[Any, Any]"
    vouch: Vouch
    clock: FrozenClock
    tenants: FakeTenants

    @property
    def database(self) -> Database:
        served = self.apps.internal[DATABASE]
        return Database(served.write_engine, served._read)  # with the rights of the owner

    @property
    def services(self) -> Services:
        return self.apps.internal[SERVICES]

    async def add(self, role: Role = Role.SUPER_ADMIN, operator_id: str | None = None, **columns: Any) -> str:
        """An enrolled operator, as `Vouch.headers` and `asker` name it; `columns` override."""
        named = operator_id or f"adm_{role.value}"
        row = {
            "id": named,
            "email": f"{named.removeprefix('adm_')}@example.com",
            "name": f"Test {named}",
            "role": role.value,
            "cf_access_sub": named.replace("adm_", "sub-"),
            "created_by": "test",
            "created_at": self.clock.now(),
            "updated_at": self.clock.now(),
            "version": 1,
            **columns,
        }
        async with self.database.write() as session:
            await session.execute(insert(GLOBAL_ADMINS).values(**row))
        return named

    async def add_pending(
        self, operator_id: str, token: str, expires_in: float = 3600, **columns: Any
    ) -> str:
        """A pending operator with a known token."""
        return await self.add(
            operator_id=operator_id,
            cf_access_sub=None,
            enrollment_token_hash=token_digest(token),
            enrollment_token_expires_at=self.clock.now() + timedelta(seconds=expires_in),
            **columns,
        )

    async def hold(self, operator_id: str, token: str, session_id: str = "", **columns: Any) -> str:
        """A session of an operator with a known token; `columns` override."""
        row = {
            "id": session_id or f"ops_{token}",
            "chain_id": session_id or f"ops_{token}",
            "token_hash": session_digest(token),
            "admin_id": operator_id,
            "access_sub": operator_id.replace("adm_", "sub-"),
            "created_at": self.clock.now(),
            "expires_at": self.clock.now() + SESSION_LIFETIME,
            "last_seen_at": self.clock.now(),
            "ip": "",
            "user_agent": "",
            **columns,
        }
        async with self.database.write() as session:
            await session.execute(insert(OPERATOR_SESSIONS).values(**row))
        return token

    async def live_sessions(self, operator_id: str) -> Sequence[Mapping[str, Any]]:
        """The operator's rows that nobody revoked, in the order of their ids."""
        rows = [row for row in await self.rows("operator_sessions") if row["admin_id"] == operator_id]
        return sorted((row for row in rows if row["revoked_at"] is None), key=lambda row: str(row["id"]))

    async def ask(
        self,
        method: str,
        target: str,
        role: Role | None = Role.SUPER_ADMIN,
        *,
        body: object = None,
        headers: Mapping[str, str] | None = None,
        **identity: Any,
    ) -> ClientResponse:
        proof = self.vouch.headers(role, audience=AUDIENCE, method=method, target=target, **identity)
        sent = {**proof, **(headers or {})}
        return await self.client.request(method, target, headers=sent, json=body)

    async def ask_as_sidecar(self, method: str, target: str, body: object = None) -> ClientResponse:
        return await self.ask(method, target, None, body=body, scope=Scope.ROSTER)

    async def rows(self, table: str) -> Sequence[Mapping[str, Any]]:
        """Every row of a table as the database holds it."""
        async with self.database.read() as session:
            return [dict(row) for row in await session.rows(text(f'SELECT * FROM "{table}"'))]

    async def row(self, operator_id: str) -> Mapping[str, Any]:
        return next(row for row in await self.rows("global_admins") if row["id"] == operator_id)

    async def events(self) -> list[str]:
        """The names of the audit rows, in the order of their chain."""
        rows = await self.rows("audit_events")
        return [row["event"] for row in sorted(rows, key=lambda row: row["chain_seq"])]

    async def sql(self, *statements: str) -> None:
        async with self.database.write() as session:
            for statement in statements:
                await session.execute(text(statement))


@asynccontextmanager
async def admin_process(
    database_url: str, *, clock: FrozenClock | None = None, **environ: str
) -> AsyncIterator[AdminProcess]:
    clock, tenants = clock or FrozenClock(), FakeTenants()
    vouch = Vouch(clock)
    await with_schema(database_url, MIGRATIONS)
    apps = await start_apps(database_url, clock, vouch, tenants, **environ)
    async with TestClient(TestServer(apps.internal)) as client:
        yield AdminProcess(apps, client, vouch, clock, tenants)


async def start_apps(
    database_url: str, clock: Clock, vouch: Vouch, tenants: TenantApi, **environ: str
) -> Applications:
    return await create_app(
        settings_for(database_url, **environ),
        clock=clock,
        public_keys=vouch.public_keys,
        tenant_api=tenants,
    )
