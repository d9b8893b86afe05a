"""The route table as a snapshot, and how a path finds its one route."""

from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auth_proxy.routes import (
    ANY_METHOD,
    BUILT_IN,
    Requirement,
    Route,
    RouteTable,
    Target,
    boot_exchange_route,
    frontend_route,
    welcome_route,
)
from service_kit.identity.model import Permission, Role

SNAPSHOT = Path(__file__).parent / "routes.txt"
HOST = "admin.example.com"
TABLE = RouteTable((*BUILT_IN, frontend_route()))
APP = Route("/app", ANY_METHOD, Requirement.OPERATOR, "http://127.0.0.1:3000")


def row(route: Route) -> str:
    methods = ",".join(sorted(route.methods))
    delegate = f" > {route.delegate_to.value}" if route.delegate_to else ""
    pattern = f"{route.pattern} (alone)" if route.exact else route.pattern
    return f"{pattern:<62} {methods:<45} {route.needs:<34} {route.target}{delegate}"


def found(path: str, method: str = "GET", table: RouteTable = TABLE) -> Route:
    route = table.find(HOST, path, method)
    assert isinstance(route, Route)
    return route


def test_the_whole_table_is_the_snapshot() -> None:
    """R-081…R-096: who may ask for what is changed here and in routes.txt, or nowhere."""
    table = "".join(f"{row(route)}\n" for route in (*BUILT_IN, welcome_route(), frontend_route()))

    assert table == SNAPSHOT.read_text()


def test_every_route_asks_for_something() -> None:
    """R-003: there is no route without a requirement."""
    for route in TABLE:
        assert isinstance(route.requirement, Permission | Requirement)
        assert route.methods


def test_only_the_enrollment_page_and_its_looks_serve_a_person_without_a_row() -> None:
    """R-039, R-066: both gates, except on the way to the second one."""
    open_to_persons = [route.pattern for route in TABLE if route.requirement is Requirement.PERSON]

    assert sorted(open_to_persons) == ["/enrollment", "/static/panel"]


def test_head_goes_where_get_goes() -> None:
    """A HEAD is a GET without its body: the same requirement."""
    for route in TABLE:
        if "GET" in route.methods:
            assert "HEAD" in route.methods
            path = route.pattern.replace("*", "x")
            assert found(path, "HEAD") == found(path, "GET")


@pytest.mark.parametrize("path", ["/manage", "/manage/", "/manage/audit", "/manage/a/b/c"])
def test_the_bare_panel_and_everything_below_it_are_one_route(path: str) -> None:
    """R-010, R-011: `/manage*`, not `/manage/*`."""
    assert found(path).pattern == "/manage"


@pytest.mark.parametrize("path", ["/managed", "/manage.css", "/", "/api", "/api/adminx", "/anything/at/all"])
def test_a_path_that_only_looks_alike_is_the_frontends(path: str) -> None:
    """R-007, R-011: a prefix ends at a slash, and case counts."""
    assert found(path).target is Target.FRONTEND


@pytest.mark.parametrize(
    "path, method, pattern",
    [
        ("/api/admin/audit-logs", "GET", "/api/admin/audit-logs"),
        ("/api/admin/audit-logs/export", "GET", "/api/admin/audit-logs/export"),
        ("/api/admin/audit-logs/other", "GET", "/api/admin/audit-logs"),
        ("/api/admin/tenants", "GET", "/api/admin/tenants"),
        ("/api/admin/tenants/", "POST", "/api/admin/tenants"),
        ("/api/admin/tenants/org_1", "GET", "/api/admin/tenants/*"),
        ("/api/admin/tenants/suspend", "GET", "/api/admin/tenants/*"),
        ("/api/admin/tenants/org_1/suspend", "POST", "/api/admin/tenants/*/suspend"),
        ("/api/admin/tenants/org_1/unknown", "GET", "/api/admin/tenants/*"),
        ("/api/admin/tenants/o/credits/grants", "POST", "/api/admin/tenants/*/credits/grants"),
        (
            "/api/admin/tenants/o/credits/grants/g/expiry",
            "POST",
            "/api/admin/tenants/*/credits/grants/*/expiry",
        ),
        ("/api/admin/global-admins/adm_1/role", "POST", "/api/admin/global-admins"),
    ],
)
def test_the_most_specific_pattern_wins(path: str, method: str, pattern: str) -> None:
    """Longest first; at equal length a literal segment beats the star."""
    assert found(path, method).pattern == pattern


