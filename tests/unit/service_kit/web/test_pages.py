"""Cutting a page out of one row too many, and the links to its neighbours."""

from datetime import UTC, datetime, timedelta

from yarl import URL

from service_kit.db.keyset import Position
from service_kit.web.pages import Page, cut, link_header

START = datetime(2026, 1, 1, tzinfo=UTC)


def page_of(rows: list[int], position: Position | None) -> Page[int]:
    """Rows are seconds, newest first; cursors are readable."""
    return cut(
        rows,
        limit=2,
        position=position,
        key=lambda second: (START + timedelta(seconds=second), str(second)),
        encode=lambda place: ("<" if place.backward else ">") + place.id,
    )


def test_the_first_page() -> None:
    """No newer neighbour; an older one only when there was a surplus row."""
    assert page_of([5, 4, 3], None) == Page((5, 4), next_cursor=">4", prev_cursor=None)
    assert page_of([5, 4], None) == Page((5, 4))
    assert page_of([], None) == Page(())


def test_a_page_further_on() -> None:
    """There is always a newer neighbour: the page we came from."""
    position = Position(START, "6")

    assert page_of([5, 4, 3], position) == Page((5, 4), next_cursor=">4", prev_cursor="<5")
    assert page_of([5], position) == Page((5,), next_cursor=None, prev_cursor="<5")


def test_going_back_drops_the_newest_surplus() -> None:
    """Going back, the rows nearest to the place stay, and there is always an older neighbour."""
    position = Position(START, "3", backward=True)

    assert page_of([6, 5, 4], position) == Page((5, 4), next_cursor=">4", prev_cursor="<5")
    assert page_of([5, 4], position) == Page((5, 4), next_cursor=">4", prev_cursor=None)


def test_the_links_keep_the_filters() -> None:
    """`Link` names the same list with the neighbour's cursor."""
    url = URL("/api/admin/audit-logs?event=billing.*&cursor=old")

    assert link_header(url, Page((1,), next_cursor="n&x")) == {
        "Link": '</api/admin/audit-logs?event=billing.*&cursor=n%26x>; rel="next"'
    }
    assert link_header(url, Page((1,))) == {}
