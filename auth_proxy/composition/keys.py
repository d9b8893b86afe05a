"""The two kinds of keys: the team's public ones, and our own that sign the internal identity."""

import contextlib
from datetime import timedelta

from auth_proxy.access.errors import RefreshOutcome
from auth_proxy.access.key_set import RemoteKeySet
from auth_proxy.access.key_source import HttpKeySource
from auth_proxy.composition.parts import begin
from auth_proxy.decision_log import ProxyMetrics
from auth_proxy.key_ring import KeyRing
from auth_proxy.settings import ProxySettings
from service_kit.clock import Clock
from service_kit.identity.keys import active_key


async def signing_ring(
    settings: ProxySettings, clock: Clock, metrics: ProxyMetrics, stack: contextlib.AsyncExitStack
) -> KeyRing:
    refused = metrics.reloads_refused.labels("signing_keys").inc
    ring = KeyRing(settings.signing_key_file, clock, refused=refused)
    await begin(ring, stack)
    metrics.signing_keys.set_function(lambda: len(ring.current()))
    lead = timedelta(seconds=settings.signing_lead_seconds)

    def age() -> float:
        return (clock.now() - active_key(ring.current(), clock.now(), lead).created_at).total_seconds()

    metrics.signing_key_age.set_function(age)
    return ring


async def access_keys(
    settings: ProxySettings, clock: Clock, metrics: ProxyMetrics, stack: contextlib.AsyncExitStack
) -> RemoteKeySet:
    source = HttpKeySource(
        settings.certs_url, clock=clock, insecure_allow_loopback_http=settings.is_development
    )
    keys = RemoteKeySet(source, clock=clock, observer=_KeyMetrics(metrics))
    metrics.keys.set_function(lambda: keys.key_count)
    metrics.key_age.set_function(lambda: keys.age_seconds or 0)
    await keys.start()
    stack.push_async_callback(keys.close)
    return keys


class _KeyMetrics:
    def __init__(self, metrics: ProxyMetrics) -> None:
        self._metrics = metrics
        for outcome in RefreshOutcome:  # from 0 on, so that an alert sees the first one
            metrics.key_refreshes.labels(outcome.value)

    def refresh(self, outcome: RefreshOutcome) -> None:
        self._metrics.key_refreshes.labels(outcome.value).inc()

    def unknown_kid(self) -> None:
        self._metrics.unknown_keys.inc()
