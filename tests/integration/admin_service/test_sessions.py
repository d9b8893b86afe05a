"""The boot exchange: a proven identity becomes the cookie `ax_token` (R-162…R-166, C-17)."""

import hashlib
import json
from dataclasses import replace
from datetime import datetime, timedelta
from http.cookies import SimpleCookie

import pytest
from aiohttp import ClientResponse

from admin_service.sessions.errors import SessionInvalidError
from admin_service.sessions.models import MOST_LIVE
from service_kit.errors import UnavailableError
from service_kit.identity.model import OPERATOR_PERMISSIONS, Role, Scope
from tests.integration.admin_service.admin_process import (
    EXCHANGE,
    OPERATORS,
    AdminProcess,
    admin_process,
    asker,
)

CHECK = f"{EXCHANGE}/session"
HOURS = 3600
ATTRIBUTES = "Path=/; Secure; HttpOnly; SameSite=Lax"


SIDECAR = replace(asker().actor, operator_id=None, role=None, scope=Scope.ROSTER)
"""A process of ours, which may ask about anybody's session."""


async def exchange(
    process: AdminProcess, *tokens: str, role: Role = Role.SUPPORT, **identity: str
) -> ClientResponse:
    cookie = {"Cookie": "; ".join(f"ax_token={token}" for token in tokens)} if tokens else {}
    return await process.ask("POST", EXCHANGE, role, headers=cookie, **identity)


async def sign_out(process: AdminProcess, token: str, role: Role = Role.SUPPORT) -> ClientResponse:
    return await process.ask("DELETE", EXCHANGE, role, headers={"Cookie": f"ax_token={token}"})


async def check(process: AdminProcess, token: str, role: Role = Role.SUPPORT) -> ClientResponse:
    return await process.ask("GET", CHECK, role, headers={"X-AX-Token": token})


def token_of(response: ClientResponse) -> str:
    return SimpleCookie(response.headers["Set-Cookie"])["ax_token"].value


async def test_an_operator_gets_a_session(process: AdminProcess) -> None:
    """R-163: 200 with operator, permissions and expiry; the cookie is Secure, HttpOnly, Lax, host-only."""
    await process.add(Role.SUPPORT, name="Grace")

    response = await exchange(process)
    answer = await response.json()
    row = (await process.rows("operator_sessions"))[0]

    assert response.status == 200
    assert set(answer) == {"operator", "expiresAt"}
    assert answer["operator"] == {
        "id": "adm_support",
        "email": "support@example.com",
        "name": "Grace",
        "role": "support",
        "permissions": sorted(OPERATOR_PERMISSIONS[Role.SUPPORT]),
    }
    assert datetime.fromisoformat(answer["expiresAt"]) == process.clock.now() + timedelta(hours=8)
    token = token_of(response)
    assert response.headers.getall("Set-Cookie") == [f"ax_token={token}; Max-Age=28800; {ATTRIBUTES}"]
    assert response.headers["Cache-Control"] == "no-store"
    assert len(token) == 4 + 43
    assert row["token_hash"] == hashlib.sha256(token.encode()).hexdigest()
    assert (row["admin_id"], row["access_sub"]) == ("adm_support", "sub-support")


@pytest.mark.parametrize("role", Role)
async def test_any_active_operator_may_exchange(sqlite_process: AdminProcess, role: Role) -> None:
    """R-163: a known operator of any role gets a session; no permission is needed for it."""
    await sqlite_process.add(role)

    assert (await exchange(sqlite_process, role=role)).status == 200


async def test_a_valid_cookie_is_rotated(process: AdminProcess) -> None:
    """R-166: a repeat renews: the old token dies as `rotated`, the new one lives 8 h from now."""
    await process.add(Role.SUPPORT)
    first = token_of(await exchange(process))
    process.clock.advance(3 * HOURS)

    response = await exchange(process, first)
    second = token_of(response)
    old, new = sorted(await process.rows("operator_sessions"), key=lambda row: str(row["id"]))

    assert second != first
    assert (await check(process, first)).status == 401
    assert (await check(process, second)).status == 200
    expires = datetime.fromisoformat((await response.json())["expiresAt"])
    assert expires == process.clock.now() + timedelta(hours=8)
    assert (old["revoked_reason"], new["revoked_reason"]) == ("rotated", None)
    assert old["chain_id"] == new["chain_id"] == old["id"]


