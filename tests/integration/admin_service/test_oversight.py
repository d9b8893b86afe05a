"""One operator in detail, and the endpoints of sessions (R-064, R-080, R-130, P-20)."""

from datetime import datetime, timedelta

import pytest
from yarl import URL

from admin_service.operators.models import NewOperator
from service_kit.identity.binding import DELEGATION_HEADER
from service_kit.identity.model import Role
from tests.integration.admin_service.admin_process import OPERATORS, AdminProcess, asker

SUPPORT = f"{OPERATORS}/adm_support"


async def test_the_detail_shows_row_sessions_and_last_actions(process: AdminProcess) -> None:
    """P-20, R-130: the row with its ETag, the live sessions, and what the operator did last, newest first."""
    await process.add()
    await process.add(operator_id="adm_b")
    await process.hold("adm_b", "axs_live", "ops_1", ip="192.0.2.9", user_agent="Firefox")
    await process.hold(
        "adm_b", "axs_over", "ops_2", revoked_at=process.clock.now(), revoked_reason="signed_out"
    )
    for number in range(6):
        process.clock.advance(1)
        await process.services.provisioning.create(
            asker(operator_id="adm_b"), NewOperator(f"n{number}@example.com", "N", Role.SUPPORT)
        )

    response = await process.ask("GET", f"{OPERATORS}/adm_b", headers={DELEGATION_HEADER: "a delegation"})
    answer = await response.json()

    assert response.status == 200
    assert response.headers["ETag"] == '"1"'
    assert response.headers["Cache-Control"] == "no-store"
    assert (answer["id"], answer["email"], answer["role"], answer["state"]) == (
        "adm_b",
        "b@example.com",
        "super_admin",
        "active",
    )
    (session,) = answer["sessions"]
    assert (session["id"], session["ip"], session["userAgent"]) == ("ops_1", "192.0.2.9", "Firefox")
    assert set(session) == {"id", "renewedAt", "lastSeenAt", "expiresAt", "ip", "userAgent"}
    actions = answer["lastActions"]
    assert (actions["partial"], actions["missing"], len(actions["data"])) == (False, [], 10)
    times = [datetime.fromisoformat(row["created_at"]) for row in actions["data"]]
    assert times == sorted(times, reverse=True)
    assert {row["actor_id"] for row in actions["data"]} == {"adm_b"}
    assert actions["data"][0]["event"] == "admin.enrollment.issued"


async def test_the_detail_says_when_a_source_is_away(sqlite_process: AdminProcess) -> None:
    """The tenant service's absence hides its rows and says so; the row and the sessions are shown."""
    await sqlite_process.add()
    await sqlite_process.add(Role.SUPPORT)
    sqlite_process.tenants.away = True

    response = await sqlite_process.ask("GET", SUPPORT, headers={DELEGATION_HEADER: "a delegation"})
    answer = await response.json()

    assert response.status == 200
    assert (answer["lastActions"]["partial"], answer["lastActions"]["missing"]) == (True, ["tenant"])


@pytest.mark.parametrize("role", [Role.SUPPORT, Role.READ_ONLY, Role.SECURITY])
async def test_the_detail_is_for_who_manages_operators(sqlite_process: AdminProcess, role: Role) -> None:
    """R-072: every other role is 403, also about themselves; an unknown id is 404 for a super_admin."""
    await sqlite_process.add()
    await sqlite_process.add(role)

    own = await sqlite_process.ask("GET", f"{OPERATORS}/adm_{role.value}", role)
    unknown = await sqlite_process.ask("GET", f"{OPERATORS}/adm_nobody")

    assert (own.status, (await own.json())["code"]) == (403, "PERMISSION_DENIED")
    assert (unknown.status, (await unknown.json())["code"]) == (404, "OPERATOR_NOT_FOUND")


@pytest.mark.parametrize("role", list(Role))
async def test_everybody_sees_and_ends_their_own_sessions(sqlite_process: AdminProcess, role: Role) -> None:
    """R-074, R-130: own sessions are listed, ended one by one or all at once, by every role."""
    process, operator_id = sqlite_process, f"adm_{role.value}"
    target = f"{OPERATORS}/{operator_id}/sessions"
    await process.add(role)
    for number in range(3):
        await process.hold(operator_id, f"axs_{number}", f"ops_{number}")

    listed = await (await process.ask("GET", target, role)).json()
    one = await process.ask("DELETE", f"{target}/ops_1", role)
    left = [row["id"] for row in await process.live_sessions(operator_id)]
    again = await process.ask("DELETE", f"{target}/ops_1", role)
    rest = await process.ask("DELETE", target, role)
    nothing = await process.ask("DELETE", target, role)

    assert sorted(session["id"] for session in listed["data"]) == ["ops_0", "ops_1", "ops_2"]
    assert (one.status, left) == (204, ["ops_0", "ops_2"])
    assert (again.status, (await again.json())["code"]) == (404, "SESSION_NOT_FOUND")
    assert (rest.status, nothing.status) == (204, 204)
    assert await process.live_sessions(operator_id) == []
    assert await process.events() == ["admin.session.revoked"] * 3