def test_a_stricter_route_is_not_bypassed_by_another_method() -> None:
    """PATCH on `…/suspend` does not fall back to the PATCH of the tenant itself."""
    assert TABLE.find(HOST, "/api/admin/tenants/org_1/suspend", "PATCH") == frozenset({"POST"})
    assert TABLE.find(HOST, "/api/admin/audit-logs/export", "DELETE") == frozenset({"GET", "HEAD"})


def test_methods_of_one_pattern_are_told_together() -> None:
    """R-082, R-083: two rows, one Allow."""
    assert TABLE.find(HOST, "/api/admin/tenants", "PUT") == frozenset({"GET", "HEAD", "POST"})


def test_without_a_frontend_an_unknown_path_has_no_route() -> None:
    """R-003: what is not listed is refused."""
    table = RouteTable(BUILT_IN)

    for path in (
        "/",
        "/x",
        "/api",
        "/api/admin",
        "/api/admin/unknown",
        "/internal/v1/roster/feed",
        "/metrics",
    ):
        assert table.find(HOST, path, "GET") == frozenset()


def test_the_welcome_page_is_one_address_alone() -> None:
    """Where no frontend stands, `/` leads a person to the panel, and nothing below it does."""
    table = RouteTable((*BUILT_IN, welcome_route()))

    assert found("/", "GET", table) == welcome_route()
    assert table.find(HOST, "/", "POST") == frozenset({"GET", "HEAD"})
    for path in ("/x", "/api", "/manag"):
        assert table.find(HOST, path, "GET") == frozenset()


def test_a_star_stands_for_exactly_one_segment_that_is_not_empty() -> None:
    """`/a/*/b` is neither `/a/b` nor `/a//b`."""
    any_method = frozenset({"GET"})
    table = RouteTable([Route("/a/*/b", any_method, Requirement.OPERATOR, Target.FRONTEND)])

    assert isinstance(table.find(HOST, "/a/x/b", "GET"), Route)
    assert isinstance(table.find(HOST, "/a/*/b/c", "GET"), Route)
    for path in ("/a//b", "/a/b", "/a/x", "/a/x/y/b", "/a", "/a/x/B"):
        assert table.find(HOST, path, "GET") == frozenset()


def test_the_order_of_rows_decides_nothing() -> None:
    """Any order of the same rows finds the same routes."""
    backwards = RouteTable(reversed((frontend_route(), *BUILT_IN)))

    for route in TABLE:
        for method in route.methods:
            path = route.pattern.replace("*", "x")
            assert found(path, method, backwards) == found(path, method)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.sampled_from(["api", "admin", "tenants", "x", "manage", "credits", "*", "users"]), max_size=6)
)
def test_no_path_gets_a_weaker_route_than_one_that_matches_it(segments: list[str]) -> None:
    """No matching pattern is more specific than the chosen one."""
    route = TABLE.find(HOST, "/" + "/".join(segments), "GET")
    if not isinstance(route, Route):
        return

    assert list(route.segments) == [
        expected if expected == "*" else given
        for expected, given in zip(route.segments, segments, strict=False)
    ]
    longer = [other for other in TABLE if len(other.segments) > len(route.segments)]
    for other in longer:
        pairs = list(zip(other.segments, segments, strict=False))
        assert len(pairs) < len(other.segments) or any(want not in ("*", got) for want, got in pairs)


OWN = (
    Route("/plain", ANY_METHOD, Requirement.OPERATOR, Target.FRONTEND),
    Route("/plain/admin", ANY_METHOD, frozenset({Role.SUPER_ADMIN}), Target.FRONTEND),
    Route("/Team", ANY_METHOD, Requirement.PERSON, Target.FRONTEND, host="b.example.com"),
    Route("/", ANY_METHOD, Requirement.OPERATOR, Target.FRONTEND, host="b.example.com"),
    Route("/", frozenset({"GET"}), Requirement.PERSON, Target.ADMIN, exact=True),
)


