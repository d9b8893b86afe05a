"""The route table: which path of which host goes where, and what a caller needs for it.

Longest pattern wins, segment by segment; `*` stands for exactly one segment. A path without a route
is refused, and a route without a requirement cannot be written.

The table is a tree. To ask the rows one after another, which is what the tests compare it with, took 5 µs
for a page of the frontend and 11 for a tenant's; the tree takes 0.6 and 1.5. A memory of the paths that
were asked would be as fast, but clients would choose what is in it.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import compress
from typing import Final

from auth_proxy.route_tree import NOBODY, RankedPattern, RouteTree
from service_kit.identity.model import Permission, Role


class Target(StrEnum):
    """Who answers behind a built-in route; also the audience of the identity that goes there."""

    ADMIN = "admin_service"
    TENANT = "tenant_service"
    FRONTEND = "frontend"
    SIDECAR = "auth_proxy"
    """The sidecar itself: it tells who asks where no admin service does."""


class Requirement(StrEnum):
    """What a route asks for where no single permission decides."""

    OPERATOR = "operator"
    PERSON = "identity"


class IdentityField(StrEnum):
    """What of a person a plain header can carry to an upstream that knows no token."""

    EMAIL = "email"
    NAME = "name"
    SUB = "sub"
    ROLE = "role"
    OPERATOR_ID = "operator_id"


SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
NO_METHODS: Final = frozenset[str]()
"""What a path without a route accepts."""
ANY_METHOD: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long a route waits for its upstream, in seconds; None where the sidecar's own limit holds."""

    connect: float | None = None
    response_header: float | None = None
    idle: float | None = None
    """The longest pause within a response's body. None: a stream may be silent for ever."""


@dataclass(frozen=True, slots=True)
class Route:
    """One row: a pattern, its methods, the requirement, and where it goes."""

    pattern: str
    methods: frozenset[str]
    requirement: Permission | Requirement | frozenset[Role]
    """A permission, any operator, any proven person, or one of these roles."""
    target: str
    delegate_to: Target | None = None
    """A second service that the first may ask in the operator's name."""
    exact: bool = False
    """Whether the pattern stands for itself alone, and not for what is below it."""
    host: str | None = None
    """The one host that the route is for; None for all of them."""
    audience: str = ""
    """The audience of the identity, when it is not the target's own name."""
    identity_headers: tuple[tuple[str, IdentityField], ...] = ()
    strip_prefix: bool = False
    encoded_slashes: bool = False
    """Whether `%2F` may stand in the path; refused everywhere else."""
    most_body_bytes: int | None = None
    spa_fallback: bool = False
    websocket: bool = False
    """Whether the path may be turned into a websocket."""
    timeouts: Timeouts = Timeouts()

    @property
    def name(self) -> str:
        """The label of log lines and metrics: the pattern, never the path that was asked."""
        return f"{self.host or ''}{self.pattern}"

    @property
    def needs(self) -> str:
        """The requirement in the words of the configuration."""
        if isinstance(self.requirement, frozenset):
            return f"roles {', '.join(sorted(role.value for role in self.requirement))}"
        return self.requirement.value

    @property
    def segments(self) -> tuple[str, ...]:
        return path_segments(self.pattern)

    @property
    def identity_audience(self) -> str:
        return self.audience or self.target

    def forwarded(self, target: str) -> str:
        """The path and query that the upstream gets for those that were decided on."""
        if not self.strip_prefix or self.pattern == "/":
            return target
        rest = target[len(self.pattern) :]
        return rest if rest.startswith("/") else f"/{rest}"


@dataclass(frozen=True, slots=True)
class _Place:
    """The routes that stand in one place: one pattern, one host, with or without what is below it."""

    segments: tuple[str, ...]
    lowered: tuple[str, ...]
    is_literal: tuple[bool, ...]
    """For each segment whether it stands for itself."""
    literals: tuple[str, ...]
    exact: bool
    host: str | None
    routes: tuple[Route, ...]
    by_method: Mapping[str, Route]
    methods: frozenset[str]

    def has_case_of(self, segments: tuple[str, ...]) -> bool:
        """Whether a path that matches in lower case does so as it is written."""
        return tuple(compress(segments, self.is_literal)) == self.literals


