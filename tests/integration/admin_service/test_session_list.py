"""Operators' sessions as a list, and ended from it; and how many an operator may ask for (R-064, R-130)."""

import asyncio
import re
from datetime import timedelta

import pytest

from admin_service.operators.errors import (
    AccountDeactivatedError,
    EnrollmentRequiredError,
    OperatorNotFoundError,
)
from admin_service.sessions.errors import MintingLimitedError, SessionInvalidError, SessionNotFoundError
from admin_service.sessions.models import MINTS_WINDOW, MOST_MINTS, REVOKED_KEPT, EndCause
from service_kit.audit.events import Actor
from service_kit.errors import ForbiddenError, ProblemError
from service_kit.identity.model import Role
from tests.integration.admin_service.admin_process import EXCHANGE, AdminProcess, admin_process, asker

SUPPORT = asker(Role.SUPPORT)


async def mint(process: AdminProcess, role: Role = Role.SUPPORT, *tokens: str) -> str:
    return (await process.services.sessions.exchange(asker(role), tokens)).token


async def ids(process: AdminProcess, operator_id: str = "adm_support") -> list[str]:
    return [one.id for one in await process.services.sessions.list_of(asker(), operator_id)]


async def causes(process: AdminProcess) -> list[tuple[str, str]]:
    """Who ended what for which cause, as the audit log says it."""
    rows = sorted(await process.rows("audit_events"), key=lambda row: row["chain_seq"])
    ended = [row for row in rows if row["event"] == "admin.session.revoked"]
    found = [re.search(r"""['"]cause['"]: ?['"](\w+)""", str(row["details"])) for row in ended]
    return [
        (row["actor_id"], cause.group(1) if cause else "") for row, cause in zip(ended, found, strict=True)
    ]


async def test_the_list_shows_sessions_and_no_credential(process: AdminProcess) -> None:
    """R-130: one entry a session with where and when, the last used first; no token and no digest."""
    await process.add()
    await process.add(Role.SUPPORT)
    first = await mint(process)
    process.clock.advance(60)
    second = await mint(process)
    process.clock.advance(60)
    await process.services.sessions.check(SUPPORT.actor, first)

    shown = await process.services.sessions.list_of(asker(), "adm_support")
    minted = [row["resource_id"] for row in await process.rows("audit_events")]
    newest = shown[0]

    assert sorted(one.id for one in shown) == sorted(minted)
    assert newest.last_seen_at == process.clock.now()
    assert newest.expires_at == newest.renewed_at + timedelta(hours=8)
    assert (newest.ip, newest.user_agent) == ("192.0.2.7", "test agent")
    for row in await process.rows("operator_sessions"):
        assert row["token_hash"] not in repr(shown)
    assert first not in repr(shown)
    assert second not in repr(shown)


async def test_a_renewed_session_stays_one_entry_under_one_id(process: AdminProcess) -> None:
    """R-166: neither a renewal nor two tabs at once make a second entry, and over ones are not listed."""
    await process.add()
    await process.add(Role.SUPPORT)
    token = await mint(process)
    before = await ids(process)
    await mint(process, Role.SUPPORT, token)
    await mint(process, Role.SUPPORT, token)
    assert len(await process.live_sessions("adm_support")) == 2

    assert await ids(process) == before
    process.clock.advance(8 * 3600)
    assert await ids(process) == []


async def test_one_session_is_ended_from_the_list(process: AdminProcess) -> None:
    """R-130: the one that was chosen dies at once, in both tabs; the others and their owner go on."""
    await process.add()
    await process.add(Role.SUPPORT)
    chosen = await mint(process)
    (target,) = await ids(process)
    other = await mint(process)
    tab, late = await mint(process, Role.SUPPORT, chosen), await mint(process, Role.SUPPORT, chosen)
    sessions = process.services.sessions

    await sessions.end_one(asker(), "adm_support", target)

    for token in (tab, late):
        with pytest.raises(SessionInvalidError):
            await sessions.check(SUPPORT.actor, token)
    assert (await sessions.check(SUPPORT.actor, other)).operator.id == "adm_support"
    assert await causes(process) == [("adm_super_admin", "ended")]
    assert {row["revoked_reason"] for row in await process.rows("operator_sessions")} == {
        None,
        "rotated",
        "signed_out",
    }
    with pytest.raises(SessionNotFoundError):
        await sessions.end_one(asker(), "adm_support", target)


