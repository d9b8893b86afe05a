"""Places in a turn of the loop for those who have proven nobody."""

import asyncio
from functools import partial

import pytest

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


async def test_a_newcomer_does_not_stand_behind_those_who_were_refused() -> None:
    """R-003's flood of bad tokens costs a person's first request no turn."""
    turns, called = Turns(2), list[str]()
    for _ in range(20):
        turns.wait(partial(called.append, "refused"))
    turns.wait(partial(called.append, "new"), is_new=True)
    await asyncio.sleep(0)
    await asyncio.sleep(0)

    assert "new" in called
    assert len(called) <= 3
    assert not turns.has_place()
    assert turns.has_place(is_new=True)


@pytest.mark.parametrize("proven, places", [(0, 8), (3, 1), (16, 1), (31, 1), (32, 2), (1000, 8)])
async def test_the_refused_have_places_beside_the_proven(proven: int, places: int) -> None:
    """The more proven requests a turn answers, the more refused ones; never none, never over the most."""
    turns, called = Turns(8), list[int]()
    for number in range(30):
        turns.wait(partial(called.append, number))
    for _ in range(proven):
        turns.serve_proven()
    await asyncio.sleep(0)
    await asyncio.sleep(0)

    assert called == list(range(places))


async def test_a_turn_of_answers_only_is_not_a_quiet_house() -> None:
    """R-003's flood: the proven ask in every other turn, and keep their share in the turns between."""
    turns, called = Turns(8), list[int]()
    for number in range(100):
        turns.wait(partial(called.append, number))
    turns.serve_proven()
    per_turn = []
    for _ in range(8):
        before = len(called)
        await asyncio.sleep(0)
        per_turn.append(len(called) - before)

    assert per_turn == [0, 1, 1, 1, 1, 8, 8, 8]
