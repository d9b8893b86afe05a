"""What each proxy does with the shipped configuration, told once: its test modules inherit it.

Nothing here knows which proxy is asked: a proxy may refuse by itself what another one asks about.
"""

import json
import posixpath
from pathlib import Path
from urllib.parse import unquote

import pytest

from deploy.demo.issuer import SigningKey
from service_kit.identity.verifying import IdentityRejectedError
from tests.fixtures.forward_auth import ADMIN, READER, STRANGER, Proxied, proxied
from tests.fixtures.sidecar import AUD, ORIGIN

EVIL = "evil@example.com"
IDENTITY_NAMES = (
    "X-Internal-Identity",
    "X_Internal_Identity",
    "X.Internal.Identity",
    "XInternal-Identity",
    "X-Internal-Delegation",
    "X-WEBAUTH-USER",
    "X_WEBAUTH_USER",
    "X-WebAuth.User",
    "X-WEBAUTH-ROLE",
    "Remote-User",
    "X-Remote-User",
    "X-Forwarded-User",
    "X-Auth-Request-Email",
    "X_Auth_Request_User",
)
MEANING_NAMES = (
    "X-HTTP-Method-Override",
    "X-Original-URL",
    "X-Original-URI",
    "X-Original-Method",
    "X-Original-Host",
    "X-Original-Upgrade",
    "X-Rewrite-URL",
    "X-Forwarded-Uri",
    "X_Forwarded_Uri",
    "X.Forwarded.Uri",
    "XForwarded-Uri",
    "X-Forwarded-Method",
    "X-Forwarded-Host",
    "X-Forwarded-Prefix",
    "X-Forwarded-Proto",
    "X-Forwarded-Port",
    "X-Auth-Refusal",
    "X-Client-IP",
    "X-Real-IP",
    "Forwarded",
    "True-Client-IP",
    "CF-Connecting-IP",
    "X-Request-Id",
    "Proxy",
)
CREDENTIAL_NAMES = (
    "Cf-Access-Client-Secret",
    "Cf-Access-Client-Id",
    "Cf-Access-Token",
    "Proxy-Authorization",
    "X-Admin-Enrollment-Token",
)
WORDS = (
    ("X-Original-URI", "/a"),
    ("X-Original-Method", "HEAD"),
    ("X-Original-Host", "other.example.com"),
    ("X-Forwarded-Uri", "/a"),
    ("X_Forwarded_Uri", "/a"),
    ("X.Forwarded.Uri", "/a"),
    ("X-Forwarded-Method", "HEAD"),
    ("X-Forwarded-Host", "other.example.com"),
    ("X-Envoy-Original-Path", "/a"),
    ("X-Rewrite-URL", "/a"),
)
TO_STRICT = (
    "/strict",
    "/strict/",
    "/a/../strict",
    "/a/./../strict",
    "/a/%2e%2e/strict",
    "/a/%2E%2E%2Fstrict",
    "/a/..%2fstrict",
    "/a%2f..%2fstrict",
    "/a/..;/strict",
    "/a/..;x=1/strict",
    "/;/strict",
    "//strict",
    "///strict",
    "/.//strict",
    "/%2fstrict",
    "/%2f/strict",
    "/strict;x",
    "/%73trict",
    "/%73%74%72%69%63%74",
    "/%2573trict",
    "/STRICT",
    "/Strict",
    "/strict%2f",
    "/strict%00",
    "/strict%20",
    "/strict.",
    "/strict?",
    "/strict#",
    "/a/..\\strict",
    "/a\\..\\strict",
    "/\\strict",
    "/a/..%5cstrict",
    "/a/%c0%ae%c0%ae/strict",
    "/a?/../strict",
    "http://admin.example.com/strict",
    "HTTP://admin.example.com/strict",
    "http://other.example.com/strict",
    "http:/strict",
    "http:strict",
    "strict",
    "*",
    "/authz/../strict",
    "/../strict",
    "/../../livez",
    "/%2e%2e/%2e%2e/livez",
)
HANDSHAKE = (
    ("Upgrade", "websocket"),
    ("Sec-WebSocket-Version", "13"),
    ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
)
SWITCHES = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n\x81\x02hi"
)


