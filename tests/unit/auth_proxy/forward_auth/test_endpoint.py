"""The endpoint with a decision that is made up: who may ask, what is noted, and that no failure is a yes."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from ipaddress import ip_network

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import BaseTestServer, TestServer
from multidict import CIMultiDictProxy
from prometheus_client import CollectorRegistry

from auth_proxy.decision_log import Decision, DecisionLog, ProxyMetrics
from auth_proxy.forward_auth.endpoint import ForwardAuth
from auth_proxy.pipeline.exchange import RawRequest, SignedGrant
from auth_proxy.pipeline.screen import ScreenPolicy
from auth_proxy.refusals import Reason, Refusal
from auth_proxy.roster.source import Denied
from service_kit.clock import SystemClock

WORDS = {
    "X-Forwarded-Method": "POST",
    "X-Forwarded-Uri": "/a?secret=1",
    "X-Forwarded-Host": "admin.example.com",
    "Cf-Ray": "0123456789abcdef-FRA",
    "CF-Connecting-IP": "203.0.113.9",
    "User-Agent": "curious",
}
ASKED_BY_NGINX = {
    "X-Original-Method": "GET",
    "X-Original-URI": "/a",
    "X-Original-Host": "admin.example.com",
}


class Written(DecisionLog):
    """A decision log that can be read."""

    def __init__(self) -> None:
        super().__init__(ProxyMetrics(CollectorRegistry()), SystemClock())
        self.decisions: list[Decision] = []

    def record(self, decision: Decision) -> None:
        self.decisions.append(decision)
        super().record(decision)


@dataclass
class Noted:
    """Denials that can be read."""

    denied: list[Denied] = field(default_factory=list)

    def note(self, denied: Denied) -> None:
        self.denied.append(denied)


@dataclass
class Refuses:
    """A pipeline that ends as it is told to."""

    error: Exception
    trusted: str = "127.0.0.0/8"
    asked: list[RawRequest] = field(default_factory=list)

    @property
    def screen_policy(self) -> ScreenPolicy:
        return ScreenPolicy(trusted=(ip_network(self.trusted),))

    async def decide(self, raw: RawRequest) -> SignedGrant:
        self.asked.append(raw)
        raise self.error


@dataclass
class Asked:
    """An operations listener, and how to ask it."""

    server: BaseTestServer
    pipeline: Refuses
    log: Written
    noted: Noted

    async def get(
        self, path: str, headers: dict[str, str], body: bytes | None = None
    ) -> tuple[int, str, CIMultiDictProxy[str]]:
        async with (
            aiohttp.ClientSession() as session,
            session.request("GET", self.server.make_url(path), headers=headers, data=body) as answer,
        ):
            return answer.status, await answer.text(), answer.headers


async def _elsewhere(_request: web.Request) -> web.Response:
    return web.Response(text="alive")


@asynccontextmanager
async def asked_of(pipeline: Refuses, *enabled: str) -> AsyncIterator[Asked]:
    log, noted = Written(), Noted()
    auth = ForwardAuth(lambda: pipeline, log, SystemClock(), enabled=enabled, denials=noted, can_enroll=True)
    app = web.Application(middlewares=[auth.middleware])
    app.router.add_get("/livez", _elsewhere)
    async with TestServer(app) as server:
        yield Asked(server, pipeline, log, noted)


async def test_what_is_no_question_is_answered_as_before() -> None:
    """Health, metrics and keys stay where they are."""
    async with asked_of(Refuses(RuntimeError()), "envoy") as ops:
        assert (await ops.get("/livez", {}))[:2] == (200, "alive")


@pytest.mark.parametrize(
    "path",
    [
        "/authz/",
        "/authz/nginx",
        "/authz/nginx/refusal",
        "/authz/envoyx/a",
        "/authz/haproxy",
        "/authz/caddy/refusal",
        "/authz/caddy/x",
    ],
)
async def test_nobody_else_is_answered(path: str) -> None:
    """A proxy that is not enabled has nothing to ask, whatever it is trusted with elsewhere."""
    async with asked_of(Refuses(RuntimeError()), "caddy", "envoy") as ops:
        assert (await ops.get(path, WORDS))[0] == 404
        assert (ops.log.decisions, ops.pipeline.asked) == ([], [])


async def test_an_untrusted_peer_is_refused_by_name() -> None:
    """Mistake M-13 of others: its words are not even read, and no proxy's form of a no is given."""
    pipeline = Refuses(RuntimeError(), trusted="192.0.2.0/24")
    async with asked_of(pipeline, "nginx", "envoy", "caddy", "traefik") as ops:
        for path, words in (
            ("/authz/nginx", ASKED_BY_NGINX),
            ("/authz/nginx/refusal", ASKED_BY_NGINX),
            ("/authz/envoy/a", {}),
            ("/authz/caddy", WORDS),
            ("/authz/traefik", WORDS),
        ):
            status, text, _ = await ops.get(path, words)
            assert (status, "PROXY_UNTRUSTED" in text) == (403, True)

        assert pipeline.asked == []
        assert {decision.reason for decision in ops.log.decisions} == {Reason.PROXY_UNTRUSTED}
        assert {(decision.method, decision.route) for decision in ops.log.decisions} == {("-", "-")}


