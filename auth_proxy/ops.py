"""The second listener: health, readiness, metrics and the public keys of the internal signer.

It stands on its own port, for machines of ours; nothing here is reachable through the gate.
"""

import hashlib
import json
from typing import Protocol

from aiohttp import web
from prometheus_client import CollectorRegistry

from auth_proxy.access.key_set import RemoteKeySet
from auth_proxy.roster.feed import FeedRoster
from service_kit.identity.signing import IdentitySigner, SigningError, Subject
from service_kit.web.ops import MetricsPage, Readiness, ReadinessCheck, ReadinessGauge, ops_app

_MAX_AGE_SECONDS = 30


class _Jwks(Protocol):
    def jwks(self) -> dict[str, object]: ...


def build_ops_app(
    registry: CollectorRegistry,
    checks: list[ReadinessCheck],
    signer: _Jwks,
    *,
    page: MetricsPage | None = None,
    ready: ReadinessGauge | None = None,
) -> web.Application:
    """`/livez`, `/readyz`, `/metrics` and `/.well-known/jwks.json`."""

    async def jwks(request: web.Request) -> web.Response:
        body = json.dumps(signer.jwks(), sort_keys=True).encode()
        etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
        headers = {"ETag": etag, "Cache-Control": f"public, max-age={_MAX_AGE_SECONDS}"}
        if request.headers.get("If-None-Match") == etag:
            return web.Response(status=304, headers=headers)
        return web.Response(body=body, content_type="application/jwk-set+json", headers=headers)

    app = ops_app(registry, checks, page=page, ready=ready)
    app.router.add_get("/.well-known/jwks.json", jwks)
    return app


def access_keys_check(keys: RemoteKeySet) -> ReadinessCheck:
    """Ready while tokens can be proven, also on keys that could not be renewed for a while."""

    async def check() -> Readiness:
        age = keys.age_seconds
        detail = "never loaded" if age is None else f"{keys.key_count} keys, {age:.0f} s old"
        return Readiness("access_keys", keys.ready, detail)

    return check


def roster_check(roster: FeedRoster) -> ReadinessCheck:
    """Ready while the operator list is confirmed."""

    async def check() -> Readiness:
        if roster.is_fresh:
            return Readiness("roster", ready=True, detail=f"version {roster.version}")
        return Readiness("roster", ready=False, detail="the admin service does not confirm the operator list")

    return check


class _Followed(Protocol):
    @property
    def is_stale(self) -> bool: ...


def routes_check(routes: _Followed) -> ReadinessCheck:
    """Ready also while the route file is refused: the last good one serves, and the detail says so."""

    async def check() -> Readiness:
        stale = "the file is refused; the last good one serves"
        return Readiness("routes", ready=True, detail=stale if routes.is_stale else "as in the file")

    return check


def signing_check(signer: IdentitySigner) -> ReadinessCheck:
    """Ready while an identity can be signed."""

    async def check() -> Readiness:
        try:
            signer.sign(Subject(sub="readiness"), audience="readiness", lifetime_seconds=1)
        except SigningError:
            return Readiness("signing_key", ready=False, detail="no key signs")
        return Readiness("signing_key", ready=True)

    return check
