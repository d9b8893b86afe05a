"""Forward-auth answers of a running sidecar, asked as Envoy and Caddy ask, over a raw socket."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from deploy.demo.issuer import SigningKey
from service_kit.identity.model import Role
from tests.fixtures.sidecar import HOST, ORIGIN, STRANGER, SidecarUnderTest, person, sidecar_under_test

WORDS = (("X-Forwarded-Method", "GET"), ("X-Forwarded-Host", HOST))


@pytest.fixture
async def ops(access_key: SigningKey, tmp_path: Path) -> AsyncIterator[SidecarUnderTest]:
    """The operations listener of a sidecar that answers proxies on this machine."""
    async with sidecar_under_test(
        access_key,
        tmp_path,
        AUTH_PROXY_FORWARD_AUTH="envoy,caddy",
        AUTH_PROXY_TRUSTED_PROXIES="127.0.0.1",
        AUTH_PROXY_UPSTREAM="",
        AUTH_PROXY_CONFIG=str(_routes(tmp_path)),
    ) as under_test:
        yield replace(under_test, port=under_test.ops_port)


def _routes(folder: Path) -> Path:
    path = folder / "auth_proxy.toml"
    path.write_text(
        '[[routes]]\nprefix = "/"\ntarget = "http://127.0.0.1:1"\n'
        'identity_headers = { "X-Grafana-User" = "email" }\n'
        '[[routes]]\nprefix = "/short"\ntarget = "http://127.0.0.1:1"\nstrip_prefix = true\n'
    )
    return path


async def test_a_yes_is_200_with_our_headers_and_nothing_else(ops: SidecarUnderTest) -> None:
    """R-003, R-005: identity, delegation and plain headers, an empty body that nobody keeps."""
    panel = await ops.get("/authz/envoy/manage?x=1")
    own = await ops.get("/authz/envoy/graph", headers=(("Cookie", "a=1; CF_Authorization=x"),))

    assert (panel.status, panel.body, panel.header("Cache-Control")) == (200, b"", "no-store")
    assert panel.header("X-Internal-Identity").count(".") == 2
    assert panel.header("X-Internal-Delegation").count(".") == 2
    assert panel.header("Server") == "sallyport"
    assert panel.header("X-Request-Id").startswith("req_")
    assert panel.header("X-Forwarded-For") == "127.0.0.1"
    assert own.header("X-Grafana-User") == person(Role.SUPER_ADMIN).email
    assert own.header("Cookie") == "a=1"
    assert ops.nothing_arrived


async def test_envoy_is_told_what_to_take_away(ops: SidecarUnderTest) -> None:
    """R-172: every header that the gate would not forward is named, and none that we set or Envoy writes."""
    answer = await ops.get(
        "/authz/envoy/graph",
        headers=(
            ("Cookie", "CF_Authorization=x"),
            ("X-Webauth-Role", "x"),
            ("X_Grafana_Role", "x"),
            ("X-Grafana-User", "x"),
            ("Cf-Access-Client-Secret", "x"),
            ("X-Rewrite-Url", "/x"),
            ("True-Client-Ip", "x"),
            ("X-Forwarded-For", "1.2.3.4"),
            ("X-Forwarded-Proto", "http"),
            ("X-Forwarded-Host", "x"),
            ("X-Request-Id", "x"),
            ("Accept", "*/*"),
        ),
    )
    names = set(answer.header("X-Envoy-Auth-Headers-To-Remove").split(","))

    assert answer.status == 200
    assert names == {
        "cf-access-jwt-assertion",
        "cookie",
        "x-webauth-role",
        "cf-access-client-secret",
        "x-rewrite-url",
        "true-client-ip",
        "x-forwarded-host",
    }


async def test_who_is_no_operator_passes_where_a_person_may(ops: SidecarUnderTest) -> None:
    """R-062: a route for any proven person is answered without an operator."""
    answer = await ops.get("/authz/envoy/enrollment", token=ops.token(STRANGER))
    refused = await ops.get("/authz/envoy/manage", token=ops.token(STRANGER))

    assert (answer.status, refused.status) == (200, 403)
    assert ops.refusals("enrollment_required") == 1


@pytest.mark.parametrize("target", ["/short/x", "/graph?", "/gr%61ph"])
async def test_what_the_proxy_would_send_otherwise_is_refused(ops: SidecarUnderTest, target: str) -> None:
    """R-011: the bytes that are forwarded are the bytes that were decided on."""
    assert (await ops.get(f"/authz/envoy{target}")).status == 400
    assert ops.refusals("target_not_canonical") == 1


@pytest.mark.parametrize(
    "name, status, reason",
    [
        ("X-Webauth-User", 403, "identity_header_spoofed"),
        ("X-Grafana_User", 403, "identity_header_spoofed"),
        ("X-Internal-Identity", 403, "identity_header_spoofed"),
        ("X-Http-Method-Override", 400, "header_passed_on"),
        ("X-Rewrite-Url", 400, "header_passed_on"),
        ("X_Forwarded_For", 400, "header_passed_on"),
        ("X-Forwarded-Prefix", 400, "header_passed_on"),
        ("Accept", 200, ""),
        ("True-Client-Ip", 200, ""),
        ("X-Real-Ip", 200, ""),
        ("Cf-Access-Client-Id", 200, ""),
    ],
)
async def test_what_the_proxy_would_pass_on_is_refused(
    ops: SidecarUnderTest, name: str, status: int, reason: str
) -> None:
    """R-172: where nobody takes our word for it, a header that claims or changes something ends it."""
    words = (*WORDS, ("X-Forwarded-Uri", "/graph"), (name, "x"))
    answer = await ops.get("/authz/caddy", headers=words)

    assert answer.status == status
    assert ops.refusals(reason) == (1 if reason else 0)


@pytest.mark.parametrize(
    "target",
    [
        "/authz/envoy/../../livez",
        "/authz/envoy/%2e%2e/%2e%2e/livez",
        "/authz/envoy/..;/metrics",
        "/authz//livez",
    ],
)
async def test_no_path_leads_to_an_answer_that_means_yes(ops: SidecarUnderTest, target: str) -> None:
    """R-051: 200 is said by a decision alone, never by another page of this listener."""
    assert (await ops.get(target)).status in (400, 403, 404)
    assert (await ops.get(target, token=None)).status in (400, 403, 404)


async def test_a_changing_request_is_bound_and_needs_its_origin(ops: SidecarUnderTest) -> None:
    """R-097: the method of the question is the method of the request, where Envoy asks."""
    ours = await ops.get("/authz/envoy/graph", method="POST", headers=(("Origin", ORIGIN),))
    foreign = await ops.get("/authz/envoy/graph", method="POST", headers=(("Origin", "https://x.example"),))
    identities = {(await ops.get("/authz/envoy/graph")).header("X-Internal-Identity") for _ in range(2)}

    assert (ours.status, foreign.status) == (200, 403)
    assert ours.header("X-Internal-Identity") not in identities
    assert len(identities) == 1


async def test_nothing_answers_where_no_proxy_is_named(sidecar: SidecarUnderTest) -> None:
    """Forward-auth is off until a setting names a proxy."""
    for name in ("nginx", "traefik", "caddy", "envoy"):
        assert (await replace(sidecar, port=sidecar.ops_port).get(f"/authz/{name}")).status == 404
