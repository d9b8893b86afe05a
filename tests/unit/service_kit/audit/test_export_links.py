"""Following hash chains through rows in any order (R-031)."""

from hypothesis import given
from hypothesis import strategies as st

from service_kit.audit.export_links import Links

LENGTH = 12


def add(links: Links, seq: int, *, before: str | None = None) -> bool:
    return links.add(seq, f"h{seq}", before if before is not None else f"h{seq - 1}")


@given(st.permutations(range(1, LENGTH + 1)))
def test_a_whole_chain_in_any_order_has_no_gap(order: list[int]) -> None:
    """Rows that come a little out of order, or wholly, make one stretch."""
    links = Links()

    assert all(add(links, seq) for seq in order)
    assert (links.first, links.last, links.rows, links.missing) == (1, LENGTH, LENGTH, None)
    assert links.last_hash == f"h{LENGTH}"


@given(st.permutations(range(1, LENGTH + 1)), st.integers(2, LENGTH - 1))
def test_a_missing_row_is_named(order: list[int], missing: int) -> None:
    """Whatever the order, the place of the row that is not there is told."""
    links = Links()
    for seq in order:
        if seq != missing:
            assert add(links, seq)

    assert links.missing == missing


@given(st.permutations(range(1, LENGTH + 1)), st.integers(2, LENGTH))
def test_a_row_that_does_not_follow_is_seen(order: list[int], wrong: int) -> None:
    """A row with another previous hash fits at no order."""
    links = Links()
    fits = [add(links, seq, before="another" if seq == wrong else None) for seq in order]

    assert not all(fits)


def test_a_filtered_chain_costs_no_memory() -> None:
    """Of a hundred thousand gaps a few thousand are remembered, and the chain is never called whole."""
    links = Links()
    for seq in range(200_000, 0, -2):
        assert add(links, seq)

    assert len(links._lows) < 5000
    assert links.missing is not None
