"""The composition root: one admin service from its settings.

Everything that lives as long as the process is opened and closed here, and nothing runs at import.
The panel and the API stand on one listener that only the sidecar may reach.
"""

from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

from aiohttp import web
from prometheus_client import CollectorRegistry, ProcessCollector

from admin_service.api_document import handlers as api_handlers
from admin_service.api_document.document import ApiDocument
from admin_service.audit import handlers as audit_handlers
from admin_service.audit import predicate_check
from admin_service.audit.evidence import AuditEvidence
from admin_service.audit.export import AuditExporter
from admin_service.audit.repository import AuditRepository
from admin_service.audit.service import AuditReader
from admin_service.audit.verification import AuditVerification
from admin_service.audit.views import AuditViews
from admin_service.break_glass_gauge import BreakGlassGauge
from admin_service.denials import handlers as denial_handlers
from admin_service.denials.repository import DenialRepository
from admin_service.denials.service import DenialService
from admin_service.enrollment import handlers as enrollment_handlers
from admin_service.enrollment.repository import EnrollmentRepository
from admin_service.enrollment.service import EnrollmentService
from admin_service.jumping import handlers as jump_handlers
from admin_service.jumping.finding import JumpSearch
from admin_service.list_exports import ListExports
from admin_service.operators import handlers as operator_handlers
from admin_service.operators.break_glass import BreakGlass
from admin_service.operators.changes import OperatorChanges
from admin_service.operators.own_check import own_check_middleware
from admin_service.operators.provisioning import ProvisioningService
from admin_service.operators.repository import OperatorRepository
from admin_service.operators.service import OperatorService
from admin_service.operators.standing import StandingService
from admin_service.oversight import handlers as oversight_handlers
from admin_service.oversight.repository import SessionCountRepository
from admin_service.oversight.service import OversightService, SessionCounts
from admin_service.panel.assets import Assets
from admin_service.panel.live import LiveReadings
from admin_service.panel.rendering import STATIC, Renderer
from admin_service.panel.routes import PANEL, PanelServices, html_problem
from admin_service.panel.routes import endpoints as panel_endpoints
from admin_service.profile import handlers as profile_handlers
from admin_service.profile.repository import PreferenceRepository
from admin_service.profile.service import ProfileService
from admin_service.roster import handlers as roster_handlers
from admin_service.roster.repository import RosterRepository
from admin_service.roster.service import RosterHub, RosterMetrics
from admin_service.running import Part, database_check, ending, running
from admin_service.saved_views.repository import SavedViewRepository
from admin_service.saved_views.service import SavedViews
from admin_service.sessions import handlers as session_handlers
from admin_service.sessions.cookie import AX_TOKEN, SessionCookie
from admin_service.sessions.models import EndCause
from admin_service.sessions.repository import SessionRepository
from admin_service.sessions.service import SessionService
from admin_service.sessions.upstreams import SessionCheckVerifier
from admin_service.settings import AdminSettings
from admin_service.support_search import SupportSearch
from admin_service.system import handlers as system_handlers
from admin_service.system.service import SystemService
from admin_service.system.tenant_side import TenantSide
from admin_service.system.working import jobs_of
from admin_service.tables import AUDIT, IDEMPOTENCY, JOBS, SERVICE_KEYS
from admin_service.tenant_api import TenantApi
from admin_service.tenant_billing import TenantBilling
from service_kit.audit.alarm import AuditMetrics, write_failures
from service_kit.audit.keeping import AuditKeeping
from service_kit.audit.publishing import Shown
from service_kit.audit.recorder import AuditRecorder
from service_kit.clock import Clock
from service_kit.db.metrics import DatabaseMetrics
from service_kit.db.migrations import migrate
from service_kit.db.service_keys import ensure_service_key
from service_kit.db.session import Database
from service_kit.identity.replay import MemoryReplayGuard
from service_kit.identity.verifying import PublicKeys, VerifierPolicy
from service_kit.ids import IdFactory
from service_kit.jobs.opening import runner_of
from service_kit.jobs.overview import JobOverview
from service_kit.system.desk import SystemDesk
from service_kit.telemetry.metrics import RequestMetrics, tell_build
from service_kit.web.api import MOST_BODY_BYTES, Endpoint, mount
from service_kit.web.guard import GuardMetrics, guard_middleware
from service_kit.web.idempotency import IdempotencyStore
from service_kit.web.jwks_source import JwksSource, open_jwks_source
from service_kit.web.measuring import measuring_middleware
from service_kit.web.ops import Departure, Opening, ReadinessCheck, ReadinessGauge, ops_app
from service_kit.web.paging import CursorCodec
from service_kit.web.problems import problem_middleware

