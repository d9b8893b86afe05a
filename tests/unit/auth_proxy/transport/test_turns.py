"""Places in a turn of the loop for those who have proven nobody."""

import asyncio
from functools import partial

from auth_proxy.transport.turns import Turns


async def test_a_turn_has_so_many_places() -> None:
    """The next one finds none, and in the next turn there are as many again."""
    turns = Turns(3)

    assert [turns.has_place() for _ in range(5)] == [True, True, True, False, False]
    await asyncio.sleep(0)
    assert [turns.has_place() for _ in range(4)] == [True, True, True, False]


async def test_who_waits_comes_in_order_and_before_who_comes_later() -> None:
    """First come, first served, a few in each turn; nobody overtakes, and everybody is called once."""
    turns, called = Turns(2), list[int]()
    for number in range(7):
        turns.wait(partial(called.append, number))
    assert not turns.has_place()
    seen = []
    while len(called) < 7:
        await asyncio.sleep(0)
        seen.append(len(called))

    assert called == list(range(7))
    steps = [after - before for before, after in zip([0, *seen], seen, strict=False)]
    assert max(steps) == 2
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert turns.has_place()


async def test_one_that_fails_costs_no_other_its_turn() -> None:
    """An error goes to the loop, and the rest is called."""
    turns, called, told = Turns(2), list[int](), list[str]()
    asyncio.get_running_loop().set_exception_handler(
        lambda _loop, context: told.append(str(context["exception"]))
    )

    def fails() -> None:
        raise ZeroDivisionError("told")

    turns.wait(fails)
    for number in range(4):
        turns.wait(partial(called.append, number))
    for _ in range(10):
        await asyncio.sleep(0)

    assert (called, told) == ([0, 1, 2, 3], ["told"])
