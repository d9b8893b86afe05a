"""One line and one counter per decision.

A line names the route, never the path; the role, never the token; no cookie and no query string.
Every label comes from a closed set, so that no client can grow the metrics page.
"""

import asyncio
import json
from collections.abc import Callable
from typing import NamedTuple

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from auth_proxy.header_names import HeaderKind
from auth_proxy.refusals import Reason
from service_kit.clock import Clock
from service_kit.telemetry.logging import get_logger, quoted, raw_logger, static_fields
from service_kit.telemetry.metrics import tell_build

_SIGNING_SECONDS = (0.00005, 0.0001, 0.0002, 0.0005, 0.001, 0.005, 0.02, 0.1)
_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)

_log = get_logger(__name__)


class Decision(NamedTuple):
    """What was decided about one request, and what came of it.

    `method` is one of ours or "-", `role` a word of ours, the ids are checked: nothing of them needs quotes.
    """

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
        self.upstream_connections = Gauge(
            "upstream_connections",
            "Connections to upstreams, by whether a request is under way on them.",
            ["state"],
            namespace="auth_proxy",
            registry=registry,
        )
        self.upstream_connects = counter(
            "upstream_connects_total",
            "Connections to upstreams that were tried, by how it ended.",
            ["outcome"],
        )
        self.key_refreshes = counter("key_refreshes_total", "Fetches of the team's keys.", ["outcome"])
        self.unknown_keys = counter("unknown_key_ids_total", "Tokens with a kid that the team lacks.", [])
        self.keys = gauge("keys", "Usable signing keys of the team.")
        self.key_age = gauge("key_age_seconds", "Seconds since the team's keys were last fetched.")
        self.signing_keys = gauge("signing_keys", "Keys of the internal identity that are published.")
        self.reloads_refused = counter(
            "reloads_refused_total", "Changed files that were not taken because they are broken.", ["what"]
        )
        self.config_stale = gauge("config_stale", "1 while a refused route file leaves an older one serving.")
        self.roster_version = gauge("roster_version", "Version of the operator list.")
        self.roster_operators = gauge("roster_operators", "Operators in the list.")
        self.roster_age = gauge("roster_age_seconds", "Seconds since the list was last confirmed.")
        self.roster_connected = gauge("roster_connected", "1 while the feed is connected.")
        self.roster_changes = Histogram(
            "roster_change_seconds",
            "Seconds from the write of a change of the operator list until it decides here.",
            namespace="auth_proxy",
            registry=registry,
            buckets=_SECONDS,
        )
        self.signature_checks = counter(
            "token_signature_checks_total",
            "Tokens that were not remembered, so that their signature was checked, by how that ended.",
            ["outcome"],
        )
        self.remembered_tokens = Gauge(
            "remembered_tokens",
            "Tokens whose verification is remembered.",
            ["kind"],
            namespace="auth_proxy",
            registry=registry,
        )
        self.signing = Histogram(
            "signing_seconds",
            "Seconds to sign one internal identity; a reused one is not signed and not counted.",
            namespace="auth_proxy",
            registry=registry,
            buckets=_SIGNING_SECONDS,
        )
        self.signing_key_age = gauge(
            "signing_key_age_seconds", "Age of the key that signs the internal identity now."
        )
        tell_build(registry, "auth_proxy")
        self._begin()

    def _begin(self) -> None:
        """Every series of a closed set exists from the start, so that an alert sees the first event.

        A counter that appears with 1 never rose, as far as a rate can tell.
        """
        for reason in Reason:
            self.decisions.labels("refused", reason.value)
        self.decisions.labels("granted", "ok")
        self.decisions.labels("abandoned", "client_left")
        self.dropped.labels(HeaderKind.IDENTITY.name.lower())
        for what in ("signing_keys", "roster", "routes"):
            self.reloads_refused.labels(what)
        for lapsed in (Reason.TOKEN_EXPIRED, Reason.OPERATOR_DEACTIVATED, Reason.ROSTER_UNAVAILABLE):
            self.streams_ended.labels(lapsed.value)
        for ended in ("verified", "refused"):
            self.signature_checks.labels(ended)


