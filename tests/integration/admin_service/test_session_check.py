"""How an upstream's own API asks whether an `ax_token` is a session: ADR 0019, through a real socket."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import ClientResponse
from yarl import URL

from admin_service.settings import AdminSettings
from service_kit.identity.binding import DELEGATION_HEADER, IDENTITY_HEADER
from service_kit.identity.model import Role, Scope
from service_kit.settings import SettingsError
from tests.fixtures.identities import Vouch
from tests.integration.admin_service.admin_process import (
    EXCHANGE,
    AdminProcess,
    admin_process,
    asker,
    settings_for,
)

CHECK = f"{EXCHANGE}/session"
UPSTREAM, SECOND = "frontend", "orders-api"


@pytest.fixture
async def asked(database_url: str) -> AsyncIterator[AdminProcess]:
    """An admin service that two upstreams may ask; one support operator."""
    async with admin_process(database_url, SESSION_CHECK_AUDIENCES=f"{UPSTREAM}, {SECOND}") as process:
        await process.add()
        await process.add(Role.SUPPORT)
        yield process


async def mint(process: AdminProcess, role: Role = Role.SUPPORT) -> str:
    return (await process.services.sessions.exchange(asker(role))).token


async def ask(
    process: AdminProcess,
    token: str | None,
    role: Role | None = Role.SUPPORT,
    *,
    audience: str = UPSTREAM,
    target: str = CHECK,
    method: str = "GET",
    **identity: Any,
) -> ClientResponse:
    """As an upstream does: the identity that came with the browser's request, and the cookie's token."""
    shown = process.vouch.headers(role, audience=audience, **identity)
    asked_for = {"X-AX-Token": token} if token is not None else {}
    path = URL(target, encoded=True)  # as it is spelled: a client would mend it
    return await process.client.request(method, path, headers={**shown, **asked_for})


async def test_an_upstream_learns_whose_session_it_is(asked: AdminProcess) -> None:
    """R-163: with what the sidecar sent it, an upstream gets operator and expiry, as the row says now."""
    token = await mint(asked)
    await asked.sql("UPDATE global_admins SET role = 'security' WHERE id = 'adm_support'")

    for audience in (UPSTREAM, SECOND):
        response = await ask(asked, token, audience=audience)
        answer = await response.json()

        assert response.status == 200
        assert (answer["operator"]["id"], answer["operator"]["role"]) == ("adm_support", "security")
        assert set(answer) == {"operator", "expiresAt"}
        assert response.headers["Cache-Control"] == "no-store"


async def test_the_identity_of_a_changing_request_may_be_shown_too(asked: AdminProcess) -> None:
    """R-005, R-163: bound to the upstream's own POST it proves the same person, as often as it is shown."""
    token = await mint(asked)

    for _ in range(3):
        assert (await ask(asked, token)).status == 200
    bound = asked.vouch.headers(Role.SUPPORT, audience=UPSTREAM, method="POST", target="/api/orders?x=1")
    for _ in range(2):
        response = await asked.client.get(CHECK, headers={**bound, "X-AX-Token": token})
        assert response.status == 200


async def test_every_doubt_is_one_and_the_same_401(asked: AdminProcess) -> None:
    """R-163: unknown, expired, revoked, foreign, deactivated, rebound or no token: no oracle at all."""
    now = asked.clock.now()
    foreign = await mint(asked, Role.SUPER_ADMIN)
    await asked.hold("adm_support", "axs_out", revoked_at=now, revoked_reason="signed_out")
    await asked.add(operator_id="adm_gone", deactivated_at=now)
    await asked.hold("adm_gone", "axs_gone")
    await asked.hold("adm_support", "axs_rebound", access_sub="an earlier person")
    old = await mint(asked)
    asked.clock.advance(8 * 3600)
    tries = [
        *((token, {"sub": "sub-support"}) for token in ("axs_unknown", foreign, "axs_out", old, "", None)),
        ("axs_gone", {"sub": "sub-gone", "operator_id": "adm_gone"}),
        ("axs_rebound", {"sub": "an earlier person"}),
        ("axs_rebound", {"sub": "sub-support"}),
        ("x" * 4000, {"sub": "sub-nobody", "operator_id": "adm_nobody"}),
    ]
    answers = set()
    for token, identity in tries:
        response = await ask(asked, token, Role.SUPPORT, **identity)
        problem = await response.json()
        problem.pop("requestId")
        headers = sorted(name for name in response.headers if name not in ("Date", "X-Request-Id"))
        answers.add((response.status, json.dumps(problem), tuple(headers)))

    assert len(answers) == 1
    ((status, problem_text, _),) = answers
    assert (status, json.loads(problem_text)["code"]) == (401, "SESSION_INVALID")


