"""Proves `auth_proxy.access.key_set`: the rules of renewal, with a clock that a test moves."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers

from auth_proxy.access.errors import KeyRefreshError, RefreshOutcome
from auth_proxy.access.key_set import KeySet, KeySetObserver, NobodyWatches, RemoteKeySet, StaticKeySet
from auth_proxy.refusals import Reason, Refusal
from deploy.demo.issuer import SigningKey
from tests.fakes.clock import START, FrozenClock
from tests.fakes.key_source import FakeKeySource, RecordingObserver, jwk_document

DOWN = KeyRefreshError(RefreshOutcome.UNREACHABLE)
DAY = 86_400


@pytest.fixture
def source(first_key: SigningKey) -> FakeKeySource:
    return FakeKeySource(jwk_document(first_key))


@pytest.fixture
def observer() -> RecordingObserver:
    return RecordingObserver()


@pytest.fixture
def keys(source: FakeKeySource, clock: FrozenClock, observer: RecordingObserver) -> RemoteKeySet:
    """A key set without its background renewal: only tokens make it fetch."""
    return RemoteKeySet(source, clock=clock, observer=observer, chance=lambda: 0.0)


@asynccontextmanager
async def renewing(
    source: FakeKeySource, clock: FrozenClock, *, seconds: float, observer: KeySetObserver | None = None
) -> AsyncIterator[RemoteKeySet]:
    """A key set whose background renewal has lived through so many seconds."""
    asleep = asyncio.Event()
    until = clock.monotonic() + seconds

    async def sleep(pause: float) -> None:
        if clock.monotonic() + pause > until:
            asleep.set()
            await asyncio.Event().wait()
        clock.advance(pause)

    keys = RemoteKeySet(source, clock=clock, observer=observer, sleep=sleep, chance=lambda: 0.0)
    await keys.start()
    try:
        await asleep.wait()
        yield keys
    finally:
        await keys.close()


async def reason_of(keys: KeySet, kid: str) -> Reason:
    with pytest.raises(Refusal) as caught:
        await keys.key(kid)
    return caught.value.reason


async def settle() -> None:
    """Let a fetch that nobody waits for end."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_a_static_set_never_changes(first_key: SigningKey, second_key: SigningKey) -> None:
    """It knows its keys, refuses every other, and asks nobody."""
    public = first_key.private.public_key()
    keys: KeySet = StaticKeySet({"k1": public})
    keys.signature_refused()
    keys.signature_verified()

    assert await keys.key("k1") is public
    assert await keys.key("k2") is None
    assert keys.has("k1", public)
    assert not keys.has("k1", second_key.private.public_key())
    assert not keys.has("k2", public)
    assert keys.generation == 1


def test_a_static_set_refuses_a_weak_key() -> None:
    """1024 bits are no key, wherever they come from."""
    with pytest.raises(ValueError, match="too small"):
        StaticKeySet({"k1": RSAPublicNumbers(65537, 2**1023 + 1).public_key()})


async def test_the_first_token_fetches_the_keys(
    keys: RemoteKeySet, source: FakeKeySource, observer: RecordingObserver, first_key: SigningKey
) -> None:
    """Nothing is fetched before it is needed, and once is enough (R-044)."""
    assert (keys.ready, keys.age_seconds, keys.last_success, keys.key_count) == (False, None, None, 0)

    for _ in range(3):
        assert await keys.key(first_key.kid) == first_key.private.public_key()

    assert source.reads == 1
    assert (keys.ready, keys.age_seconds, keys.last_success, keys.key_count) == (True, 0, START, 1)
    assert (observer.outcomes, observer.unknown_kids) == ([RefreshOutcome.OK], 0)
    assert keys.last_outcome is RefreshOutcome.OK


async def test_nobody_need_watch(source: FakeKeySource, clock: FrozenClock, first_key: SigningKey) -> None:
    """Without an observer the set works alike."""
    keys = RemoteKeySet(source, clock=clock)

    assert await keys.key("unknown") is None
    assert await keys.key("unknown") is None
    assert await keys.key(first_key.kid) is not None


