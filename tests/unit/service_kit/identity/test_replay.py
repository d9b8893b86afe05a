"""Single-use tokens: exactly once, also in parallel, and refused when memory is full."""

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from service_kit.identity.replay import MemoryReplayGuard
from tests.fakes.clock import FrozenClock
from tests.unit.service_kit.identity.forging import NOW


async def test_a_token_is_used_once() -> None:
    """R-005: the second use is refused, also a moment before it expires."""
    clock = FrozenClock()
    guard = MemoryReplayGuard(clock)

    assert await guard.first_use("a", NOW + 30)
    clock.advance(29.9)
    assert not await guard.first_use("a", NOW + 30)
    assert await guard.first_use("b", NOW + 60)


async def test_of_a_hundred_uses_at_once_one_wins() -> None:
    """Nothing between the look and the note lets a second one in."""
    guard = MemoryReplayGuard(FrozenClock())
    uses = await asyncio.gather(*(guard.first_use("a", NOW + 30) for _ in range(100)))

    assert sum(uses) == 1


async def test_a_full_memory_makes_room_only_by_what_expired() -> None:
    """A live token is never forgotten: while all are live, a new one is refused."""
    clock = FrozenClock()
    guard = MemoryReplayGuard(clock, most_tokens=2)
    await guard.first_use("short", NOW + 10)
    await guard.first_use("long", NOW + 40)

    assert not await guard.first_use("new", NOW + 30)
    clock.advance(11)
    assert await guard.first_use("new", NOW + 41)
    assert not await guard.first_use("long", NOW + 40)


async def test_a_token_is_remembered_through_the_second_in_which_it_expires() -> None:
    """A full guard makes room only by what expired before now."""
    clock = FrozenClock()
    guard = MemoryReplayGuard(clock, most_tokens=1)
    await guard.first_use("a", NOW + 10)
    clock.advance(10)

    assert not await guard.first_use("b", NOW + 40)
    clock.advance(0.001)
    assert await guard.first_use("b", NOW + 40)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("abcdefgh"), st.integers(1, 20), st.floats(0, 5)), max_size=40))
def test_no_history_lets_a_live_token_in_twice(uses: list[tuple[str, int, float]]) -> None:
    """Whatever comes in whatever order, a token that is still good is never accepted again."""

    async def run() -> None:
        clock = FrozenClock()
        guard = MemoryReplayGuard(clock, most_tokens=3)
        live: dict[str, int] = {}
        for token, lifetime, wait in uses:
            clock.advance(wait)
            expires_at = int(clock.now().timestamp()) + lifetime
            if await guard.first_use(token, expires_at):
                assert live.get(token, 0) < clock.now().timestamp()
                live[token] = expires_at

    asyncio.run(run())