async def test_a_super_admin_ends_anybodys(process: AdminProcess) -> None:
    """R-130: and the audit log says who did."""
    await process.add()
    await process.add(Role.SUPPORT)
    await process.hold("adm_support", "axs_1", "ops_1")
    await process.hold("adm_support", "axs_2", "ops_2")

    one = await process.ask("DELETE", f"{SUPPORT}/sessions/ops_1")
    rest = await process.ask("DELETE", f"{SUPPORT}/sessions")

    assert (one.status, rest.status) == (204, 204)
    assert await process.live_sessions("adm_support") == []
    assert {row["actor_id"] for row in await process.rows("audit_events")} == {"adm_super_admin"}


@pytest.mark.parametrize("role", [Role.SUPPORT, Role.READ_ONLY, Role.SECURITY])
@pytest.mark.parametrize(("method", "path"), [("GET", ""), ("DELETE", ""), ("DELETE", "/ops_1")])
async def test_nobody_else_touches_another_operators(
    sqlite_process: AdminProcess, role: Role, method: str, path: str
) -> None:
    """R-074, R-075: 403 that names the permission, and the same for an operator who does not exist."""
    process = sqlite_process
    await process.add()
    await process.add(role)
    await process.hold("adm_super_admin", "axs_1", "ops_1")

    for whose in ("adm_super_admin", "adm_nobody"):
        response = await process.ask(method, f"{OPERATORS}/{whose}/sessions{path}", role)
        problem = await response.json()

        assert (response.status, problem["code"]) == (403, "PERMISSION_DENIED")
        assert problem["permission"] == "platform.manage_global_admins"
    assert len(await process.live_sessions("adm_super_admin")) == 1


async def test_a_session_is_ended_under_its_own_operator_only(sqlite_process: AdminProcess) -> None:
    """A foreign session under one's own path is 404, and goes on."""
    process = sqlite_process
    await process.add()
    await process.add(Role.SUPPORT)
    await process.hold("adm_super_admin", "axs_1", "ops_1")

    response = await process.ask("DELETE", f"{SUPPORT}/sessions/ops_1", Role.SUPPORT)

    assert (response.status, (await response.json())["code"]) == (404, "SESSION_NOT_FOUND")
    assert len(await process.live_sessions("adm_super_admin")) == 1


HOSTILE = ["%00", "a%00b", "%ED%A0%80", "%FF", "x" * 4000, "adm_%F0%9F%98%80", "%27%20OR%201=1"]
ASKED: list[tuple[str, str, object]] = [
    ("GET", "", None),
    ("POST", "/role", {"role": "support", "reason": "x"}),
    ("POST", "/deactivate", {}),
    ("POST", "/reactivate", {"reason": "x"}),
    ("POST", "/reissue-enrollment", {}),
    ("GET", "/sessions", None),
    ("DELETE", "/sessions", None),
    ("DELETE", "/sessions/ops_1", None),
]


@pytest.mark.parametrize("named", HOSTILE)
async def test_a_path_may_name_anything(process: AdminProcess, named: str) -> None:
    """NUL, lone surrogates, bytes that are no text and 4,000 letters name nobody: 404, never a 5xx."""
    await process.add()

    async def asked(method: str, target: str, body: object = None) -> tuple[int, str]:
        proof = process.vouch.headers(audience="admin_service", method=method, target=target)
        headers = {**proof, "If-Match": '"1"'}
        response = await process.client.request(method, URL(target, encoded=True), headers=headers, json=body)
        return response.status, (await response.json())["code"]

    for method, path, body in ASKED:
        found = await asked(method, f"{OPERATORS}/{named}{path}", body)
        assert found == (404, "OPERATOR_NOT_FOUND"), (method, path)
    session = f"{OPERATORS}/adm_super_admin/sessions/{named}"
    assert await asked("DELETE", session) == (404, "SESSION_NOT_FOUND")


async def test_live_sessions_are_counted_for_a_list(process: AdminProcess) -> None:
    """P-19: renewed ones count once; ended and expired ones, and other people's, do not count."""
    now = process.clock.now()
    for name in ("adm_a", "adm_b", "adm_c"):
        await process.add(operator_id=name)
    await process.hold("adm_a", "axs_1", "ops_1")
    await process.hold("adm_a", "axs_2", "ops_2", chain_id="ops_1")
    await process.hold("adm_a", "axs_3", "ops_3")
    await process.hold("adm_b", "axs_4", "ops_4", revoked_at=now, revoked_reason="signed_out")
    await process.hold("adm_b", "axs_5", "ops_5", created_at=now - timedelta(hours=9), expires_at=now)
    await process.hold("adm_c", "axs_6", "ops_6")
    counts = process.services.session_counts

    assert await counts.of(["adm_a", "adm_b"]) == {"adm_a": 2}
    assert await counts.of([]) == {}
