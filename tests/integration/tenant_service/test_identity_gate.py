"""The gate: no endpoint of this service answers without a proven internal identity (R-005)."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from service_kit.identity.binding import DELEGATION_HEADER, IDENTITY_HEADER
from service_kit.identity.model import OPERATOR_PERMISSIONS, Permission, Role, Scope
from service_kit.web.api import Endpoint
from tenant_service.app import endpoints
from tests.fixtures.identities import Vouch
from tests.integration.tenant_service.tenant_process import AUDIENCE, TENANTS, TenantProcess, new_tenant

ROUTES = [(endpoint.method, re.sub(r"{\w+}", "some-id", endpoint.path)) for endpoint in endpoints()]


def foreign_proofs(process: TenantProcess, method: str, target: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Proofs that prove nothing here, by name."""
    vouch = process.vouch
    right: dict[str, Any] = {"audience": AUDIENCE, "method": method, "target": target}
    yield "none", {}
    yield "another audience", vouch.headers(audience="admin_service", method=method, target=target)
    yield "another key", Vouch(process.clock).headers(**right)
    yield "another delegate", vouch.headers(**right, delegate="other_service")
    yield (
        "a delegation as identity",
        {IDENTITY_HEADER: vouch.headers(**right, delegate="admin_service")[DELEGATION_HEADER]},
    )
    yield "an identity as delegation", {DELEGATION_HEADER: vouch.headers(**right)[IDENTITY_HEADER]}
    yield "both kinds", {**vouch.headers(**right), **vouch.headers(**right, delegate="admin_service")}
    yield "no token", {IDENTITY_HEADER: "x.y.z"}
    yield "only an e-mail header", {"Cf-Access-Authenticated-User-Email": "boss@example.com"}


@pytest.mark.parametrize(("method", "target"), [*ROUTES, ("GET", "/"), ("GET", "/metrics"), ("PUT", "/x")])
async def test_no_proof_no_answer(sqlite_process: TenantProcess, method: str, target: str) -> None:
    """Every route, also one that does not exist, answers 401 to whoever proves nothing."""
    for name, headers in foreign_proofs(sqlite_process, method, target):
        answer = await sqlite_process.client.request(method, target, headers=headers)
        assert answer.status == 401, name


async def test_an_identity_expires(sqlite_process: TenantProcess) -> None:
    """After its half minute and five seconds of skew a token proves nothing."""
    headers = sqlite_process.vouch.headers(audience=AUDIENCE)
    assert (await sqlite_process.client.get(TENANTS, headers=headers)).status == 200

    sqlite_process.clock.advance(36)

    assert (await sqlite_process.client.get(TENANTS, headers=headers)).status == 401


async def test_an_identity_for_a_change_is_good_once_and_only_for_it(sqlite_process: TenantProcess) -> None:
    """A replay, and a token of a safe request, create nothing (R-005)."""
    headers = sqlite_process.vouch.headers(audience=AUDIENCE, method="POST", target=TENANTS)
    safe = sqlite_process.vouch.headers(audience=AUDIENCE)
    client = sqlite_process.client

    statuses = [
        (await client.post(TENANTS, json=new_tenant(slug), headers=proof)).status
        for slug, proof in (("first", headers), ("second", headers), ("third", safe))
    ]

    assert statuses == [201, 401, 401]
    assert (await sqlite_process.counts())["organizations"] == 1


async def test_a_process_is_no_operator(sqlite_process: TenantProcess) -> None:
    """The sidecar's own identity for the roster opens nothing here."""
    for method, target in ROUTES:
        headers = sqlite_process.vouch.headers(
            None, audience=AUDIENCE, method=method, target=target, scope=Scope.ROSTER
        )
        answer = await sqlite_process.client.request(method, target, headers=headers)
        assert answer.status == 403, target


@pytest.mark.parametrize(
    "endpoint",
    [endpoint for endpoint in endpoints() if isinstance(endpoint.access, Permission)],
    ids=lambda endpoint: f"{endpoint.method} {endpoint.path}",
)
async def test_roles_without_the_permission_are_refused_before_the_body_is_read(
    sqlite_process: TenantProcess, endpoint: Endpoint
) -> None:
    """The table of endpoints decides: a role that lacks its permission gets 403 that names it (R-081)."""
    target = re.sub(r"{\w+}", "some-id", endpoint.path)
    for role in Role:
        headers = sqlite_process.vouch.headers(role, audience=AUDIENCE, method=endpoint.method, target=target)
        answer = await sqlite_process.client.request(endpoint.method, target, headers=headers, data=b"{")
        may = endpoint.access in OPERATOR_PERMISSIONS[role]
        assert (answer.status != 403) is may, role
        if not may:
            assert (await answer.json())["permission"] == endpoint.access.value


async def test_refusals_are_counted(sqlite_process: TenantProcess) -> None:
    """The operations page tells how many identities were refused, and why."""
    await sqlite_process.client.get(TENANTS)

    refused = await sqlite_process.metric('tenant_service_identity_refused_total{reason="missing"}')
    assert refused == 1
