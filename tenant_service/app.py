"""The composition root: one tenant service from its settings.

Everything that lives as long as the process is opened and closed here, and nothing runs at import.
The public listener for tenants' own hosts is another application; this one speaks only to the
sidecar and to the admin service.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from aiohttp import web
from prometheus_client import CollectorRegistry

from service_kit.audit.publishing import Shown
from service_kit.audit.queries import AuditQueries
from service_kit.audit.recorder import AuditRecorder
from service_kit.clock import Clock
from service_kit.db.migrations import migrate
from service_kit.db.process_lock import sole_process
from service_kit.db.service_keys import ensure_service_key
from service_kit.db.session import Database
from service_kit.errors import UnavailableError
from service_kit.identity.replay import MemoryReplayGuard
from service_kit.identity.verifying import IdentityVerifier, PublicKeys, VerifierPolicy
from service_kit.ids import IdFactory
from service_kit.telemetry.metrics import RequestMetrics
from service_kit.web.api import MOST_BODY_BYTES, Endpoint, mount
from service_kit.web.guard import GuardMetrics, guard_middleware
from service_kit.web.idempotency import IdempotencyStore
from service_kit.web.jwks_source import JwksSource, open_jwks_source
from service_kit.web.measuring import measuring_middleware
from service_kit.web.ops import Readiness, ReadinessCheck, ops_app
from service_kit.web.paging import CursorCodec
from service_kit.web.problems import problem_middleware
from tenant_service.audit import handlers as audit_handlers
from tenant_service.audit.repository import ActivityRepository
from tenant_service.audit.service import AuditService
from tenant_service.invitations.repository import InvitationRepository
from tenant_service.recording import CountedRecorder
from tenant_service.settings import TenantSettings
from tenant_service.tables import Tables
from tenant_service.tenants import handlers as tenant_handlers
from tenant_service.tenants.counting import TenantCounter
from tenant_service.tenants.creation import TenantCreation
from tenant_service.tenants.repository import TenantRepository
from tenant_service.tenants.service import TenantService
from tenant_service.tenants.slugs import load_reserved_slugs

AUDIENCE: Final = "tenant_service"
DELEGATE: Final = "admin_service"
MIGRATIONS: Final = Path(__file__).parent / "migrations"
_NAMESPACE: Final = "tenant_service"

DATABASE = web.AppKey("database", Database)


@dataclass(frozen=True, slots=True)
class Applications:
    """What the process listens with. `internal` must start first: `ops` asks it whether it is ready."""

    internal: web.Application
    ops: web.Application


def endpoints() -> tuple[Endpoint, ...]:
    """Every endpoint of the internal listener: routes, guards and OpenAPI are made from this table."""
    return (*tenant_handlers.endpoints(), *audit_handlers.endpoints())


def create_app(
    settings: TenantSettings, *, clock: Clock, public_keys: PublicKeys | None = None
) -> Applications:
    """The applications of one process. `public_keys` replaces the JWK set that the settings name."""
    registry = CollectorRegistry()
    keys, source = (public_keys, None) if public_keys is not None else _key_source(settings, clock)
    policy = VerifierPolicy(issuer=settings.internal_issuer, audience=AUDIENCE, delegate=DELEGATE)
    verifier = IdentityVerifier(policy, keys, MemoryReplayGuard(clock), clock)
    internal = web.Application(
        client_max_size=MOST_BODY_BYTES,
        middlewares=[
            measuring_middleware(RequestMetrics(registry, _NAMESPACE), clock),
            problem_middleware(),
            guard_middleware(verifier, GuardMetrics(registry, _NAMESPACE), accepts_delegation=True),
        ],
    )
    mount(internal, endpoints())
    shown = Shown()
    internal.cleanup_ctx.append(_resources(settings, clock, registry, source, shown))
    checks = [_database_check(internal), *([source.readiness] if source else [])]
    ops = ops_app(registry, checks)
    shown.mount(ops)
    return Applications(internal, ops)


def _key_source(settings: TenantSettings, clock: Clock) -> tuple[PublicKeys, JwksSource]:
    source = open_jwks_source(url=settings.internal_jwks_url, file=settings.internal_jwks_file, clock=clock)
    return source, source


def _resources(
    settings: TenantSettings,
    clock: Clock,
    registry: CollectorRegistry,
    source: JwksSource | None,
    shown: Shown,
) -> Callable[[web.Application], AsyncIterator[None]]:
    async def open_all(app: web.Application) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            url = settings.database_url.get_secret_value()
            stack.enter_context(sole_process(url))
            database = Database.open(url)
            stack.push_async_callback(database.close)
            await migrate(database, MIGRATIONS)
            if source is not None:
                stack.push_async_callback(source.close)
                await source.start()
            await _wire(app, settings, clock, database, registry)
            beat = settings.audit_keeping.beat(database, Tables().audit, clock, shown)
            stack.push_async_callback(beat.close)
            await beat.start()
            yield

    return open_all


async def _wire(
    app: web.Application,
    settings: TenantSettings,
    clock: Clock,
    database: Database,
    registry: CollectorRegistry,
) -> None:
    tables, ids = Tables(), IdFactory(clock)
    tenants = TenantRepository(tables.organizations, tables.slug_tombstones)
    invitations = InvitationRepository(tables.invitations)
    audit = AuditQueries(tables.audit)
    cursor_key = await ensure_service_key(database, tables.service_keys, "cursor", clock)
    app[DATABASE] = database
    app[tenant_handlers.CREATION] = TenantCreation(
        database=database,
        tenants=tenants,
        invitations=invitations,
        recorder=CountedRecorder(AuditRecorder(tables.audit, ids, clock), registry, _NAMESPACE),
        idempotency=IdempotencyStore(tables.idempotency, clock),
        ids=ids,
        clock=clock,
        hosts=settings.hosts,
        reserved_slugs=load_reserved_slugs(),
    )
    app[tenant_handlers.TENANTS] = TenantService(
        database=database,
        tenants=tenants,
        invitations=invitations,
        audit=audit,
        cursors=CursorCodec(cursor_key),
        counter=TenantCounter(database, tenants, invitations, clock),
        clock=clock,
        hosts=settings.hosts,
    )
    app[audit_handlers.AUDIT] = AuditService(
        database,
        audit,
        ActivityRepository(tables.audit),
        clock,
        settings.audit_keeping.prover(database, tables.audit),
    )


def _database_check(internal: web.Application) -> ReadinessCheck:
    async def check() -> Readiness:
        if DATABASE not in internal:
            return Readiness("database", ready=False, detail="not opened yet")
        try:
            await internal[DATABASE].ping()
        except UnavailableError:
            return Readiness("database", ready=False, detail="the database does not answer")
        return Readiness("database", ready=True)

    return check
