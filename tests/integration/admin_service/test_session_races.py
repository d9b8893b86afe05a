"""Sessions under every interleaving: one chain, a bounded number, none after a deactivation."""

import asyncio
import os

from admin_service.operators.errors import AccountDeactivatedError
from admin_service.sessions.models import MOST_LIVE
from service_kit.identity.model import Role
from tests.integration.admin_service.admin_process import AdminProcess, asker

ROUNDS = int(os.environ.get("RACE_ROUNDS", "15"))


async def test_concurrent_renewals_of_one_token_leave_one_chain(process: AdminProcess) -> None:
    """R-166: of several renewals of one token at once each is answered, and they continue one session."""
    await process.add(Role.SUPPORT)
    sessions, caller = process.services.sessions, asker(Role.SUPPORT)
    minted = await sessions.exchange(caller)

    for _ in range(ROUNDS):
        old = minted.token
        answers = await asyncio.gather(*(sessions.exchange(caller, [old]) for _ in range(4)))
        minted = answers[-1]
        live = await process.live_sessions("adm_support")

        assert len({row["chain_id"] for row in live}) == 1
        assert len(live) == len(answers)
        for one in answers:
            await sessions.check(caller.actor, one.token)
        process.clock.advance(11)
        minted = await sessions.exchange(caller, [minted.token])
        assert len(await process.live_sessions("adm_support")) == 1
    assert await process.events() == ["admin.session.minted"]


async def test_concurrent_mints_stay_within_the_bound(process: AdminProcess) -> None:
    """Thirty mints at once leave no more than twenty live sessions."""
    await process.add(Role.SUPPORT)
    sessions, caller = process.services.sessions, asker(Role.SUPPORT)

    await asyncio.gather(*(sessions.exchange(caller) for _ in range(MOST_LIVE + 10)))

    assert len(await process.live_sessions("adm_support")) == MOST_LIVE
    assert (await process.events()).count("admin.session.revoked") == 10


async def test_no_session_survives_a_deactivation(process: AdminProcess) -> None:
    """R-064, R-133: whichever comes first, after both a deactivated operator has no live session."""
    await process.add()
    outcomes = set()

    async def mint(operator_id: str) -> bool:
        try:
            await process.services.sessions.exchange(asker(operator_id=operator_id))
        except AccountDeactivatedError:
            return False
        return True

    for number in range(ROUNDS):
        operator_id = await process.add(operator_id=f"adm_r{number}")
        deactivation = process.services.standing.deactivate(asker(), operator_id)
        tries = [mint(operator_id), mint(operator_id)]
        first, _, second = await asyncio.gather(tries[0], deactivation, tries[1])
        outcomes |= {first, second}

        assert await process.live_sessions(operator_id) == []
    assert outcomes <= {True, False}


async def test_a_sign_out_and_a_renewal_at_once(process: AdminProcess) -> None:
    """Whichever comes first, the token itself is dead and nothing breaks."""
    await process.add(Role.SUPPORT)
    sessions, caller = process.services.sessions, asker(Role.SUPPORT)

    for _ in range(ROUNDS):
        old = (await sessions.exchange(caller)).token
        renewed, _ = await asyncio.gather(sessions.exchange(caller, [old]), sessions.end(caller, [old]))
        digests = {row["token_hash"]: row for row in await process.rows("operator_sessions")}

        assert sum(row["revoked_at"] is None for row in digests.values()) <= 1
        await sessions.end(caller, [renewed.token])
        assert await process.live_sessions("adm_support") == []
        process.clock.advance(3)  # or the limit of mints a minute would end the rounds


async def test_operators_sweep_beside_each_other(process: AdminProcess) -> None:
    """Several operators who mint at once delete the same expired rows, and nobody waits in a circle."""
    names = [await process.add(operator_id=f"adm_{number}") for number in range(6)]

    for _ in range(ROUNDS):
        for number, name in enumerate(names):
            await process.hold(name, f"axs_{number}_{process.clock.now().timestamp()}")
        process.clock.advance(8 * 3600)
        await asyncio.gather(*(process.services.sessions.exchange(asker(operator_id=name)) for name in names))

        live = [row for row in await process.rows("operator_sessions") if row["created_at"] is not None]
        assert len(live) == len(names)
        process.clock.advance(1)