AUDIENCE: Final = "admin_service"
ROLE: Final = "admin_app"
"""The role of PostgreSQL that serves requests (migration 0008)."""
MIGRATIONS: Final = Path(__file__).parent / "migrations"
_NAMESPACE: Final = "admin_service"

DATABASE = web.AppKey("database", Database)


@dataclass(frozen=True, slots=True)
class Applications:
    """What the process listens with."""

    internal: web.Application
    ops: web.Application
    departure: Departure = field(default_factory=Departure)
    """To be told when the process is about to stop."""
    opening: Opening = field(default_factory=Opening)
    opens_when: tuple[ReadinessCheck, ...] = ()
    """What the internal listener is opened for: it knows the sidecars' keys."""


@dataclass(frozen=True, slots=True)
class ServiceKeys:
    """Random keys from the service's own database, the same for every replica."""

    cursor: bytes = field(repr=False)
    form: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Services:
    """Every domain of the admin service, wired to one database."""

    operators: OperatorService
    provisioning: ProvisioningService
    standing: StandingService
    break_glass: BreakGlass
    profiles: ProfileService
    saved_views: SavedViews
    oversight: OversightService
    session_counts: SessionCounts
    enrollment: EnrollmentService
    sessions: SessionService
    session_cookie: SessionCookie
    denials: DenialService
    audit: AuditReader
    verification: AuditVerification
    exporter: AuditExporter
    list_exports: ListExports
    evidence: AuditEvidence
    roster: RosterHub
    system: SystemService
    tenants: TenantApi

    @property
    def jumps(self) -> JumpSearch:
        return JumpSearch(self.tenants, TenantBilling(self.tenants), self.operators, self.audit)


SERVICES = web.AppKey("services", Services)


async def create_app(
    settings: AdminSettings,
    *,
    clock: Clock,
    public_keys: PublicKeys | None = None,
    tenant_api: TenantApi | None = None,
) -> Applications:
    """The applications of one process, with the database migrated and open.

    Start `internal`: it closes the database when it is cleaned up. `public_keys` replaces the JWK set
    that the settings name, `tenant_api` the client of the tenant service.
    """
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    tell_build(registry, _NAMESPACE)
    keys, source = (public_keys, None) if public_keys is not None else _key_source(settings, clock)
    async with AsyncExitStack() as stack:
        database = Database.open(settings.database_url.get_secret_value())
        stack.push_async_callback(database.close)
        DatabaseMetrics(registry, _NAMESPACE).watch(database)
        await migrate(database, MIGRATIONS)
        database = database.acting_as(ROLE)  # from here on nothing has the owner's rights
        service_keys = await _service_keys(database, clock)
        tenants = tenant_api or TenantApi(settings.tenant_service_url)
        cookie = SessionCookie(settings.ax_token_cookie)
        keeping, shown = settings.audit_keeping, Shown()
        metrics = AuditMetrics(registry, _NAMESPACE)
        services = build_services(
            database,
            service_keys,
            clock,
            registry,
            tenants,
            session_cookie=cookie,
            keeping=keeping,
            metrics=metrics,
        )
        panel = build_panel(services, service_keys, settings, clock)
        policy = VerifierPolicy(issuer=settings.internal_issuer, audience=AUDIENCE)
        verifier = SessionCheckVerifier(
            policy, keys, MemoryReplayGuard(clock), clock, upstreams=settings.session_check_audiences
        )
        internal = web.Application(
            client_max_size=MOST_BODY_BYTES,
            middlewares=[
                measuring_middleware(RequestMetrics(registry, _NAMESPACE), clock),
                problem_middleware(html_problem),
                guard_middleware(verifier, GuardMetrics(registry, _NAMESPACE)),
                own_check_middleware(services.operators),
            ],
        )
        internal[DATABASE], internal[SERVICES], internal[PANEL] = database, services, panel
        mount(internal, endpoints(services, panel))
        internal.on_shutdown.append(ending(services.roster, panel.live))
        beat = keeping.beat(database, AUDIT, clock, shown, metrics)
        glass = BreakGlassGauge(database, AUDIT, BreakGlassGauge.gauge(registry, _NAMESPACE))
        runner = runner_of(
            jobs_of(database, clock),
            database,
            JOBS,
            clock,
            registry,
            namespace=_NAMESPACE,
            also=(glass.look,),
        )
        sources: list[Part] = [source] if source is not None else []
        parts = (*sources, services.tenants, services.roster, beat, runner)
        internal.cleanup_ctx.append(running(parts, stack.pop_all()))
    departure, opening = Departure(), Opening()
    opens_when = (source.readiness,) if source else ()
    checks = [departure.check, opening.check, database_check(database), *opens_when]
    ops = ops_app(registry, checks, ready=ReadinessGauge(registry, _NAMESPACE, checks))
    shown.mount(ops)
    return Applications(internal, ops, departure, opening, opens_when)


