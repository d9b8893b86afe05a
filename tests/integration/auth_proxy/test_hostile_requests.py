"""The corpora of paths and headers through the running sidecar over a raw socket (attacks.md section 3)."""

import base64
import json
import posixpath
import re
from pathlib import Path
from urllib.parse import unquote

import pytest

from deploy.demo.issuer import SigningKey
from service_kit.identity.model import Role
from tests.fixtures.sidecar import HOST, SidecarUnderTest, person, sidecar_under_test
from tests.integration.auth_proxy.scripted_upstream import conversation, request_bytes
from tests.unit.auth_proxy.pipeline.hostile import (
    FORBIDDEN,
    hop_by_hop_lines,
    hostile_targets,
    override_lines,
    spoof_copies,
    spoof_names,
)


def meaning(target: str) -> str:
    """The path as a careless server could understand it."""
    path = unquote(target.partition("?")[0])
    return posixpath.normpath(path.replace("\\", "/")).lower()


async def test_no_spelling_of_a_path_passes_the_permission(sidecar: SidecarUnderTest) -> None:
    """R-011: support reaches nothing of the operators' routes, in no spelling, and every answer is plain."""
    token = sidecar.token(person(Role.SUPPORT))
    for target in hostile_targets():
        head = f"GET {target} HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n".encode()
        got = await sidecar.send(head + f"Cf-Access-Jwt-Assertion: {token}\r\n\r\n".encode())

        assert got.status in {200, 400, 403, 404, 405, 414, 431}, target
    assert [line for line in sidecar.admin.received if FORBIDDEN in meaning(line.split(" ")[1])] == []
    for request in sidecar.upstream.received:
        target = request.line.split(" ")[1]
        lookalike = meaning(target).startswith(f"/{FORBIDDEN}")
        assert not lookalike or target.lower() != target or target.rstrip("/") != f"/{FORBIDDEN}"
        assert target.isascii()
        assert ".." not in target.partition("?")[0].split("/")


@pytest.mark.parametrize("copies", spoof_copies())
async def test_an_upstream_sees_exactly_one_identity_whatever_is_sent(
    sidecar: SidecarUnderTest, copies: int
) -> None:
    """R-172: every spoofed name in 1, 2, 3 and 100 copies is refused, or one header arrives and is ours."""
    for name in spoof_names():
        lines = b"".join((name if i % 2 else name.swapcase()) + b": evil\r\n" for i in range(copies))
        request = request_bytes(sidecar).removesuffix(b"\r\n") + lines + b"\r\n"
        got = await sidecar.send(request)

        assert got.status in {200, 400, 403, 431}, name
        assert (got.status == 200) == bool(sidecar.upstream.received), name
        for received in sidecar.upstream.received:
            assert received.one("X-Internal-Identity").startswith("eyJ")
            evil = {name.lower() for name, value in received.headers if value == "evil"}
            assert evil <= {"authorization"}
        sidecar.upstream.received.clear()


@pytest.mark.parametrize("line", [*hop_by_hop_lines(), *override_lines()])
async def test_no_line_takes_our_headers_away_or_changes_the_target(
    sidecar: SidecarUnderTest, line: str
) -> None:
    """attacks.md section 3: what Connection names and what overrides claim moves nothing of ours."""
    got = await sidecar.send(request_bytes(sidecar, "/api/admin/tenants?a=b", line))

    assert got.status == 200
    (received,) = sidecar.upstream.received
    assert received.line == "GET /api/admin/tenants?a=b HTTP/1.1"
    assert received.one("X-Internal-Identity").startswith("eyJ")
    assert (received.one("Host"), received.one("X-Forwarded-For")) == (HOST, "127.0.0.1")
    assert received.one("X-Request-Id").startswith("req_")
    assert received.one("X-Forwarded-Proto") == "https"
    assert received.one("X-Forwarded-Host") == HOST


@pytest.mark.parametrize(
    "framing",
    [
        "Content-Length: 5\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 5",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding : chunked",
        "Transfer-Encoding:\tchunked, x",
        "Transfer_Encoding: chunked",
        "Content-Length: 5\r\nContent-Length: 6",
        "Content-Length: +5",
        "Content-Length: 0x5",
        "Content-Length: 18446744073709551621",
        "Content-Length: " + "9" * 1000,
        "Content-Length: 5\r\nContent_Length: 0",
        "X: y\r\n folded: z",
        "X: y\rTransfer-Encoding: chunked",
        "X: y\nTransfer-Encoding: chunked",
        "Host: evil.example",
        "\x00: x",
        ": x",
        "no colon",
    ],
    ids=lambda text: text[:50],
)
async def test_a_request_with_two_readings_smuggles_nothing(sidecar: SidecarUnderTest, framing: str) -> None:
    """CL.TE, TE.CL, TE.TE, folding, bare CR and LF: refused, and the hidden request is never read as one."""
    hidden = request_bytes(sidecar)
    request = request_bytes(sidecar, "/api/admin/tenants", framing, method="POST")
    got = await conversation(sidecar, request + b"0\r\n\r\n" + hidden)

    assert len(re.findall(rb"HTTP/1\.[01] \d+ ", got)) == 1
    assert got[9:12] in {b"400", b"403", b"413", b"431"}
    assert sidecar.nothing_arrived


