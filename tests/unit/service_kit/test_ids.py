"""Ids: their order is the order of their making, whatever the clock does."""

from hypothesis import given, settings
from hypothesis import strategies as st

from service_kit.ids import IdFactory, is_id
from tests.fakes.clock import FrozenClock


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