async def test_a_new_kid_is_fetched_at_once(
    keys: RemoteKeySet,
    source: FakeKeySource,
    first_key: SigningKey,
    second_key: SigningKey,
    clock: FrozenClock,
) -> None:
    """After a rotation the first token by the new key passes after at most one fetch."""
    await keys.key(first_key.kid)
    clock.advance(30)
    source.publish(second_key, first_key)

    assert await keys.key(second_key.kid) == second_key.private.public_key()
    assert source.reads == 2
    assert keys.key_count == 2


async def test_unknown_kids_fetch_once_in_thirty_seconds(
    keys: RemoteKeySet,
    source: FakeKeySource,
    observer: RecordingObserver,
    first_key: SigningKey,
    clock: FrozenClock,
) -> None:
    """10,000 invented kids make one fetch in 30 s and hold up nobody (R-047, CVE-2026-48524)."""
    await keys.key(first_key.kid)
    clock.advance(30)
    before = source.reads
    for number in range(10_000):
        assert await keys.key(f"invented-{number}") is None
        if number % 100 == 0:
            clock.advance(0.29)
            assert await keys.key(first_key.kid) is not None

    assert source.reads - before == 1
    assert observer.unknown_kids == 10_000
    clock.advance(30)
    await keys.key("invented")
    assert source.reads - before == 2


async def test_a_rotation_during_a_flood_is_seen_within_the_floor(
    keys: RemoteKeySet,
    source: FakeKeySource,
    first_key: SigningKey,
    second_key: SigningKey,
    clock: FrozenClock,
) -> None:
    """Invented kids delay a real new key by 30 s, no longer."""
    await keys.key("invented")
    source.publish(second_key, first_key)
    clock.advance(29)
    assert await keys.key(second_key.kid) is None

    clock.advance(1)

    assert await keys.key(second_key.kid) is not None


async def test_a_thousand_requests_share_one_flight(
    keys: RemoteKeySet,
    source: FakeKeySource,
    first_key: SigningKey,
    second_key: SigningKey,
    clock: FrozenClock,
) -> None:
    """1,000 concurrent tokens with a new kid make one fetch, and holders of known kids do not wait."""
    await keys.key(first_key.kid)
    clock.advance(30)
    source.publish(second_key, first_key)
    source.open_gate.clear()
    waiting = [asyncio.create_task(keys.key(second_key.kid)) for _ in range(1000)]
    await settle()
    assert await asyncio.wait_for(keys.key(first_key.kid), 20) is not None
    assert not any(task.done() for task in waiting)

    source.open_gate.set()

    assert await asyncio.gather(*waiting) == [second_key.private.public_key()] * 1000
    assert source.reads == 2


async def test_a_set_that_changes_on_every_fetch_makes_no_stampede(
    keys: RemoteKeySet,
    source: FakeKeySource,
    first_key: SigningKey,
    second_key: SigningKey,
    clock: FrozenClock,
) -> None:
    """A rotation storm costs one fetch per 30 s, as anything else."""
    for number in range(100):
        source.publish(first_key if number % 2 else second_key)
        await keys.key(f"kid-{number}")
        clock.advance(3)

    assert source.reads == 10


async def test_a_cancelled_request_does_not_cancel_the_fetch(
    keys: RemoteKeySet, source: FakeKeySource, first_key: SigningKey
) -> None:
    """The client that hung up takes nobody's keys along."""
    source.open_gate.clear()
    impatient = asyncio.create_task(keys.key(first_key.kid))
    patient = asyncio.create_task(keys.key(first_key.kid))
    await settle()
    impatient.cancel()
    await settle()

    source.open_gate.set()

    assert await patient is not None
    assert source.reads == 1


async def test_no_keys_at_all_is_our_fault_not_the_tokens(
    keys: RemoteKeySet, source: FakeKeySource, observer: RecordingObserver
) -> None:
    """With no keys ever fetched the refusal is KEYS_UNAVAILABLE, and tokens do not hammer the endpoint."""
    assert keys.last_outcome is None
    source.answer = DOWN
    for _ in range(100):
        assert await reason_of(keys, "k1") is Reason.KEYS_UNAVAILABLE

    assert source.reads == 1
    assert not keys.ready
    assert keys.last_outcome is RefreshOutcome.UNREACHABLE
    assert observer.unknown_kids == 0


BAD_SETS: dict[str, bytes | Exception] = {
    "refused": KeyRefreshError(RefreshOutcome.UNREACHABLE),
    "timeout": KeyRefreshError(RefreshOutcome.TIMEOUT),
    "html": b"<html>",
    "empty": b"",
    "empty_object": b"{}",
    "no_keys": b'{"keys":[]}',
    "defect": ZeroDivisionError("a defect of ours"),
}


