"""Routes, hosts and a roster of one's own through the running sidecar."""

import asyncio
import base64
import hashlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import jwt
import pytest

from deploy.demo.issuer import SigningKey
from deploy.demo.people import Person
from service_kit.identity.model import OPERATOR_PERMISSIONS, Role
from tests.fakes.recording_upstream import RecordingUpstream, recording_upstream
from tests.fixtures.sidecar import HOST, ORIGIN, STRANGER, SidecarUnderTest, person, sidecar_under_test

SECOND = "grafana.example.com"
SECOND_AUD = "b" * 64
ALONE = {"ADMIN_SERVICE_URL": "", "TENANT_SERVICE_URL": "", "AUTH_PROXY_ROSTER": "open:support"}

TWO_HOSTS = f"""
[hosts."{SECOND}"]
audiences = ["{SECOND_AUD}"]

[[routes]]
host = "{SECOND}"
prefix = "/"
target = "UPSTREAM"
audience = "grafana"
"""
APP = """
[[routes]]
prefix = "/app"
target = "UPSTREAM"
audience = "app"
strip_prefix = true
max_body = 4
identity_headers = { "X-WEBAUTH-USER" = "email", "X-Plain-Role" = "role" }

[[routes]]
prefix = "/app/audit"
methods = ["GET"]
roles = ["security"]
target = "UPSTREAM"

[[routes]]
prefix = "/anybody"
permission = "identity"
target = "UPSTREAM"

[[routes]]
prefix = "/repositories"
encoded_slashes = true
target = "UPSTREAM"
"""


@asynccontextmanager
async def configured(
    key: SigningKey, folder: Path, text: str, **settings: str
) -> AsyncIterator[tuple[SidecarUnderTest, RecordingUpstream]]:
    """A sidecar with this TOML, and the upstream that it names."""
    async with recording_upstream() as own:
        path = folder / "auth_proxy.toml"
        path.write_text(text.replace("UPSTREAM", own.url), encoding="utf-8")
        async with sidecar_under_test(key, folder, AUTH_PROXY_CONFIG=str(path), **settings) as sidecar:
            yield sidecar, own


def identity(upstream: RecordingUpstream) -> dict[str, object]:
    """The claims of the one identity that the upstream got last."""
    token = upstream.received[-1].one("X-Internal-Identity")
    return dict(jwt.decode(token, options={"verify_signature": False}))


async def test_each_host_takes_the_tokens_of_its_own_application(
    access_key: SigningKey, tmp_path: Path
) -> None:
    """R-014, mistake 3: a token for one application opens neither the other host nor the panel."""
    hosts = f"{HOST},{SECOND}"
    async with configured(access_key, tmp_path, TWO_HOSTS, ADMIN_HOST=hosts) as (sidecar, own):
        mine, other = sidecar.token(), sidecar.token(audience=SECOND_AUD)

        assert (await sidecar.get("/api/admin/tenants", token=mine)).status == 200
        assert (await sidecar.get("/api/admin/tenants", token=other)).status == 403
        assert (await sidecar.get("/x", token=mine, host=SECOND)).status == 403
        assert own.received == []
        assert (await sidecar.get("/x", token=other, host=SECOND)).status == 200
        assert identity(own)["aud"] == "grafana"
        assert sidecar.refusals("token_audience") == 2


async def test_the_panel_is_not_served_on_a_frontends_own_host(
    access_key: SigningKey, tmp_path: Path
) -> None:
    """R-010: `/manage` of another host is that frontend's; enrollment and the boot exchange are ours."""
    hosts = f"{HOST},{SECOND}"
    async with configured(access_key, tmp_path, TWO_HOSTS, ADMIN_HOST=hosts) as (sidecar, own):
        token = sidecar.token(audience=SECOND_AUD)
        sidecar.admin.received.clear()

        await sidecar.get("/manage", token=token, host=SECOND)
        assert [request.line for request in own.received] == ["GET /manage HTTP/1.1"]
        await sidecar.get("/enrollment", token=token, host=SECOND)
        await sidecar.get("/manage")
        assert sidecar.admin.received == ["GET /enrollment", "GET /manage"]


