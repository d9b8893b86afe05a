"""The running gate: one line and one count per decision, closed labels, and no secret in either."""

import asyncio
import io
import json
import logging
import random
import string
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import structlog
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from auth_proxy.gate import Gate, _send_continue
from auth_proxy.refusals import ANSWERS, Reason, Refusal
from auth_proxy.transport.relay import Relay
from service_kit.identity.model import Role
from service_kit.identity.signing import IdentitySigner, SigningError
from service_kit.telemetry.logging import configure_logging
from tests.fixtures.sidecar import AUD, HOST, ORIGIN, STRANGER, SidecarUnderTest, person
from tests.integration.auth_proxy.scripted_upstream import conversation, request_bytes


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """The process's log as it is written, from the moment of asking."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    stream = io.StringIO()
    configure_logging("auth_proxy", stream=stream)
    structlog.configure(cache_logger_on_first_use=False)
    yield stream
    structlog.reset_defaults()
    root.handlers[:], root.level = handlers, level


def decisions(log: io.StringIO) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    return [line for line in lines if line.get("event") == "decision"]


def gate_of(sidecar: SidecarUnderTest) -> Gate:
    gate = sidecar.sidecar.gate.request_handler
    assert isinstance(gate, Gate)
    return gate


async def test_each_request_is_one_line_without_path_query_cookie_or_token(
    sidecar: SidecarUnderTest, log: io.StringIO
) -> None:
    """architecture.md section 3: what was decided, why, about which route; nothing that the client chose."""
    log.truncate(0)
    token = sidecar.token(person(Role.SUPPORT))
    secret = (
        ("Cookie", "CF_Authorization=cookie-secret; a=cookie-secret"),
        ("Cf-Ray", "0123456789abcdef-FRA"),
    )
    requests: list[dict[str, Any]] = [
        {"target": "/api/admin/tenants/path-secret?q=query-secret", "token": token, "headers": secret},
        {"target": "/api/admin/system?q=query-secret", "token": token, "headers": secret},
        {"target": "/path-secret", "token": None},
        {"target": "/path-secret", "token": "eyJhbGciOiJub25lIn0.eyJhIjoxfQ.c2ln"},
        {"target": "/path-secret/../x", "token": token},
        {"target": "/x", "token": token, "host": "host-secret.example"},
        {"target": "/x", "token": token, "method": "PROPFIND"},
        {
            "target": "/x",
            "token": sidecar.token(STRANGER),
            "headers": (("x-admin-enrollment-token", "enr_secret123"),),
        },
    ]
    for request in requests:
        await sidecar.get(request.pop("target"), **request)
    lines = decisions(log)

    assert [(line["granted"], line["reason"], line["route"], line["status"]) for line in lines] == [
        (True, "ok", "/api/admin/tenants/*", 200),
        (False, "permission_denied", "/api/admin/system", 403),
        (False, "token_missing", "-", 403),
        (False, "token_algorithm", "-", 403),
        (False, "path_ambiguous", "-", 400),
        (False, "host_unknown", "-", 404),
        (False, "method_unsupported", "-", 405),
        (False, "enrollment_failed", "/", 403),
    ]
    assert (lines[0]["role"], lines[0]["operator"]) == ("support", f"adm_{person(Role.SUPPORT).sub}")
    assert (lines[1]["role"], lines[0]["ray"], lines[6]["method"]) == ("support", "0123456789abcdef-FRA", "-")
    assert {line["request_id"][:4] for line in lines} == {"req_"}
    text = log.getvalue()
    assert "secret" not in text.lower()
    assert "eyJ" not in text
    assert "@example.com" not in text


@pytest.mark.parametrize("ray", ["0123456789abcdef-FRA\x01", "evil", "0123456789ABCDEF", "0" * 17, '"}{'])
async def test_a_ray_id_that_is_none_is_not_written(
    sidecar: SidecarUnderTest, log: io.StringIO, ray: str
) -> None:
    """The one header that goes into the log has a closed shape."""
    log.truncate(0)
    await sidecar.get("/x", headers=(("Cf-Ray", ray),))

    assert [line["ray"] for line in decisions(log)] == [""]


async def test_a_thousand_strange_requests_add_no_series(sidecar: SidecarUnderTest) -> None:
    """Labels come from closed sets: no path, host, method or header of a client grows the metrics page."""

    def series() -> set[tuple[str, tuple[tuple[str, str], ...]]]:
        return {
            (sample.name, tuple(sorted(sample.labels.items())))
            for metric in sidecar.registry.collect()
            for sample in metric.samples
            if not sample.name.endswith("_created")
        }

    def noise() -> str:
        return "".join(chance.choices(string.ascii_letters, k=8))

    chance = random.Random(1)
    token = sidecar.token()
    for target, kwargs in (("/x", {}), ("/x/..", {}), ("/x", {"host": "x"}), ("/x", {"method": "LOCK"})):
        await sidecar.get(target, token=token, **kwargs)  # type: ignore[arg-type]  # a table of arguments
    before = series()
    answered = 0
    for number in range(1000):
        host = HOST if number % 4 else f"{noise()}.example"
        method = "GET" if number % 5 else chance.choice(["PROPFIND", "LOCK", "MKCOL", "PURGE", "SEARCH"])
        dots = "" if number % 3 else "/.."
        head = f"{method} /{noise()}/{noise()}{dots}?{noise()} HTTP/1.1\r\nHost: {host}\r\n"
        # Each on its own connection: a refusal of nobody ends it.
        lines = f"Connection: close\r\nCf-Access-Jwt-Assertion: {token}\r\nX-{noise()}: 1\r\n\r\n"
        answered += (await sidecar.send((head + lines).encode())).status > 0

    assert answered == 1000
    assert series() == before


async def test_nothing_is_forwarded_that_cannot_be_signed(
    sidecar: SidecarUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R-005: a signing key that fails means 503 for reads and writes, and no byte upstream."""

    def broken(*_: object, **__: object) -> str:
        raise SigningError

    monkeypatch.setattr(IdentitySigner, "sign", broken)
    for method in ("GET", "POST", "DELETE"):
        got = await sidecar.get(f"/fresh/{method}", method=method, token=sidecar.token(person(Role.SECURITY)),
                                headers=(("Origin", ORIGIN),))  # fmt: skip
        assert (got.status, json.loads(got.body)["code"]) == (503, "CANNOT_VOUCH")

    assert sidecar.nothing_arrived


