"""A stand-in for the admin service's internal endpoints: a roster feed that a test can steer.

It checks the sidecar's identity as really as the service does.
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer

from service_kit.clock import SystemClock
from service_kit.identity.binding import IDENTITY_HEADER
from service_kit.identity.model import Role, Scope
from service_kit.identity.replay import MemoryReplayGuard
from service_kit.identity.verifying import IdentityVerifier, PublicKeys, VerifierPolicy


def operator(sub: str, email: str, role: Role, *, active: bool = True, name: str = "") -> dict[str, Any]:
    """An operator as the feed tells of one."""
    return {
        "id": f"adm_{sub}",
        "sub": sub,
        "email": email,
        "name": name or email,
        "role": role.value,
        "active": active,
    }


class FakeAdminService:
    """Serves the feed, claims and activity; `answers_heartbeats = False` lets the roster go stale."""

    def __init__(self, keys: PublicKeys) -> None:
        clock = SystemClock()
        policy = VerifierPolicy(issuer="auth_proxy", audience="admin_service")
        self._verifier = IdentityVerifier(policy, keys, MemoryReplayGuard(clock), clock)
        self.operators: dict[str, dict[str, Any]] = {}
        self.version = 1
        self.sends_heartbeats = True
        self.heartbeat_seconds = 0.05
        self.tokens: dict[str, dict[str, Any]] = {}
        self.seen: list[dict[str, str]] = []
        self.denials: list[dict[str, Any]] = []
        self.denials_status = 204
        self.before_claim_answer: Callable[[], None] = lambda: None
        self.feeds = 0
        self.received: list[str] = []
        self._wakers: set[asyncio.Queue[str]] = set()
        self.app = web.Application()
        self.app.router.add_get("/internal/v1/roster/feed", self._feed)
        self.app.router.add_post("/internal/v1/enrollments/claim", self._claim)
        self.app.router.add_post("/internal/v1/operators/activity", self._activity)
        self.app.router.add_post("/internal/v1/access-denials", self._denials)
        self.app.router.add_route("*", "/{path:.*}", self._page)

    def put(self, *entries: dict[str, Any]) -> None:
        """Add or change operators, and tell every feed at once."""
        self.version += 1
        for entry in entries:
            self.operators[entry["id"]] = entry
        change = {"type": "change", "version": self.version, "upserts": list(entries), "removed": []}
        self.say(change)

    def say(self, message: dict[str, Any] | str) -> None:
        """Write a line, or raw text, to every open feed."""
        line = message if isinstance(message, str) else json.dumps(message) + "\n"
        for queue in self._wakers:
            queue.put_nowait(line)

    async def _page(self, request: web.Request) -> web.StreamResponse:
        """Everything else is a page of the panel: written down, whatever it was."""
        self.received.append(f"{request.method} {request.raw_path}")
        return web.Response(text="page")

    async def _sidecar(self, request: web.Request) -> None:
        token = request.headers[IDENTITY_HEADER]
        identity = await self._verifier.verify(token, method=request.method, target=request.raw_path)
        assert identity.scope is Scope.ROSTER

    async def _feed(self, request: web.Request) -> web.StreamResponse:
        await self._sidecar(request)
        self.feeds += 1
        response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
        await response.prepare(request)
        snapshot = {"type": "snapshot", "version": self.version, "operators": list(self.operators.values())}
        await response.write(json.dumps(snapshot).encode() + b"\n")
        queue: asyncio.Queue[str] = asyncio.Queue()
        self._wakers.add(queue)
        try:
            with contextlib.suppress(ConnectionError):
                while True:
                    await response.write((await self._next_line(queue)).encode())
        finally:
            self._wakers.discard(queue)
        return response

    async def _next_line(self, queue: "asyncio.Queue[str]") -> str:
        while True:
            try:
                async with asyncio.timeout(self.heartbeat_seconds):
                    return await queue.get()
            except TimeoutError:
                # A machine that stood still has both: no heartbeat tells of a version before its change.
                if not queue.empty():
                    return queue.get_nowait()
                if self.sends_heartbeats:
                    return json.dumps({"type": "heartbeat", "version": self.version}) + "\n"

    async def _claim(self, request: web.Request) -> web.StreamResponse:
        await self._sidecar(request)
        assert request.content_type == "application/json"  # as strict as the service
        body = await request.json()
        entry = self.tokens.pop(body["token"], None)
        if entry is None or entry["email"] != body["email"]:
            return web.json_response({"code": "ENROLLMENT_REQUIRED"}, status=403)
        claimed = {**entry, "sub": body["sub"]}
        self.put(claimed)
        version = self.version
        self.before_claim_answer()
        await asyncio.sleep(0.05)  # the feed is quicker than this answer
        shown = {key: claimed[key] for key in ("id", "email", "name", "role")}
        return web.json_response({**shown, "version": version})

    async def _activity(self, request: web.Request) -> web.StreamResponse:
        await self._sidecar(request)
        assert request.content_type == "application/json"
        self.seen += (await request.json())["seen"]
        return web.Response(status=204)

    async def _denials(self, request: web.Request) -> web.StreamResponse:
        await self._sidecar(request)
        if self.denials_status == 204:
            self.denials += (await request.json())["denials"]
        return web.Response(status=self.denials_status)


@asynccontextmanager
async def fake_admin_service(fake: FakeAdminService) -> AsyncIterator[str]:
    """Run it on a free port; the value is its URL."""
    server = TestServer(fake.app)
    await server.start_server(shutdown_timeout=0.1)
    try:
        yield f"http://127.0.0.1:{server.port}"
    finally:
        await server.close()
