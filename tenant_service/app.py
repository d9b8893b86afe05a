"""The composition root: one tenant service from its settings.

Everything that lives as long as the process is opened and closed here, and nothing runs at import.
The public listener for tenants' own hosts is another application; the internal one speaks only to the
sidecar and to the admin service.
"""

from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from aiohttp import web
from prometheus_client import CollectorRegistry, ProcessCollector

from service_kit.audit.alarm import AuditMetrics
from service_kit.audit.export_places import ChainPlaces
from service_kit.audit.publishing import Shown
from service_kit.audit.queries import AuditQueries
from service_kit.audit.recorder import AuditRecorder
from service_kit.clock import Clock
from service_kit.db.metrics import DatabaseMetrics
from service_kit.db.migrations import migrate
from service_kit.db.process_lock import sole_process
from service_kit.db.service_keys import ensure_service_key
from service_kit.db.session import Database
from service_kit.errors import UnavailableError
from service_kit.identity.replay import MemoryReplayGuard
from service_kit.identity.verifying import IdentityVerifier, PublicKeys, VerifierPolicy
from service_kit.ids import IdFactory
from service_kit.jobs.job import Job
from service_kit.jobs.opening import runner_of
from service_kit.jobs.overview import JobOverview
from service_kit.jobs.runner import JobRunner
from service_kit.system.desk import SystemDesk
from service_kit.telemetry.metrics import RequestMetrics, tell_build
from service_kit.web.api import MOST_BODY_BYTES, Endpoint, mount
from service_kit.web.guard import GuardMetrics, guard_middleware
from service_kit.web.idempotency import IdempotencyStore
from service_kit.web.jwks_source import JwksSource, open_jwks_source
from service_kit.web.measuring import measuring_middleware
from service_kit.web.ops import Departure, Opening, Readiness, ReadinessCheck, ReadinessGauge, ops_app
from service_kit.web.paging import CursorCodec
from service_kit.web.problems import problem_middleware
from tenant_service import api_document, attention
from tenant_service.accounts import handlers as account_handlers
from tenant_service.audit import handlers as audit_handlers
from tenant_service.audit.repository import ActivityRepository
from tenant_service.audit.service import AuditService
from tenant_service.billing.credits import handlers as credit_handlers
from tenant_service.billing.credits.service import Caps
from tenant_service.billing.packs import handlers as pack_handlers
from tenant_service.billing.runtime import handlers as runtime_handlers
from tenant_service.billing.runtime.doors import RuntimeDoor, two_doors
from tenant_service.billing_wiring import BillingParts, billing_jobs, wire_billing
from tenant_service.flags import handlers as flag_handlers
from tenant_service.inviting import handlers as inviting_handlers
from tenant_service.public.plane import PLANE
from tenant_service.public_wiring import open_plane, plane_jobs, public_app
from tenant_service.recording import CountedRecorder
from tenant_service.settings import TenantSettings
from tenant_service.support import handlers as support_handlers
from tenant_service.support.composition import SearchRules, SupportParts, open_support
from tenant_service.system import handlers as system_handlers
from tenant_service.system.working import JOBS, QUEUES, Work
from tenant_service.tables import schema
from tenant_service.tenant_wiring import TenantParts, wire_tenants
from tenant_service.tenants import handlers as tenant_handlers

AUDIENCE: Final = "tenant_service"
DELEGATE: Final = "admin_service"
MIGRATIONS: Final = Path(__file__).parent / "migrations"
_NAMESPACE: Final = "tenant_service"

PLATFORM_ROLE: Final = "platform_app"
"""The role of PostgreSQL that serves operators and runs the jobs (migration 0008)."""

DATABASE = web.AppKey("database", Database)


@dataclass(frozen=True, slots=True)
class Applications:
    """What the process listens with. `internal` must start first: `ops` asks it whether it is ready."""

    internal: web.Application
    ops: web.Application
    public: web.Application
    """For tenants' own hosts; it uses the database of `internal`, and must end before it."""
    departure: Departure = field(default_factory=Departure)
    """To be told when the process is about to stop."""
    opening: Opening = field(default_factory=Opening)
    opens_when: tuple[ReadinessCheck, ...] = ()
    """What the internal listener is opened for: it knows the sidecars' keys."""


def endpoints() -> tuple[Endpoint, ...]:
    """Every endpoint of the internal listener: routes, guards and OpenAPI are made from this table."""
    rows = (
        *tenant_handlers.endpoints(),
        *attention.endpoints(),
        *inviting_handlers.endpoints(),
        *account_handlers.endpoints(),
        *flag_handlers.endpoints(),
        *audit_handlers.endpoints(),
        *system_handlers.endpoints(),
        *support_handlers.endpoints(),
        *pack_handlers.endpoints(),
        *credit_handlers.endpoints(),
    )
    return (*rows, *api_document.endpoints(rows))


def runtime_endpoints() -> tuple[Endpoint, ...]:
    """The endpoints of the product's runtime: the same listener, another door (ADR 0024)."""
    return runtime_handlers.endpoints()


