"""A proof of one plane is none on the other: Access tokens and internal identities, attacks.md section 2.

Everything is sent over a raw socket, to the running sidecar or past it to a service (R-005).
"""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import DummyCookieJar
from aiohttp.test_utils import TestClient, TestServer

from auth_proxy.refusals import Reason
from deploy.demo.issuer import SigningKey
from service_kit.identity.binding import DELEGATION_HEADER, IDENTITY_HEADER
from service_kit.identity.model import Scope
from tests.fixtures.attacked import request
from tests.fixtures.forgery import compact_json, part
from tests.fixtures.planes import Planes, planes
from tests.fixtures.token_corpus import lines_of
from tests.integration.admin_service.admin_process import AdminProcess, asker
from tests.integration.tenant_service.tenant_process import TenantProcess

TENANTS = "/api/admin/tenants"
ME = "/api/admin/me"
OPERATORS = "/api/admin/global-admins"
NEW_TENANT = json.dumps({"slug": "acme", "name": "Acme", "primaryAdminEmail": "bob@example.com"}).encode()

COVERED = {
    "an internal identity sent as the Access token and the reverse": (
        "test_an_internal_identity_is_no_access_token",
        "test_an_access_token_is_no_internal_identity",
    ),
    "an admin-audience identity sent to the tenant service and the reverse": (
        "test_an_identity_is_for_one_service_alone",
    ),
    "a delegation used by another service": ("test_a_delegation_is_for_one_service_in_one_ones_name",),
    "a bound identity replayed on another path, method or after its time": (
        "test_a_bound_identity_is_good_for_its_one_request",
        "test_an_identity_ends_after_its_time",
    ),
    "tenant session cookie on the admin host": ("test_a_tenant_session_cookie_on_the_admin_host",),
    "ax_token on the tenant host": ("test_an_ax_token_on_the_tenant_host",),
}


@pytest.fixture(scope="module")
def forger() -> SigningKey:
    """A key that the team never publishes."""
    return SigningKey.generate()


@pytest.fixture
async def both(access_key: SigningKey, forger: SigningKey, tmp_path: Path) -> AsyncIterator[Planes]:
    """The sidecar and both services."""
    async with planes(access_key, forger, tmp_path) as running:
        yield running


def _only(headers: dict[str, str]) -> str:
    (token,) = headers.values()
    return token


def _as_rs256(token: str, kid: str) -> str:
    """The same payload and signature under a header that the other plane would read."""
    _, payload, signature = token.split(".")
    return f"{part(compact_json({'alg': 'RS256', 'kid': kid, 'typ': 'JWT'}))}.{payload}.{signature}"


async def test_the_sidecars_identities_are_good_where_they_belong(both: Planes) -> None:
    """R-005: the proofs that are misused below are good ones; otherwise their refusals prove nothing."""
    seen = await both.signed_by_sidecar()
    bound = await both.signed_by_sidecar("POST")
    mine = both.vouch.headers(audience="admin_service")

    read = await both.tenant.send("GET", TENANTS, f"{IDENTITY_HEADER}: {seen}")
    made = await both.tenant.send("POST", TENANTS, f"{IDENTITY_HEADER}: {bound}", body=NEW_TENANT)
    own = await both.admin.send("GET", ME, f"{IDENTITY_HEADER}: {_only(mine)}")

    assert (read.status, made.status, own.status) == (200, 201, 200)


