"""Step 5, authorize: whether this person may send this request to this route.

The roster is asked on every request (R-064); nothing about a person is remembered between two. An
address is never a key: who presents a known address with another subject is refused (R-060).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from auth_proxy.forwarding import Headers
from auth_proxy.pipeline.exchange import ENCODED_SLASH, Grant, Person
from auth_proxy.refusals import Reason, Refusal
from auth_proxy.roster.source import Activity, Enrollment, OperatorEntry, Roster
from auth_proxy.routes import SAFE_METHODS, Requirement, Route, RouteTable
from service_kit.clock import Clock
from service_kit.identity.model import OPERATOR_PERMISSIONS, Permission


@dataclass(frozen=True, slots=True)
class Authorizer:
    """Decides from the route table, the roster and the Origin header."""

    routes: RouteTable
    roster: Roster
    enrollment: Enrollment
    activity: Activity
    origins: Mapping[str, frozenset[str]]

    async def authorize(self, person: Person) -> Grant:
        """Raises Refusal."""
        grant = self.authorize_at_once(person)
        if grant is not None:
            return grant
        route, operator = self._route(person), None
        try:
            operator = await self.enrollment.claim(
                person.sub, person.email, person.screened.enrollment_token or "", _origin(person)
            )
            return self._granted(person, route, operator)
        except Refusal as refusal:
            raise _told(refusal, person, route, operator) from None

    def authorize_at_once(self, person: Person) -> Grant | None:
        """The same without a wait; None where an enrollment token has to be asked about. Raises Refusal."""
        route = self._route(person)
        operator = None
        try:
            _check_protocol(person)
            self._check_origin(person)
            _check_shape(person, route)
            operator = self.roster.find(person.sub, person.email)
            if operator is None and person.screened.enrollment_token is not None:
                return None
            return self._granted(person, route, operator)
        except Refusal as refusal:
            raise _told(refusal, person, route, operator) from None

    def _granted(self, person: Person, route: Route, operator: OperatorEntry | None) -> Grant:
        if operator is None and route.requirement is not Requirement.PERSON:
            changed = self.roster.binds_email(person.email)
            raise Refusal(Reason.SUBJECT_CHANGED if changed else Reason.ENROLLMENT_REQUIRED)
        _check_standing(operator, route)
        if operator is not None:
            self.activity.seen(operator.id)
        return Grant(person, route, operator, self.roster.version)

    def _route(self, person: Person) -> Route:
        inbound = person.screened.inbound
        found = self.routes.find(inbound.host, inbound.path, inbound.method)
        if isinstance(found, Route):
            return found
        refusal = Refusal(Reason.ROUTE_NOT_FOUND)
        if found:
            refusal = Refusal(Reason.METHOD_NOT_ALLOWED, headers={"Allow": ", ".join(sorted(found))})
        raise refusal.of(person.sub, person.email)

    def _check_origin(self, person: Person) -> None:
        """R-097: SameSite=None cookies make the edge authenticate cross-site posts."""
        screened = person.screened
        if screened.inbound.method in SAFE_METHODS and screened.upgrade is None:
            return
        same_site = screened.fetch_site in (None, "same-origin")
        if not same_site or screened.origin not in self.origins[screened.inbound.host]:
            raise Refusal(Reason.ORIGIN_REJECTED)


@dataclass(frozen=True, slots=True)
class Standing:
    """Whether a grant that was given would be given again: for websockets and streams that stay open."""

    roster: Roster
    clock: Clock
    leeway_seconds: int
    route_now: Callable[[Grant], Route]
    """The route that the same request would have now; raises Refusal where it would have none."""

    def still_stands(self, grant: Grant) -> Reason | None:
        """Why the grant would be refused now; None while it holds.

        Another role than the one that was vouched for ends it too, also where the route would still be
        allowed: the upstream goes on believing what it was told.
        """
        if grant.person.expires_at + self.leeway_seconds <= self.clock.now().timestamp():
            return Reason.TOKEN_EXPIRED
        granted = grant.operator
        try:
            route = self.route_now(grant)
            if grant.person.screened.upgrade is not None and not route.websocket:
                return Reason.UPGRADE_NOT_ALLOWED
            operator = self.roster.find(grant.person.sub, grant.person.email)
            if operator is None and (granted is not None or route.requirement is not Requirement.PERSON):
                return Reason.ENROLLMENT_REQUIRED
            _check_standing(operator, route)
        except Refusal as refusal:
            return refusal.reason
        changed = granted is not None and operator is not None and granted.role is not operator.role
        return Reason.PERMISSION_DENIED if changed else None


def _told(refusal: Refusal, person: Person, route: Route, operator: OperatorEntry | None) -> Refusal:
    """The refusal, with whom it hit: for the decision log and the audit log."""
    if operator is None:
        return refusal.at(route.name).of(person.sub, person.email)
    return refusal.at(route.name, operator.role.value).of(person.sub, person.email, operator.id)


def _origin(person: Person) -> Headers:
    """What the admin service's audit row tells of where a claim came from."""
    screened = person.screened
    agent = tuple((name, value) for name, value in screened.forwardable if name.lower() == "user-agent")
    return (*screened.forwarding, *agent, ("X-Request-Id", screened.inbound.request_id))


def _check_protocol(person: Person) -> None:
    """No route speaks h2c or anything else that a connection could be turned into."""
    if person.screened.upgrade not in (None, "websocket"):
        raise Refusal(Reason.UPGRADE_NOT_ALLOWED)


def _check_shape(person: Person, route: Route) -> None:
    """What only some routes take."""
    inbound = person.screened.inbound
    is_websocket = route.websocket and inbound.method == "GET" and not inbound.has_body
    if person.screened.upgrade is not None and not is_websocket:
        raise Refusal(Reason.UPGRADE_NOT_ALLOWED)
    if ENCODED_SLASH in inbound.path and not route.encoded_slashes:
        raise Refusal(Reason.PATH_AMBIGUOUS, "escape of a delimiter")
    if route.most_body_bytes is not None and (inbound.content_length or 0) > route.most_body_bytes:
        raise Refusal(Reason.BODY_TOO_LARGE)


def _check_standing(operator: OperatorEntry | None, route: Route) -> None:
    if operator is None:
        return
    if not operator.active:
        raise Refusal(Reason.OPERATOR_DEACTIVATED)
    needed = route.requirement
    if isinstance(needed, Requirement):
        return
    if isinstance(needed, Permission):
        allowed = needed in OPERATOR_PERMISSIONS[operator.role]
    else:
        allowed = operator.role in needed
    if not allowed:
        raise Refusal(Reason.PERMISSION_DENIED, f"needs {route.needs}")