async def test_minting_is_recorded_once_and_revoking_too(process: AdminProcess) -> None:
    """INFO when a session begins, NOTICE when it ends, nothing for a renewal; both name one session."""
    await process.add(Role.SUPPORT)
    token = token_of(await exchange(process))
    token = token_of(await exchange(process, token))

    await sign_out(process, token)
    rows = sorted(await process.rows("audit_events"), key=lambda row: row["chain_seq"])

    assert [(row["event"], row["severity"]) for row in rows] == [
        ("admin.session.minted", "INFO"),
        ("admin.session.revoked", "NOTICE"),
    ]
    assert {(row["actor_id"], row["actor_role"], row["scope"]) for row in rows} == {
        ("adm_support", "support", "global")
    }
    assert rows[0]["resource_id"] == rows[1]["resource_id"]
    assert "signed_out" in str(rows[1]["details"])


@pytest.mark.parametrize(
    "case", ["unknown", "expired", "revoked", "foreign", "other row", "other sub", "empty"]
)
async def test_a_cookie_that_does_not_count_is_ignored(process: AdminProcess, case: str) -> None:
    """A foreign, expired, unknown or revoked cookie gives a fresh session and touches nobody's (R-163)."""
    now = process.clock.now()
    await process.add(Role.SUPPORT)
    await process.add()
    if case == "expired":
        await process.hold("adm_support", "axs_x", created_at=now - timedelta(hours=8), expires_at=now)
    if case == "revoked":
        await process.hold("adm_support", "axs_x", revoked_at=now, revoked_reason="signed_out")
    if case == "foreign":
        await process.hold("adm_super_admin", "axs_x")
    if case == "other row":
        await process.hold("adm_super_admin", "axs_x", access_sub="sub-support")
    if case == "other sub":
        await process.hold("adm_support", "axs_x", access_sub="an earlier person")

    response = await exchange(process, "" if case == "empty" else "axs_x")
    left = {row["id"]: row for row in await process.rows("operator_sessions")}

    assert response.status == 200
    assert "admin.session.minted" in await process.events()
    assert (await check(process, token_of(response))).status == 200
    if case in {"foreign", "other row", "other sub"}:
        assert left["ops_axs_x"]["revoked_at"] is None


async def test_a_second_cookie_of_the_name_hides_nothing(process: AdminProcess) -> None:
    """A neighbouring host's cookie of the same name neither wins nor hides the operator's own."""
    await process.add(Role.SUPPORT)
    await process.add()
    own = token_of(await exchange(process))
    foreign = token_of(await exchange(process, role=Role.SUPER_ADMIN))

    for order in (1, -1):
        own = token_of(await exchange(process, *[foreign, own][::order]))

        assert len(await process.live_sessions("adm_support")) == 1
        assert (await check(process, own)).status == 200
        assert (await check(process, foreign, Role.SUPER_ADMIN)).status == 200


async def test_tabs_that_start_together_share_one_session(process: AdminProcess) -> None:
    """A token that was replaced seconds ago continues its chain: both tabs work, nothing new is recorded.

    The next renewal leaves one; and the grace ends with its ten seconds (R-166).
    """
    await process.add(Role.SUPPORT)
    first = token_of(await exchange(process))
    tab = token_of(await exchange(process, first))
    process.clock.advance(10)
    late = token_of(await exchange(process, first))

    assert (await check(process, tab)).status == (await check(process, late)).status == 200
    assert await process.events() == ["admin.session.minted"]

    process.clock.advance(1)
    last = token_of(await exchange(process, tab))
    assert (await check(process, late)).status == 401
    assert len(await process.live_sessions("adm_support")) == 1

    process.clock.advance(11)
    await exchange(process, tab)
    chains = {row["chain_id"] for row in await process.live_sessions("adm_support")}
    assert len(chains) == 2
    assert (await check(process, last)).status == 200


async def test_a_replaced_token_does_not_wake_a_session_that_was_ended(process: AdminProcess) -> None:
    """After a sign-out a token of the ended chain is nothing, also within the grace."""
    await process.add(Role.SUPPORT)
    first = token_of(await exchange(process))
    second = token_of(await exchange(process, first))
    await sign_out(process, second)

    await exchange(process, first)

    assert (await process.events()).count("admin.session.minted") == 2


