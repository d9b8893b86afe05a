"""Rules under every interleaving: one winner per token, never zero super_admins, one seed (R-062, R-079)."""

import asyncio
import os

import pytest

from admin_service.enrollment.errors import EnrollmentLimitedError, EnrollmentRefusedError
from admin_service.enrollment.models import Claimant
from admin_service.operators.errors import AlreadySeededError, OperatorExistsError
from admin_service.operators.models import NewOperator
from service_kit.errors import ProblemError, UnavailableError
from service_kit.identity.model import Role
from tests.integration.admin_service.admin_process import ORIGIN, AdminProcess, asker

ROUNDS = int(os.environ.get("RACE_ROUNDS", "15"))
CLAIMANTS = 6


async def test_of_many_concurrent_claims_one_wins(process: AdminProcess) -> None:
    """N people with the same token: exactly one is enrolled, the others are refused (R-062, R-134)."""

    async def claim(number: int, sub: str) -> bool:
        claimant = Claimant(sub, f"r{number}@example.com")
        try:
            await process.services.enrollment.claim(claimant, f"enr_{number}", ORIGIN)
        except EnrollmentRefusedError:
            return False
        return True

    for number in range(ROUNDS):
        await process.add_pending(f"adm_r{number}", f"enr_{number}")
        won = await asyncio.gather(*(claim(number, f"sub-{number}-{one}") for one in range(CLAIMANTS)))

        assert sum(won) == 1
    claimed = [name for name in await process.events() if name == "admin.enrollment.claimed"]

    assert len(claimed) == ROUNDS


async def test_one_person_cannot_claim_two_rows_at_once(process: AdminProcess) -> None:
    """Concurrent claims of different rows by one `sub` enroll one of them, and nothing breaks (R-060)."""
    await process.add_pending("adm_a", "enr_a", email="same@example.com")
    await process.add_pending("adm_b", "enr_b", email="same@example.com", deactivated_at=process.clock.now())
    await process.sql(
        "UPDATE global_admins SET email = 'b@example.com', deactivated_at = NULL WHERE id = 'adm_b'"
    )

    async def claim(token: str, email: str) -> bool:
        try:
            await process.services.enrollment.claim(Claimant("sub-one", email), token, ORIGIN)
        except EnrollmentRefusedError:
            return False
        return True

    won = await asyncio.gather(claim("enr_a", "same@example.com"), claim("enr_b", "b@example.com"))

    assert sum(won) == 1


async def test_concurrent_wrong_tries_do_not_get_past_the_limit(process: AdminProcess) -> None:
    """Twenty wrong tries at a time still count as five, then 429 (G-18)."""

    async def attempt() -> type[ProblemError]:
        try:
            await process.services.enrollment.claim(Claimant("sub-x", "x@example.com"), "enr_wrong", ORIGIN)
        except (EnrollmentRefusedError, EnrollmentLimitedError) as error:
            return type(error)
        raise AssertionError("a wrong token enrolled somebody")

    outcomes = await asyncio.gather(*(attempt() for _ in range(20)))

    assert outcomes.count(EnrollmentRefusedError) == 5
    assert outcomes.count(EnrollmentLimitedError) == 15


@pytest.mark.parametrize("size", [2, 4])
async def test_a_ring_of_super_admins_never_ends_at_zero(process: AdminProcess, size: int) -> None:
    """Each deactivates the next at the same time: at least one stays, nobody deadlocks (R-079)."""
    for number in range(ROUNDS):
        ring = [f"adm_{number}x{one}" for one in range(size)]
        for one in ring:
            await process.add(operator_id=one)
        if number == 0:
            continue  # the first ring stays: the rounds below must not lean on the guard's last row
        await process.sql(*(f"UPDATE global_admins SET role = 'support' WHERE id LIKE 'adm_{number - 1}x%'",))

        async def deactivate(actor: str, target: str) -> str:
            try:
                await process.services.standing.deactivate(asker(operator_id=actor), target)
            except ProblemError as error:
                return error.code
            return "DONE"

        pairs = zip(ring, ring[1:] + ring[:1], strict=True)
        codes = await asyncio.gather(*(deactivate(actor, target) for actor, target in pairs))
        left = [
            row
            for row in await process.rows("global_admins")
            if row["role"] == "super_admin" and row["deactivated_at"] is None
        ]

        assert left, codes
        assert set(codes) <= {"DONE", "ACCOUNT_DEACTIVATED"}
        assert len(left) == size - codes.count("DONE")
        assert (await process.rows("super_admin_guard"))[0]["active"] == len(left)


async def test_concurrent_creations_for_one_address(process: AdminProcess) -> None:
    """Of several creations for one address at a time one makes a row, the others are 409."""
    await process.add()
    wanted = NewOperator("new@example.com", "New", Role.SUPPORT)

    async def create() -> bool:
        try:
            await process.services.provisioning.create(asker(), wanted)
        except OperatorExistsError:
            return False
        except UnavailableError:  # it waited for the others' locks for as long as it may; nothing was done
            return await create()
        return True

    made = await asyncio.gather(*(create() for _ in range(6)))

    assert sum(made) == 1
    assert await process.events() == ["admin.operator.created", "admin.enrollment.issued"]


async def test_concurrent_seeds_make_one_operator(process: AdminProcess) -> None:
    """Of several seeding commands at a time one makes the first super_admin (R-077)."""

    async def seed(number: int) -> bool:
        wanted = NewOperator(f"a{number}@example.com", "A", Role.SUPER_ADMIN)
        try:
            await process.services.provisioning.seed(wanted)
        except AlreadySeededError:
            return False
        return True

    seeded = await asyncio.gather(*(seed(number) for number in range(6)))

    assert sum(seeded) == 1
    assert len(await process.rows("global_admins")) == 1