async def test_an_upstream_gets_its_plain_header_whatever_the_client_sends(
    access_key: SigningKey, tmp_path: Path
) -> None:
    """R-172: exactly one of each, ours; every spelling of the client's is gone and counted."""
    async with configured(access_key, tmp_path, APP) as (sidecar, own):
        spoofs = ("X-WEBAUTH-USER", "x_webauth_user", "X.Webauth.User", "X-Plain-Role", "x_plain_role")
        headers = tuple((name, "mallory@example.com") for name in spoofs for _ in range(2))
        answer = await sidecar.get("/app/x", headers=headers)

        assert answer.status == 200
        assert own.received[-1].one("X-WEBAUTH-USER") == "super_admin@example.com"
        assert own.received[-1].one("X-Plain-Role") == "super_admin"
        assert "mallory" not in str(own.received[-1].headers)
        dropped = sidecar.registry.get_sample_value("auth_proxy_dropped_headers_total", {"kind": "identity"})
        assert dropped == len(headers)


async def test_a_configured_name_is_dropped_on_every_route(access_key: SigningKey, tmp_path: Path) -> None:
    """R-172: a name that one route sets reaches no other upstream from a client either."""
    async with configured(access_key, tmp_path, APP) as (sidecar, own):
        await sidecar.get("/repositories", headers=(("X-Plain-Role", "super_admin"),))
        await sidecar.get("/api/admin/tenants", headers=(("X_Plain_Role", "super_admin"),))

        received = [*own.received, *sidecar.upstream.received]
        assert len(received) == 2
        assert "plain" not in str([request.headers for request in received]).lower()


async def test_a_stripped_prefix_and_the_identity_that_is_bound_to_what_arrives(
    access_key: SigningKey, tmp_path: Path
) -> None:
    """R-005: `htp` is the digest of the very bytes in the upstream's request line."""
    async with configured(access_key, tmp_path, APP) as (sidecar, own):
        answer = await sidecar.get(
            "/app/users?a=1", method="POST", headers=(("Origin", ORIGIN),), body=b"1234"
        )

        assert answer.status == 200
        assert own.received[-1].line == "POST /users?a=1 HTTP/1.1"
        digest = base64.urlsafe_b64encode(hashlib.sha256(b"/users?a=1").digest()).rstrip(b"=").decode()
        assert (identity(own)["htm"], identity(own)["htp"]) == ("POST", digest)


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_route_has_a_limit_of_its_own(access_key: SigningKey, tmp_path: Path, chunked: bool) -> None:
    """A body above `max_body` is refused, whether it names its length or not."""
    async with configured(access_key, tmp_path, APP) as (sidecar, own):
        framing = "Transfer-Encoding: chunked" if chunked else "Content-Length: 5"
        body = "5\r\n12345\r\n0\r\n\r\n" if chunked else "12345"
        head = f"POST /app/x HTTP/1.1\r\nHost: {HOST}\r\nOrigin: {ORIGIN}\r\n{framing}\r\n"
        answer = await sidecar.send(
            f"{head}Cf-Access-Jwt-Assertion: {sidecar.token()}\r\n\r\n{body}".encode()
        )

        assert (answer.status, json.loads(answer.body)["code"]) == (413, "BODY_TOO_LARGE")
        assert own.received == []


async def test_routes_for_roles_for_anybody_and_with_encoded_slashes(
    access_key: SigningKey, tmp_path: Path
) -> None:
    """R-003, R-016, R-081: what a route asks for is what it gets, and the stricter one below it holds."""
    async with configured(access_key, tmp_path, APP) as (sidecar, own):

        async def status(target: str, who: Person) -> int:
            return (await sidecar.get(target, token=sidecar.token(who))).status

        security, support = person(Role.SECURITY), person(Role.SUPPORT)
        assert await status("/app/audit/x", security) == 200
        assert await status("/app/audit/x", support) == 403
        assert await status("/app/auditor", support) == 200
        assert await status("/anybody", STRANGER) == 200
        assert "opid" not in identity(own)
        assert await status("/app", STRANGER) == 403
        assert await status("/repositories/group%2fproject", support) == 200
        assert own.received[-1].line == "GET /repositories/group%2Fproject HTTP/1.1"
        assert await status("/repositories/a%2f..%2fb", support) == 400
        assert await status("/app/a%2fb", support) == 400
        assert await status("/app%2Faudit", support) == 400


ROSTER = """
[[operators]]
email = "{email}"
role = "{role}"
"""