async def test_a_defect_is_a_refusal_without_a_trace(
    sidecar: SidecarUnderTest, monkeypatch: pytest.MonkeyPatch, log: io.StringIO
) -> None:
    """A failure to decide is a refusal: 500, no detail for the client, one decision line for us."""

    def broken(*_: object) -> None:
        raise ZeroDivisionError("internal detail")

    gate = gate_of(sidecar)
    pipeline = replace(gate.plan.pipeline)
    monkeypatch.setattr(type(pipeline.authorizer), "authorize_at_once", broken)
    log.truncate(0)
    got = await sidecar.get("/x")

    assert (got.status, json.loads(got.body)["code"]) == (500, "INTERNAL_ERROR")
    assert b"internal detail" not in got.raw
    (line,) = decisions(log)
    assert (line["reason"], line["detail"]) == ("internal_error", "ZeroDivisionError")
    assert sidecar.nothing_arrived


async def test_a_client_that_leaves_is_one_line_with_499(sidecar: SidecarUnderTest, log: io.StringIO) -> None:
    """Also a request that got no answer is written down once."""
    log.truncate(0)
    sidecar.upstream.answer = b""
    _, writer = await asyncio.open_connection("127.0.0.1", sidecar.port)
    writer.write(request_bytes(sidecar, "/x"))
    async with asyncio.timeout(20):
        while not sidecar.upstream.received:
            await asyncio.sleep(0.005)
        writer.close()
        while not decisions(log):
            await asyncio.sleep(0.005)

    assert [(line["status"], line["granted"], line["route"]) for line in decisions(log)] == [(499, True, "/")]