class RouteTable:
    """Finds the one route of a request."""

    def __init__(self, routes: Iterable[Route]) -> None:
        given = tuple(routes)
        keys = dict.fromkeys(_key(route) for route in given)  # in order: no start differs from another
        # Longest first; at equal length a literal segment beats "*", and one host beats all hosts, so
        # that order decides nothing.
        places = (_place([route for route in given if _key(route) == key]) for key in keys)
        self._places = tuple(sorted(places, key=_specificity, reverse=True))
        self._has_capitals = any(place.lowered != place.segments for place in self._places)
        self._tree_of_others = self._tree(None)
        self._trees = {host: self._tree(host) for host in {place.host for place in self._places} - {None}}

    def __iter__(self) -> Iterator[Route]:
        """The routes in the order in which they are asked."""
        return (route for place in self._places for route in place.routes)

    def find(self, host: str, path: str, method: str) -> Route | frozenset[str]:
        """The route, or the methods that the path would accept (empty: no route at all).

        A path that would mean another route in another case has none: a frontend that ignores case
        would run the stricter handler on the milder check (R-011).
        """
        lowered = path.lower()
        rank = self._trees.get(host, self._tree_of_others).find(path_segments(lowered))
        if rank == NOBODY:
            return NO_METHODS
        place = self._places[rank]
        # What matches as it is written matches in lower case too: where the best in lower case is not
        # written so, the best as written is another one or none.
        if (self._has_capitals or lowered != path) and not place.has_case_of(path_segments(path)):
            return NO_METHODS
        # Only the most specific pattern speaks: a stricter route is never bypassed by method.
        return place.by_method.get(method, place.methods)

    def _tree(self, host: str | None) -> RouteTree:
        return RouteTree(
            RankedPattern(rank, place.lowered, place.exact)
            for rank, place in enumerate(self._places)
            if place.host in (None, host)
        )


def path_segments(path: str) -> tuple[str, ...]:
    return tuple(path.strip("/").split("/")) if path != "/" else ()


def _key(route: Route) -> tuple[tuple[str, ...], str | None, bool]:
    return route.segments, route.host, route.exact


def _place(routes: list[Route]) -> _Place:
    segments = routes[0].segments
    # The first row that takes the method has it.
    by_method = {method: route for route in reversed(routes) for method in route.methods}
    return _Place(
        segments=segments,
        lowered=tuple(segment.lower() for segment in segments),
        is_literal=tuple(segment != "*" for segment in segments),
        literals=tuple(segment for segment in segments if segment != "*"),
        exact=routes[0].exact,
        host=routes[0].host,
        routes=tuple(routes),
        by_method=by_method,
        methods=frozenset(by_method),
    )


def _specificity(place: _Place) -> tuple[int, tuple[bool, ...], bool, bool]:
    return len(place.segments), place.is_literal, place.host is not None, place.exact


def _tenant(methods: str, pattern: str, permission: Permission) -> Route:
    return Route(pattern, _methods(methods), permission, Target.TENANT)


def _admin(methods: str, pattern: str, requirement: Permission | Requirement) -> Route:
    return Route(pattern, _methods(methods), requirement, Target.ADMIN, Target.TENANT)


def _methods(words: str) -> frozenset[str]:
    methods = frozenset(words.split())
    return ANY_METHOD if "*" in methods else methods | ({"HEAD"} if "GET" in methods else set())


BOOT_EXCHANGE: Final = "/api/access-sso"
"""What a frontend asks at boot, before anything else (R-162…R-166)."""
ENROLLMENT: Final = "/enrollment"

