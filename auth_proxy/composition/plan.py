"""Plans: what a configuration makes of requests. One is made at start, and one whenever the routes change.

A plan holds rules and nothing that remembers: tokens that were proven, connections, websockets and the
roster outlive it (ADR 0016).
"""

from collections.abc import Mapping

from auth_proxy.access.claims import parse_claims
from auth_proxy.access.compact_jws import parse_compact
from auth_proxy.composition.data_path import DataPath
from auth_proxy.composition.decision import Lasting, pipeline_of
from auth_proxy.pipeline.exchange import Grant
from auth_proxy.plan import Plan
from auth_proxy.refusals import Reason, Refusal
from auth_proxy.routes import Route, RouteTable
from auth_proxy.settings import ProxySettings


class RoutesInForce:
    """Tells for what is still open which route the same request would have now.

    It judges no person; who may use that route is for the caller to say.
    """

    def __init__(self) -> None:
        self._table = RouteTable(())
        self._rows: Mapping[int, Route] = {}
        self._audiences: Mapping[str, frozenset[str]] = {}
        self._narrowed: set[str] = set()
        self._found: dict[tuple[str, str, str], Route | None] = {}

    def adopt(self, table: RouteTable, audiences: Mapping[str, frozenset[str]]) -> None:
        """From now on these count: the routes, and for each host whose tokens it takes."""
        self._narrowed |= {host for host, taken in self._audiences.items() if taken - audiences[host]}
        self._audiences = audiences
        self._table, self._rows = table, {id(route): route for route in table}
        self._found = {}

    def __call__(self, grant: Grant) -> Route:
        """The route. Raises Refusal for a grant that no route, or not its host, would give any more."""
        inbound = grant.person.screened.inbound
        if inbound.host in self._narrowed:
            self._check_audience(inbound.host, grant.person.screened.token)
        # Nearly all of what is open was granted by the table in force: its own row needs no search.
        if id(grant.route) in self._rows:
            return grant.route
        place = (inbound.host, inbound.path, inbound.method)
        if place not in self._found:
            found = self._table.find(*place)
            self._found[place] = found if isinstance(found, Route) else None
        route = self._found[place]
        if route is None:
            raise Refusal(Reason.ROUTE_NOT_FOUND)
        return route

    def _check_audience(self, host: str, token: str | None) -> None:
        """The token was proven when the grant was given; only whom it is for is read again."""
        if token is None:  # the development gate asks for none
            return
        claims = parse_claims(parse_compact(token).unverified_payload, key_id="")
        if self._audiences[host].isdisjoint(claims.audiences):
            raise Refusal(Reason.TOKEN_AUDIENCE)


class PlanMaker:
    """Makes plans out of the parts that outlive them."""

    def __init__(self, lasting: Lasting, path: DataPath, in_force: RoutesInForce) -> None:
        self._lasting = lasting
        self._path = path
        self._in_force = in_force

    def make(self, settings: ProxySettings) -> Plan:
        """The plan, which the caller puts in force at once: what is open is judged by it from now on."""
        plan = Plan(pipeline_of(settings, self._lasting), self._path.forwarder(settings))
        self._in_force.adopt(plan.pipeline.authorizer.routes, settings.audiences_by_host)
        return plan