async def test_a_failure_to_decide_is_a_refusal() -> None:
    """R-051: nothing that is raised becomes a yes, and the log says what it was."""
    async with asked_of(Refuses(RuntimeError("boom")), "caddy", "nginx") as ops:
        status, text, _ = await ops.get("/authz/caddy", WORDS)
        nginx = await ops.get("/authz/nginx", ASKED_BY_NGINX)

        assert (status, "INTERNAL_ERROR" in text, "boom" in text) == (500, True, False)
        assert (nginx[0], nginx[2]["X-Auth-Refusal"]) == (403, "internal_error")
        assert [(item.reason, item.detail, item.status) for item in ops.log.decisions] == [
            (Reason.INTERNAL_ERROR, "RuntimeError", 500)
        ] * 2


async def test_a_refusal_is_written_down_and_noted_as_at_the_gate() -> None:
    """R-130: one line without path or query, and a denial with the client's own address."""
    refusal = Refusal(Reason.PERMISSION_DENIED).at("/a", "support").of("sub-1", "ada@example.com", "adm_1")
    async with asked_of(Refuses(refusal), "caddy") as ops:
        await ops.get("/authz/caddy?secret=1", WORDS)

        (decision,), (denied,) = ops.log.decisions, ops.noted.denied
        assert (decision.method, decision.route, decision.status) == ("POST", "/a", 403)
        assert (decision.role, decision.operator_id) == ("support", "adm_1")
        assert decision.ray_id == "0123456789abcdef-FRA"
        assert decision.seconds > 0
        assert "secret" not in repr(decision)
        assert (denied.sub, denied.email, denied.operator_id) == ("sub-1", "ada@example.com", "adm_1")
        assert (denied.ip, denied.user_agent, denied.route) == ("203.0.113.9", "curious", "/a")
        assert denied.request_id == decision.request_id


async def test_what_is_refused_before_it_is_understood_is_noted_without_words() -> None:
    """R-130: an attempt to be somebody else is told to the audit log; an odd Ray ID is not."""
    refusal = Refusal(Reason.IDENTITY_HEADER_SPOOFED)
    async with asked_of(Refuses(refusal), "caddy") as ops:
        await ops.get("/authz/caddy", {**WORDS, "X-Forwarded-Method": "BREW", "Cf-Ray": "no ray"})

        (decision,), (denied,) = ops.log.decisions, ops.noted.denied
        assert (decision.method, decision.ray_id, decision.route) == ("-", "", "-")
        assert (denied.route, denied.sub) == ("-", "")


async def test_a_body_is_refused_unread() -> None:
    """Bodies stay with the proxy; one that comes with a question ends the connection."""
    async with asked_of(Refuses(RuntimeError()), "caddy") as ops:
        status, _, headers = await ops.get("/authz/caddy", WORDS, body=b"x" * 10)

        assert (status, headers["Connection"], ops.pipeline.asked) == (400, "close", [])
        assert ops.log.decisions[0].reason is Reason.PROXY_WORDS_AMBIGUOUS


async def test_a_question_that_carries_an_upgrade_ends_its_connection() -> None:
    """The parser stopped at the head: what follows was never read as a question."""
    async with asked_of(Refuses(Refusal(Reason.TOKEN_MISSING)), "caddy") as ops:
        port = ops.server.port
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        words = "".join(f"{name}: {value}\r\n" for name, value in WORDS.items())
        writer.write(
            f"GET /authz/caddy HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            f"{words}\r\n"
            "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n".encode()
        )
        raw = await asyncio.wait_for(reader.read(), 20)
        writer.close()

        assert raw.startswith(b"HTTP/1.1 403 ")
        assert b"alive" not in raw
        assert ops.pipeline.asked[0].headers[-1] == (b"Upgrade", b"websocket")


async def test_nginx_comes_back_for_the_page() -> None:
    """R-165: its client gets status, page and request id of the refusal; nothing is decided."""
    request_id = f"req_{'0' * 26}"
    words = {**ASKED_BY_NGINX, "X-Auth-Refusal": "permission_denied", "X-Request-Id": request_id}
    async with asked_of(Refuses(RuntimeError()), "nginx") as ops:
        status, text, headers = await ops.get("/authz/nginx/refusal", {**words, "Accept": "text/html"})

        assert (status, headers["X-Request-Id"]) == (403, request_id)
        assert "PERMISSION_DENIED" in text
        assert text.startswith("<!doctype html>")
        assert (ops.log.decisions, ops.pipeline.asked) == ([], [])


@pytest.mark.parametrize(
    "change, status",
    [
        (lambda words: words.pop("X-Auth-Refusal"), 500),
        (lambda words: words.update({"X-Auth-Refusal": "granted"}), 500),
        (lambda words: words.pop("X-Original-URI"), 400),
        (lambda words: words.update({"X-Request-Id": "<script>"}), 404),
    ],
    ids=["no refusal", "no reason of ours", "no word", "another id"],
)
async def test_what_nginx_comes_back_with_is_never_a_yes(
    change: Callable[[dict[str, str]], object], status: int
) -> None:
    """R-051: whatever is missing or invented, the client gets a refusal."""
    words = {**ASKED_BY_NGINX, "X-Auth-Refusal": "route_not_found", "X-Request-Id": f"req_{'0' * 26}"}
    change(words)
    async with asked_of(Refuses(RuntimeError()), "nginx") as ops:
        answer = await ops.get("/authz/nginx/refusal", words)

        assert answer[0] == status
        assert answer[2]["X-Request-Id"] != "<script>"


async def test_a_frontend_that_asks_at_boot_is_told_where_to_send_people() -> None:
    """R-165: the problem document names the way out, as at the gate."""
    async with asked_of(Refuses(Refusal(Reason.ENROLLMENT_REQUIRED)), "caddy") as ops:
        _, text, _ = await ops.get("/authz/caddy", {**WORDS, "X-Forwarded-Uri": "/api/access-sso"})

        assert '"fallback": "/enrollment"' in text
