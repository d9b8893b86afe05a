"""Step 5: route, origin, roster and permission, asked on every request."""

from dataclasses import dataclass, field

import pytest

from auth_proxy.forwarding import Headers
from auth_proxy.pipeline.authorize import Authorizer
from auth_proxy.pipeline.exchange import Person
from auth_proxy.refusals import Reason, Refusal
from auth_proxy.roster.source import OperatorEntry
from auth_proxy.routes import BUILT_IN, RouteTable, Target, frontend_route
from service_kit.identity.model import OPERATOR_PERMISSIONS, Permission, Role
from tests.unit.auth_proxy.pipeline.hostile import HOST, spelled
from tests.unit.auth_proxy.pipeline.values import operator, person

R = Reason
ORIGIN = f"https://{HOST}"
TENANTS = "/api/admin/tenants"


@dataclass
class World:
    """A roster, an enrollment desk and a visitors' book in one."""

    by_sub: dict[str, OperatorEntry] = field(default_factory=dict)
    emails: set[str] = field(default_factory=set)
    claims: dict[str, OperatorEntry] = field(default_factory=dict)
    is_fresh: bool = True
    seen_ids: list[str] = field(default_factory=list)
    claimed: list[tuple[str, str, str]] = field(default_factory=list)
    origins: list[Headers] = field(default_factory=list)
    version: int = 7

    def find(self, sub: str, email: str) -> OperatorEntry | None:
        if not self.is_fresh:
            raise Refusal(R.ROSTER_UNAVAILABLE)
        assert email
        return self.by_sub.get(sub)

    def binds_email(self, email: str) -> bool:
        return email in self.emails

    async def claim(self, sub: str, email: str, token: str, origin: Headers) -> OperatorEntry:
        self.claimed.append((sub, email, token))
        self.origins.append(origin)
        if token not in self.claims:
            raise Refusal(R.ENROLLMENT_FAILED)
        return self.claims[token]

    def seen(self, operator_id: str) -> None:
        self.seen_ids.append(operator_id)

    def authorizer(self) -> Authorizer:
        routes = RouteTable((*BUILT_IN, frontend_route()))
        return Authorizer(routes, self, self, self, {HOST: frozenset({ORIGIN, "https://other.example"})})


def knowing(role: Role = Role.SUPPORT, *, active: bool = True) -> World:
    entry = operator(role, active=active)
    return World(by_sub={entry.sub: entry}, emails={entry.email})


async def refused(world: World, who: Person) -> Refusal:
    with pytest.raises(Refusal) as caught:
        await world.authorizer().authorize(who)
    return caught.value


async def test_an_operator_with_the_permission_is_granted_and_seen() -> None:
    """R-039, R-065: the grant carries person, route, row and roster version; the visit is noted."""
    world = knowing()
    grant = await world.authorizer().authorize(person(TENANTS))

    assert (grant.person, grant.operator, grant.roster_version) == (person(TENANTS), operator(), 7)
    assert (grant.route.name, grant.route.target) == (TENANTS, Target.TENANT)
    assert world.seen_ids == ["adm_ada"]


@pytest.mark.parametrize("role", list(Role))
async def test_the_matrix_decides_on_every_route(role: Role) -> None:
    """R-071…R-075, R-081: for each role and built-in route the permission alone says yes or no."""
    for route in BUILT_IN:
        path = route.pattern.replace("*", "x")
        for method in route.methods:
            who = person(path, ("Origin", ORIGIN), method=method)
            allowed = (
                not isinstance(route.requirement, Permission)
                or route.requirement in OPERATOR_PERMISSIONS[role]
            )
            if allowed:
                assert (await knowing(role).authorizer().authorize(who)).route == route
            else:
                refusal = await refused(knowing(role), who)
                assert refusal.reason is R.PERMISSION_DENIED
                assert (refusal.route, refusal.role) == (route.name, role.value)


async def test_a_permission_denied_notes_no_visit() -> None:
    """Only a granted request counts as activity."""
    world = knowing(Role.READ_ONLY)
    await refused(world, person("/api/admin/global-admins"))

    assert world.seen_ids == []


async def test_a_row_that_was_deactivated_is_refused_on_every_route() -> None:
    """R-064: also on pages for any person."""
    for path in (TENANTS, "/manage", "/enrollment", "/static/panel/x.css", "/anything"):
        assert (await refused(knowing(active=False), person(path))).reason is R.OPERATOR_DEACTIVATED


async def test_a_stranger_is_told_to_enroll() -> None:
    """R-063: a proven person without a row."""
    assert (await refused(World(), person(TENANTS))).reason is R.ENROLLMENT_REQUIRED


async def test_an_address_is_never_a_key() -> None:
    """R-060: a known address under another subject is refused, and says so in the log."""
    refusal = await refused(knowing(), person(TENANTS, sub="another"))

    assert refusal.reason is R.SUBJECT_CHANGED
    assert refusal.route == TENANTS


async def test_a_stranger_may_see_the_enrollment_page() -> None:
    """R-066: the page asks for a person, not for an operator."""
    grant = await World().authorizer().authorize(person("/enrollment"))

    assert grant.operator is None


async def test_an_enrollment_token_claims_the_row_and_the_request_goes_on() -> None:
    """R-061: the claim carries the proven subject and address, never one that was sent."""
    world = World(claims={"enr_1": operator()})
    grant = await world.authorizer().authorize(person(TENANTS, ("x-admin-enrollment-token", "enr_1")))

    assert grant.operator == operator()
    assert world.claimed == [("sub-ada", "ada@example.com", "enr_1")]