async def test_sign_out_ends_the_session_and_clears_the_cookie(process: AdminProcess) -> None:
    """204, the token is dead, and the browser forgets the cookie under the same attributes."""
    await process.add(Role.SUPPORT)
    token = token_of(await exchange(process))

    response = await sign_out(process, token)

    assert response.status == 204
    assert response.headers.getall("Set-Cookie") == [f"ax_token=; Max-Age=0; {ATTRIBUTES}"]
    assert (await check(process, token)).status == 401
    assert (await process.rows("operator_sessions"))[0]["revoked_reason"] == "signed_out"


async def test_sign_out_without_a_session_of_ones_own(process: AdminProcess) -> None:
    """Without a cookie, with an unknown one, or with somebody else's: 204, and nobody else's session ends."""
    await process.add(Role.SUPPORT)
    await process.add()
    foreign = token_of(await exchange(process, role=Role.SUPER_ADMIN))

    bare = await process.ask("DELETE", EXCHANGE, Role.SUPPORT)
    unknown = await sign_out(process, "axs_unknown")
    other = await sign_out(process, foreign)

    assert [bare.status, unknown.status, other.status] == [204, 204, 204]
    assert all(
        response.headers["Set-Cookie"].startswith("ax_token=; ") for response in (bare, unknown, other)
    )
    assert (await check(process, foreign, Role.SUPER_ADMIN)).status == 200
    assert await process.events() == ["admin.session.minted"]


async def test_the_check_says_what_the_row_says_now(process: AdminProcess) -> None:
    """200 with operator and expiry; the role is the one of this moment, not of the mint."""
    await process.add(Role.SUPPORT)
    token = token_of(await exchange(process))
    await process.sql("UPDATE global_admins SET role = 'security' WHERE id = 'adm_support'")

    response = await check(process, token)
    answer = await response.json()

    assert response.status == 200
    assert answer["operator"]["role"] == "security"
    assert answer["operator"]["permissions"] == sorted(OPERATOR_PERMISSIONS[Role.SECURITY])
    assert "Set-Cookie" not in response.headers


async def refused(process: AdminProcess, token: str, role: Role = Role.SUPPORT) -> tuple[int, str]:
    """The answer without what differs from one request to the next."""
    response = await check(process, token, role)
    problem = {name: value for name, value in (await response.json()).items() if name != "requestId"}
    return response.status, json.dumps(problem)


async def test_the_check_is_no_oracle(process: AdminProcess) -> None:
    """Unknown, misshapen, expired, revoked, foreign and no token are one and the same 401."""
    now = process.clock.now()
    await process.add(Role.SUPPORT)
    await process.add()
    await process.hold("adm_support", "axs_old", created_at=now - timedelta(hours=8), expires_at=now)
    await process.hold("adm_support", "axs_out", revoked_at=now, revoked_reason="signed_out")
    await process.hold("adm_super_admin", "axs_foreign")
    await process.hold("adm_support", "axs_sub", access_sub="an earlier person")

    answers = {
        await refused(process, token)
        for token in (
            "axs_unknown",
            "",
            "x" * 4000,
            "axs_old",
            "axs_out",
            "axs_foreign",
            "axs_sub",
            "'\"; --",
        )
    }
    none = await process.ask("GET", CHECK, Role.SUPPORT)

    assert [status for status, _ in answers] == [401]
    assert (none.status, (await none.json())["code"]) == (401, "SESSION_INVALID")


async def test_an_operator_checks_their_own_session_only(process: AdminProcess) -> None:
    """The session must be of the operator and of the sub that ask; a process of ours may ask about any."""
    await process.add(Role.SUPPORT)
    await process.add()
    token = token_of(await exchange(process))
    strangers = (asker(), asker(Role.SUPPORT, sub="sub-other"), asker(operator_id="adm_b", sub="sub-support"))

    for one in strangers:
        with pytest.raises(SessionInvalidError):
            await process.services.sessions.check(one.actor, token)

    for identity in (asker(Role.SUPPORT).actor, SIDECAR):
        assert (await process.services.sessions.check(identity, token)).operator.id == "adm_support"


async def test_two_tokens_to_check_are_none(sqlite_process: AdminProcess) -> None:
    """A request that names two tokens is ambiguous: which one counts is not ours to guess."""
    await sqlite_process.add(Role.SUPPORT)
    token = token_of(await exchange(sqlite_process))
    proof = sqlite_process.vouch.headers(Role.SUPPORT, audience="admin_service", target=CHECK)

    response = await sqlite_process.client.get(
        CHECK, headers=[*proof.items(), ("X-AX-Token", token), ("X-AX-Token", token)]
    )

    assert response.status == 401


