# noqa: INP001 - a module of the script beside it
"""Writes docs/metrics.md: every metric of the three processes, and what bounds each label.

The metrics are those that the code registers, made here as the processes make them. A label without a
bound stops it: a label that a client can grow would fill the memory of whoever scrapes.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from prometheus_client import CollectorRegistry, Metric, ProcessCollector

from admin_service.break_glass_gauge import BreakGlassGauge
from admin_service.roster.service import RosterMetrics
from auth_proxy.access.errors import RefreshOutcome
from auth_proxy.decision_log import ProxyMetrics
from auth_proxy.header_names import HeaderKind
from auth_proxy.refusals import Reason
from auth_proxy.transport.connections import Shed
from auth_proxy.transport.tunnel import Cause
from auth_proxy.transport.upstream_pool import Connecting
from auth_proxy.workers.metrics_page import LABEL, render
from service_kit.audit.alarm import AuditMetrics, write_failures
from service_kit.db.metrics import DatabaseMetrics
from service_kit.identity.verifying import IdentityReason
from service_kit.jobs.metrics import JobMetrics
from service_kit.jobs.tables import RunStatus
from service_kit.telemetry.metrics import RequestMetrics, tell_build
from service_kit.web.guard import GuardMetrics
from service_kit.web.ops import ReadinessGauge
from tenant_service.billing.credits.watching import LedgerMetrics
from tenant_service.half_accepted import HalfAccepted
from tenant_service.public.plane import DoorMetrics
from tenant_service.support.service import SearchMetrics

INTRO: Final = f"""\
# Metrics

What each process tells on its operations listener under `/metrics`. Nothing of it is on a public port.
The alerts that read it are in `deploy/monitoring/rules`, each with a page in
[runbooks](runbooks/README.md); the objectives are in [SLO](slo.md).

* **No label is a client's.** Each label comes from a closed set of the code or of your configuration; the
  column *labels* names them, and the table at the end says what bounds each. No path, host, address,
  person, tenant or key id is a label. A test asks with 10,000 random paths, hosts, methods, headers and
  people, and compares the series.
* **A histogram** is three kinds of series: `_bucket` with `le`, `_sum` and `_count`. A counter and a
  histogram have `_created` beside them, the time of their start.
* **Several workers** of one sidecar are one page: each of its samples has the label `{LABEL}`, and
  nothing is added up. Several replicas of a service are several targets.
* **The services' label `job`** names a job of theirs. Prometheus has a label of that name for the target,
  and renames this one to `exported_job`.
* **What is not counted for each request**: the sidecar counts a signature check where one happens and
  signing where it happens. A token is proven once, and an identity for safe methods is reused for five
  seconds. So the hit ratio of the token cache is what was granted less what was checked, over what was
  granted (`auth_proxy:token_cache_hits:ratio_rate10m`).