@pytest.mark.parametrize("method", ["HEAD", "GET", "OPTIONS", "POST"])
async def test_a_refusal_speaks_to_every_method(sidecar: SidecarUnderTest, method: str) -> None:
    """A refused HEAD has no body; every refusal has an id, is not cached and not sniffed."""
    got = await sidecar.get("/manage", method=method, token=None)

    assert got.status == 403
    assert (got.body == b"") == (method == "HEAD")
    assert got.header("X-Request-Id").startswith("req_")
    assert (got.header("Cache-Control"), got.header("X-Content-Type-Options")) == ("no-store", "nosniff")


async def test_half_a_body_after_a_refusal_ends_the_connection_in_time(sidecar: SidecarUnderTest) -> None:
    """A client that promises a body and does not send it holds the connection for a second at most."""
    head = f"POST /x HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 1000\r\n\r\nhalf"
    async with asyncio.timeout(20):
        answer = await conversation(sidecar, head.encode())

    assert answer.startswith(b"HTTP/1.1 403 ")


async def test_bytes_that_are_no_request_are_one_line_too(
    sidecar: SidecarUnderTest, log: io.StringIO
) -> None:
    """The parser's refusals are counted and written like all others, without its quotation."""
    log.truncate(0)
    got = await sidecar.send(b"GET / HTTP/1.1\r\nHost: a\r\nBad secret-line\r\n\r\n")

    assert got.status == 400
    (line,) = decisions(log)
    assert (line["reason"], line["route"], line["method"]) == ("request_malformed", "-", "-")
    assert "secret" not in log.getvalue()
    assert sidecar.refusals("request_malformed") == 1


async def test_a_reused_identity_dies_with_the_role(sidecar: SidecarUnderTest) -> None:
    """The five seconds of reuse never outlive a change of the roster."""
    token = sidecar.token(person(Role.SUPPORT))
    for _ in range(3):
        await sidecar.get("/api/admin/tenants", token=token)
    who = person(Role.SUPPORT)
    entry = next(item for item in sidecar.admin.operators.values() if item["email"] == who.email)
    before = sidecar.registry.get_sample_value("auth_proxy_roster_version")
    sidecar.admin.put({**entry, "role": "read_only"})
    async with asyncio.timeout(20):
        while sidecar.registry.get_sample_value("auth_proxy_roster_version") == before:
            await asyncio.sleep(0.005)
    await sidecar.get("/api/admin/tenants", token=token)
    identities = [request.one("X-Internal-Identity") for request in sidecar.upstream.received]

    assert len(set(identities[:3])) == 1
    assert identities[3] != identities[0]


async def test_each_change_gets_an_identity_of_its_own(sidecar: SidecarUnderTest) -> None:
    """R-005: two equal writes never share a token."""
    for _ in range(2):
        await sidecar.get("/api/admin/tenants", method="POST", headers=(("Origin", ORIGIN),))
    first, second = (request.one("X-Internal-Identity") for request in sidecar.upstream.received)

    assert first != second


def test_a_refusal_of_every_reason_names_its_answer() -> None:
    """The exception that a step raises knows what the client is told."""
    for reason in Reason:
        assert Refusal(reason).answer is ANSWERS[reason]