async def test_a_session_that_was_ended_is_not_continued_by_its_token(process: AdminProcess) -> None:
    """R-130: the browser whose session was ended gets a new one, recorded as such, not the old one back."""
    await process.add()
    await process.add(Role.SUPPORT)
    token = await mint(process)
    (old,) = await ids(process)
    await process.services.sessions.end_one(asker(), "adm_support", old)

    await mint(process, Role.SUPPORT, token)

    assert await ids(process) != [old]
    assert (await process.events()).count("admin.session.minted") == 2


async def test_all_sessions_of_one_operator_are_ended(process: AdminProcess) -> None:
    """R-130: every session of the one operator, one audit row for each, nobody else's; a repeat ends none."""
    await process.add()
    await process.add(Role.SUPPORT)
    tokens = [await mint(process) for _ in range(3)]
    own = await mint(process, Role.SUPER_ADMIN)
    sessions = process.services.sessions

    assert await sessions.end_all_of(asker(), "adm_support") == 3
    assert await sessions.end_all_of(asker(), "adm_support") == 0

    for token in tokens:
        with pytest.raises(SessionInvalidError):
            await sessions.check(SUPPORT.actor, token)
    assert (await sessions.check(asker().actor, own)).operator.id == "adm_super_admin"
    assert await causes(process) == [("adm_super_admin", "ended")] * 3


async def test_everybody_may_see_and_end_their_own(process: AdminProcess) -> None:
    """R-072, R-073: one's own sessions need no permission, anybody else's need the one to manage operators.

    Who may not ask gets the same answer for an operator that exists and for one that does not.
    """
    await process.add()
    await process.add(Role.SUPPORT)
    await mint(process)
    await mint(process, Role.SUPER_ADMIN)
    sessions = process.services.sessions

    (own,) = await sessions.list_of(SUPPORT, "adm_support")
    for foreign in ("adm_super_admin", "adm_nobody"):
        for refused in (
            sessions.list_of(SUPPORT, foreign),
            sessions.end_one(SUPPORT, foreign, own.id),
            sessions.end_all_of(SUPPORT, foreign),
        ):
            with pytest.raises(ForbiddenError, match="PERMISSION_DENIED"):
                await refused
    with pytest.raises(OperatorNotFoundError):
        await sessions.list_of(asker(), "adm_nobody")
    with pytest.raises(SessionNotFoundError):
        await sessions.end_one(asker(), "adm_super_admin", own.id)  # somebody else's id under this operator
    assert await causes(process) == []

    await sessions.end_one(SUPPORT, "adm_support", own.id)
    assert await causes(process) == [("adm_support", "ended")]


async def test_the_row_decides_who_may_end_sessions(process: AdminProcess) -> None:
    """R-064, R-039: a role that was taken away, a deactivation or a new subject counts in the transaction."""
    await process.add()
    await process.add(operator_id="adm_b")
    await process.add(Role.SUPPORT)
    await mint(process)
    sessions, tries = process.services.sessions, ("list_of", "end_all_of")
    cases: tuple[tuple[str, type[ProblemError]], ...] = (
        ("role = 'read_only'", ForbiddenError),
        ("cf_access_sub = 'another'", EnrollmentRequiredError),
        ("deactivated_at = created_at", AccountDeactivatedError),
    )
    for change, refusal in cases:
        await process.sql(f"UPDATE global_admins SET {change} WHERE id = 'adm_super_admin'")
        for name in tries:
            with pytest.raises(refusal):
                await getattr(sessions, name)(asker(), "adm_support")

    assert len(await process.live_sessions("adm_support")) == 1


async def test_sessions_end_within_another_change(process: AdminProcess) -> None:
    """G-09: what binds a row anew ends its sessions in its own transaction, and the log says why."""
    await process.add()
    await process.add(Role.SUPPORT)
    await mint(process)
    by = Actor.of(asker().actor)

    async with process.database.write() as session:
        await process.services.sessions.end_all(session, "adm_support", by, None, cause=EndCause.REBOUND)

    assert await causes(process) == [("adm_super_admin", "rebound")]
    assert await process.live_sessions("adm_support") == []