@pytest.mark.parametrize(
    "host, path, pattern",
    [
        (HOST, "/plain/x", "/plain"),
        (HOST, "/plain/admin/x", "/plain/admin"),
        (HOST, "/plain/Admin", None),
        (HOST, "/PLAIN/admin", None),
        (HOST, "/plain/adminX", "/plain"),
        (HOST, "/plain/X", "/plain"),
        (HOST, "/", "/"),
        (HOST, "/x", None),
        ("b.example.com", "/Team/X", "b.example.com/Team"),
        ("b.example.com", "/team", None),
        ("b.example.com", "/x/Y", "b.example.com/"),
        ("b.example.com", "/plain/admin", "/plain/admin"),
        ("b.example.com", "/Plain", None),
    ],
)
def test_hosts_and_cases(host: str, path: str, pattern: str | None) -> None:
    """R-003, R-011: a route of one host beats one of all; another case never reaches a milder route."""
    found = RouteTable(OWN).find(host, path, "GET")

    assert (found.name if isinstance(found, Route) else None) == pattern


@pytest.mark.parametrize("path", ["/MANAGE", "/Manage/audit", "/API/admin/tenants", "/api/Access-SSO"])
def test_no_spelling_of_a_panel_path_leads_to_the_frontend(path: str) -> None:
    """R-011: `/MANAGE` is not a page of the frontend that stands at `/`."""
    assert TABLE.find(HOST, path, "GET") == frozenset()


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize(
    "milder, stricter",
    [
        ("/app", "/app/x"),
        ("/*/x", "/app/*"),
        ("/app/*", "/app/x"),
    ],
)
def test_of_two_that_match_the_more_specific_one_is_asked(
    milder: str, stricter: str, *, backwards: bool
) -> None:
    """R-011: longest first, then the one that is literal sooner; the order of the rows decides nothing."""
    rows = [replace(APP, pattern=milder), replace(APP, pattern=stricter)]
    table = RouteTable(reversed(rows) if backwards else rows)

    assert found("/app/x", table=table).pattern == stricter
    assert [route.pattern for route in table] == [stricter, milder]


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("change", [{"host": HOST}, {"exact": True}], ids=["host", "exact"])
def test_of_two_alike_the_narrower_one_is_asked(change: dict[str, Any], *, backwards: bool) -> None:
    """R-003: one host beats all hosts, and a page alone beats a page with all below it."""
    rows = [APP, replace(APP, **change)]
    table = RouteTable(reversed(rows) if backwards else rows)

    assert found("/app", table=table) == rows[1]


def test_the_sidecars_own_answer_is_for_operators_alone() -> None:
    """R-164: where no admin service stands, a boot exchange is one POST on one path."""
    assert boot_exchange_route() == Route(
        "/api/access-sso", frozenset({"POST"}), Requirement.OPERATOR, Target.SIDECAR, exact=True
    )


@pytest.mark.parametrize(
    "pattern, target, forwarded",
    [
        ("/app", "/app", "/"),
        ("/app", "/app/", "/"),
        ("/app", "/app/x/app?q=1", "/x/app?q=1"),
        ("/app", "/app?q=/x", "/?q=/x"),
        ("/", "/x?y", "/x?y"),
    ],
)
def test_a_prefix_is_stripped_only_where_the_route_says_so(pattern: str, target: str, forwarded: str) -> None:
    """The upstream gets the rest of the bytes that were decided on, and it begins with a slash."""
    route = replace(APP, pattern=pattern)

    assert replace(route, strip_prefix=True).forwarded(target) == forwarded
    assert route.forwarded(target) == target


def test_the_roles_of_a_route_are_told_in_one_order() -> None:
    """A set has another order in each process; a log line that changes with it could not be searched."""
    for several in combinations(sorted(Role), 3):
        needs = replace(APP, requirement=frozenset(several)).needs
        assert needs == f"roles {', '.join(role.value for role in several)}"