def endpoints(services: Services, panel: PanelServices) -> tuple[Endpoint, ...]:
    """Every endpoint of the internal listener: routes, guards and OpenAPI are made from this table."""
    return (
        *profile_handlers.endpoints(services.profiles),
        *operator_handlers.endpoints(services.operators, services.provisioning, services.standing),
        *oversight_handlers.endpoints(services.oversight, services.sessions),
        *enrollment_handlers.endpoints(services.enrollment),
        *session_handlers.endpoints(services.sessions, services.session_cookie),
        *denial_handlers.endpoints(services.denials),
        *roster_handlers.endpoints(services.roster),
        *audit_handlers.endpoints(services.audit, services.verification, services.exporter),
        *predicate_check.endpoints(SupportSearch(services.tenants)),
        *system_handlers.endpoints(services.system),
        *jump_handlers.endpoints(services.jumps),
        *api_handlers.endpoints(panel.api),
        *panel_endpoints(panel),
    )


def build_services(
    database: Database,
    keys: ServiceKeys,
    clock: Clock,
    registry: CollectorRegistry,
    tenants: TenantApi,
    *,
    session_cookie: SessionCookie = AX_TOKEN,
    keeping: AuditKeeping | None = None,
    metrics: AuditMetrics | None = None,
) -> Services:
    """The domains over a database; nothing is read or connected yet."""
    keeping = keeping or AuditKeeping("admin_service", "tenant_service", Path("admin_service-audit.pem"))
    metrics = metrics or AuditMetrics(registry, _NAMESPACE)
    ids, cursors, operators = IdFactory(clock), CursorCodec(keys.cursor), OperatorRepository()
    recorder = AuditRecorder(AUDIT, ids, clock, failed=write_failures(registry, _NAMESPACE).inc)
    roster = RosterHub(database, RosterRepository(), RosterMetrics(registry, _NAMESPACE))
    sessions = SessionService(
        database=database,
        sessions=SessionRepository(),
        operators=operators,
        recorder=recorder,
        ids=ids,
        clock=clock,
    )
    enrollment = EnrollmentService(
        database=database,
        enrollments=EnrollmentRepository(),
        operators=operators,
        recorder=recorder,
        ids=ids,
        clock=clock,
        roster_changed=roster.announce,
    )
    changes = _changes(database, recorder, clock, sessions, roster)
    provisioning = ProvisioningService(changes, ids)
    directory = OperatorService(database=database, operators=operators, clock=clock, cursors=cursors)
    verification = AuditVerification(keeping.watched_prover(database, AUDIT, clock, metrics), tenants)
    views = AuditViews(database, AuditRepository(), recorder, clock)
    audit = AuditReader(database, AuditRepository(), tenants, clock, cursors, views=views)
    return Services(
        operators=directory,
        provisioning=provisioning,
        standing=StandingService(changes),
        break_glass=BreakGlass(changes, provisioning),
        profiles=ProfileService(database, operators, PreferenceRepository(), clock),
        saved_views=SavedViews(database, operators, SavedViewRepository(), ids, clock),
        oversight=OversightService(directory, sessions, audit),
        session_counts=SessionCounts(database, SessionCountRepository(), clock),
        enrollment=enrollment,
        sessions=sessions,
        session_cookie=session_cookie,
        denials=DenialService(
            database=database,
            denials=DenialRepository(),
            operators=operators,
            recorder=recorder,
            clock=clock,
        ),
        audit=audit,
        verification=verification,
        evidence=AuditEvidence(database, tenants, verification),
        exporter=AuditExporter(database, recorder, tenants, keeping.signing_keys, clock),
        list_exports=ListExports(database, recorder),
        roster=roster,
        system=_system(database, recorder, clock, tenants),
        tenants=tenants,
    )


