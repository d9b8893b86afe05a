"""Follows the route file: a good new version is in force within a second, a broken one never.

It reads the one file and no environment: listeners, limits and hosts are those of the start.
"""

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from auth_proxy.composition.parts import begin
from auth_proxy.composition.plan import PlanMaker
from auth_proxy.decision_log import ProxyMetrics
from auth_proxy.gate import Gate
from auth_proxy.ops import routes_check
from auth_proxy.route_file import RouteFile
from auth_proxy.settings import ProxySettings, with_routes_reread
from auth_proxy.watched import Watched
from service_kit.settings import SettingsError
from service_kit.telemetry.logging import get_logger
from service_kit.web.ops import ReadinessCheck

_log = get_logger(__name__)
V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class Followed:
    """What the rest of a sidecar sees of it: nothing, where no file is named."""

    looks: tuple[Callable[[], None], ...] = ()
    checks: tuple[ReadinessCheck, ...] = ()


async def follow_routes(
    settings: ProxySettings,
    plans: PlanMaker,
    gate: Gate,
    metrics: ProxyMetrics,
    stack: contextlib.AsyncExitStack,
) -> Followed:
    """Keep the gate's plan as the file says. Raises SettingsError if the file broke since it was read."""
    path = settings.config.path
    if path is None:
        return Followed()
    adoption = _Adoption(settings, plans, gate)
    watched = Watched(
        path,
        partial(with_routes_reread, settings),
        expected=SettingsError,
        adopted=adoption.adopt,
        refused=metrics.reloads_refused.labels("routes").inc,
    )
    if watched.value.config != settings.config:
        adoption.adopt(watched.value)
    metrics.config_stale.set_function(lambda: watched.is_stale)
    await begin(watched, stack)
    # A signal means "now", also where a file looks unchanged: folders are looked up anew.
    return Followed((partial(watched.look, anyway=True),), (routes_check(watched),))


class _Adoption:
    """Puts a version of the file in force: between two requests, and as a whole."""

    def __init__(self, settings: ProxySettings, plans: PlanMaker, gate: Gate) -> None:
        self._config = settings.config
        self._plans = plans
        self._gate = gate

    def adopt(self, settings: ProxySettings) -> None:
        self._gate.plan = self._plans.make(settings)
        before, self._config = self._config, settings.config
        _log.info("routes_reloaded", **_changes(before, self._config))


def _changes(before: RouteFile, after: RouteFile) -> dict[str, list[str]]:
    """Names of routes, and of hosts that take other tokens; no value of either."""
    old = {route.name: route for route in before.routes}
    new = {route.name: route for route in after.routes}
    return {
        "added": sorted(new.keys() - old.keys()),
        "removed": sorted(old.keys() - new.keys()),
        "changed": _differing(old, new),
        "hosts": sorted(
            {
                *_differing(before.audiences, after.audiences),
                *(before.audiences.keys() ^ after.audiences.keys()),
            }
        ),
    }


def _differing(old: Mapping[str, V], new: Mapping[str, V]) -> list[str]:
    return sorted(name for name in old.keys() & new.keys() if old[name] != new[name])