async def test_ending_twice_at_once_is_recorded_once(process: AdminProcess) -> None:
    """Whoever of two comes second finds nothing to end: one audit row a session."""
    await process.add()
    await process.add(operator_id="adm_b")
    await process.add(Role.SUPPORT)
    sessions = process.services.sessions
    for _ in range(10):
        await mint(process)
        ended = await asyncio.gather(
            sessions.end_all_of(asker(), "adm_support"),
            sessions.end_all_of(asker(operator_id="adm_b"), "adm_support"),
            sessions.end_all_of(SUPPORT, "adm_support"),
        )
        assert sorted(ended) == [0, 0, 1]
        process.clock.advance(2)

    assert len(await causes(process)) == 10


async def test_minting_is_limited_for_each_operator(process: AdminProcess) -> None:
    """R-163: the 61st session of a minute is 429 with the time to wait; others and later ones are served."""
    await process.add()
    await process.add(Role.SUPPORT)
    for _ in range(MOST_MINTS):
        await mint(process)
    rows, events = await process.rows("operator_sessions"), await process.events()
    process.clock.advance(20)

    limited = await process.ask("POST", EXCHANGE, Role.SUPPORT)
    other = await process.ask("POST", EXCHANGE)

    assert limited.status == 429
    assert (await limited.json())["code"] == "RATE_LIMITED"
    assert limited.headers["Retry-After"] == "40"
    assert limited.headers["RateLimit-Policy"] == '"session-mint";q=60;w=60'
    assert limited.headers["RateLimit"] == '"session-mint";r=0;t=40'
    assert "Set-Cookie" not in limited.headers
    assert other.status == 200
    assert other.headers["RateLimit"] == '"session-mint";r=59;t=60'
    mine = [row for row in await process.rows("operator_sessions") if row["admin_id"] == "adm_support"]
    assert len(mine) == len(rows)
    assert (await process.events())[:-1] == events

    process.clock.advance(40)
    assert (await process.ask("POST", EXCHANGE, Role.SUPPORT)).status == 200


async def test_renewals_and_rapid_sign_outs_count_too(process: AdminProcess) -> None:
    """R-163, R-166: a loop that renews, or signs out and in again, is limited like one that only mints."""
    await process.add(Role.SUPPORT)
    sessions, token = process.services.sessions, await mint(process)
    for number in range(MOST_MINTS - 1):
        token = await mint(process, Role.SUPPORT, token)
        if number % 2:
            await sessions.end(SUPPORT, [token])

    with pytest.raises(MintingLimitedError):
        await sessions.exchange(SUPPORT, [token])
    await sessions.end(SUPPORT, [token])  # signing out is never limited


async def test_many_at_once_do_not_get_past_the_limit(process: AdminProcess) -> None:
    """R-163: a hundred mints at one moment are sixty sessions made, not one more."""
    await process.add(Role.SUPPORT)

    async def made() -> bool:
        try:
            await process.services.sessions.exchange(SUPPORT)
        except MintingLimitedError:
            return False
        return True

    assert sum(await asyncio.gather(*(made() for _ in range(MOST_MINTS + 40)))) == MOST_MINTS


async def test_the_limit_holds_over_replicas_and_restarts(database_url: str) -> None:
    """R-163: the database counts: another process, or the same after a restart, knows what was minted."""
    async with admin_process(database_url) as first:
        await first.add(Role.SUPPORT)
        for _ in range(MOST_MINTS - 1):
            await mint(first)
        async with admin_process(database_url, clock=first.clock) as second:
            await mint(second)
            with pytest.raises(MintingLimitedError):
                await mint(first)
    async with admin_process(database_url, clock=first.clock) as again:
        with pytest.raises(MintingLimitedError):
            await mint(again)


def test_what_is_counted_is_still_there() -> None:
    """A row that was revoked is kept for longer than it counts, or sweeping would lift the limit."""
    assert MINTS_WINDOW < REVOKED_KEPT