@pytest.mark.parametrize("answer", BAD_SETS.values(), ids=BAD_SETS.keys())
async def test_good_keys_outlive_any_failure(
    keys: RemoteKeySet,
    source: FakeKeySource,
    first_key: SigningKey,
    clock: FrozenClock,
    answer: bytes | Exception,
) -> None:
    """Known kids go on as if nothing were; an unknown kid that nobody can answer is 503, not 403."""
    key = await keys.key(first_key.kid)
    source.answer = answer
    clock.advance(600)

    assert await reason_of(keys, "new") is Reason.KEYS_UNAVAILABLE
    assert await keys.key(first_key.kid) is key
    assert keys.has(first_key.kid, key) if key else False
    assert keys.generation == 1


async def test_an_unknown_kid_is_known_to_be_unknown_again_after_recovery(
    keys: RemoteKeySet, source: FakeKeySource, first_key: SigningKey, clock: FrozenClock
) -> None:
    """Recovery needs no restart: the next allowed fetch sets everything right."""
    await keys.key(first_key.kid)
    source.answer, good = DOWN, source.answer
    clock.advance(30)
    assert await reason_of(keys, "new") is Reason.KEYS_UNAVAILABLE
    source.answer = good
    clock.advance(30)

    assert await keys.key("new") is None


async def test_keys_are_trusted_for_a_day_and_no_longer(
    keys: RemoteKeySet, source: FakeKeySource, first_key: SigningKey, clock: FrozenClock
) -> None:
    """Up to the hard age the last good keys serve, from then on everything is 503 until a fetch succeeds."""
    key = await keys.key(first_key.kid)
    assert key is not None
    source.answer, good = DOWN, source.answer
    clock.advance(DAY - 1)
    assert await keys.key(first_key.kid) is key
    assert keys.ready
    clock.advance(1)
    assert not keys.has(first_key.kid, key)
    assert (keys.ready, keys.key_count, keys.age_seconds) == (False, 0, DAY)
    assert await reason_of(keys, first_key.kid) is Reason.KEYS_UNAVAILABLE

    source.answer = good
    clock.advance(30)

    assert await keys.key(first_key.kid) is not None


async def test_retry_after_holds_back_tokens_too(
    keys: RemoteKeySet, source: FakeKeySource, first_key: SigningKey, clock: FrozenClock
) -> None:
    """429 with Retry-After: 3600 is respected by every kind of fetch."""
    await keys.key(first_key.kid)
    source.answer = KeyRefreshError(RefreshOutcome.STATUS, retry_after=3600)
    clock.advance(30)
    await reason_of(keys, "new")
    clock.advance(3599)
    await reason_of(keys, "new")
    assert source.reads == 2

    clock.advance(1)
    await reason_of(keys, "new")

    assert source.reads == 3


async def test_an_unchanged_key_stays_the_same_object(
    keys: RemoteKeySet,
    source: FakeKeySource,
    first_key: SigningKey,
    second_key: SigningKey,
    clock: FrozenClock,
) -> None:
    """Renewal alone empties no cache; the generation grows only when a key comes, goes or changes."""
    key = await keys.key(first_key.kid)
    assert key is not None
    clock.advance(30)
    await keys.key("new")
    assert keys.has(first_key.kid, key)
    assert keys.generation == 1

    source.publish(second_key, first_key)
    clock.advance(30)
    await keys.key(second_key.kid)

    assert keys.has(first_key.kid, key)
    assert keys.generation == 2


async def test_a_key_that_left_the_set_is_gone(
    keys: RemoteKeySet,
    source: FakeKeySource,
    first_key: SigningKey,
    second_key: SigningKey,
    clock: FrozenClock,
) -> None:
    """Once a fetch no longer shows a key, nothing it signed is trusted."""
    key = await keys.key(first_key.kid)
    assert key is not None
    source.publish(second_key)
    clock.advance(30)
    await keys.key(second_key.kid)

    assert not keys.has(first_key.kid, key)
    assert await keys.key(first_key.kid) is None


