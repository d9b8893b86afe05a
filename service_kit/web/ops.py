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


def ops_app(registry: CollectorRegistry, checks: Sequence[ReadinessCheck]) -> web.Application:
    """`/livez`, `/readyz` and `/metrics`; further routes may be added before it starts."""

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
        body, content_type = render_metrics(registry)
        return web.Response(body=body, headers={"Content-Type": content_type})

    app = web.Application()
    app.router.add_get("/livez", livez)
    app.router.add_get("/readyz", readyz)
    app.router.add_get("/metrics", metrics)
    return app
