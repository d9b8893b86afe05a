"""Operators who change each other at the same moment: never zero active super_admins (R-079, G-08)."""

import asyncio
from collections.abc import Awaitable, Callable
from itertools import product

import pytest
from sqlalchemy.exc import DBAPIError

from admin_service.operators.break_glass import BrokenGlass
from admin_service.operators.models import NewOperator
from service_kit.errors import ProblemError
from service_kit.identity.model import OPERATOR_PERMISSIONS, Role
from tests.integration.admin_service.admin_process import AdminProcess, asker

Act = Callable[[AdminProcess, str, str], Awaitable[object]]
LOST_STANDING = {"ACCOUNT_DEACTIVATED", "PERMISSION_DENIED", "ENROLLMENT_REQUIRED"}
"""What who asks is told when somebody else was faster."""
TARGET_GONE = {"OPERATOR_DEACTIVATED", "VERSION_CONFLICT"}


async def deactivate(process: AdminProcess, actor: str, target: str) -> object:
    return await process.services.standing.deactivate(asker(operator_id=actor), target)


async def demote(process: AdminProcess, actor: str, target: str) -> object:
    return await process.services.standing.change_role(
        asker(operator_id=actor), target, Role.SUPPORT, reason="race", expected={1}
    )


async def rebind(process: AdminProcess, actor: str, target: str) -> object:
    return await process.services.provisioning.reissue(
        asker(operator_id=actor), target, rebind=True, confirm=f"{target.removeprefix('adm_')}@example.com"
    )


async def unbind_by_sql(process: AdminProcess, _actor: str, target: str) -> None:
    await process.sql(f"UPDATE global_admins SET cf_access_sub = NULL WHERE id = '{target}'")


async def delete_by_sql(process: AdminProcess, _actor: str, target: str) -> None:
    await process.sql(f"DELETE FROM global_admins WHERE id = '{target}'")


ACTS: tuple[Act, ...] = (deactivate, demote, rebind)
RAW: tuple[Act, ...] = (unbind_by_sql, delete_by_sql)


async def outcome(process: AdminProcess, act: Act, actor: str, target: str) -> str:
    try:
        await act(process, actor, target)
    except ProblemError as error:
        return error.code
    except DBAPIError:
        return "REFUSED_BY_THE_DATABASE"
    return "DONE"


async def active(process: AdminProcess) -> int:
    """Counted from the rows; the guard's own number must be the same."""
    count: int = sum(
        row["role"] == "super_admin" and row["cf_access_sub"] is not None and row["deactivated_at"] is None
        for row in await process.rows("global_admins")
    )
    assert (await process.rows("super_admin_guard"))[0]["active"] == count
    return count


async def new_ring(process: AdminProcess, number: int, size: int) -> list[str]:
    """A ring of super_admins who are the only ones: nothing else keeps the count above zero."""
    ring = [f"adm_{number}x{one}" for one in range(size)]
    for one in ring:
        await process.add(operator_id=one)
    if number:
        await process.sql(f"UPDATE global_admins SET role = 'support' WHERE id NOT LIKE 'adm_{number}x%'")
    return ring


@pytest.mark.timeout(120)
@pytest.mark.parametrize("size", [2, 3])
async def test_a_ring_in_every_mixture_of_acts(process: AdminProcess, size: int) -> None:
    """R-079: each deactivates, demotes or rebinds the next, at once, in every mixture; nobody deadlocks."""
    for number, acts in enumerate(product(ACTS, repeat=size)):
        ring = await new_ring(process, number, size)
        pairs = zip(acts, ring, ring[1:] + ring[:1], strict=True)
        codes = await asyncio.gather(*(outcome(process, *pair) for pair in pairs))

        assert await active(process) == size - codes.count("DONE") >= 1, (acts, codes)
        assert codes.count("DONE") >= 1
        assert set(codes) <= {"DONE", *LOST_STANDING, *TARGET_GONE}


@pytest.mark.timeout(120)
async def test_operators_and_raw_sql_at_once(process: AdminProcess) -> None:
    """R-079: raw SQL beside the service: the database refuses what the service did not see coming."""
    for number, acts in enumerate(product((*ACTS, *RAW), repeat=2)):
        ring = await new_ring(process, number, 2)
        pairs = zip(acts, ring, ring[1:] + ring[:1], strict=True)
        codes = await asyncio.gather(*(outcome(process, *pair) for pair in pairs))

        assert await active(process) >= 1, (acts, codes)
        allowed = {
            "DONE",
            "REFUSED_BY_THE_DATABASE",
            "LAST_SUPER_ADMIN",
            "OPERATOR_NOT_FOUND",
            "ALREADY_ENROLLED",
        }
        assert set(codes) <= allowed | LOST_STANDING | TARGET_GONE


