"""What the product's whole surface promises: nothing without proof, and no door that must not exist."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp.test_utils import TestClient, TestServer
from prometheus_client import CollectorRegistry

from admin_service import app as admin
from admin_service.settings import AdminSettings
from admin_service.tables import METADATA as ADMIN_TABLES
from admin_service.tenant_api import TenantApi
from auth_proxy.routes import BUILT_IN, Route
from service_kit.clock import SystemClock
from service_kit.db.session import Database
from service_kit.settings import load_settings
from service_kit.web.api import Endpoint
from tenant_service import app as tenant
from tenant_service.settings import TenantSettings
from tenant_service.tables import schema
from tests.fixtures.identities import Vouch
from tests.fixtures.sidecar import AUD, ORIGIN, SidecarUnderTest

ROUTES = [(route, method) for route in BUILT_IN for method in sorted(route.methods)]
TECHNICAL = {
    "service_keys",
    "idempotency_keys",
    "audit_events",
    "audit_pii",
    "audit_erasures",
    "audit_chain_heads",
} | {
    "audit_checkpoints",
    "audit_witnesses",
    "outbox",
    "jobs",
    "job_runs",
}


def admin_settings(folder: Path) -> AdminSettings:
    environ = {
        "ADMIN_DATABASE_URL": f"sqlite:///{folder / 'admin.db'}",
        "ADMIN_HOST": "admin.example.com",
        "TENANT_SERVICE_URL": "http://127.0.0.1:1",
        "INTERNAL_JWKS_FILE": str(folder / "jwks.json"),
    }
    return load_settings(AdminSettings, environ)


def tenant_settings(folder: Path) -> TenantSettings:
    environ = {
        "TENANT_DATABASE_URL": f"sqlite:///{folder / 'tenant.db'}",
        "INTERNAL_JWKS_FILE": str(folder / "jwks.json"),
    }
    return load_settings(TenantSettings, environ)


@pytest.fixture
async def endpoints(tmp_path: Path) -> AsyncIterator[tuple[Endpoint, ...]]:
    """Every endpoint of both services."""
    settings, clock = admin_settings(tmp_path), SystemClock()
    database = Database.open(settings.database_url.get_secret_value())
    keys = admin.ServiceKeys(cursor=b"", form=b"")
    services = admin.build_services(database, keys, clock, CollectorRegistry(), TenantApi(None))
    yield (
        *admin.endpoints(services, admin.build_panel(services, keys, settings, clock)),
        *tenant.endpoints(),
    )
    await database.close()


def example_of(route: Route) -> str:
    return route.pattern.replace("*", "org_01J8Z000000000000000000000")


@pytest.mark.parametrize(("route", "method"), ROUTES, ids=lambda value: getattr(value, "pattern", value))
async def test_no_route_lets_anything_pass_without_a_proven_person(
    sidecar: SidecarUnderTest, route: Route, method: str
) -> None:
    """R-003, R-004, R-041, R-051: on every route no token, an email alone and a machine are refused."""
    email = ("Cf-Access-Authenticated-User-Email", "super_admin@example.com")
    marker = ("X-Admin-Token", "let-me-in")
    machine = sidecar.issuer.mint_service_token(audience=AUD)
    for token, headers in ((None, ()), (None, (email, marker)), (machine, ()), ("garbage", (email,))):
        answer = await sidecar.get(
            example_of(route), method=method, token=token, headers=(("Origin", ORIGIN), *headers)
        )
        assert answer.status == 403

    assert sidecar.nothing_arrived


async def test_nobody_becomes_a_user_or_somebody_else_by_themselves(endpoints: tuple[Endpoint, ...]) -> None:
    """R-036, R-125: no endpoint signs anybody up, and none impersonates."""
    doors = ("sign-up", "signup", "register", "impersonat", "assume", "login-as", "switch-user")

    assert len(endpoints) > 20
    assert [entry.path for entry in endpoints if any(door in entry.path.lower() for door in doors)] == []


async def test_tenants_are_made_by_one_endpoint(endpoints: tuple[Endpoint, ...]) -> None:
    """R-101, R-114: one endpoint and one page create tenants, both for `tenant.create` and nothing else."""
    creating = {
        (entry.method, entry.path, str(entry.access))
        for entry in endpoints
        if entry.method == "POST" and entry.path.rstrip("/").endswith(("/tenants", "/tenants/new"))
    }

    assert creating == {
        ("POST", "/api/admin/tenants", "tenant.create"),
        ("POST", "/manage/tenants/new", "tenant.create"),
    }


async def test_the_api_that_is_built_asks_for_the_agreed_permissions(
    endpoints: tuple[Endpoint, ...],
) -> None:
    """R-082, R-083, R-084, R-090, R-091, R-092, R-093, R-094: method, path and permission as agreed."""
    agreed = {
        ("POST", "/api/admin/tenants", "tenant.create"),
        ("GET", "/api/admin/tenants", "tenant.list"),
        ("GET", "/api/admin/tenants/{id}", "tenant.view"),
        ("GET", "/api/admin/audit-logs", "platform.view_audit_logs_global"),
        ("GET", "/api/admin/global-admins", "platform.manage_global_admins"),
        ("POST", "/api/admin/global-admins", "platform.manage_global_admins"),
        ("POST", "/api/admin/global-admins/{id}/deactivate", "platform.manage_global_admins"),
        ("POST", "/api/admin/global-admins/{id}/reissue-enrollment", "platform.manage_global_admins"),
    }

    assert {(entry.method, entry.path, str(entry.access)) for entry in endpoints} >= agreed


def test_operators_and_tenants_share_no_table() -> None:
    """R-035: the two databases have only technical tables in common, and only one knows operators."""
    ours, theirs = ADMIN_TABLES.tables, schema().metadata.tables

    assert set(ours) & set(theirs) <= TECHNICAL
    assert "global_admins" in ours
    assert not any("cf_access_sub" in table.columns for table in theirs.values())


async def test_metrics_of_all_three_processes_can_be_scraped(
    sidecar: SidecarUnderTest, vouch: Vouch, tmp_path: Path
) -> None:
    """R-008: each process answers /metrics on its operations listener, under its own name."""
    clock = SystemClock()
    services = (
        await admin.create_app(admin_settings(tmp_path), clock=clock, public_keys=vouch.public_keys),
        tenant.create_app(tenant_settings(tmp_path), clock=clock, public_keys=vouch.public_keys),
    )
    pages = []
    for service in services:
        async with TestClient(TestServer(service.internal)), TestClient(TestServer(service.ops)) as ops:
            pages.append(await (await ops.get("/metrics")).text())
    async with TestClient(TestServer(sidecar.sidecar.ops)) as ops:
        pages.append(await (await ops.get("/metrics")).text())

    prefixes = ("admin_service_", "tenant_service_", "auth_proxy_")
    assert all(f"# HELP {prefix}" in page for prefix, page in zip(prefixes, pages, strict=True))
