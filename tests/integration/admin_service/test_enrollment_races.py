"""Claims at the same moment, at several replicas, and over a restart: one winner, five tries (G-18)."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator

import pytest

from admin_service.enrollment.errors import EnrollmentLimitedError, EnrollmentRefusedError
from admin_service.enrollment.models import MOST_TRIES, TRIES_WINDOW, Claimant
from service_kit.errors import ProblemError
from service_kit.identity.model import Role
from tests.integration.admin_service.admin_process import (
    OPERATORS,
    ORIGIN,
    AdminProcess,
    admin_process,
    asker,
)

ROUNDS = 200
CLAIMANTS = 6
Replicas = tuple[AdminProcess, AdminProcess]


@pytest.fixture
async def replicas(database_url: str) -> AsyncIterator[Replicas]:
    """Two services on one database, each with connections of its own."""
    async with (
        admin_process(database_url) as one,
        admin_process(database_url, clock=one.clock) as other,
    ):
        yield one, other


async def claim(process: AdminProcess, sub: str, email: str, token: str) -> str:
    """What came of one claim: the operator, or the name of the refusal."""
    try:
        enrolled = await process.services.enrollment.claim(Claimant(sub, email), token, ORIGIN)
    except (EnrollmentRefusedError, EnrollmentLimitedError) as error:
        return error.code
    return enrolled.operator.id


@pytest.mark.timeout(120)
async def test_of_n_concurrent_claims_exactly_one_wins(replicas: Replicas) -> None:
    """R-062, R-134: two hundred times six people claim one row at two replicas at once: one is enrolled.

    The row is the winner's, the token is dead, everybody else is refused, and each try is in the log.
    """
    for number in range(ROUNDS):
        row, token, email = f"adm_r{number}", f"enr_{number}", f"r{number}@example.com"
        await replicas[0].add_pending(row, token, role=Role.SUPPORT)
        subs = [f"sub-{number}-{one}" for one in range(CLAIMANTS)]
        outcomes = await asyncio.gather(
            *(claim(replicas[one % 2], sub, email, token) for one, sub in enumerate(subs))
        )

        assert Counter(outcomes) == {row: 1, "ENROLLMENT_REQUIRED": CLAIMANTS - 1}
        stored = await replicas[0].row(row)
        assert stored["cf_access_sub"] == subs[outcomes.index(row)]
        assert stored["enrollment_token_hash"] is None
    assert Counter(await replicas[0].events()) == {
        "admin.enrollment.claimed": ROUNDS,
        "admin.enrollment.failed": ROUNDS * (CLAIMANTS - 1),
    }


async def test_one_persons_claims_at_once_enroll_them_once(replicas: Replicas) -> None:
    """R-060, R-062: the same person in six tabs at two replicas becomes the operator once."""
    for number in range(20):
        row, token, email = f"adm_r{number}", f"enr_{number}", f"r{number}@example.com"
        await replicas[0].add_pending(row, token)
        tabs = (claim(replicas[tab % 2], f"sub-{number}", email, token) for tab in range(4))

        assert Counter(await asyncio.gather(*tabs)) == {row: 1, "ENROLLMENT_REQUIRED": 3}


async def test_the_tries_are_counted_over_replicas_at_once(replicas: Replicas) -> None:
    """G-18: twenty wrong tries at one moment, half at each replica, are five failures and then 429."""
    tries = (claim(replicas[one % 2], "sub-x", "x@example.com", f"enr_{one}") for one in range(20))

    outcomes = Counter(await asyncio.gather(*tries))

    assert outcomes == {"ENROLLMENT_REQUIRED": MOST_TRIES, "ENROLLMENT_LIMITED": 20 - MOST_TRIES}
    assert await replicas[0].events() == ["admin.enrollment.failed"] * MOST_TRIES


async def test_the_tries_are_counted_over_a_restart(database_url: str) -> None:
    """G-18: neither another replica nor a restart gives a sixth try, and time alone gives it back."""
    async with admin_process(database_url) as first:
        await first.add_pending("adm_new", "enr_right", expires_in=7200, email="new@example.com")
        for _ in range(MOST_TRIES - 1):
            await claim(first, "sub-new", "new@example.com", "enr_wrong")
    async with admin_process(database_url, clock=first.clock) as second:
        assert await claim(second, "sub-new", "new@example.com", "enr_wrong") == "ENROLLMENT_REQUIRED"
        assert await claim(second, "sub-new", "new@example.com", "enr_right") == "ENROLLMENT_LIMITED"
    first.clock.advance(TRIES_WINDOW.total_seconds())
    async with admin_process(database_url, clock=first.clock) as third:
        assert await claim(third, "sub-new", "new@example.com", "enr_right") == "adm_new"


async def test_a_claim_and_a_deactivation_at_once(replicas: Replicas) -> None:
    """G-17, R-064: whichever comes first, a deactivated row is nobody's way in, and nothing breaks."""
    await replicas[0].add()
    outcomes = Counter[str]()
    for number in range(30):
        row, token = f"adm_r{number}", f"enr_{number}"
        await replicas[0].add_pending(row, token, role=Role.SUPPORT)
        claimed, _ = await asyncio.gather(
            claim(replicas[0], f"sub-{number}", f"r{number}@example.com", token),
            replicas[1].ask("POST", f"{OPERATORS}/{row}/deactivate", body={}),
        )
        outcomes["claimed" if claimed == row else claimed] += 1
        stored = await replicas[0].row(row)

        assert stored["deactivated_at"] is not None
        assert (stored["cf_access_sub"] is not None) is (claimed == row)
        assert stored["enrollment_token_hash"] is None
    assert set(outcomes) <= {"claimed", "ENROLLMENT_REQUIRED"}