async def test_a_session_dies_with_its_operator(process: AdminProcess) -> None:
    """R-064, R-133: deactivation revokes every session in its transaction, and the log names each."""
    await process.add()
    await process.add(Role.SUPPORT)
    tokens = [token_of(await exchange(process)) for _ in range(2)]
    await process.ask("POST", f"{OPERATORS}/adm_support/deactivate")

    rows = await process.rows("operator_sessions")
    assert {row["revoked_reason"] for row in rows} == {"deactivated"}
    assert (await process.events())[2:] == [
        "admin.session.revoked",
        "admin.session.revoked",
        "admin.operator.deactivated",
    ]
    for token in tokens:
        assert (await check(process, token)).status == 403  # their own identity opens nothing any more
        with pytest.raises(SessionInvalidError):
            await process.services.sessions.check(SIDECAR, token)


@pytest.mark.parametrize("change", ["deactivated_at = created_at", "cf_access_sub = 'somebody'"])
async def test_a_session_of_a_row_that_changed_by_sql_is_dead(process: AdminProcess, change: str) -> None:
    """The check asks the operator's row itself: a session outlives neither deactivation nor rebinding."""
    await process.add(Role.SUPPORT)
    token = token_of(await exchange(process))
    assert (await process.services.sessions.check(SIDECAR, token)).operator.id == "adm_support"

    await process.sql(f"UPDATE global_admins SET {change} WHERE id = 'adm_support'")

    with pytest.raises(SessionInvalidError):
        await process.services.sessions.check(SIDECAR, token)


async def test_one_operator_has_a_bounded_number_of_sessions(process: AdminProcess) -> None:
    """The twenty-first session ends the oldest, and the log says so."""
    await process.add(Role.SUPPORT)
    tokens = []
    for _ in range(MOST_LIVE + 1):
        tokens.append(token_of(await exchange(process)))
        process.clock.advance(1)

    assert (await check(process, tokens[0])).status == 401
    assert (await check(process, tokens[1])).status == 200
    assert len(await process.live_sessions("adm_support")) == MOST_LIVE
    assert (await process.events()).count("admin.session.revoked") == 1


async def test_dead_rows_are_swept_in_passing(process: AdminProcess) -> None:
    """A mint deletes anybody's expired rows and one's own long revoked ones, a hundred at most."""
    now = process.clock.now()
    await process.add(Role.SUPPORT)
    await process.add()
    for number in range(102):
        created = now - timedelta(hours=9)
        await process.hold(
            "adm_super_admin", f"axs_{number}", created_at=created, expires_at=created + timedelta(hours=8)
        )
    await exchange(process)
    assert len(await process.rows("operator_sessions")) == 3

    token = token_of(await exchange(process))
    await exchange(process, token)
    process.clock.advance(601)
    await exchange(process)

    assert {row["revoked_reason"] for row in await process.rows("operator_sessions")} == {None}


async def test_a_check_notes_when_a_session_was_seen(process: AdminProcess) -> None:
    """`last_seen_at` moves at most once a minute, and its failure fails no check (R-065)."""
    await process.add(Role.SUPPORT)
    token = token_of(await exchange(process))
    minted = (await process.rows("operator_sessions"))[0]["last_seen_at"]
    process.clock.advance(59)
    await check(process, token)
    assert (await process.rows("operator_sessions"))[0]["last_seen_at"] == minted

    process.clock.advance(1)
    await check(process, token)
    assert (await process.rows("operator_sessions"))[0]["last_seen_at"] != minted