def _system(database: Database, recorder: AuditRecorder, clock: Clock, tenants: TenantApi) -> SystemService:
    """No queue of its own has a message yet; the tenant service's are asked for."""
    keys = IdempotencyStore(IDEMPOTENCY, clock)
    desk = SystemDesk(database, JobOverview(JOBS), (), recorder, keys, clock)
    return SystemService(desk, TenantSide(tenants))


def _changes(
    database: Database, recorder: AuditRecorder, clock: Clock, sessions: SessionService, roster: RosterHub
) -> OperatorChanges:
    """What every change of an operator needs."""
    return OperatorChanges(
        database=database,
        operators=OperatorRepository(),
        recorder=recorder,
        keys=IdempotencyStore(IDEMPOTENCY, clock),
        clock=clock,
        end_sessions=partial(sessions.end_all, cause=EndCause.DEACTIVATED),
        end_bound_sessions=partial(sessions.end_all, cause=EndCause.REBOUND),
        roster_changed=roster.announce,
    )


def build_panel(
    services: Services, keys: ServiceKeys, settings: AdminSettings, clock: Clock
) -> PanelServices:
    """What the panel's pages may ask."""
    assets = Assets.load(STATIC)
    panel = PanelServices(
        operators=services.operators,
        provisioning=services.provisioning,
        standing=services.standing,
        sessions=services.sessions,
        session_counts=services.session_counts,
        oversight=services.oversight,
        enrollment=services.enrollment,
        audit=services.audit,
        evidence=services.evidence,
        audit_exports=services.exporter,
        tenants=services.tenants,
        support=SupportSearch(services.tenants),
        exports=services.list_exports,
        saved_views=services.saved_views,
        billing=TenantBilling(services.tenants),
        system=services.system,
        profiles=services.profiles,
        live=LiveReadings(),
        jumps=services.jumps,
        renderer=Renderer(assets),
        assets=assets,
        form_key=keys.form,
        clock=clock,
        origins=settings.origins,
        environment=settings.app_env,
        host_suffix=f".{settings.tenant_base_domain}",
        # The table that it tells of has the panel's rows too, so it is made when it is asked for.
        api=ApiDocument(lambda: endpoints(services, panel), services.tenants),
    )
    return panel


def _key_source(settings: AdminSettings, clock: Clock) -> tuple[PublicKeys, JwksSource]:
    source = open_jwks_source(url=settings.internal_jwks_url, file=settings.internal_jwks_file, clock=clock)
    return source, source


async def _service_keys(database: Database, clock: Clock) -> ServiceKeys:
    return ServiceKeys(
        cursor=await ensure_service_key(database, SERVICE_KEYS, "cursor", clock),
        form=await ensure_service_key(database, SERVICE_KEYS, "form", clock),
    )