@pytest.mark.timeout(120)
async def test_everybody_against_everybody_and_a_command_on_the_host(process: AdminProcess) -> None:
    """R-079, G-09: four operators, each against the three others, while break-glass runs for one of them."""
    for number in range(12):
        ring = await new_ring(process, number, 4)
        fights = [
            outcome(process, ACTS[(number + one + other) % len(ACTS)], ring[one], ring[other])
            for one, other in product(range(4), repeat=2)
            if one != other
        ]
        address = f"{number}x0@example.com"
        glass = process.services.break_glass.use(address, "N", reason="race", locked_out=True)
        *codes, done = await asyncio.gather(*fights, glass)

        assert await active(process) >= 1, codes
        assert isinstance(done, BrokenGlass)
        assert done.issued.operator.role is Role.SUPER_ADMIN
        assert set(codes) <= {
            "DONE",
            "OPERATOR_EXISTS",
            "CONFIRMATION_MISMATCH",
            *LOST_STANDING,
            *TARGET_GONE,
        }


@pytest.mark.timeout(120)
async def test_two_outsiders_against_the_last_two(
    process: AdminProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R-079: who is no super_admin loses no standing by the race, so the guard's row alone decides.

    Of the last two active super_admins exactly one falls, in every mixture of acts: the other one is
    LAST_SUPER_ADMIN, and no act is refused by the database without that clear name.
    """
    everything = OPERATOR_PERMISSIONS[Role.SUPER_ADMIN]
    matrix = {**OPERATOR_PERMISSIONS, Role.SUPPORT: everything}
    monkeypatch.setattr("admin_service.operators.changes.OPERATOR_PERMISSIONS", matrix)
    outsiders = [await process.add(Role.SUPPORT, operator_id=f"adm_o{one}") for one in range(2)]
    for number, acts in enumerate([*product((deactivate, demote), repeat=2)] * 5):
        ring = await new_ring(process, number, 2)
        triples = zip(acts, outsiders, ring, strict=True)
        codes = await asyncio.gather(*(outcome(process, *triple) for triple in triples))

        assert sorted(codes) == ["DONE", "LAST_SUPER_ADMIN"], acts
        assert await active(process) == 1


async def test_of_two_role_changes_that_saw_the_same_row_one_wins(process: AdminProcess) -> None:
    """G-01: the second one is told VERSION_CONFLICT, however close they are."""
    await process.add(operator_id="adm_a")
    await process.add(operator_id="adm_b")
    for number in range(20):
        target = await process.add(Role.SUPPORT, operator_id=f"adm_t{number}")
        wanted = ((asker(operator_id="adm_a"), Role.SECURITY), (asker(operator_id="adm_b"), Role.READ_ONLY))
        results = await asyncio.gather(
            *(
                process.services.standing.change_role(who, target, role, reason="race", expected={1})
                for who, role in wanted
            ),
            return_exceptions=True,
        )
        codes = [one.code if isinstance(one, ProblemError) else "DONE" for one in results]

        assert sorted(codes) == ["DONE", "VERSION_CONFLICT"]
        assert (await process.row(target))["version"] == 2


async def test_a_reactivation_and_a_creation_for_one_address(process: AdminProcess) -> None:
    """G-04: one live row comes of it; the other one is OPERATOR_EXISTS."""
    await process.add()
    for number in range(10):
        gone = await process.add(
            Role.SUPPORT, operator_id=f"adm_g{number}", deactivated_at=process.clock.now()
        )
        wanted = NewOperator(f"g{number}@example.com", "New", Role.SUPPORT)
        provisioning = process.services.provisioning
        results = await asyncio.gather(
            provisioning.reactivate(asker(), gone, reason="race"),
            provisioning.create(asker(), wanted),
            return_exceptions=True,
        )
        codes = [one.code if isinstance(one, ProblemError) else "DONE" for one in results]

        assert sorted(codes) == ["DONE", "OPERATOR_EXISTS"]


async def test_a_session_that_is_minted_while_the_row_is_bound_anew(process: AdminProcess) -> None:
    """G-09: it is ended with the others or never begins: the old subject holds none afterwards."""
    await process.add()
    for number in range(20):
        target = await process.add(Role.SUPPORT, operator_id=f"adm_m{number}")
        minted = process.services.sessions.exchange(asker(Role.SUPPORT, target))
        results = await asyncio.gather(
            minted, rebind(process, "adm_super_admin", target), return_exceptions=True
        )

        assert not isinstance(results[1], BaseException)
        assert await process.live_sessions(target) == []