async def test_an_internal_identity_is_no_access_token(both: Planes) -> None:
    """R-005, R-013, R-172: neither as it is, nor with an RS256 header, nor in its own header."""
    attacked = both.attacked
    proofs = [
        await both.signed_by_sidecar(),
        await both.signed_by_sidecar("POST"),
        await both.signed_by_sidecar(target="/page"),
        _only(both.vouch.headers(audience="admin_service")),
        _only(both.vouch.headers(audience="tenant_service", delegate="admin_service")),
        _only(both.vouch.headers(None, audience="admin_service", scope=Scope.ROSTER)),
    ]
    for proof in proofs:
        (await attacked.present(proof)).must_be_refused(Reason.TOKEN_ALGORITHM, secret=proof)
        for name in (IDENTITY_HEADER, DELEGATION_HEADER, "X_Internal_Identity"):
            attempt = await attacked.present(attacked.forge.token(), f"{name}: {proof}")
            attempt.must_be_refused(Reason.IDENTITY_HEADER_SPOOFED, secret=proof)
    disguised = _as_rs256(proofs[0], attacked.forge.team.kid)
    (await attacked.present(disguised)).must_be_refused(Reason.TOKEN_ISSUER, secret=disguised)


async def test_an_access_token_is_no_internal_identity(both: Planes) -> None:
    """R-005, R-172: Access's token opens no service, in no header, and none at the sidecar either."""
    token = both.attacked.forge.token()
    for name in (IDENTITY_HEADER, DELEGATION_HEADER, "x-internal.identity"):
        attempt = await both.attacked.attempt(request(None, f"{name}: {token}"))
        attempt.must_be_refused(Reason.IDENTITY_HEADER_SPOOFED, secret=token)
    for service, target in ((both.tenant, TENANTS), (both.admin, ME)):
        await service.must_refuse("malformed", "GET", target, f"{IDENTITY_HEADER}: {token}")
        for name in ("Cf-Access-Jwt-Assertion", "Authorization", "Cookie", "X_Internal_Identity"):
            await service.must_refuse("missing", "GET", target, f"{name}: {token}")
    await both.tenant.must_refuse("malformed", "GET", TENANTS, f"{DELEGATION_HEADER}: {token}")
    await both.admin.must_refuse("missing", "GET", ME, f"{DELEGATION_HEADER}: {token}")


async def test_an_identity_is_for_one_service_alone(both: Planes) -> None:
    """R-005, R-006: the audience is one service; a frontend that keeps what it got opens neither."""
    for_tenant = await both.signed_by_sidecar()
    for_frontend = await both.signed_by_sidecar(target="/page")
    for_admin = _only(both.vouch.headers(audience="admin_service"))
    for_roster = _only(both.vouch.headers(None, audience="admin_service", scope=Scope.ROSTER))

    for token in (for_admin, for_frontend, for_roster):
        await both.tenant.must_refuse("audience", "GET", TENANTS, f"{IDENTITY_HEADER}: {token}")
    for token in (for_tenant, for_frontend):
        await both.admin.must_refuse("audience", "GET", ME, f"{IDENTITY_HEADER}: {token}")
    bound = await both.signed_by_sidecar("POST")
    await both.admin.must_refuse("audience", "POST", TENANTS, f"{IDENTITY_HEADER}: {bound}", body=b"{}")


async def test_a_delegation_is_for_one_service_in_one_ones_name(both: Planes) -> None:
    """R-005: a delegation is no identity, names its one user, and cannot change what was only looked at."""
    vouch = both.vouch
    delegation = _only(vouch.headers(audience="tenant_service", delegate="admin_service"))
    granted = await both.tenant.send("GET", TENANTS, f"{DELEGATION_HEADER}: {delegation}")
    assert granted.status == 200

    await both.tenant.must_refuse("delegation", "GET", TENANTS, f"{IDENTITY_HEADER}: {delegation}")
    await both.admin.must_refuse("missing", "GET", ME, f"{DELEGATION_HEADER}: {delegation}")
    await both.admin.must_refuse("audience", "GET", ME, f"{IDENTITY_HEADER}: {delegation}")
    for delegate in ("tenant_service", "frontend", "other_service", "ADMIN_SERVICE", "admin_service "):
        foreign = _only(vouch.headers(audience="tenant_service", delegate=delegate))
        await both.tenant.must_refuse("delegation", "GET", TENANTS, f"{DELEGATION_HEADER}: {foreign}")
    identity = await both.signed_by_sidecar()
    await both.tenant.must_refuse("delegation", "GET", TENANTS, f"{DELEGATION_HEADER}: {identity}")
    await both.tenant.must_refuse(
        "duplicated",
        "GET",
        TENANTS,
        f"{DELEGATION_HEADER}: {delegation}",
        f"{IDENTITY_HEADER}: {identity}",
    )
    await both.tenant.must_refuse(
        "binding", "POST", TENANTS, f"{DELEGATION_HEADER}: {delegation}", body=NEW_TENANT
    )