async def test_another_key_under_the_same_kid_replaces_it(
    keys: RemoteKeySet,
    source: FakeKeySource,
    first_key: SigningKey,
    second_key: SigningKey,
    clock: FrozenClock,
) -> None:
    """Kid is a name, not a proof: what the old key proved is proved no more."""
    key = await keys.key(first_key.kid)
    assert key is not None
    source.publish(SigningKey(first_key.kid, second_key.private))
    clock.advance(30)
    await keys.key("new")

    assert not keys.has(first_key.kid, key)
    assert await keys.key(first_key.kid) == second_key.private.public_key()
    assert keys.generation == 2


async def test_three_refused_signatures_in_a_row_ask_for_fresh_keys(
    keys: RemoteKeySet, source: FakeKeySource, first_key: SigningKey, clock: FrozenClock
) -> None:
    """Only the third consecutive one, and a good signature begins the count anew (R-047)."""
    await keys.key(first_key.kid)
    clock.advance(30)
    keys.signature_refused()
    keys.signature_refused()
    keys.signature_verified()
    keys.signature_refused()
    keys.signature_refused()
    await settle()
    assert source.reads == 1

    keys.signature_refused()
    await settle()

    assert source.reads == 2


async def test_refused_signatures_keep_the_floor(
    keys: RemoteKeySet, source: FakeKeySource, first_key: SigningKey, clock: FrozenClock
) -> None:
    """1,000 forged tokens in 30 s make one fetch; the count starts anew after it (R-047)."""
    await keys.key(first_key.kid)
    clock.advance(30)
    for _ in range(1000):
        keys.signature_refused()
        await settle()
        clock.advance(0.029)
    assert source.reads == 2
    clock.advance(30)
    keys.signature_refused()
    await settle()
    assert source.reads == 3
    clock.advance(30)
    keys.signature_refused()
    keys.signature_refused()
    await settle()
    assert source.reads == 3


async def test_old_keys_stay_while_fresh_ones_are_fetched(
    keys: RemoteKeySet, source: FakeKeySource, first_key: SigningKey, clock: FrozenClock
) -> None:
    """A reset by three strikes never leaves a moment without keys (R-047)."""
    await keys.key(first_key.kid)
    clock.advance(30)
    source.answer = DOWN
    source.open_gate.clear()
    for _ in range(3):
        keys.signature_refused()
    await settle()
    assert await asyncio.wait_for(keys.key(first_key.kid), 20) is not None

    source.open_gate.set()
    await settle()

    assert await keys.key(first_key.kid) is not None


async def test_keys_are_renewed_before_they_are_old(
    source: FakeKeySource, clock: FrozenClock, observer: RecordingObserver
) -> None:
    """In an hour the background fetches at the start and every ten minutes."""
    async with renewing(source, clock, seconds=3600, observer=observer) as keys:
        assert source.reads == 7
        assert keys.ready

    assert observer.outcomes == [RefreshOutcome.OK] * 7


async def test_the_start_does_not_wait_and_does_not_fail(
    source: FakeKeySource, clock: FrozenClock, first_key: SigningKey
) -> None:
    """A hanging endpoint holds up no start; the first token joins the fetch that is under way."""
    source.open_gate.clear()
    keys = RemoteKeySet(source, clock=clock)
    await asyncio.wait_for(keys.start(), 20)
    assert not keys.ready
    token = asyncio.create_task(keys.key(first_key.kid))
    await settle()

    source.open_gate.set()

    assert await token is not None
    assert source.reads == 1
    await keys.close()


async def test_the_first_token_uses_the_fetch_of_the_start(
    source: FakeKeySource, clock: FrozenClock, first_key: SigningKey
) -> None:
    """The fetch is under way when start returns, so the first token takes no forced turn (R-047)."""
    keys = RemoteKeySet(source, clock=clock)
    await keys.start()
    await keys.key(first_key.kid)

    await keys.key("unknown")

    assert source.reads == 2
    await keys.close()


async def test_a_token_waits_for_two_fetches_and_no_more(source: FakeKeySource, clock: FrozenClock) -> None:
    """A kid that neither the fetch under way nor a fresh one brings is unknown (R-047)."""
    source.open_gate.clear()
    keys = RemoteKeySet(source, clock=clock)
    await keys.start()
    token = asyncio.create_task(keys.key("unknown"))
    await settle()
    source.open_gate.set()

    assert await token is None
    assert source.reads == 2
    await keys.close()


