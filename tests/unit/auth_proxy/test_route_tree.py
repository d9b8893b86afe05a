"""The tree of routes decides what the rows decide when they are asked one after another."""

from itertools import product

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from auth_proxy.route_tree import NOBODY, RankedPattern, RouteTree
from auth_proxy.routes import (
    ANY_METHOD,
    BUILT_IN,
    Requirement,
    Route,
    RouteTable,
    boot_exchange_route,
    frontend_route,
    welcome_route,
)
from tests.unit.auth_proxy.linear_routes import find_linearly

HOSTS = ("one.example", "two.example", "other.example")
SEGMENTS = ("a", "b", "A", "ab", "*", "", "\u03a3", "a\u03a3")
PANEL = (*BUILT_IN, frontend_route())


def _joined(segments: list[str]) -> str:
    return "/" + "/".join(segments)


def paths() -> st.SearchStrategy[str]:
    return st.lists(st.sampled_from(SEGMENTS), max_size=6).map(_joined)


def routes() -> st.SearchStrategy[Route]:
    return st.builds(
        Route,
        pattern=st.lists(st.sampled_from(SEGMENTS), max_size=4).map(_joined),
        methods=st.sets(st.sampled_from(["GET", "POST", "PUT"]), min_size=1).map(frozenset),
        requirement=st.just(Requirement.OPERATOR),
        target=st.sampled_from(["http://x", "http://y"]),
        exact=st.booleans(),
        host=st.sampled_from([None, *HOSTS[:2]]),
    )


def route(pattern: str, *, exact: bool = False, host: str | None = None) -> Route:
    return Route(pattern, ANY_METHOD, Requirement.OPERATOR, "http://x", exact=exact, host=host)


@settings(max_examples=600, deadline=None)
@given(
    rows=st.lists(routes(), max_size=8),
    asked=st.lists(st.tuples(st.sampled_from(HOSTS), paths(), st.sampled_from(["GET", "PUT", "DELETE"]))),
)
@example([route("/a/*/c"), route("/a/b")], [(HOSTS[0], "/a/b/x", "GET"), (HOSTS[0], "/a/b/c", "GET")])
@example(
    [route("/*/b"), route("/A/b"), route("/a/B")], [(HOSTS[0], "/a/b", "GET"), (HOSTS[0], "/a/B", "GET")]
)
@example(
    [route("/a", exact=True), route("/a", host=HOSTS[0])], [(HOSTS[0], "/a", "GET"), (HOSTS[1], "/a", "GET")]
)
@example(
    [route("/"), route("/a//*")], [(HOSTS[0], path, "GET") for path in ("//", "/a///", "/a//b", "/a//*")]
)
def test_the_tree_finds_what_a_search_of_the_rows_finds(
    rows: list[Route], asked: list[tuple[str, str, str]]
) -> None:
    """R-003, R-011: longest first, stars, hosts, whole paths, case and methods; the very same row."""
    table = RouteTable(rows)

    for host, path, method in asked:
        found, expected = table.find(host, path, method), find_linearly(rows, host, path, method)
        assert found == expected
        assert not isinstance(expected, Route) or found is expected


WORDS = ("api", "admin", "tenants", "org_01J8", "suspend", "manage", "credits", "grants", "Admin", "*", "")


@pytest.mark.parametrize("rows", [PANEL, (*BUILT_IN, welcome_route()), (boot_exchange_route(),)])
@settings(max_examples=200, deadline=None)
@given(
    path=st.sampled_from([row.pattern for row in PANEL])
    | st.lists(st.sampled_from(WORDS), max_size=7).map(_joined)
    | st.tuples(
        st.sampled_from([row.pattern.replace("*", "org_01J") for row in PANEL]), st.sampled_from(WORDS)
    ).map("/".join),
    method=st.sampled_from(sorted(ANY_METHOD)),
)
def test_the_built_in_table_finds_what_its_rows_find(rows: tuple[Route, ...], path: str, method: str) -> None:
    """R-081…R-096: the routes that ship, on every path near theirs."""
    assert RouteTable(rows).find("h", path, method) == find_linearly(rows, "h", path, method)


def test_a_path_of_stars_and_lookalikes_is_found_in_a_search_no_longer_than_the_table() -> None:
    """R-011: no path makes the search branch without end, whatever the configuration."""
    rows = [route(_joined(list(words))) for words in product(("a", "*"), repeat=10)]
    table = RouteTable(rows)

    assert table.find("h", "/a" * 10, "GET") is rows[0]
    assert table.find("h", "/b" * 10, "GET") is rows[-1]
    assert table.find("h", "/b" * 9, "GET") == frozenset()


def test_a_table_does_not_grow_with_what_is_asked() -> None:
    """R-003: clients choose paths and hosts, and nothing of them stays."""
    tree = RouteTree([RankedPattern(0, ("a", "*"), exact=False)])
    before = repr(tree._root)

    assert [tree.find(("a", f"{number}")) for number in range(100)] == [0] * 100
    assert [tree.find((f"{number}", "x")) for number in range(100)] == [NOBODY] * 100
    assert repr(tree._root) == before


def test_the_order_of_patterns_makes_no_other_tree() -> None:
    """R-011: the rank decides, and not which pattern was read first."""
    patterns = [
        RankedPattern(0, ("a", "b"), exact=True),
        RankedPattern(1, ("a", "b"), exact=False),
        RankedPattern(2, ("a", "*"), exact=False),
        RankedPattern(3, ("a",), exact=False),
    ]

    for tree in (RouteTree(patterns), RouteTree(reversed(patterns))):
        given = (("a",), ("a", "b"), ("a", "b", "c"), ("a", "x", "y"), ("a", ""), ("b",), ())
        assert [tree.find(segments) for segments in given] == [3, 0, 1, 2, 3, NOBODY, NOBODY]