async def test_an_upstream_learns_nothing_about_anybody_elses_session(asked: AdminProcess) -> None:
    """R-163: a token of another person than the one of the request is none, whoever stole it."""
    token = await mint(asked, Role.SUPER_ADMIN)

    assert (await ask(asked, token, Role.SUPPORT)).status == 401
    assert (await ask(asked, token, None, sub="sub-support")).status == 401
    assert (await ask(asked, token, Role.SUPER_ADMIN)).status == 200


async def test_a_person_who_is_no_operator_has_no_session(asked: AdminProcess) -> None:
    """R-163: the identity of a person without a row gets the 401 of the session, not a word more."""
    response = await ask(asked, await mint(asked), None)

    assert (response.status, (await response.json())["code"]) == (401, "SESSION_INVALID")


async def test_nobody_else_may_ask(asked: AdminProcess) -> None:
    """R-005: no identity, a token alone, another audience, a delegation, a process, an old or foreign key."""
    token = await mint(asked)
    stranger = Vouch(asked.clock)

    alone = await asked.client.get(CHECK, headers={"X-AX-Token": token, "Cookie": f"ax_token={token}"})
    unknown = [await ask(asked, token, audience=name) for name in ("grafana", "tenant_service", "Frontend")]
    process = await ask(asked, token, None, scope=Scope.ROSTER)
    delegated = asked.vouch.headers(audience=UPSTREAM, delegate="admin_service")
    shown = {IDENTITY_HEADER: delegated[DELEGATION_HEADER], "X-AX-Token": token}
    delegation = await asked.client.get(CHECK, headers=shown)
    headers = {**stranger.headers(Role.SUPPORT, audience=UPSTREAM), "X-AX-Token": token}
    foreign = await asked.client.get(CHECK, headers=headers)
    kept = asked.vouch.headers(Role.SUPPORT, audience=UPSTREAM)
    asked.clock.advance(36)
    late = await asked.client.get(CHECK, headers={**kept, "X-AX-Token": token})

    answers = [alone, *unknown, process, delegation, foreign, late]
    codes = {(one.status, (await one.json())["code"]) for one in answers[1:]}
    assert codes == {(401, "INTERNAL_IDENTITY_INVALID")}
    assert (alone.status, (await alone.json())["code"]) == (401, "INTERNAL_IDENTITY_REQUIRED")


async def test_an_upstreams_identity_opens_this_one_endpoint(asked: AdminProcess) -> None:
    """R-005: at every other path, spelling and method it stays the identity of somebody else's request."""
    token = await mint(asked)
    for method, target in (
        ("GET", "/api/admin/me"),
        ("GET", "/manage"),
        ("GET", EXCHANGE),
        ("POST", EXCHANGE),
        ("DELETE", EXCHANGE),
        ("HEAD", CHECK),
        ("POST", CHECK),
        ("GET", f"{CHECK}/"),
        ("GET", f"{CHECK}?x=1"),
        ("GET", "/api/access-sso/%73ession"),
        ("GET", "/internal/v1/roster/feed"),
    ):
        response = await ask(asked, token, method=method, target=target)
        code = (await response.json())["code"] if method != "HEAD" else "INTERNAL_IDENTITY_INVALID"
        assert (response.status, code) == (401, "INTERNAL_IDENTITY_INVALID"), (method, target)


async def test_it_is_off_by_default(process: AdminProcess) -> None:
    """R-005: without SESSION_CHECK_AUDIENCES no upstream's identity is good for anything here."""
    await process.add(Role.SUPPORT)

    assert (await ask(process, await mint(process))).status == 401


@pytest.mark.parametrize("ours", ["admin_service", "tenant_service", "auth_proxy"])
def test_a_service_of_ours_is_no_upstream(ours: str) -> None:
    """R-006: the setting cannot open the admin service to identities of the tenant service."""
    with pytest.raises(SettingsError, match="SESSION_CHECK_AUDIENCES"):
        settings_for("sqlite:///x.db", SESSION_CHECK_AUDIENCES=f"frontend,{ours}")

    settings: AdminSettings = settings_for("sqlite:///x.db", SESSION_CHECK_AUDIENCES=" a , b ")
    assert settings.session_check_audiences == ("a", "b")