BUILT_IN: Final[tuple[Route, ...]] = (
    # The panel and what it needs: each page checks its own permission.
    _admin("*", "/manage", Requirement.OPERATOR),
    # A stream of half a minute each: of its own, so that nobody takes its length for a slow panel.
    _admin("GET", "/manage/live", Requirement.OPERATOR),
    _admin("GET", "/static/panel", Requirement.PERSON),
    _admin("GET POST", ENROLLMENT, Requirement.PERSON),
    _admin("POST DELETE", BOOT_EXCHANGE, Requirement.OPERATOR),
    # Operators, audit and system (R-090…R-096).
    _admin("GET", "/api/admin/me", Requirement.OPERATOR),
    _admin("PATCH", "/api/admin/me/preferences", Requirement.OPERATOR),
    _admin("GET", "/api/admin/search", Requirement.OPERATOR),
    _admin("GET", "/api/admin/events/catalogue", Requirement.OPERATOR),
    _admin("GET", "/api/admin/openapi.json", Requirement.OPERATOR),
    _admin("GET", "/api/admin/docs", Requirement.OPERATOR),
    _admin("GET POST DELETE", "/api/admin/global-admins", Permission.MANAGE_GLOBAL_ADMINS),
    # Whose they are decides: one's own anybody may see and end, others' only who manages operators.
    _admin("GET DELETE", "/api/admin/global-admins/*/sessions", Requirement.OPERATOR),
    _admin("GET", "/api/admin/audit-logs", Permission.VIEW_AUDIT_LOGS_GLOBAL),
    _admin("GET", "/api/admin/audit-logs/export", Permission.EXPORT_AUDIT),
    _admin("GET", "/api/admin/audit-logs/verify", Permission.EXPORT_AUDIT),
    _admin("POST", "/api/admin/audit-logs/predicate-check", Permission.VIEW_ADMIN_AUDIT_EVENTS),
    _admin("GET", "/api/admin/system", Permission.VIEW_SYSTEM_METRICS),
    _admin("POST", "/api/admin/system/queues/*/messages/*/retry", Permission.MANAGE_GLOBAL_ADMINS),
    _admin("POST", "/api/admin/system/workflows/*/run", Permission.MANAGE_GLOBAL_ADMINS),
    # Tenants (R-082…R-089).
    _tenant("POST", "/api/admin/tenants", Permission.TENANT_CREATE),
    _tenant("GET", "/api/admin/tenants", Permission.TENANT_LIST),
    _tenant("GET", "/api/admin/tenants/*", Permission.TENANT_VIEW),
    _tenant("PATCH", "/api/admin/tenants/*", Permission.TENANT_UPDATE),
    _tenant("DELETE", "/api/admin/tenants/*", Permission.TENANT_DELETE),
    _tenant("POST", "/api/admin/tenants/*/suspend", Permission.TENANT_SUSPEND),
    _tenant("POST", "/api/admin/tenants/*/restore", Permission.TENANT_SUSPEND),
    _tenant("GET", "/api/admin/tenants/*/invitations", Permission.TENANT_VIEW),
    _tenant("POST DELETE", "/api/admin/tenants/*/invitations", Permission.TENANT_INVITE_ADMIN),
    _tenant("GET", "/api/admin/tenants/*/members", Permission.TENANT_VIEW),
    _tenant("GET", "/api/admin/tenants/*/connected-accounts", Permission.TENANT_VIEW),
    _tenant("DELETE", "/api/admin/tenants/*/connected-accounts/*", Permission.TENANT_UPDATE),
    _tenant("GET", "/api/admin/tenants/*/feature-flags", Permission.TENANT_VIEW),
    _tenant("PUT", "/api/admin/tenants/*/feature-flags/*", Permission.TENANT_FEATURE_FLAGS),
    _tenant("GET", "/api/admin/tenants/*/audit-logs", Permission.VIEW_AUDIT_LOGS_GLOBAL),
    _tenant("POST", "/api/admin/tenants/*/sessions/revoke", Permission.TENANT_SUSPEND),
    _tenant("GET", "/api/admin/users", Permission.VIEW_AUDIT_LOGS_GLOBAL),
    # Billing.
    _tenant("GET", "/api/admin/tenants/*/billing", Permission.BILLING_VIEW),
    _tenant("GET", "/api/admin/tenants/*/credits", Permission.BILLING_VIEW),
    _tenant("POST", "/api/admin/tenants/*/credits/grants", Permission.BILLING_GRANT),
    _tenant("POST", "/api/admin/tenants/*/credits/grants/*/expiry", Permission.BILLING_MANAGE_PACKS),
    _tenant("GET", "/api/admin/credit-packs", Permission.BILLING_VIEW),
    _tenant("POST PATCH DELETE", "/api/admin/credit-packs", Permission.BILLING_MANAGE_PACKS),
    _tenant("GET", "/api/admin/billing/summary", Permission.BILLING_VIEW),
)
"""The routes of the panel and its API; present when ADMIN_SERVICE_URL is set."""

ON_EVERY_HOST: Final = tuple(
    route for route in BUILT_IN if route.pattern in (ENROLLMENT, BOOT_EXCHANGE, "/static/panel")
)
"""What a frontend on a host of its own needs too: a way to enroll, and to ask who it has before it."""


def welcome_route() -> Route:
    """`/` alone leads to the panel where no other frontend stands."""
    return Route("/", _methods("GET"), Requirement.PERSON, Target.ADMIN, exact=True)


def frontend_route() -> Route:
    """Everything else goes to the one configured frontend, for any active operator (R-007)."""
    return Route("/", ANY_METHOD, Requirement.OPERATOR, Target.FRONTEND)


def boot_exchange_route() -> Route:
    """Where no admin service mints sessions, the sidecar itself tells a frontend who asks (R-164)."""
    return Route(BOOT_EXCHANGE, _methods("POST"), Requirement.OPERATOR, Target.SIDECAR, exact=True)