def create_app(
    settings: TenantSettings, *, clock: Clock, public_keys: PublicKeys | None = None
) -> Applications:
    """The applications of one process. `public_keys` replaces the JWK set that the settings name."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    tell_build(registry, _NAMESPACE)
    keys, source = (public_keys, None) if public_keys is not None else _key_source(settings, clock)
    policy = VerifierPolicy(issuer=settings.internal_issuer, audience=AUDIENCE, delegate=DELEGATE)
    verifier = IdentityVerifier(policy, keys, MemoryReplayGuard(clock), clock)
    refusals = GuardMetrics(registry, _NAMESPACE)
    door = RuntimeDoor.of(settings.credits_keys_file, settings.credits_issuer, AUDIENCE, clock)
    internal = web.Application(
        client_max_size=MOST_BODY_BYTES,
        middlewares=[
            measuring_middleware(RequestMetrics(registry, _NAMESPACE), clock),
            problem_middleware(),
            two_doors(
                guard_middleware(verifier, refusals, accepts_delegation=True),
                door.guard(refusals, clock),
                runtime_endpoints(),
            ),
        ],
    )
    mount(internal, (*endpoints(), *runtime_endpoints()))
    shown = Shown()
    internal.cleanup_ctx.append(_resources(settings, clock, registry, (source, door.source), shown))
    departure, opening = Departure(), Opening()
    keys_checks = [*([source.readiness] if source else []), *door.checks]
    checks = [departure.check, opening.check, _database_check(internal), *keys_checks]
    ops = ops_app(registry, checks, ready=ReadinessGauge(registry, _NAMESPACE, checks))
    shown.mount(ops)
    opens_when = (source.readiness,) if source else ()
    return Applications(internal, ops, public_app(internal, registry, clock), departure, opening, opens_when)


def _key_source(settings: TenantSettings, clock: Clock) -> tuple[PublicKeys, JwksSource]:
    source = open_jwks_source(url=settings.internal_jwks_url, file=settings.internal_jwks_file, clock=clock)
    return source, source


def _resources(
    settings: TenantSettings,
    clock: Clock,
    registry: CollectorRegistry,
    sources: Iterable[JwksSource | None],
    shown: Shown,
) -> Callable[[web.Application], AsyncIterator[None]]:
    async def open_all(app: web.Application) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            url = settings.database_url.get_secret_value()
            stack.enter_context(sole_process(url))
            database = Database.open(url)
            stack.push_async_callback(database.close)
            DatabaseMetrics(registry, _NAMESPACE).watch(database)
            await migrate(database, MIGRATIONS)
            for source in filter(None, sources):
                stack.push_async_callback(source.close)
                await source.start()
            database = database.acting_as(PLATFORM_ROLE)  # from here on nothing has the owner's rights
            metrics = AuditMetrics(registry, _NAMESPACE)
            await _wire(app, settings, clock, database, registry, metrics=metrics)
            stack.callback(app[PLANE].passwords.close)
            beat = settings.audit_keeping.beat(database, schema().audit, clock, shown, metrics)
            stack.push_async_callback(beat.close)
            await beat.start()
            runner = _runner(app[JOBS], database, clock, registry)
            stack.push_async_callback(runner.close)
            await runner.start()
            yield

    return open_all


async def _wire(
    app: web.Application,
    settings: TenantSettings,
    clock: Clock,
    database: Database,
    registry: CollectorRegistry,
    *,
    metrics: AuditMetrics,
) -> None:
    tables, ids = schema(), IdFactory(clock)
    audit = AuditQueries(tables.audit)
    cursor_key = await ensure_service_key(database, tables.service_keys, "cursor", clock)
    work = Work(settings, database, tables, clock)
    outbox, app[JOBS] = work.outbox(ids), list(work.own_jobs())
    recorder = CountedRecorder(AuditRecorder(tables.audit, ids, clock), registry, _NAMESPACE)
    app[DATABASE] = database
    cursors = CursorCodec(cursor_key)
    parts = TenantParts(database, tables, recorder, outbox, ids, clock, cursors, settings)
    wire_tenants(app, parts)
    caps = Caps(settings.grant_max, settings.grant_support_max, settings.grant_daily_max)
    billing = BillingParts(database, tables, recorder, ids, clock, cursors, caps)
    wire_billing(app, billing)
    app[PLANE] = await open_plane(parts, billing)
    app[JOBS] += plane_jobs(parts, registry)
    app[JOBS] += billing_jobs(billing, registry, _NAMESPACE)
    app[system_handlers.DESK] = SystemDesk(
        database=database,
        overview=JobOverview(tables.jobs),
        queue_names=QUEUES,
        recorder=recorder,
        keys=IdempotencyStore(tables.idempotency, clock),
        clock=clock,
    )
    app[audit_handlers.AUDIT] = AuditService(
        database,
        audit,
        ActivityRepository(tables.audit),
        clock,
        settings.audit_keeping.watched_prover(database, tables.audit, clock, metrics),
        tables.audit,
        ChainPlaces(tables.audit),
    )
    await _wire_support(app, settings, SupportParts(database, tables, recorder, ids, clock, registry))


async def _wire_support(app: web.Application, settings: TenantSettings, parts: SupportParts) -> None:
    roles = frozenset(settings.support_query_roles)
    rules = SearchRules(roles, settings.support_access_visible, settings.predicate_key)
    support = await open_support(parts, rules, _NAMESPACE)
    app[support_handlers.SEARCH] = support.search
    app[support_handlers.CHECKING] = support.checking


def _runner(jobs: list[Job], database: Database, clock: Clock, registry: CollectorRegistry) -> JobRunner:
    return runner_of(jobs, database, schema().jobs, clock, registry, namespace=_NAMESPACE, queues=QUEUES)


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