* **Every listener** has rate, errors and duration: the sidecar's gate (`auth_proxy_requests_total`,
  `auth_proxy_request_seconds`), each service's internal listener (`…_http_requests_total`,
  `…_http_request_seconds`) and the tenants' hosts (`tenant_public_…`). Forward-auth answers on the
  operations listener are decisions and are counted as such; health and metrics requests are not."""

_METHODS: Final = "the methods of HTTP, and `other`"
_PATTERNS: Final = "the patterns of the route table, and `other` for what matches none"
BOUNDS: Final = {
    "auth_proxy_decisions outcome": "`granted`, `refused`, `abandoned`",
    "auth_proxy_decisions reason": f"{len(Reason)} reasons of [refusals](refusals.md), `ok`, `client_left`",
    "auth_proxy_requests route": "the names of the routes in force, and `-` for none",
    "auth_proxy_requests status": "`1xx` to `5xx`",
    "auth_proxy_request_seconds route": "the names of the routes in force, and `-` for none",
    "auth_proxy_dropped_headers kind": f"one of {len(HeaderKind)} kinds of header",
    "auth_proxy_connections_shed cause": ", ".join(f"`{cause}`" for cause in Shed),
    "auth_proxy_websockets_closed cause": ", ".join(f"`{cause}`" for cause in Cause),
    "auth_proxy_streams_ended reason": "the reasons for which a grant lapses, of [refusals](refusals.md)",
    "auth_proxy_upstream_connections state": "`resting`, `busy`",
    "auth_proxy_upstream_connects outcome": ", ".join(f"`{outcome}`" for outcome in Connecting),
    "auth_proxy_key_refreshes outcome": ", ".join(f"`{outcome}`" for outcome in RefreshOutcome),
    "auth_proxy_reloads_refused what": "`signing_keys`, `roster`, `routes`",
    "auth_proxy_token_signature_checks outcome": "`verified`, `refused`",
    "auth_proxy_remembered_tokens kind": "`verified`, `refused`",
    "auth_proxy_worker_up worker": "the numbers below `AUTH_PROXY_WORKERS`",
    "build_info version": "one: the version that runs",
    "build_info python": "one: the version that runs",
    "http_requests route": _PATTERNS,
    "http_requests method": _METHODS,
    "http_requests status": "the statuses that the service answers, and 499 for a client that left",
    "http_request_seconds route": _PATTERNS,
    "identity_refused reason": ", ".join(f"`{reason}`" for reason in IdentityReason) + ", `keys_not_loaded`",
    "db_pool_size pool": "`write` and `read` on SQLite, `all` on PostgreSQL",
    "db_pool_in_use pool": "`write` and `read` on SQLite, `all` on PostgreSQL",
    "job_runs job": "the names of the service's jobs",
    "job_runs status": ", ".join(f"`{status}`" for status in RunStatus),
    "job_last_success_timestamp_seconds job": "the names of the service's jobs",
    "job_last_duration_seconds job": "the names of the service's jobs",
    "job_failures_in_a_row job": "the names of the service's jobs",
    "outbox_messages queue": "the names of the service's queues",
    "outbox_messages state": "`ready`, `in_flight`, `retrying`, `dead`",
    "outbox_oldest_seconds queue": "the names of the service's queues",
    "support_searches outcome": "`executed`, `rate_limited`, `refused`, `audit_failed`",
    "sign_ins outcome": "`success`, `error`, and the codes of the refusals of signing in",
    "invitation_accepts outcome": "`success`, `error`, and the codes of the refusals of accepting",
}
"""By the name of a metric, of one process or without its prefix, and the label."""


class UnboundLabelError(Exception):
    """A label whose bound nobody wrote down, or a bound of a label that is gone."""


@dataclass(frozen=True, slots=True)
class Shown:
    """One metric as the page shows it."""

    name: str
    kind: str
    text: str
    labels: tuple[str, ...]

    @property
    def sample(self) -> str:
        """The name by which a query asks for it."""
        return f"{self.name}_total" if self.kind == "counter" else self.name


class _Kept(CollectorRegistry):
    """A registry that knows the labels of its metrics before there is a series."""

    def metrics(self) -> Iterator[Shown]:
        for collector in self._collector_to_names:
            for family in collector.collect():
                yield Shown(family.name, family.type, family.documentation, _labels(collector, family))


def _labels(collector: object, family: Metric) -> tuple[str, ...]:
    """Where both know labels, they know the same."""
    found = vars(collector).get("_labelnames") or vars(family).get("_labelnames") or ()
    return tuple(map(str, found))


def metrics() -> dict[str, tuple[Shown, ...]]:
    """Every metric by process, in the order of their names."""
    made: dict[str, Callable[[CollectorRegistry], None]] = {
        "auth-proxy": _sidecar,
        "admin-service": _admin,
        "tenant-service": _tenant,
    }
    found = {}
    for process, make in made.items():
        registry = _Kept()
        ProcessCollector(registry=registry)
        make(registry)
        found[process] = tuple(sorted(registry.metrics(), key=lambda shown: shown.name))
    return found


def _sidecar(registry: CollectorRegistry) -> None:
    ProxyMetrics(registry)
    ReadinessGauge(registry, "auth_proxy", ())


def _service(registry: CollectorRegistry, namespace: str) -> None:
    tell_build(registry, namespace)
    RequestMetrics(registry, namespace)
    GuardMetrics(registry, namespace)
    ReadinessGauge(registry, namespace, ())
    DatabaseMetrics(registry, namespace)
    AuditMetrics(registry, namespace)
    write_failures(registry, namespace)
    JobMetrics(registry, namespace)


def _admin(registry: CollectorRegistry) -> None:
    _service(registry, "admin_service")
    RosterMetrics(registry, "admin_service")
    BreakGlassGauge.gauge(registry, "admin_service")


def _tenant(registry: CollectorRegistry) -> None:
    _service(registry, "tenant_service")
    LedgerMetrics(registry, "tenant_service")
    SearchMetrics(registry, "tenant_service")
    RequestMetrics(registry, "tenant_public")
    DoorMetrics(registry)
    HalfAccepted.gauge(registry, "tenant_public")


def _worker_up() -> Shown:
    """Only the page of several workers has it."""
    page = render({})[0].decode()
    text = page.partition("# HELP auth_proxy_worker_up ")[2].partition("\n")[0]
    return Shown("auth_proxy_worker_up", "gauge", text, (LABEL,))


def parts(table: Callable[[Sequence[str], Sequence[Sequence[str]]], str]) -> list[str]:
    """The page. Raises UnboundLabelError."""
    found = metrics()
    found["auth-proxy"] += (_worker_up(),)
    pieces, bounds, used = [INTRO], [], set()
    for process, shown in found.items():
        rows = [(f"`{one.sample}`", one.kind, _joined(one.labels), one.text) for one in shown]
        pieces += [f"## `{process}`", table(("metric", "type", "labels", "meaning"), rows)]
        for one in shown:
            for label in one.labels:
                key = _bound_of(one.name, label)
                used.add(key)
                bounds.append((f"`{one.sample}`", f"`{label}`", BOUNDS[key]))
    if superfluous := sorted(set(BOUNDS) - used):
        raise UnboundLabelError(f"no metric has the label of {', '.join(superfluous)}")
    return [*pieces, "## What bounds a label", table(("metric", "label", "bound"), bounds)]


def _joined(labels: Sequence[str]) -> str:
    return ", ".join(f"`{label}`" for label in labels)


def _bound_of(metric: str, label: str) -> str:
    prefixes = ("", "auth_proxy_", "admin_service_", "tenant_service_", "tenant_public_")
    names = (metric.removeprefix(prefix) for prefix in prefixes)
    for name in names:
        if (key := f"{name} {label}") in BOUNDS:
            return key
    raise UnboundLabelError(f"{metric}: nothing bounds the label {label}")