class DecisionLog:
    """Writes decisions down: the counters and the lines of a turn of the loop together, at its end.

    By then the answers of that turn are with the kernel: no client waits for what is written here, and the
    second line of a turn finds the code of the first in the processor's cache (15 → 5 µs for each).
    A line of the general logger costs 60 µs. Only what could hold text from outside is
    searched for secrets; the rest are words of ours, checked ids and numbers. Nothing is kept back
    longer than a turn of the loop, and a reader who does not read holds the process up: no line is lost.
    """

    def __init__(self, metrics: ProxyMetrics, clock: Clock) -> None:
        self._metrics = metrics
        self._clock = clock
        self._unwritten: list[Callable[[], Decision]] = []
        self._prefix = ""
        self._timestamp = ""
        """Of all lines of one turn: its loop takes less than a millisecond."""
        # Bound once: looking a labelled child up costs three times what counting does.
        self._decisions: dict[tuple[str, str], Counter] = {}
        self._requests: dict[tuple[str, int], tuple[Counter, Histogram]] = {}

    def record(self, decision: Decision) -> None:
        self.record_told(lambda: decision)

    def record_told(self, tell: Callable[[], Decision]) -> None:
        """Record what `tell` gives at the end of this turn of the loop."""
        if not self._unwritten:
            asyncio.get_running_loop().call_soon(self.flush)
        self._unwritten.append(tell)

    def flush(self) -> None:
        """Count and write what waits."""
        told, self._unwritten = self._unwritten, []
        self._timestamp = self._clock.now().isoformat().replace("+00:00", "Z")
        lines = [line for tell in told if (line := self._written(tell))]
        if lines:
            raw_logger().info("\n".join(lines))

    def _written(self, tell: Callable[[], Decision]) -> str:
        """The line of a decision that is counted; empty if it could not be told."""
        try:
            decision = tell()
            self._count(decision)
            return self._line(decision)
        except Exception as error:  # noqa: BLE001 - one that cannot be told must not cost the others their line
            _log.error("decision_not_written", exc_info=error)
            return ""

    def _count(self, decision: Decision) -> None:
        outcome = decision.outcome
        decisions = self._decisions.get(outcome)
        if decisions is None:
            decisions = self._decisions[outcome] = self._metrics.decisions.labels(*outcome)
        decisions.inc()
        key = decision.route, decision.status // 100
        found = self._requests.get(key)
        if found is None:
            requests = self._metrics.requests.labels(decision.route, f"{decision.status // 100}xx")
            found = self._requests[key] = requests, self._metrics.seconds.labels(decision.route)
        found[0].inc()
        found[1].observe(decision.seconds)
        if decision.dropped_headers:
            self._metrics.dropped.labels(HeaderKind.IDENTITY.name.lower()).inc(decision.dropped_headers)

    def _line(self, decision: Decision) -> str:
        outcome, reason = decision.outcome
        detail = quoted(decision.detail) if decision.detail else '""'
        if not self._prefix:
            static = "".join(
                f"{quoted(name)}: {json.dumps(value)}, " for name, value in static_fields().items()
            )
            self._prefix = f'{{{static}"logger_name": "decision", "granted": '
        return (
            f'{self._prefix}{"true" if outcome == "granted" else "false"}, "reason": "{reason}", '
            f'"detail": {detail}, "route": {quoted(decision.route)}, "method": "{decision.method}", '
            f'"status": {decision.status}, "role": "{decision.role}", '
            f'"operator": {quoted(decision.operator_id)}, "request_id": "{decision.request_id}", '
            f'"ray": "{decision.ray_id}", "ms": {decision.seconds * 1000:.2f}, '
            f'"event": "decision", "level": "info", "timestamp": "{self._timestamp}"}}'
        )
