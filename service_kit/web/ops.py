"""The operations listener of a process: is it alive, is it ready, and its metrics.

It stands on its own port, never on the public one, and tells no secret.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from aiohttp import web
from prometheus_client import CollectorRegistry

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


@dataclass(slots=True)
class Departure:
    """Whether the process is about to stop: from then on it is not ready, so that new work goes elsewhere."""

    has_begun: bool = False

    async def check(self) -> Readiness:
        detail = "the process stops" if self.has_begun else ""
        return Readiness("staying", ready=not self.has_begun, detail=detail)


def ops_app(
    registry: CollectorRegistry, checks: Sequence[ReadinessCheck], *, page: MetricsPage | None = None
) -> web.Application:
    """`/livez`, `/readyz` and `/metrics`; further routes may be added before it starts.

    `page` answers for several registries where one process does not stand alone.
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
        body, content_type = await page() if page else render_metrics(registry)
        return web.Response(body=body, headers={"Content-Type": content_type})

    app = web.Application()
    app.router.add_get("/livez", livez)
    app.router.add_get("/readyz", readyz)
    app.router.add_get("/metrics", metrics)
    return app
