"""Ids: their order is the order of their making, whatever the clock does."""

from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from service_kit.ids import IdFactory, is_id
from tests.fakes.clock import START, FrozenClock

CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
A_MILLION = 1 << 20


def number(text: str) -> int:
    """Crockford's alphabet read back, as every other ULID library reads it."""
    value = 0
    for character in text:
        value = value * 32 + CROCKFORD.index(character)
    return value


def moment(made: str) -> datetime:
    """When a ULID says that it was made."""
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=number(made[-26:-16]))


def test_ids_of_one_moment_keep_their_order() -> None:
    """`(created_at, id)` is a total order, so one key pages every list."""
    ids = IdFactory(FrozenClock())
    made = [ids.new("org") for _ in range(1000)]

    assert made == sorted(made)
    assert len(set(made)) == 1000


@settings(max_examples=100, deadline=None)
@given(st.lists(st.floats(-5000, 5000), max_size=30))
def test_no_step_of_the_clock_makes_an_id_that_sorts_before_its_elders(steps: list[float]) -> None:
    """Also when the machine's clock is set back."""
    clock = FrozenClock()
    ids = IdFactory(clock)
    made = []
    for step in steps:
        clock.advance(step)
        made.append(ids.new("aud"))

    assert made == sorted(made)
    assert len(set(made)) == len(made)
    assert all(is_id(item, "aud") for item in made)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.floats(-2, 2), st.integers(1, 40)), min_size=1, max_size=20))
def test_an_id_tells_the_latest_millisecond_that_the_clock_has_shown(steps: list[tuple[float, int]]) -> None:
    """Data-model 2.1: sorted by time, and held at the latest while the clock is behind."""
    clock = FrozenClock()
    ids = IdFactory(clock)
    latest = moment(ids.new("req"))
    assert latest == START
    for step, count in steps:
        clock.advance(step)
        latest = max(latest, clock.now())
        for _ in range(count):
            made = moment(ids.new("req"))
            assert made <= latest < made + timedelta(milliseconds=1)


def test_a_clock_that_was_wrong_by_an_hour_is_waited_for() -> None:
    """Set back by an hour it makes ids that follow their elders, and none that repeats."""
    clock = FrozenClock()
    ids = IdFactory(clock)
    early = [ids.new("org") for _ in range(100)]
    clock.advance(-3600)
    late = [ids.new("org") for _ in range(100)]

    assert early + late == sorted({*early, *late})


def test_two_factories_make_no_id_twice() -> None:
    """In two processes and one millisecond: a million ids, each once (60 random bits keep them apart)."""
    clock = FrozenClock()
    ours, theirs = IdFactory(clock), IdFactory(clock)
    made = {factory.new("req") for _ in range(A_MILLION // 2) for factory in (ours, theirs)}

    assert len(made) == A_MILLION


def test_when_a_millisecond_is_used_up_the_next_is_borrowed() -> None:
    """More than a million ids while the clock stands still keep their order, and the time is hardly wrong."""
    ids = IdFactory(FrozenClock())
    last = ""
    for _ in range(A_MILLION):
        made = ids.new("req")
        assert last < made
        last = made
    borrowed = ids.new("req")

    assert last < borrowed
    assert is_id(borrowed, "req")
    assert (moment(last), moment(borrowed)) == (START, START + timedelta(milliseconds=1))


def test_a_borrowed_millisecond_is_not_begun_again_when_the_clock_reaches_it() -> None:
    """The clock comes to the borrowed time, and goes on where the ids are."""
    clock = FrozenClock()
    ids = IdFactory(clock)
    made = [ids.new("req") for _ in range(A_MILLION + 1)][-1:]
    for step in (0.001, 0.0009, 0.001):
        clock.advance(step)
        made.append(ids.new("req"))

    assert made == sorted(set(made))


def test_every_millisecond_draws_its_random_bits_anew() -> None:
    """60 bits: two milliseconds share no random part, and no bit of it stands still."""
    clock = FrozenClock()
    ids = IdFactory(clock)
    drawn = []
    for _ in range(200):
        clock.advance(0.002)
        drawn.append(number(ids.new("req")[-16:-4]))

    assert len(set(drawn)) == 200
    ever, always = 0, (1 << 60) - 1
    for bits in drawn:
        ever, always = ever | bits, always & bits
    assert (ever, always) == ((1 << 60) - 1, 0)


def test_an_id_has_one_exact_shape() -> None:
    """Prefix, 26 characters of Crockford's alphabet, nothing before or after."""
    made = IdFactory(FrozenClock()).new("org")
    body = made.removeprefix("org_")

    assert is_id(made, "org")
    wrong = [
        f"inv_{body}",
        body,
        f"org_{body[:-1]}",
        f"{made}0",
        f"{made}\n",
        f" {made}",
        f"org_{body.lower()}",
        f"org_8{body[1:]}",
        f"org_{body[:-1]}I",
        f"org_{body[:-1]}é",
        f"org-{body}",
        "",
    ]
    assert not [text for text in wrong if is_id(text, "org")]


def test_a_prefix_is_text_and_no_pattern() -> None:
    """Nobody asks for the ids of `.*`."""
    assert not is_id(IdFactory(FrozenClock()).new("org"), ".*")
