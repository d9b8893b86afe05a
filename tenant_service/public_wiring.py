"""The tenants' own plane put together: its services within one database, and its listener's application."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Final

from aiohttp import web
from prometheus_client import CollectorRegistry

from service_kit.audit.queries import AuditQueries
from service_kit.clock import Clock
from service_kit.db.service_keys import ensure_service_key
from service_kit.jobs.job import Job
from service_kit.telemetry.metrics import RequestMetrics
from service_kit.web.api import MOST_BODY_BYTES
from service_kit.web.forms import FormTokens
from service_kit.web.measuring import measuring_middleware
from service_kit.web.problems import problem_middleware
from tenant_service.billing_wiring import BillingParts
from tenant_service.half_accepted import HalfAccepted, HalfAcceptedRows
from tenant_service.people.accepting import Accepting
from tenant_service.people.accounts import AccountRepository
from tenant_service.people.attempts import Attempts
from tenant_service.people.invitations import TenantInvitations
from tenant_service.people.managing import Managing
from tenant_service.people.passwords import Passwords
from tenant_service.people.scope import TenantDatabase
from tenant_service.people.sessions import SessionRepository
from tenant_service.people.signing import Signing
from tenant_service.people.sliding_log import SlidingLog
from tenant_service.people.team import TeamRepository
from tenant_service.public import handlers, pages, team_pages
from tenant_service.public.addresses import AddressLimit, TrustedProxies
from tenant_service.public.cookies import SessionCookie
from tenant_service.public.gate import gate_middleware
from tenant_service.public.log import TenantLog
from tenant_service.public.plane import DOORS, PLANE, DoorMetrics, Plane
from tenant_service.public.purse import Purse
from tenant_service.public.registry import PublicEndpoint, mount_public
from tenant_service.public.rendering import prepare, problem_page
from tenant_service.tenant_wiring import TenantParts

_NAMESPACE: Final = "tenant_public"
_REQUESTS_A_MINUTE: Final = 600


def public_endpoints() -> tuple[PublicEndpoint, ...]:
    """Every endpoint of the public listener: routes, doors and OpenAPI are made from this table."""
    return (*handlers.endpoints(), *pages.endpoints(), *team_pages.endpoints())


async def open_plane(parts: TenantParts, billing: BillingParts) -> Plane:
    """The services of the tenants' plane. Close its `passwords` when the process ends."""
    settings, clock = parts.settings, parts.clock
    database = TenantDatabase(parts.database, parts.tenants)
    form_key = await ensure_service_key(parts.database, parts.tables.service_keys, "tenant_form", clock)
    people = _People(parts, database)
    return Plane(
        database=database,
        hosts=settings.hosts,
        accepting=people.accepting(),
        signing=people.signing(),
        managing=people.managing(),
        log=TenantLog(database, AuditQueries(parts.tables.audit), parts.cursors),
        purse=Purse(database, billing.credits, billing.packs.packs, clock),
        tokens=FormTokens(form_key, clock),
        passwords=people.passwords,
        cookie=SessionCookie(secure=settings.hosts.scheme == "https"),
        proxies=TrustedProxies.of(settings.public_trusted_proxies),
        limit=AddressLimit(_REQUESTS_A_MINUTE, clock),
    )


def public_app(internal: web.Application, registry: CollectorRegistry, clock: Clock) -> web.Application:
    """The application of the public listener; `internal` owns the database and must start first."""
    app = web.Application(
        client_max_size=MOST_BODY_BYTES,
        middlewares=[
            measuring_middleware(RequestMetrics(registry, _NAMESPACE), clock),
            problem_middleware(problem_page),
            gate_middleware(),
        ],
    )
    prepare(app)
    app[DOORS] = DoorMetrics(registry)
    mount_public(app, public_endpoints())

    async def share(app: web.Application) -> AsyncIterator[None]:
        app[PLANE] = internal[PLANE]
        yield

    app.cleanup_ctx.append(share)
    app.on_response_prepare.append(_say_nothing_of_ourselves)
    return app


async def _say_nothing_of_ourselves(_request: web.Request, response: web.StreamResponse) -> None:
    """No stranger needs to know which server in which version answers."""
    response.headers.popall("Server", None)


def plane_jobs(parts: TenantParts, registry: CollectorRegistry) -> tuple[Job, ...]:
    """What runs by the clock for the tenants' people."""
    tables = parts.tables
    half = HalfAccepted(
        parts.database,
        HalfAcceptedRows(tables.invitations, tables.people, tables.audit),
        parts.clock,
        HalfAccepted.gauge(registry, _NAMESPACE),
    )
    return (Job("list_half_accepted", timedelta(minutes=5), half.list),)


class _People:
    """The people's services over the same repositories."""

    def __init__(self, parts: TenantParts, database: TenantDatabase) -> None:
        tables = parts.tables
        self._parts = parts
        self._database = database
        self._accounts = AccountRepository(tables.people)
        self._team = TeamRepository(tables.people)
        self._sessions = SessionRepository(tables.people, parts.ids)
        self._invitations = TenantInvitations(tables.invitations)
        self._attempts = Attempts(SlidingLog(tables.rate_limit_hits))
        self.passwords = Passwords()

    def accepting(self) -> Accepting:
        return Accepting(
            database=self._database,
            accounts=self._accounts,
            invitations=self._invitations,
            team=self._team,
            sessions=self._sessions,
            attempts=self._attempts,
            passwords=self.passwords,
            recorder=self._parts.recorder,
            ids=self._parts.ids,
            clock=self._parts.clock,
        )

    def signing(self) -> Signing:
        return Signing(
            database=self._database,
            accounts=self._accounts,
            team=self._team,
            sessions=self._sessions,
            attempts=self._attempts,
            passwords=self.passwords,
            recorder=self._parts.recorder,
            clock=self._parts.clock,
        )

    def managing(self) -> Managing:
        parts = self._parts
        return Managing(
            database=self._database,
            team=self._team,
            invitations=self._invitations,
            sessions=self._sessions,
            attempts=self._attempts,
            outbox=parts.outbox,
            recorder=parts.recorder,
            ids=parts.ids,
            clock=parts.clock,
            hosts=parts.settings.hosts,
            cursors=parts.cursors,
        )
