"""One line and one counter per decision.

A line names the route, never the path; the role, never the token; no cookie and no query string.
Every label comes from a closed set, so that no client can grow the metrics page.
"""

from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from auth_proxy.header_names import HeaderKind
from auth_proxy.refusals import Reason
from service_kit.telemetry.logging import get_logger

_log = get_logger("decision")
_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


@dataclass(frozen=True, slots=True)
class Decision:
    """What was decided about one request, and what came of it."""

    request_id: str
    method: str
    route: str
    seconds: float = 0.0
    reason: Reason | None = None
    """Why it was refused; None when it was let through."""
    detail: str = ""
    status: int = 0
    role: str = ""
    operator_id: str = ""
    ray_id: str = ""
    dropped_headers: int = 0
    is_abandoned: bool = False
    """The client left before anything was decided: neither granted nor refused."""

    @property
    def outcome(self) -> tuple[str, str]:
        """The labels of the counter: outcome and reason."""
        if self.is_abandoned:
            return "abandoned", "client_left"
        return ("refused", self.reason.value) if self.reason else ("granted", "ok")


class ProxyMetrics:
    """Every metric of the sidecar, on a registry that is passed in."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, text: str, labels: list[str]) -> Counter:
            return Counter(name, text, labels, namespace="auth_proxy", registry=registry)

        def gauge(name: str, text: str) -> Gauge:
            return Gauge(name, text, namespace="auth_proxy", registry=registry)

        self.decisions = counter(
            "decisions_total", "Decisions, by outcome and reason.", ["outcome", "reason"]
        )
        self.requests = counter(
            "requests_total", "Answered requests, by route and status class.", ["route", "status"]
        )
        self.seconds = Histogram(
            "request_seconds",
            "Seconds from the head of a request to the end of its answer, by route.",
            ["route"],
            namespace="auth_proxy",
            registry=registry,
            buckets=_SECONDS,
        )
        self.dropped = counter("dropped_headers_total", "Client headers that were not forwarded.", ["kind"])
        self.in_flight = gauge("requests_in_flight", "Requests that are being answered now.")
        self.connections = gauge("connections", "Connections of clients that are open now.")
        self.connections_shed = counter(
            "connections_shed_total", "Connections that the sidecar ended for what they cost.", ["cause"]
        )
        self.websockets = gauge("websockets", "Websockets that are open now.")
        self.websockets_closed = counter(
            "websockets_closed_total", "Websockets that ended, by who or what ended them.", ["cause"]
        )
        self.streams_ended = counter(
            "streams_ended_total", "Answers broken off because their grant no longer held.", ["reason"]
        )
        self.key_refreshes = counter("key_refreshes_total", "Fetches of the team's keys.", ["outcome"])
        self.unknown_keys = counter("unknown_key_ids_total", "Tokens with a kid that the team lacks.", [])
        self.keys = gauge("keys", "Usable signing keys of the team.")
        self.key_age = gauge("key_age_seconds", "Seconds since the team's keys were last fetched.")
        self.signing_keys = gauge("signing_keys", "Keys of the internal identity that are published.")
        self.reloads_refused = counter(
            "reloads_refused_total", "Changed files that were not taken because they are broken.", ["what"]
        )
        self.roster_version = gauge("roster_version", "Version of the operator list.")
        self.roster_operators = gauge("roster_operators", "Operators in the list.")
        self.roster_age = gauge("roster_age_seconds", "Seconds since the list was last confirmed.")
        self.roster_connected = gauge("roster_connected", "1 while the feed is connected.")
        for reason in Reason:  # every series exists from the start, so that an alert sees the first one
            self.decisions.labels("refused", reason.value)


class DecisionLog:
    """Writes decisions down."""

    def __init__(self, metrics: ProxyMetrics) -> None:
        self._metrics = metrics

    def record(self, decision: Decision) -> None:
        outcome, reason = decision.outcome
        self._metrics.decisions.labels(outcome, reason).inc()
        self._metrics.requests.labels(decision.route, f"{decision.status // 100}xx").inc()
        self._metrics.seconds.labels(decision.route).observe(decision.seconds)
        if decision.dropped_headers:
            self._metrics.dropped.labels(HeaderKind.IDENTITY.name.lower()).inc(decision.dropped_headers)
        _log.info(
            "decision",
            granted=outcome == "granted",
            reason=reason,
            detail=decision.detail,
            route=decision.route,
            method=decision.method,
            status=decision.status,
            role=decision.role,
            operator=decision.operator_id,
            request_id=decision.request_id,
            ray=decision.ray_id,
            ms=round(decision.seconds * 1000, 2),
        )