async def test_a_bound_identity_is_good_for_its_one_request(both: Planes) -> None:
    """R-005: another path, query, spelling or method, a second time, or no binding at all changes nothing."""
    bound = await both.signed_by_sidecar("POST")
    line = f"{IDENTITY_HEADER}: {bound}"
    for method, target in (
        ("POST", f"{TENANTS}/org_1/suspend"),
        ("POST", f"{TENANTS}?force=true"),
        ("POST", f"{TENANTS}/"),
        ("POST", "/api/admin/%74enants"),
        ("DELETE", TENANTS),
        ("PATCH", TENANTS),
        ("GET", TENANTS),
    ):
        await both.tenant.must_refuse("binding", method, target, line, body=NEW_TENANT)
    seen = await both.signed_by_sidecar()
    await both.tenant.must_refuse("binding", "POST", TENANTS, f"{IDENTITY_HEADER}: {seen}", body=NEW_TENANT)

    made = await both.tenant.send("POST", TENANTS, line, body=NEW_TENANT)

    assert made.status == 201
    other = NEW_TENANT.replace(b"acme", b"other")
    await both.tenant.must_refuse("replayed", "POST", TENANTS, line, body=other)
    await both.tenant.must_refuse("replayed", "POST", TENANTS, line, body=NEW_TENANT)


async def test_an_identity_ends_after_its_time(both: Planes) -> None:
    """R-005: after thirty seconds and five of skew neither a read nor a change is proven."""
    seen, bound = await both.signed_by_sidecar(), await both.signed_by_sidecar("POST")
    mine = _only(both.vouch.headers(audience="admin_service"))
    both.clock.advance(36)

    await both.tenant.must_refuse("expired", "GET", TENANTS, f"{IDENTITY_HEADER}: {seen}")
    await both.tenant.must_refuse("expired", "POST", TENANTS, f"{IDENTITY_HEADER}: {bound}", body=NEW_TENANT)
    await both.admin.must_refuse("expired", "GET", ME, f"{IDENTITY_HEADER}: {mine}")

    both.clock.advance(-80)
    await both.tenant.must_refuse("not_yet_valid", "GET", TENANTS, f"{IDENTITY_HEADER}: {seen}")


async def test_a_change_at_the_admin_service_needs_its_own_proof(both: Planes) -> None:
    """R-005: the admin service binds as strictly as the tenant service does."""
    bound = both.vouch.headers(audience="admin_service", method="POST", target=OPERATORS)
    line = f"{IDENTITY_HEADER}: {_only(bound)}"
    seen = both.vouch.headers(audience="admin_service")

    await both.admin.must_refuse("binding", "POST", f"{OPERATORS}/adm_x/deactivate", line, body=b"{}")
    await both.admin.must_refuse("binding", "DELETE", OPERATORS, line)
    await both.admin.must_refuse(
        "binding", "POST", OPERATORS, f"{IDENTITY_HEADER}: {_only(seen)}", body=b"{}"
    )