async def test_a_claim_and_a_new_token_at_once(replicas: Replicas) -> None:
    """R-070, R-062: the old token won and no new one is issued, or it is dead and the new one works."""
    await replicas[0].add()
    outcomes = Counter[str]()
    for number in range(30):
        row, old, email = f"adm_r{number}", f"enr_{number}", f"r{number}@example.com"
        await replicas[0].add_pending(row, old, role=Role.SUPPORT)
        claimed, reissued = await asyncio.gather(
            claim(replicas[0], f"sub-{number}", email, old),
            replicas[1].ask("POST", f"{OPERATORS}/{row}/reissue-enrollment", body={}),
        )
        answer = await reissued.json()
        if claimed == row:
            outcomes["claimed"] += 1
            assert (reissued.status, answer["code"]) == (409, "ALREADY_ENROLLED")
        else:
            outcomes["reissued"] += 1
            assert (claimed, reissued.status) == ("ENROLLMENT_REQUIRED", 200)
            assert await claim(replicas[0], f"sub-{number}", email, answer["enrollmentToken"]) == row
    assert outcomes.total() == 30


async def test_no_session_survives_a_rebinding(replicas: Replicas) -> None:
    """G-09, R-064: whichever comes first, after both the earlier person has no live session."""
    await replicas[0].add()
    outcomes = Counter[str]()

    async def mint(process: AdminProcess, row: str) -> str:
        try:
            await process.services.sessions.exchange(asker(operator_id=row))
        except ProblemError as error:
            return error.code
        return "minted"

    for number in range(30):
        row = await replicas[0].add(Role.SUPPORT, operator_id=f"adm_r{number}")
        rebind = {"rebind": True, "confirm": f"r{number}@example.com"}
        first, rebound, second = await asyncio.gather(
            mint(replicas[0], row),
            replicas[1].ask("POST", f"{OPERATORS}/{row}/reissue-enrollment", body=rebind),
            mint(replicas[0], row),
        )
        outcomes.update((first, second))

        assert rebound.status == 200
        assert await replicas[0].live_sessions(row) == []
    assert set(outcomes) <= {"minted", "ENROLLMENT_REQUIRED"}


async def test_a_failed_try_tells_the_log_why_and_nobody_else(replicas: Replicas) -> None:
    """R-135, G-18: the audit row names person, address, row and cause; the token stands nowhere."""
    process = replicas[0]
    await process.add_pending("adm_new", "enr_right", email="new@example.com")

    assert await claim(process, "sub-thief", "thief@example.com", "enr_right") == "ENROLLMENT_REQUIRED"
    (row,), (person,) = await process.rows("audit_events"), await process.rows("audit_pii")
    details = row["details"] if isinstance(row["details"], dict) else json.loads(row["details"])

    assert (row["actor_id"], row["resource_id"], row["outcome"]) == ("sub-thief", "adm_new", "denied")
    assert "other_email" in details.values()
    assert person["actor_email"] == "thief@example.com"
    assert "enr_right" not in repr(row) + repr(person)


async def test_an_unnamed_failure_of_a_claim_is_no_try(replicas: Replicas) -> None:
    """G-18: when the audit row cannot be written nobody is enrolled and no try is counted: all or nothing."""
    process = replicas[0]
    await process.add_pending("adm_new", "enr_right", email="new@example.com")

    async def no_audit(*_arguments: object) -> None:
        raise ProblemError("AUDIT_WRITE_FAILED", "away")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(process.services.enrollment._recorder, "record", no_audit)
        for token in ("enr_right", "enr_wrong"):
            with pytest.raises(ProblemError, match="AUDIT_WRITE_FAILED"):
                await process.services.enrollment.claim(Claimant("sub-new", "new@example.com"), token, ORIGIN)

    assert await process.rows("enrollment_attempts") == []
    assert await claim(replicas[1], "sub-new", "new@example.com", "enr_right") == "adm_new"
