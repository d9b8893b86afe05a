"""Who may call what: every endpoint of the application, for every kind of caller (R-074, R-075, R-081)."""

import re

import pytest
from aiohttp import web

from admin_service.app import SERVICES, endpoints
from admin_service.panel.routes import PANEL
from service_kit.identity.binding import DELEGATION_HEADER
from service_kit.identity.model import OPERATOR_PERMISSIONS, Permission, Role, Scope
from service_kit.web.api import Audience, Endpoint
from tests.integration.admin_service.admin_process import AdminProcess

Caller = Role | Scope | None
SESSIONS = "/api/admin/global-admins/{id}/sessions"
CALLERS: tuple[Caller, ...] = (*Role, Scope.ROSTER, None)


def table(process: AdminProcess) -> tuple[Endpoint, ...]:
    app = process.apps.internal
    return endpoints(app[SERVICES], app[PANEL])


def may(endpoint: Endpoint, caller: Caller) -> bool:
    """What the access column means, written down a second time."""
    match endpoint.access:
        case Permission():
            return isinstance(caller, Role) and endpoint.access in OPERATOR_PERMISSIONS[caller]
        case Audience.OPERATOR:
            return isinstance(caller, Role)
        case Audience.PERSON:
            return not isinstance(caller, Scope)
        case Scope():
            return caller is endpoint.access


async def answer(process: AdminProcess, endpoint: Endpoint, caller: Caller) -> tuple[int, str]:
    """The status and code; an allowed caller gets as far as the body, which is no JSON on purpose."""
    # Their own sessions are everybody's to see; another operator's are not, and have a test of their own.
    whose = f"adm_{caller}" if endpoint.path.startswith(SESSIONS) else "x"
    target = re.sub(r"{\w+}", "x", endpoint.path.replace("{id}", whose))
    role = caller if isinstance(caller, Role) else None
    scope = caller if isinstance(caller, Scope) else None
    proof = process.vouch.headers(
        role, audience="admin_service", method=endpoint.method, target=target, scope=scope
    )
    headers = {**proof, DELEGATION_HEADER: "a delegation"}
    data = b"{" if endpoint.method == "POST" else None
    response = await process.client.request(
        endpoint.method, target, headers=headers, data=data, allow_redirects=False
    )
    async with response:
        if response.content_type == "application/problem+json":
            return response.status, (await response.json())["code"]
        return response.status, ""


@pytest.mark.parametrize("caller", CALLERS, ids=str)
async def test_each_caller_reaches_exactly_what_the_table_says(
    sqlite_process: AdminProcess, caller: Caller
) -> None:
    """PERMISSION_DENIED where the matrix says no, and anything else where it says yes."""
    for role in Role:
        await sqlite_process.add(role)

    for endpoint in table(sqlite_process):
        status, code = await answer(sqlite_process, endpoint, caller)

        assert (code != "PERMISSION_DENIED") is may(endpoint, caller), (endpoint.path, status, code)


async def test_the_table_is_all_there_is(sqlite_process: AdminProcess) -> None:
    """No route of the application is outside the table, so none escapes the guard's matrix."""
    routes = {
        (route.method, route.resource.canonical)
        for route in sqlite_process.apps.internal.router.routes()
        if route.resource is not None and not isinstance(route, web.StaticResource)
    }

    rows = {(row.method, row.path) for row in table(sqlite_process)}
    heads = {(method, path) for method, path in routes - rows if method == "HEAD"}

    assert routes - heads == rows
    assert {path for _, path in heads} <= {path for method, path in rows if method == "GET"}


async def test_a_refusal_names_the_way_out(sqlite_process: AdminProcess) -> None:
    """A 403 says which permission is missing and which roles hold it."""
    await sqlite_process.add(Role.READ_ONLY)

    response = await sqlite_process.ask("GET", "/api/admin/global-admins", Role.READ_ONLY)
    problem = await response.json()

    assert (problem["permission"], problem["roles"]) == ("platform.manage_global_admins", ["super_admin"])
