"""The operations listener of a process: is it alive, is it ready, and its metrics.

It stands on its own port, never on the public one, and tells no secret.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

from aiohttp import web
from prometheus_client import CollectorRegistry, Gauge

from service_kit.telemetry.metrics import render_metrics


@dataclass(frozen=True, slots=True)
class Readiness:
    """One answer to "can you serve?"; the detail is for the SRE who reads it at night."""

    name: str
    ready: bool
    detail: str = ""


ReadinessCheck = Callable[[], Awaitable[Readiness]]
MetricsPage = Callable[[], Awaitable[tuple[bytes, str]]]
"""The page and its content type."""
_READY_SECONDS: Final = 0.5
_LAST_SECONDS: Final = 2.0


@dataclass(slots=True)
class Departure:
    """Whether the process is about to stop: from then on it is not ready, so that new work goes elsewhere."""

    has_begun: bool = False

    async def check(self) -> Readiness:
        detail = "the process stops" if self.has_begun else ""
        return Readiness("staying", ready=not self.has_begun, detail=detail)


@dataclass(slots=True)
class Opening:
    """Whether the listener that others come to is still closed, while this one answers already."""

    is_awaited: bool = False

    async def check(self) -> Readiness:
        detail = "nobody is let in yet" if self.is_awaited else ""
        return Readiness("open", ready=not self.is_awaited, detail=detail)


class ReadinessGauge:
    """Readiness as a metric, asked anew for each metrics page.

    A check that hangs, as one that waits for a database does, must not keep the page back: it is on the
    page that an SRE sees why. So the look is waited for a moment, and an answer that is late counts as no.
    """

    def __init__(self, registry: CollectorRegistry, namespace: str, checks: Sequence[ReadinessCheck]) -> None:
        self._gauge = Gauge(
            "ready",
            "1 when every readiness check of this process held a moment ago, else 0.",
            namespace=namespace,
            registry=registry,
        )
        self._checks = checks
        self._asking: asyncio.Task[bool] | None = None

    async def look(self) -> None:
        """Ask, and write down what was answered. Never raises and never takes long."""
        # One look at a time, and none is cut off: a cancelled query may take its connection with it.
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._ask())
        # By a name of its own: while this page waits, another one may have begun the next look.
        asking = self._asking
        await asyncio.wait({asking}, timeout=_READY_SECONDS)
        self._gauge.set(int(asking.done() and not asking.cancelled() and asking.result()))

    async def _ask(self) -> bool:
        try:
            return all([(await check()).ready for check in self._checks])
        except Exception:  # noqa: BLE001 - what cannot be asked is not ready, and the page is shown
            return False

    async def close(self) -> None:
        """Leave nothing behind: what was asked is answered, or given up after a moment."""
        if self._asking is not None:
            await asyncio.wait({self._asking}, timeout=_LAST_SECONDS)
            self._asking.cancel()
            await asyncio.gather(self._asking, return_exceptions=True)


def ops_app(
    registry: CollectorRegistry,
    checks: Sequence[ReadinessCheck],
    *,
    page: MetricsPage | None = None,
    ready: ReadinessGauge | None = None,
) -> web.Application:
    """`/livez`, `/readyz` and `/metrics`; further routes may be added before it starts.

    `page` answers for several registries where one process does not stand alone; `ready` looks before
    each page is made.
    """

    async def livez(_request: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def readyz(_request: web.Request) -> web.Response:
        results = [await check() for check in checks]
        ready = all(result.ready for result in results)
        document = {
            "ready": ready,
            "checks": [{"name": r.name, "ready": r.ready, "detail": r.detail} for r in results],
        }
        return web.json_response(
            document, status=200 if ready else 503, headers={"Cache-Control": "no-store"}
        )

    async def metrics(_request: web.Request) -> web.Response:
        if ready is not None:
            await ready.look()
        body, content_type = await page() if page else render_metrics(registry)
        return web.Response(body=body, headers={"Content-Type": content_type})

    async def close(_app: web.Application) -> None:
        if ready is not None:
            await ready.close()

    app = web.Application()
    app.on_cleanup.append(close)
    app.router.add_get("/livez", livez)
    app.router.add_get("/readyz", readyz)
    app.router.add_get("/metrics", metrics)
    return app