def is_strict(line: str) -> bool:
    """Whether a request line means the stricter route to the most generous reader."""
    path = line.split(" ")[1].partition("?")[0]
    for _ in range(2):
        path = unquote(path)
    path = "/".join(part.partition(";")[0] for part in path.replace("\\", "/").split("/"))
    return posixpath.normpath(f"/{path.lstrip('/')}").lower().split("/")[1] == "strict"


class Behaviour:
    """Each proxy's module has a `Test…` class of this."""

    async def test_a_granted_request_arrives_with_the_person_and_without_credentials(
        self, proxy: Proxied
    ) -> None:
        """R-003, R-005: the same path and query, one identity that verifies, and none of Access's secrets."""
        answer = await proxy.ask(
            "/a/b?x=1&y=%2F&m=a+b", ("Cookie", "a=1; CF_Authorization=secret; b=2"), ("Accept", "text/html")
        )
        (request,) = proxy.upstream.received
        identity = await proxy.identity()

        assert (answer.status, answer.body) == (200, b"upstream")
        assert request.line == "GET /a/b?x=1&y=%2F&m=a+b HTTP/1.1"
        assert identity.email == ADMIN.email
        assert request.one("X-WEBAUTH-USER") == ADMIN.email
        assert request.one("Host") == "admin.example.com"
        assert request.one("Cookie") == "a=1; b=2"
        assert request.one("X-Request-Id").startswith("req_")
        assert request.one("X-Forwarded-Proto") == "https"
        assert b"cf-access" not in bytes(proxy.upstream.raw).lower()
        assert "X-Internal" not in answer.head

    async def test_a_request_whose_cookies_are_all_held_arrives_without_any(self, proxy: Proxied) -> None:
        """R-172: the Access cookie does not go on because nothing took its place."""
        await proxy.ask("/a", ("Cookie", "CF_Authorization=secret"))
        (request,) = proxy.upstream.received

        assert request.all("Cookie") == []

    @pytest.mark.parametrize("query", ["", "?x=1", "?x=1;y=2", "?x=%20%2F&x=2", "?x=a|b", "?x=/../y"])
    async def test_a_changing_request_is_bound_to_what_arrives(self, proxy: Proxied, query: str) -> None:
        """R-005: the identity names the method and the very bytes that the upstream received, once."""
        answer = await proxy.change(f"/a/%C3%A9{query}", body=b"z" * 100_000)
        (request,) = proxy.upstream.received
        token = request.one("X-Internal-Identity")
        with pytest.raises(IdentityRejectedError):
            await proxy.verifier.verify(token, method="POST", target="/other")

        assert answer.status == 200
        assert request.body == b"z" * 100_000
        assert (await proxy.identity()).email == ADMIN.email

    @pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "PUT", "PATCH", "DELETE"])
    async def test_the_method_that_is_decided_on_is_the_clients(self, proxy: Proxied, method: str) -> None:
        """R-005: whatever method the proxy asks with, the identity is for the one that arrives."""
        answer = await proxy.ask("/a", ("Origin", ORIGIN), method=method)

        assert answer.status == 200
        assert proxy.upstream.received[0].line == f"{method} /a HTTP/1.1"
        assert (await proxy.identity()).email == ADMIN.email

    @pytest.mark.parametrize(
        "who, code",
        [
            ("nobody", "ACCESS_TOKEN_REQUIRED"),
            ("forger", "INVALID_ACCESS_TOKEN"),
            ("machine", "IDENTITY_TOKEN_REQUIRED"),
            ("stranger", "ENROLLMENT_REQUIRED"),
            ("reader", "PERMISSION_DENIED"),
        ],
    )
    async def test_who_may_not_pass_gets_the_refusal_and_nothing_arrives(
        self, proxy: Proxied, who: str, code: str
    ) -> None:
        """R-038, R-042, R-046, R-064: the refusal reaches the client as the sidecar wrote it."""
        tokens = {
            "forger": "garbage",
            "machine": proxy.issuer.mint_service_token(audience=AUD),
            "stranger": proxy.token(STRANGER),
            "reader": proxy.token(READER),
        }
        answer = await proxy.ask("/strict", who=None, token=tokens.get(who))
        document = json.loads(answer.body)

        assert (answer.status, document["code"]) == (403, code)
        assert document["requestId"] == answer.header("X-Request-Id")
        assert answer.header("Cache-Control") == "no-store"
        assert proxy.upstream.received == []
        assert "X-Auth-Refusal" not in answer.head
        assert "X-Internal" not in answer.head

    async def test_a_person_gets_a_page(self, proxy: Proxied) -> None:
        """R-165: a browser that navigates is told why, as at the gate."""
        answer = await proxy.ask("/a", ("Accept", "text/html"), ("Sec-Fetch-Mode", "navigate"), who=STRANGER)

        assert answer.status == 403
        assert answer.body.startswith(b"<!doctype html>")
        assert "default-src 'none'" in answer.header("Content-Security-Policy")

    async def test_each_refusal_keeps_its_status(self, proxy: Proxied) -> None:
        """R-051: 404 and 405 reach the client too, although nginx itself knows only 401 and 403."""
        missing = await proxy.ask("/STRICT")
        unknown = await proxy.ask("/a", ("Origin", ORIGIN), method="PROPFIND")

        assert (missing.status, json.loads(missing.body)["code"]) == (404, "ROUTE_NOT_FOUND")
        assert (unknown.status, "POST" in unknown.header("Allow")) == (405, True)
        assert proxy.upstream.received == []

    async def test_a_changing_request_of_another_site_is_refused(self, proxy: Proxied) -> None:
        """R-097: the Origin is judged as at the gate."""
        for headers in ((), (("Origin", "https://evil.example"),), (("Origin", "null"),)):
            answer = await proxy.ask("/a", *headers, method="POST", body=b"x=1")
            assert (answer.status, json.loads(answer.body)["code"]) == (403, "ORIGIN_REJECTED")

        assert proxy.upstream.received == []

    async def test_a_foreign_host_gets_nothing(self, proxy: Proxied) -> None:
        """R-040: whatever it is that the proxy answers, nothing arrives."""
        for host in ("other.example.com", "127.0.0.1", "admin.example.com.evil.example"):
            assert (await proxy.ask("/a", host=host)).status == 404

        assert proxy.upstream.received == []

    @pytest.mark.parametrize("name", [*IDENTITY_NAMES, *MEANING_NAMES, *CREDENTIAL_NAMES])
    @pytest.mark.parametrize("copies", [1, 2])
    async def test_what_a_client_says_in_the_name_of_others_never_arrives(
        self, proxy: Proxied, name: str, copies: int
    ) -> None:
        """R-172: a spoofed header is refused or taken away, in every spelling and number."""
        answer = await proxy.ask("/a", *[(name, EVIL)] * copies)

        assert EVIL.encode() not in proxy.upstream.raw
        if proxy.upstream.received:
            (request,) = proxy.upstream.received
            assert (await proxy.identity()).email == ADMIN.email
            assert request.one("X-WEBAUTH-USER") == ADMIN.email
        else:
            assert answer.status in (400, 403)

    @pytest.mark.parametrize("name, value", WORDS, ids=str)
    async def test_a_client_cannot_speak_for_the_proxy(self, proxy: Proxied, name: str, value: str) -> None:
        """GHSA-7x63-xv5r-3p2x: the decision is about the path that is forwarded, never about a header."""
        answer = await proxy.ask("/strict", (name, value), who=READER)

        assert answer.status in (400, 403)
        assert proxy.upstream.received == []

    @pytest.mark.parametrize("target", TO_STRICT)
    async def test_no_spelling_of_a_path_passes_by_its_rule(self, proxy: Proxied, target: str) -> None:
        """R-011: what arrives is byte for byte what was decided on, and never the stricter route's."""
        answer = await proxy.ask(target, ("Origin", ORIGIN), method="POST", who=READER, body=b"x")
        plain = await proxy.ask(target, who=None)

        for request in proxy.upstream.received:
            assert not is_strict(request.line)
            assert (await proxy.identity()).email == READER.email
        assert answer.status in (200, 307, 308, 400, 403, 404)
        assert plain.status in (307, 308, 400, 403, 404)
        assert len(proxy.upstream.received) == (1 if answer.status == 200 else 0)

    @pytest.mark.parametrize(
        "nominated",
        ["X-Internal-Identity", "X-WEBAUTH-USER", "Cookie", "X-Forwarded-Uri, X-Original-Upgrade", "Origin"],
    )
    async def test_connection_takes_nothing_of_ours_away(self, proxy: Proxied, nominated: str) -> None:
        """CVE-2021-32813: a name in Connection removes no identity on the way out."""
        answer = await proxy.ask("/a", connection=f"close, {nominated}")

        if answer.status == 200:
            (request,) = proxy.upstream.received
            assert (await proxy.identity()).email == ADMIN.email
            assert request.one("X-WEBAUTH-USER") == ADMIN.email
        else:
            assert answer.status in (400, 403)

    async def test_a_credential_in_connection_is_no_credential(self, proxy: Proxied) -> None:
        """CVE-2021-32813: whatever the proxy makes of it, without a proof nothing arrives."""
        answer = await proxy.ask("/a", connection="close, Cf-Access-Jwt-Assertion")

        assert answer.status == (200 if proxy.upstream.received else 403)
        if proxy.upstream.received:
            assert (await proxy.identity()).email == ADMIN.email

    async def test_a_websocket_is_decided_on_as_one(self, proxy: Proxied) -> None:
        """R-064, R-097: only where the route takes one, only from our own pages, and bound."""
        elsewhere = await proxy.ask("/a", *HANDSHAKE, ("Origin", ORIGIN), connection="Upgrade")
        foreign = await proxy.ask("/ws", *HANDSHAKE, ("Origin", "https://evil.example"), connection="Upgrade")
        assert (elsewhere.status, foreign.status) == (400, 403)
        assert proxy.upstream.received == []

        answer, proxy.upstream.answer = proxy.upstream.answer, SWITCHES
        try:
            ours = await proxy.ask(
                "/ws?x=1", *HANDSHAKE, ("Origin", ORIGIN), connection="keep-alive, Upgrade"
            )
        finally:
            proxy.upstream.answer = answer
        (request,) = proxy.upstream.received
        token = request.one("X-Internal-Identity")
        with pytest.raises(IdentityRejectedError):
            await proxy.verifier.verify(token, method="GET", target="/ws")

        assert (ours.status, ours.body) == (101, b"\x81\x02hi")
        assert request.one("Upgrade") == "websocket"
        assert (await proxy.identity()).email == ADMIN.email

    @pytest.mark.parametrize("protocol", ["h2c", "tls/1.0", "websocket, h2c", "Websocket2"])
    async def test_no_other_protocol_opens_a_tunnel(self, proxy: Proxied, protocol: str) -> None:
        """M-15: what is no websocket arrives without an upgrade, or not at all."""
        for path in ("/a", "/ws"):
            await proxy.ask(path, ("Upgrade", protocol), ("Origin", ORIGIN), connection="close, Upgrade")

        for request in proxy.upstream.received:
            assert request.all("Upgrade") == []

    async def test_a_handshake_without_upgrade_opens_nothing(self, proxy: Proxied) -> None:
        """R-097: headers of a websocket that is asked for in no header are not taken for a plain page."""
        answer = await proxy.ask("/ws", *HANDSHAKE[1:])

        assert (answer.status, proxy.upstream.received) == (400, [])

    async def test_a_route_that_strips_its_prefix_is_refused(self, proxy: Proxied) -> None:
        """R-005: the proxy would forward another path than the one that the identity names."""
        assert (await proxy.ask("/stripped/x")).status == 400
        assert proxy.upstream.received == []

    async def test_a_large_head_passes(self, proxy: Proxied) -> None:
        """The cookies come back in the answer, whole."""
        cookies = "; ".join(f"c{number}={'v' * 100}" for number in range(60))
        answer = await proxy.ask("/a", ("Cookie", cookies))

        assert answer.status == 200
        assert proxy.upstream.received[0].one("Cookie") == cookies

    async def test_a_client_that_waits_for_continue_is_served(self, proxy: Proxied) -> None:
        """An expectation of the client is no word of the proxy."""
        answer = await proxy.change("/a", ("Expect", "100-continue"), body=b"x=1")

        assert answer.status in (100, 200)
        assert proxy.upstream.received[0].body == b"x=1"

    async def test_without_the_sidecar_nothing_passes(
        self, peer_name: str, access_key: SigningKey, tmp_path: Path
    ) -> None:
        """R-051: no answer is a no."""
        async with proxied(peer_name, access_key, tmp_path) as proxy:
            await proxy.ops.cleanup()
            answers = [await proxy.ask("/a"), await proxy.change("/a"), await proxy.ask("/a", who=None)]

            assert all(answer.status in (500, 502, 503) for answer in answers)
            assert proxy.upstream.received == []