async def test_closing_waits_until_every_task_has_ended(source: FakeKeySource, clock: FrozenClock) -> None:
    """When close returns, nothing of the key set runs on, whatever it was doing."""
    source.open_gate.clear()
    keys = RemoteKeySet(source, clock=clock)
    await keys.start()
    await settle()

    await keys.close()

    assert len(asyncio.all_tasks()) == 1


async def test_an_endpoint_that_is_down_at_the_start_is_found_when_it_is_back(
    source: FakeKeySource, clock: FrozenClock, first_key: SigningKey
) -> None:
    """The background retries with growing pauses and recovers without a restart."""
    good = source.answer
    source.answer = DOWN
    read = source.read

    async def back_at_the_fifth() -> bytes:
        if source.reads == 4:
            source.answer = good
        return await read()

    source.read = back_at_the_fifth  # type: ignore[method-assign]  # the endpoint comes back by itself
    async with renewing(source, clock, seconds=15) as keys:
        assert source.reads == 5
        assert await keys.key(first_key.kid) is not None


async def test_renewal_outlives_a_defect(
    source: FakeKeySource, clock: FrozenClock, observer: RecordingObserver
) -> None:
    """An error that nobody foresaw is counted as internal and tried again; the renewal never dies."""
    source.answer = ZeroDivisionError("a defect of ours")

    async with renewing(source, clock, seconds=3, observer=observer):
        assert observer.outcomes == [RefreshOutcome.INTERNAL] * 3


async def test_a_forced_fetch_moves_the_next_renewal(
    source: FakeKeySource, clock: FrozenClock, first_key: SigningKey
) -> None:
    """A set that a token has just renewed is not fetched again by the timer."""
    naps: list[float] = []
    wake = asyncio.Event()

    async def sleep(pause: float) -> None:
        naps.append(pause)
        await wake.wait()
        wake.clear()

    keys = RemoteKeySet(source, clock=clock, sleep=sleep, chance=lambda: 0.0)
    await keys.start()
    await keys.key(first_key.kid)
    await settle()
    clock.advance(500)
    await keys.key("new")
    clock.advance(100)
    wake.set()
    await settle()

    assert naps == [600, 500]
    assert source.reads == 2
    await keys.close()


async def test_a_closed_set_fetches_no_more(
    source: FakeKeySource, clock: FrozenClock, first_key: SigningKey
) -> None:
    """After close no task is left and no token starts one; waiting tokens get an answer."""
    source.open_gate.clear()
    keys = RemoteKeySet(source, clock=clock)
    await keys.start()
    token = asyncio.create_task(reason_of(keys, first_key.kid))
    await settle()

    await keys.close()

    assert await token is Reason.KEYS_UNAVAILABLE
    assert await reason_of(keys, first_key.kid) is Reason.KEYS_UNAVAILABLE
    assert source.reads == 1
    assert len(asyncio.all_tasks()) == 1


async def test_closing_a_set_that_never_started_is_no_error(keys: RemoteKeySet) -> None:
    """Start-up may fail before the key set begins."""
    await keys.close()


async def test_the_clock_of_the_machine_does_not_age_the_keys(
    keys: RemoteKeySet, first_key: SigningKey, clock: FrozenClock
) -> None:
    """A wall clock that is set back changes no age: only monotonic time counts."""
    await keys.key(first_key.kid)

    clock.advance(-10 * DAY)

    assert (keys.ready, keys.age_seconds) == (True, 0)


def test_the_default_observer_counts_nothing() -> None:
    """It satisfies the Protocol and keeps no state."""
    watcher: KeySetObserver = NobodyWatches()
    watcher.refresh(RefreshOutcome.OK)
    watcher.unknown_kid()

    assert vars(watcher) == {}


async def test_a_token_waits_for_two_slow_fetches_and_no_more(
    source: FakeKeySource, clock: FrozenClock
) -> None:
    """R-047: also where each fetch takes longer than the floor, one token causes two of them at most."""

    class Slow(FakeKeySource):
        async def read(self) -> bytes:
            clock.advance(31)
            return await super().read()

    slow = Slow(source.answer)
    keys = RemoteKeySet(slow, clock=clock, chance=lambda: 0.0)

    assert await keys.key("unknown") is None
    assert slow.reads == 2
