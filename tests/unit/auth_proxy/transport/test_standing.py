"""What stays open is looked at again and again, and ends with its grant."""

import asyncio

from auth_proxy.pipeline.exchange import Grant
from auth_proxy.refusals import Reason
from auth_proxy.transport.standing import Watch
from tests.unit.auth_proxy.pipeline import values


class Verdicts:
    """Answers what a test sets; `None` stands."""

    def __init__(self) -> None:
        self.reason: Reason | None = None
        self.breaks = False
        self.asked = 0

    def still_stands(self, grant: Grant) -> Reason | None:  # noqa: ARG002 - one verdict for all
        self.asked += 1
        if self.breaks:
            raise RuntimeError("broken")
        return self.reason


async def test_it_ends_what_lapsed_once() -> None:
    """R-064: `end` is called with the reason, and not again."""
    check, ended = Verdicts(), list[Reason]()
    watch = Watch(check)
    with watch.over(values.grant(), ended.append):
        await watch.look()
        await watch.look()
        assert (ended, check.asked) == ([], 1)
        check.reason = Reason.OPERATOR_DEACTIVATED
        await watch.look()
        await watch.look()

    assert ended == [Reason.OPERATOR_DEACTIVATED]


async def test_the_first_look_passes_by() -> None:
    """A request that changes its own operator's role still gets its answer."""
    check, ended = Verdicts(), list[Reason]()
    check.reason = Reason.PERMISSION_DENIED
    watch = Watch(check)
    with watch.over(values.grant(), ended.append):
        await watch.look()
        assert ended == []
        await watch.look()

    assert ended == [Reason.PERMISSION_DENIED]


async def test_what_has_ended_by_itself_is_not_looked_at() -> None:
    """Leaving the context is the end of it, also on the way out of an error."""
    check = Verdicts()
    watch = Watch(check)
    with watch.over(values.grant(), lambda _: None):
        await watch.look()
    await watch.look()

    assert (check.asked, watch.opened) == (0, set())


async def test_a_check_that_breaks_ends_it_and_not_the_watch() -> None:
    """Fail closed: what cannot be checked does not stay open, and others are still looked after."""
    check, ended = Verdicts(), list[Reason]()
    watch = Watch(check, every_seconds=0.01)
    await watch.start()
    check.breaks = True
    async with asyncio.timeout(20):
        with watch.over(values.grant(), ended.append):
            while len(ended) < 1:
                await asyncio.sleep(0.005)
        check.breaks, check.reason = False, Reason.TOKEN_EXPIRED
        with watch.over(values.grant(), ended.append):
            while len(ended) < 2:
                await asyncio.sleep(0.005)
    await watch.close()

    assert ended == [Reason.INTERNAL_ERROR, Reason.TOKEN_EXPIRED]


async def test_thousands_are_looked_at_with_pauses() -> None:
    """One look over everything does not hold up the loop until it is through."""
    check, ended = Verdicts(), list[Reason]()
    watch = Watch(check)
    contexts = [watch.over(values.grant(), ended.append) for _ in range(1000)]
    for context in contexts:
        context.__enter__()
    await watch.look()
    check.reason = Reason.ROSTER_UNAVAILABLE
    turns = 0
    looking = asyncio.create_task(watch.look())
    while not looking.done():
        await asyncio.sleep(0)
        turns += 1

    assert len(ended) == 1000
    assert turns >= 3


async def test_one_that_cannot_be_ended_keeps_no_other_open() -> None:
    """A defect at one connection must not keep a deactivated operator's next one alive."""
    check, ended = Verdicts(), list[Reason]()
    watch = Watch(check)

    def breaks(_reason: Reason) -> None:
        raise RuntimeError

    with watch.over(values.grant(), breaks), watch.over(values.grant(), ended.append):
        await watch.look()
        check.reason = Reason.OPERATOR_DEACTIVATED
        await watch.look()

    assert ended == [Reason.OPERATOR_DEACTIVATED]