@pytest.mark.parametrize(
    "request_line",
    [
        "GET /x",
        "GET /x HTTP/9.9",
        "GET /x HTTP/2.0",
        "GET /x\tHTTP/1.1",
        "PRI * HTTP/2.0",
        "GET",
        "CONNECT x:1 HTTP/1.1",
        "GET x HTTP/1.1",
        "GET\t/x HTTP/1.1",
        "OPTIONS * HTTP/1.1",
        "GET /x HTTP/1.1 x",
    ],
)
async def test_a_malformed_request_line_is_refused(sidecar: SidecarUnderTest, request_line: str) -> None:
    """Never a 5xx, never an echo, never a byte upstream."""
    head = f"{request_line}\r\nHost: {HOST}\r\nCf-Access-Jwt-Assertion: {sidecar.token()}\r\n\r\n"
    got = await sidecar.send(head.encode(), half_close=True)

    assert got.status in {0, 400, 404, 405}
    assert sidecar.nothing_arrived


async def test_two_spaces_in_a_request_line_do_not_go_on(sidecar: SidecarUnderTest) -> None:
    """RFC 9112 section 3 lets a server read it as one space; the upstream sees only the one reading."""
    head = f"GET  /x HTTP/1.1\r\nHost: {HOST}\r\nCf-Access-Jwt-Assertion: {sidecar.token()}\r\n\r\n"
    got = await sidecar.send(head.encode())

    assert got.status in {200, 400}
    assert got.status == 400 or b"GET /x HTTP/1.1\r\n" in sidecar.upstream.raw


@pytest.mark.parametrize(
    "lines",
    [
        [f"X-{number}: y" for number in range(150)],
        [f"X-{number}: y" for number in range(10_000)],
        ["X: " + "y" * 32_000, "Y: " + "y" * 1000],
        ["X: " + "y" * 65_536],
        ["Cookie: " + "y" * 1_000_000],
    ],
    ids=["150 headers", "10 000 headers", "33 kB", "64 kB", "1 MB"],
)
async def test_too_many_header_bytes_are_431(sidecar: SidecarUnderTest, lines: list[str]) -> None:
    """The limit is named to whoever exceeds it, at every size."""
    got = await sidecar.send(request_bytes(sidecar, "/api/admin/tenants", *lines))

    assert got.status in {400, 431}
    assert sidecar.nothing_arrived


async def test_an_address_that_is_too_long_is_414(sidecar: SidecarUnderTest) -> None:
    """8 KiB, counted on the whole target."""
    got = await sidecar.send(request_bytes(sidecar, "/api/admin/tenants?x=" + "y" * 9000))

    assert got.status == 414


@pytest.mark.parametrize("environment", ["production", "staging"])
async def test_a_gate_of_a_misconfigured_process_answers_500_to_everything(
    access_key: SigningKey, tmp_path: Path, environment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R-050: were such a process ever started, every request gets the seed's text and none goes on."""
    from service_kit.settings import load_settings
    from tests.fixtures import sidecar as fixture

    def unchecked(environ: dict[str, str]) -> object:
        from auth_proxy.settings import ProxySettings

        return load_settings(ProxySettings, {**environ, "APP_ENV": environment})

    async def ready(_under_test: SidecarUnderTest) -> None:
        """It never is."""

    monkeypatch.setattr(fixture, "load_proxy_settings", unchecked)
    monkeypatch.setattr(fixture, "_until_ready", ready)
    changes = {"LOCAL_DEV_ADMIN_EMAIL": "ada@example.com", "CF_ACCESS_TEAM_DOMAIN": "https://127.0.0.1:1"}
    async with sidecar_under_test(access_key, tmp_path, **changes) as sidecar:
        for target, host in (
            ("/manage", HOST),
            ("/", "evil.example"),
            ("/../x", HOST),
            ("/static/panel/x", HOST),
        ):
            got = await sidecar.get(target, host=host)
            assert (got.status, got.body) == (500, b"Misconfigured")
            assert got.header("Content-Type").startswith("text/plain")

        assert sidecar.refusals("misconfigured") == 4
        assert sidecar.nothing_arrived


async def test_the_development_gate_lets_one_person_in_without_a_token(
    access_key: SigningKey, tmp_path: Path
) -> None:
    """R-049: the identity is the configured one, whatever the client sends, and every other check stands."""
    open_gate = {"ALLOW_DEV_ADMIN_AUTH": "true", "LOCAL_DEV_ADMIN_EMAIL": "Dev@Example.com"}
    alone = {"ADMIN_SERVICE_URL": "", "AUTH_PROXY_ROSTER": "open:support"}
    async with sidecar_under_test(access_key, tmp_path, **open_gate, **alone) as sidecar:
        granted = await sidecar.get("/x", token=None)
        ignored = await sidecar.get("/x", token="garbage")
        foreign = await sidecar.get("/x", token=None, host="evil.example")
        changing = await sidecar.get("/x", token=None, method="POST")

    assert (granted.status, ignored.status, foreign.status) == (200, 200, 404)
    assert json.loads(changing.body)["code"] == "ORIGIN_REJECTED"
    claims = sidecar.upstream.received[0].one("X-Internal-Identity").split(".")[1]
    assert b'"sub":"local-dev-dev@example.com"' in _decoded(claims)


def _decoded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