async def test_a_roster_from_a_file_is_followed_while_it_runs(access_key: SigningKey, tmp_path: Path) -> None:
    """R-039, R-060, R-064: who is in the file passes; who leaves it, or is somebody else, does not."""
    roster = tmp_path / "operators.toml"
    ada = Person.with_email("ada@example.com")
    roster.write_text(ROSTER.format(email=ada.email, role="support"), encoding="utf-8")
    settings = {**ALONE, "AUTH_PROXY_ROSTER": f"file:{roster}"}
    async with sidecar_under_test(access_key, tmp_path, **settings) as sidecar:

        async def until(expected: int, who: Person = ada) -> None:
            async with asyncio.timeout(20):
                while (await sidecar.get("/x", token=sidecar.token(who))).status != expected:
                    await asyncio.sleep(0.05)

        def refused() -> float | None:
            return sidecar.registry.get_sample_value("auth_proxy_reloads_refused_total", {"what": "roster"})

        await until(200)
        assert identity(sidecar.upstream)["role"] == "support"
        assert (await sidecar.get("/x", token=sidecar.token(STRANGER))).status == 403
        imposter = sidecar.issuer.mint(ada, audience="a" * 64, sub="another-subject")
        assert (await sidecar.get("/x", token=imposter)).status == 403
        assert sidecar.refusals("subject_changed") == 1

        roster.write_text("broken", encoding="utf-8")
        async with asyncio.timeout(20):
            while refused() != 1:
                await asyncio.sleep(0.05)
        await asyncio.sleep(1.2)  # it is tried again, and told of once
        await until(200)
        assert refused() == 1
        roster.write_text(ROSTER.format(email="new@example.com", role="support"), encoding="utf-8")
        await until(403)


async def test_without_an_enrollment_page_nobody_is_sent_to_one(
    access_key: SigningKey, tmp_path: Path
) -> None:
    """A browser gets the explanation itself; `/enrollment` would be the frontend's own page."""
    roster = tmp_path / "operators.toml"
    roster.write_text(ROSTER.format(email="ada@example.com", role="support"), encoding="utf-8")
    settings = {**ALONE, "AUTH_PROXY_ROSTER": f"file:{roster}"}
    async with sidecar_under_test(access_key, tmp_path, **settings) as sidecar:
        browser = (("Sec-Fetch-Mode", "navigate"), ("Accept", "text/html"))
        answer = await sidecar.get("/x", token=sidecar.token(STRANGER), headers=browser)

        assert answer.status == 403
        assert b"<!doctype html>" in answer.body


async def boot(sidecar: SidecarUnderTest, who: Person | None = None, **headers: str) -> dict[str, object]:
    token = sidecar.token(who) if who else None
    sent = (("Origin", ORIGIN), *headers.items())
    answer = await sidecar.get("/api/access-sso", method="POST", token=token, headers=sent)
    return {"status": answer.status, **json.loads(answer.body)}


async def test_alone_the_sidecar_itself_says_who_asks(access_key: SigningKey, tmp_path: Path) -> None:
    """R-162, R-164: at boot a frontend learns operator, role and permissions, and nothing goes upstream."""
    async with sidecar_under_test(access_key, tmp_path, **ALONE) as sidecar:
        answer = await boot(sidecar, STRANGER)

        assert answer["status"] == 200
        assert answer["operator"] == {
            "id": STRANGER.sub,
            "email": STRANGER.email,
            "name": STRANGER.email,
            "role": "support",
            "permissions": sorted(OPERATOR_PERMISSIONS[Role.SUPPORT]),
        }
        assert str(answer["expiresAt"]).endswith("+00:00")
        raw = await sidecar.get(
            "/api/access-sso", method="POST", token=sidecar.token(STRANGER), headers=(("Origin", ORIGIN),)
        )
        assert raw.header("X-Content-Type-Options") == "nosniff"
        assert sidecar.upstream.received == []


async def test_a_refused_boot_names_its_way_out(sidecar: SidecarUnderTest) -> None:
    """R-165: a reason for machines and a `fallback`; enrollment only for whom enrollment can cure."""
    stranger, nobody = await boot(sidecar, STRANGER), await boot(sidecar)
    assert (stranger["status"], stranger["code"], stranger["fallback"]) == (
        403,
        "ENROLLMENT_REQUIRED",
        "/enrollment",
    )
    assert (nobody["status"], nobody["code"], nobody["fallback"]) == (403, "ACCESS_TOKEN_REQUIRED", "/")
    elsewhere = json.loads((await sidecar.get("/api/admin/me", token=None)).body)
    assert "fallback" not in elsewhere
    assert sidecar.nothing_arrived