async def test_a_defect_in_the_middle_of_an_answer_breaks_the_connection(
    sidecar: SidecarUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once bytes are out, no refusal may be glued behind them: the client must see a broken transfer."""

    async def half(_relay: Relay, _signed: object, request: web.BaseRequest, _request_id: str) -> None:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"half")
        raise ZeroDivisionError

    monkeypatch.setattr(Relay, "forward", half)
    monkeypatch.setattr(Relay, "carry", lambda *_, **__: False)  # the quick path has no response object
    answer = await conversation(sidecar, request_bytes(sidecar, "/x"))

    assert b"INTERNAL_ERROR" not in answer
    assert answer.endswith(b"half\r\n")


async def test_a_client_that_left_is_sent_no_continue() -> None:
    """Between the decision and the interim answer the connection may be gone: nothing to write to."""
    gone = make_mocked_request("POST", "/x")
    gone._protocol.transport = None
    _send_continue(gone)
    assert gone.transport is None


async def test_a_client_that_waits_is_told_to_go_on_once_it_is_granted(sidecar: SidecarUnderTest) -> None:
    """`100 Continue` comes after the decision, and the body then reaches the upstream."""
    reader, writer = await asyncio.open_connection("127.0.0.1", sidecar.port)
    head = f"POST /api/admin/tenants HTTP/1.1\r\nHost: {HOST}\r\nOrigin: {ORIGIN}\r\nConnection: close\r\n"
    token = f"Cf-Access-Jwt-Assertion: {sidecar.token()}\r\n"
    writer.write(f"{head}{token}Expect: 100-continue\r\nContent-Length: 4\r\n\r\n".encode())
    async with asyncio.timeout(20):
        first = await reader.readuntil(b"\r\n\r\n")
        assert sidecar.upstream.received == []
        writer.write(b"body")
        rest = await reader.read()
    writer.close()

    assert first == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert rest.startswith(b"HTTP/1.1 200 ")
    assert sidecar.upstream.received[-1].body == b"body"


async def test_who_leaves_before_a_decision_was_granted_nothing(
    sidecar: SidecarUnderTest, log: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A forged token whose key is being fetched must not stand in the log as granted."""
    waiting = asyncio.Event()

    async def hangs(_self: object, _kid: str) -> None:
        waiting.set()
        await asyncio.Event().wait()

    monkeypatch.setattr("auth_proxy.access.key_set.RemoteKeySet.key", hangs)
    monkeypatch.setattr("auth_proxy.access.key_set.RemoteKeySet.known", lambda *_: None)
    token = sidecar.issuer.mint(person(Role.READ_ONLY), audience=AUD)
    _, writer = await asyncio.open_connection("127.0.0.1", sidecar.port)
    writer.write(f"GET /x HTTP/1.1\r\nHost: {HOST}\r\nCf-Access-Jwt-Assertion: {token}\r\n\r\n".encode())
    await asyncio.wait_for(waiting.wait(), 20)
    writer.transport.abort()
    async with asyncio.timeout(20):
        while "client_left" not in log.getvalue():
            await asyncio.sleep(0.01)

    (line,) = [json.loads(line) for line in log.getvalue().splitlines() if "client_left" in line]
    assert (line["granted"], line["reason"], line["status"]) == (False, "client_left", 499)
    labels = {"outcome": "abandoned", "reason": "client_left"}
    assert sidecar.registry.get_sample_value("auth_proxy_decisions_total", labels) == 1


@pytest.mark.parametrize(
    "token, goes_on", [("proven", True), ("garbage", False), ("", False)], ids=["proven", "garbage", "none"]
)
async def test_only_a_proven_person_pipelines_behind_a_refusal(
    sidecar: SidecarUnderTest, token: str, goes_on: bool
) -> None:
    """Whoever pipelines costs a task: a refusal that proves nobody ends such a connection."""
    value = sidecar.token(person(Role.SECURITY)) if token == "proven" else token
    credential = f"Cf-Access-Jwt-Assertion: {value}\r\n" if value else ""
    for target in ("/api/admin/tenants", "/api/admin/nothing/here"):
        reader, writer = await asyncio.open_connection("127.0.0.1", sidecar.port)
        head = f"GET {target} HTTP/1.1\r\nHost: {HOST}\r\n{credential}"
        writer.write(f"{head}\r\n{head}Connection: close\r\n\r\n".encode())
        async with asyncio.timeout(20):
            answers = (await reader.read()).count(b"HTTP/1.1 ")
        writer.close()
        await writer.wait_closed()

        assert answers == (2 if goes_on else 1), target
