"""Who knows about operators: the admin service's feed, a file, or one role for everybody."""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from auth_proxy.composition.parts import begin
from auth_proxy.decision_log import ProxyMetrics
from auth_proxy.ops import roster_check
from auth_proxy.roster.activity import BatchedActivity
from auth_proxy.roster.admin_link import AdminLink
from auth_proxy.roster.denials import AggregatedDenials
from auth_proxy.roster.enrollment import FeedEnrollment
from auth_proxy.roster.feed import FeedRoster
from auth_proxy.roster.file import FileRoster, RosterFileError, load_operators
from auth_proxy.roster.open import NoActivity, NoDenials, NoEnrollment, OpenRoster
from auth_proxy.roster.source import Activity, Denials, Enrollment, Roster
from auth_proxy.settings import ProxySettings
from auth_proxy.watched import Watched
from service_kit.clock import Clock
from service_kit.identity.model import Role
from service_kit.identity.signing import IdentitySigner
from service_kit.web.ops import ReadinessCheck
from service_kit.web.service_url import ServiceUrl


@dataclass(frozen=True, slots=True)
class Operators:
    """Everything that knows about operators, from one source."""

    roster: Roster
    enrollment: Enrollment
    activity: Activity
    denials: Denials
    checks: tuple[ReadinessCheck, ...] = ()
    looks: tuple[Callable[[], None], ...] = ()


async def operators_of(
    settings: ProxySettings,
    signer: IdentitySigner,
    clock: Clock,
    metrics: ProxyMetrics,
    stack: contextlib.AsyncExitStack,
) -> Operators:
    kind, _, detail = settings.roster_source.partition(":")
    if kind == "open":
        return Operators(OpenRoster(Role(detail)), NoEnrollment(), NoActivity(), NoDenials())
    if kind == "file":
        refused = metrics.reloads_refused.labels("roster").inc
        watched = Watched(Path(detail), load_operators, expected=RosterFileError, refused=refused)
        await begin(watched, stack)
        looks = (watched.look,)
        return Operators(FileRoster(watched), NoEnrollment(), NoActivity(), NoDenials(), looks=looks)
    link = AdminLink(_required(settings.admin_service), signer)
    roster = FeedRoster(
        link,
        clock,
        _FeedMetrics(metrics),
        max_staleness=settings.roster_max_staleness,
        took=metrics.roster_changes.observe,
    )
    activity, denials = BatchedActivity(link, clock), AggregatedDenials(link, clock)
    metrics.roster_age.set_function(lambda: roster.age_seconds)
    # Closed in reverse: the last reports still need the link.
    for part in (link, roster, activity, denials):
        await begin(part, stack)
    return Operators(roster, FeedEnrollment(link, roster), activity, denials, (roster_check(roster),))


def _required(url: ServiceUrl | None) -> ServiceUrl:
    if url is None:
        raise ValueError("ADMIN_SERVICE_URL is not set")
    return url


class _FeedMetrics:
    def __init__(self, metrics: ProxyMetrics) -> None:
        self._metrics = metrics

    def connected(self) -> None:
        self._metrics.roster_connected.set(1)

    def disconnected(self) -> None:
        self._metrics.roster_connected.set(0)

    def changed(self, version: int, operators: int) -> None:
        self._metrics.roster_version.set(version)
        self._metrics.roster_operators.set(operators)