async def test_a_claim_tells_where_it_came_from_and_no_more() -> None:
    """R-061: the audit row gets address, browser and request id; no header with a credential goes along."""
    world = World(claims={"enr_1": operator()})
    headers = (("x-admin-enrollment-token", "enr_1"), ("USER-agent", "Firefox"), ("Authorization", "secret"))
    await world.authorizer().authorize(person(TENANTS, *headers))

    assert world.origins == [
        (
            ("X-Forwarded-For", "127.0.0.1"),
            ("X-Forwarded-Proto", "https"),
            ("X-Forwarded-Host", HOST),
            ("USER-agent", "Firefox"),
            ("X-Request-Id", ""),
        )
    ]


async def test_a_known_operator_claims_nothing() -> None:
    """A token of another person in the hand of an operator is left alone."""
    world = knowing()
    await world.authorizer().authorize(person(TENANTS, ("x-admin-enrollment-token", "enr_1")))

    assert world.claimed == []


async def test_a_failed_claim_ends_the_request() -> None:
    """R-061: also where a person without a row might pass."""
    for path in (TENANTS, "/enrollment"):
        refusal = await refused(World(), person(path, ("x-admin-enrollment-token", "enr_x")))
        assert (refusal.reason, refusal.route) == (R.ENROLLMENT_FAILED, path)


async def test_a_claimed_row_that_is_inactive_is_refused() -> None:
    """R-064, G-17: whatever the claim answered."""
    world = World(claims={"enr_1": operator(active=False)})

    refusal = await refused(world, person(TENANTS, ("x-admin-enrollment-token", "enr_1")))
    assert refusal.reason is R.OPERATOR_DEACTIVATED


async def test_a_stale_roster_refuses_everybody() -> None:
    """R-064: nobody gets in on a list that may be out of date, not even to a page for persons."""
    world = knowing()
    world.is_fresh = False
    for path in (TENANTS, "/manage", "/enrollment"):
        assert (await refused(world, person(path))).reason is R.ROSTER_UNAVAILABLE
    assert world.seen_ids == []


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize(
    "headers",
    [
        (),
        (("Origin", "null"),),
        (("Origin", ""),),
        (("Origin", "https://evil.example"),),
        (("Origin", f"{ORIGIN}.evil.example"),),
        (("Origin", f"{ORIGIN}/"),),
        (("Origin", ORIGIN.upper()),),
        (("Origin", f"http://{HOST}"),),
        (("Origin", f"{ORIGIN}:8443"),),
        (("Origin", ORIGIN), ("Sec-Fetch-Site", "cross-site")),
        (("Origin", ORIGIN), ("Sec-Fetch-Site", "same-site")),
        (("Origin", ORIGIN), ("Sec-Fetch-Site", "none")),
        (("Origin", ORIGIN), ("Sec-Fetch-Site", "")),
        (("Referer", f"{ORIGIN}/manage"),),
    ],
    ids=spelled,
)
async def test_a_change_must_come_from_a_page_of_ours(
    method: str, headers: tuple[tuple[str, str], ...]
) -> None:
    """R-097: missing, null, foreign or nearly right, it is refused before the roster is asked."""
    world = knowing(Role.SUPER_ADMIN)
    world.is_fresh = False
    refusal = await refused(world, person("/manage/x", *headers, method=method))

    assert (refusal.reason, refusal.route) == (R.ORIGIN_REJECTED, "/manage")


@pytest.mark.parametrize("origin", [ORIGIN, "https://other.example"])
@pytest.mark.parametrize("site", [None, "same-origin"])
async def test_each_configured_origin_may_change(origin: str, site: str | None) -> None:
    """R-097: the origins of the host that was asked."""
    headers = [("Origin", origin)] + ([("Sec-Fetch-Site", site)] if site else [])

    grant = await knowing(Role.SUPER_ADMIN).authorizer().authorize(person("/manage", *headers, method="POST"))
    assert grant.route.name == "/manage"


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
async def test_reading_needs_no_origin(method: str) -> None:
    """R-097 is about changes: a link from elsewhere may be followed."""
    who = person(
        "/manage", ("Origin", "https://evil.example"), ("Sec-Fetch-Site", "cross-site"), method=method
    )

    assert (await knowing().authorizer().authorize(who)).route.name == "/manage"


async def test_no_route_and_wrong_method_are_told_apart() -> None:
    """R-003: a path without a route is refused; a path with one names its methods."""
    world = knowing(Role.SUPER_ADMIN)
    authorizer = Authorizer(RouteTable(BUILT_IN), world, world, world, {HOST: frozenset({ORIGIN})})
    with pytest.raises(Refusal) as unknown:
        await authorizer.authorize(person("/nowhere"))
    with pytest.raises(Refusal) as wrong:
        await authorizer.authorize(person(TENANTS, method="PUT"))

    assert unknown.value.reason is R.ROUTE_NOT_FOUND
    assert wrong.value.reason is R.METHOD_NOT_ALLOWED
    assert wrong.value.headers == {"Allow": "GET, HEAD, POST"}


@pytest.mark.parametrize("protocol", ["websocket", "h2c", ""])
async def test_no_route_accepts_an_upgrade(protocol: str) -> None:
    """A tunnel would carry requests that nobody judged."""
    who = person("/manage", ("Connection", "upgrade"), ("Upgrade", protocol), ("Origin", ORIGIN))

    assert (await refused(knowing(Role.SUPER_ADMIN), who)).reason is R.UPGRADE_NOT_ALLOWED