async def test_a_check_outlives_a_note_that_fails(
    sqlite_process: AdminProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R-065: what cannot be noted in the background does not fail the question."""
    await sqlite_process.add(Role.SUPPORT)
    token = token_of(await exchange(sqlite_process))
    sqlite_process.clock.advance(60)

    async def away(*_arguments: object) -> None:
        raise UnavailableError("DATABASE_UNAVAILABLE", "away")

    monkeypatch.setattr(sqlite_process.services.sessions._sessions, "mark_seen", away)

    assert (await check(sqlite_process, token)).status == 200


async def test_no_audit_row_no_session(process: AdminProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the audit row cannot be written there is no session and no cookie (data-model 2.6)."""
    await process.add(Role.SUPPORT)

    async def no_audit(*_arguments: object) -> None:
        raise UnavailableError("DATABASE_UNAVAILABLE", "away")

    monkeypatch.setattr(process.services.sessions._recorder, "record", no_audit)
    response = await exchange(process)

    assert response.status == 503
    assert "Set-Cookie" not in response.headers
    assert await process.rows("operator_sessions") == []


async def test_only_operators_exchange(sqlite_process: AdminProcess) -> None:
    """R-163: a person without a row, a deactivated one and a process get no session and no cookie."""
    await sqlite_process.add(Role.SUPPORT, deactivated_at=sqlite_process.clock.now())

    person = await sqlite_process.ask("POST", EXCHANGE, None)
    machine = await sqlite_process.ask_as_sidecar("POST", EXCHANGE)
    gone = await exchange(sqlite_process)
    nobody = await sqlite_process.client.post(EXCHANGE)

    assert [one.status for one in (person, machine, gone, nobody)] == [403, 403, 403, 401]
    assert all("Set-Cookie" not in one.headers for one in (person, machine, gone, nobody))
    assert (await gone.json())["code"] == "ACCOUNT_DEACTIVATED"


async def test_a_token_is_no_identity(sqlite_process: AdminProcess) -> None:
    """A cookie without a proven identity opens nothing: the proof makes the session, never the reverse."""
    await sqlite_process.add(Role.SUPPORT)
    token = token_of(await exchange(sqlite_process))

    for target in ("/api/admin/me", CHECK, EXCHANGE):
        headers = {"Cookie": f"ax_token={token}", "X-AX-Token": token}
        assert (await sqlite_process.client.get(target, headers=headers)).status == 401


async def test_no_answer_row_or_log_line_holds_a_token(
    process: AdminProcess, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """The token stands in one Set-Cookie header, its digest in one column, and nowhere else."""
    await process.add()
    await process.add(Role.SUPPORT)
    responses = [await exchange(process)]
    tokens = [token_of(responses[0])]
    responses.append(await exchange(process, tokens[0]))
    tokens.append(token_of(responses[1]))
    responses += [await check(process, token) for token in tokens]
    responses.append(await sign_out(process, tokens[1]))
    responses.append(await process.ask("GET", "/api/admin/audit-logs?allow_partial=1"))
    responses.append(await process.ask("GET", "/manage/audit"))

    shown = "".join([await response.text() for response in responses])
    rows = [row for table in ("audit_events", "audit_pii") for row in await process.rows(table)]
    logged = "".join(capsys.readouterr()) + caplog.text
    stored = repr([{**row, "token_hash": ""} for row in await process.rows("operator_sessions")])

    assert "admin.session.minted" in shown + repr(rows)
    for token in tokens:
        for secret in (token, token.removeprefix("axs_"), hashlib.sha256(token.encode()).hexdigest()):
            assert secret not in shown + repr(rows) + logged + stored


async def test_the_cookie_may_be_renamed(sqlite_url: str) -> None:
    """C-17: with AX_TOKEN_COOKIE=__Host-ax_token that name is set, read and cleared, and no other."""
    async with admin_process(sqlite_url, AX_TOKEN_COOKIE="__Host-ax_token") as process:
        await process.add(Role.SUPPORT)
        first = await process.ask("POST", EXCHANGE, Role.SUPPORT)
        token = SimpleCookie(first.headers["Set-Cookie"])["__Host-ax_token"].value
        await exchange(process, token)  # under the old name: not read, so a second session
        assert len(await process.live_sessions("adm_support")) == 2

        cookie = {"Cookie": f"__Host-ax_token={token}"}
        ended = await process.ask("DELETE", EXCHANGE, Role.SUPPORT, headers=cookie)

    assert ended.headers["Set-Cookie"].startswith("__Host-ax_token=; Max-Age=0; ")
    assert "Domain" not in first.headers["Set-Cookie"]


async def test_no_tenant_cookie_is_read_or_set(sqlite_process: AdminProcess) -> None:
    """R-037: the tenant's cookie counts for nothing here, and no answer sets one."""
    await sqlite_process.add(Role.SUPPORT)
    tenant = {"Cookie": "__Host-tenant_session=something"}

    exchanged = await sqlite_process.ask("POST", EXCHANGE, Role.SUPPORT, headers=tenant)
    ended = await sqlite_process.ask("DELETE", EXCHANGE, Role.SUPPORT, headers=tenant)
    alone = await sqlite_process.client.get("/api/admin/me", headers=tenant)

    assert alone.status == 401
    for response in (exchanged, ended, alone):
        assert "tenant_session" not in str(response.headers)