async def test_a_tenant_session_cookie_on_the_admin_host(both: Planes) -> None:
    """R-035, R-037: a tenant user's session opens nothing on the admin host, nor is set there.

    It is a real one: its person came in by an invitation, and it counts at the tenant's own host.
    """
    process = both.tenant.process
    assert isinstance(process, TenantProcess)
    invited = await (await process.create(NEW_TENANT)).json()
    own = {"Host": "acme.app.example.com"}
    async with TestClient(TestServer(process.apps.public), cookie_jar=DummyCookieJar()) as tenants:
        entrant = {"name": "Bob", "password": "plum-Verandah-29-otter"}
        accept = f"/api/invitations/accept/{invited['invitationId']}"
        said = await tenants.post(accept, json=entrant, headers=own)
        token = said.cookies["__Host-tenant_session"].value
        line = f"Cookie: __Host-tenant_session={token}"
        here = await tenants.get("/api/tenant", headers={**own, "Cookie": line.partition(": ")[2]})
        assert (said.status, here.status) == (200, 200)

    for carried in (line, f"Authorization: Bearer {token}", f"X-AX-Token: {token}"):
        await both.tenant.must_refuse("missing", "GET", TENANTS, carried)
        await both.admin.must_refuse("missing", "GET", ME, carried)
    for name in (IDENTITY_HEADER, DELEGATION_HEADER):
        await both.tenant.must_refuse("malformed", "GET", TENANTS, f"{name}: {token}")
    attacked = both.attacked
    alone = await attacked.attempt(request(None, line))
    alone.must_be_refused(Reason.TOKEN_MISSING, secret=token)
    (await attacked.present(token)).must_be_refused(Reason.TOKEN_MALFORMED, secret=token)
    passed = await attacked.sidecar.get(TENANTS, headers=(("Cookie", line.partition(": ")[2]),))
    assert passed.status == 200
    assert b"tenant_session" not in passed.raw


async def test_an_ax_token_on_the_tenant_host(both: Planes) -> None:
    """R-035, R-163: an operator's ax_token opens nothing on the tenant plane, under no name and in no header.

    Nor does it stand in for Access's token at the sidecar, on a tenant's host or on its own.
    """
    admin = both.admin.process
    assert isinstance(admin, AdminProcess)
    token = (await admin.services.sessions.exchange(asker())).token
    assert (await admin.services.sessions.check(asker().actor, token)).operator.id == "adm_super_admin"

    for line in (
        *(f"Cookie: {name}={token}" for name in ("ax_token", "__Host-ax_token", "__Host-tenant_session")),
        f"X-AX-Token: {token}",
        f"Authorization: Bearer {token}",
    ):
        for method, target in (("GET", TENANTS), ("POST", TENANTS), ("GET", "/api/access-sso/session")):
            body = NEW_TENANT if method == "POST" else b""
            await both.tenant.must_refuse("missing", method, target, line, body=body)
        await both.admin.must_refuse("missing", "GET", ME, line)
    for name in (IDENTITY_HEADER, DELEGATION_HEADER):
        await both.tenant.must_refuse("malformed", "GET", TENANTS, f"{name}: {token}")

    attacked, cookie = both.attacked, f"Cookie: ax_token={token}"
    elsewhere = await attacked.attempt(request(None, cookie, host="acme.app.example.com"))
    elsewhere.must_be_refused(Reason.HOST_UNKNOWN, secret=token)
    proven = await attacked.attempt(request(attacked.forge.token(), cookie, host="acme.app.example.com"))
    proven.must_be_refused(Reason.HOST_UNKNOWN, secret=token)
    alone = await attacked.attempt(request(None, cookie, f"X-AX-Token: {token}"))
    alone.must_be_refused(Reason.TOKEN_MISSING, secret=token)
    (await attacked.present(token)).must_be_refused(Reason.TOKEN_MALFORMED, secret=token)


def test_each_line_of_the_attack_list_has_its_test() -> None:
    """attacks.md section 2, confusion between planes: a line without a test is a gap (R-005)."""
    assert set(COVERED) == lines_of("test_plane_confusion")
    assert {name for names in COVERED.values() for name in names} <= set(globals())
