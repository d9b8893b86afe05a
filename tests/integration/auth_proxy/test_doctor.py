"""`auth-proxy doctor` against real parts: each fault is produced, found, and comes with its fix."""

import asyncio
import contextlib
import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import NoReturn

import pytest
from aiohttp import web

from auth_proxy.commands.doctor import examination
from auth_proxy.commands.doctor.patient import Patient
from auth_proxy.commands.report import Finding, Verdict
from deploy.demo.issuer import SigningKey
from service_kit.clock import SystemClock
from service_kit.identity.keys import key_file_name, new_signing_key
from service_kit.identity.model import Role
from tests.fakes import jwks_server
from tests.fakes.jwks_server import JwksServer
from tests.fixtures.authority import Authority
from tests.fixtures.examined import Examined, examined, served, sidecar_of
from tests.fixtures.ports import free_port
from tests.fixtures.sidecar import AUD, HOST

__all__ = ["examined"]

Break = Callable[[Examined], None]
ROSTER = 'operators = [{{ email = "a@example.com", role = "support"{sub} }}]'


def is_fault(finding: Finding, *words: str) -> bool:
    """A fault that says what was seen and how to mend it."""
    return (
        finding.verdict is Verdict.FAIL and bool(finding.fix) and all(word in finding.seen for word in words)
    )


def is_warning(finding: Finding, *words: str) -> bool:
    return (
        finding.verdict is Verdict.WARN and bool(finding.fix) and all(word in finding.seen for word in words)
    )


async def until_ready(examined: Examined) -> None:
    """Keys and roster have arrived at the sidecar that runs."""
    looked_at, examined.only = examined.only, ("running sidecar",)
    async with asyncio.timeout(20):
        while (await examined.finding("running sidecar")).verdict is not Verdict.OK:
            await asyncio.sleep(0.05)
    examined.only = looked_at


async def test_a_sound_configuration_has_no_fault(examined: Examined) -> None:
    """All runs and fits: only the test's plain http, and the frontend beside the panel, are remarked."""
    async with sidecar_of(examined.environ):
        await until_ready(examined)
        report = await examined.doctor(examined.token())
    remarks = [item for item in report.document["findings"] if item["verdict"] != "ok"]

    assert report.status == 0
    assert [(item["name"], item["verdict"]) for item in remarks] == [
        ("team", "warn"),
        ("panel origin", "warn"),
    ]
    assert {"admin_service", "tenant_service", "roster", "published keys"} <= {
        item["name"] for item in report.document["findings"]
    }
    assert all(item["fix"] for item in remarks)


# The team domain


@pytest.mark.parametrize(
    "answer, seen, fix",
    [
        (
            jwks_server.status("404 Not Found"),
            "status 404, so there is no such team",
            "CF_ACCESS_TEAM_DOMAIN",
        ),
        (
            jwks_server.redirect("302 Found", "https://login.example/x?token=1"),
            "redirects (302) to login.example",
            "CF_ACCESS_TEAM_DOMAIN",
        ),
        (
            jwks_server.body(b"<html>hi</html>", headers={"Content-Type": "text/html; charset=utf-8"}),
            "a web page (HTML), not a key set",
            "CF_ACCESS_TEAM_DOMAIN",
        ),
        (jwks_server.body(b"[]"), "not a key set", "CF_ACCESS_TEAM_DOMAIN"),
        (jwks_server.hang_up, "the connection broke", "let this machine reach"),
        (jwks_server.body(b"x", headers={"Content-Encoding": "br"}), "cannot be read (encoding)", "proxy"),
    ],
    ids=["wrong_team", "redirect", "html", "not_json", "hangs_up", "compressed"],
)
async def test_a_wrong_team_domain_is_named(
    examined: Examined, answer: jwks_server.Answer, seen: str, fix: str
) -> None:
    """R-044: each way in which the endpoint is not the team's is told apart, with its fix."""
    examined.team.answer = answer
    finding = await examined.finding("team")

    assert is_fault(finding, seen)
    assert fix in finding.fix
    assert "token=1" not in finding.seen


async def test_a_team_that_nobody_answers_for_is_named(examined: Examined) -> None:
    """Nothing listens there: said so, with the way out."""
    await examined.team.refuse()

    assert is_fault(await examined.finding("team"), "nothing listens there")


async def test_a_team_that_hangs_is_given_up(examined: Examined, monkeypatch: pytest.MonkeyPatch) -> None:
    """An endpoint without an answer costs its own limit and no more."""
    monkeypatch.setattr("auth_proxy.commands.doctor.team.ASK_SECONDS", 0.2)
    examined.team.answer = jwks_server.hang

    assert is_fault(await examined.finding("team"), "no answer")


async def test_a_team_that_does_not_resolve_is_named(
    examined: Examined, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name that does not exist is a wrong team domain."""

    def unknown(*_args: object, **_options: object) -> NoReturn:  # no test asks a name server out there
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    finding = await examined.finding("team", CF_ACCESS_TEAM_DOMAIN="https://team.invalid")

    assert is_fault(finding, "the name does not resolve")
    assert "CF_ACCESS_TEAM_DOMAIN" in finding.fix


async def test_plain_http_behind_an_https_address_is_named(examined: Examined) -> None:
    """The endpoint speaks http where https is configured."""
    async with answering(200) as url:
        https = url.replace("http:", "https:")

        assert is_fault(await examined.finding("team", CF_ACCESS_TEAM_DOMAIN=https), "does not speak TLS")


async def test_a_certificate_of_an_unknown_authority_is_named(examined: Examined, tmp_path: Path) -> None:
    """Whoever opens TLS in between is not the team."""
    tls = Authority.found().server_context(
        tmp_path, host="localhost", until=datetime.now(UTC) + timedelta(days=1)
    )
    async with JwksServer(tls=tls) as server:
        finding = await examined.finding("team", CF_ACCESS_TEAM_DOMAIN=server.team_domain)

    assert is_fault(finding, "certificate")


async def test_the_keys_are_told_and_the_unfit_counted(examined: Examined, access_key: SigningKey) -> None:
    """How many keys there are, how large and since when; a small one is counted as unusable."""
    good = await examined.finding("team.keys")
    small = SigningKey.generate(1024)
    document = examined.issuer.certs_document()
    examined.team.answer = jwks_server.document({**document, "keys": [access_key.jwk(), small.jwk()]})
    bad = await examined.finding("team.keys")

    assert good.verdict is Verdict.OK
    assert f"{access_key.kid[:8]}… 2048 bit since 2020-01-01" in good.seen
    assert is_warning(bad, "1 more that cannot be used")


async def test_certificates_that_cannot_be_read_hide_no_key(examined: Examined) -> None:
    """The age comes from a certificate, for information alone: the keys count without it."""
    document = {**examined.issuer.certs_document(), "public_certs": ["x", {"kid": 1, "cert": "x"}]}
    examined.team.answer = jwks_server.document(document)
    finding = await examined.finding("team.keys")

    assert (finding.verdict, "since" in finding.seen) == (Verdict.OK, False)


@pytest.mark.parametrize("keys", [[], "twice"], ids=["empty", "doubled"])
async def test_a_key_set_that_must_not_be_used_is_a_fault(
    examined: Examined, access_key: SigningKey, keys: list[object] | str
) -> None:
    """An empty set, and one that names a kid twice."""
    entries = [access_key.jwk(), access_key.jwk()] if keys == "twice" else keys
    examined.team.answer = jwks_server.document({"keys": entries})

    assert is_fault(await examined.finding("team.keys"), "not to be used")


@pytest.mark.parametrize(
    "seconds, verdict",
    [(0, Verdict.OK), (-20, Verdict.WARN), (20, Verdict.WARN), (-90, Verdict.FAIL), (300, Verdict.FAIL)],
)
async def test_a_clock_that_differs_is_told(examined: Examined, seconds: int, verdict: Verdict) -> None:
    """R-045: more than five seconds is a warning, more than the leeway is a fault."""
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)
    examined.publish(date=date)
    finding = await examined.finding("clock")

    assert finding.verdict is verdict
    assert ("behind" in finding.seen) == (seconds > 0)
    assert bool(finding.fix) == (verdict is not Verdict.OK)


async def test_an_edge_without_a_clock_is_told(examined: Examined) -> None:
    """Without a Date header nothing is compared, and that is said."""
    examined.team.answer = jwks_server.document(examined.issuer.certs_document())

    assert is_warning(await examined.finding("clock"), "no date")


# The application


@pytest.mark.parametrize(
    "tag, seen, fix",
    [
        ("A" * 64, "capital letters", "CF_ACCESS_AUD=" + "a" * 64),
        ("8f14e45f-ceea-467f-a8d5-0d2d0f5ea1c3", "application's id, not its AUD tag", "AUD tag"),
        ("my-app", "6 characters is no AUD tag", "AUD tag"),
    ],
    ids=["capitals", "application_id", "a_name"],
)
async def test_an_audience_that_is_no_tag_is_a_fault(
    examined: Examined, tag: str, seen: str, fix: str
) -> None:
    """R-138, R-173: what cannot be the tag of an application is said before anybody is locked out."""
    finding = await examined.finding("audience", CF_ACCESS_AUD=tag)

    assert is_fault(finding, seen)
    assert fix in finding.fix


async def test_an_audience_of_a_host_is_looked_at_too(examined: Examined, tmp_path: Path) -> None:
    """A host's own audiences come from the TOML."""
    toml = tmp_path / "auth_proxy.toml"
    toml.write_text(f'[hosts."{HOST}"]\naudiences = ["x"]\n')

    assert is_fault(await examined.finding("audience", AUTH_PROXY_CONFIG=str(toml)), "1 characters")


async def test_token_types_that_refuse_every_real_token_are_a_fault(examined: Examined) -> None:
    """C-03: Cloudflare gives the tokens of applications the type `app`."""
    finding = await examined.finding("token types", CF_ACCESS_TOKEN_TYPES="org")

    assert is_fault(finding, "every token of an Access application is refused")
    assert finding.fix == "set CF_ACCESS_TOKEN_TYPES=app,org"


async def test_a_real_token_is_judged_claim_by_claim(examined: Examined) -> None:
    """Every claim that decides is shown with its verdict; the token itself never is."""
    token = examined.token()
    found = await examined.findings("token.", token)
    report = await examined.doctor(token)

    assert {finding.name for finding in found} == {
        *("token.iss", "token.aud", "token.type", "token.email"),
        *("token.sub", "token.exp", "token.signature"),
    }
    assert {finding.verdict for finding in found} == {Verdict.OK}
    assert_hides(report.lines, token)
    assert_hides([json.dumps(report.document)], token)


def assert_hides(lines: object, token: str) -> None:
    text = str(lines)

    assert not [part for part in token.split(".") if part in text]


@pytest.mark.parametrize(
    "claims, name, fix",
    [
        ({"iss": "https://other.cloudflareaccess.com"}, "token.iss", "CF_ACCESS_TEAM_DOMAIN=https://other."),
        ({"aud": ["b" * 64]}, "token.aud", "CF_ACCESS_AUD=" + "b" * 64),
        ({"type": "org"}, "token.type", "application's own host"),
        ({"email": ""}, "token.email", "person"),
        ({"email": "a@b@c"}, "token.email", "identity provider"),
        ({"sub": ""}, "token.sub", "person"),
        ({"common_name": "x.access"}, "token.common_name", "person"),
        ({"exp": 1}, "token.exp", "sign in again"),
        ({"iat": 4_000_000_000, "exp": 4_000_000_001}, "token.iat", "NTP"),
        ({"exp": 4_000_000_000}, "token.lifetime", "sign in again"),
        ({"exp": "soon"}, "token.form", "copy the whole value"),
    ],
)
async def test_a_token_that_does_not_fit_says_which_setting_to_change(
    examined: Examined, claims: dict[str, object], name: str, fix: str
) -> None:
    """R-138: from a real token a person learns which setting, if any, is wrong."""
    settings = {"CF_ACCESS_TOKEN_TYPES": "app"}
    finding = await examined.finding(name, examined.token(claims=claims), **settings)

    assert is_fault(finding)
    assert fix in finding.fix


@pytest.mark.parametrize(
    "seconds, verdict, seen",
    [(30, Verdict.OK, " s"), (-30, Verdict.OK, "within the leeway"), (-90, Verdict.FAIL, "1 min ago")],
)
async def test_the_end_of_a_token_is_told(
    examined: Examined, seconds: int, verdict: Verdict, seen: str
) -> None:
    """R-045: the leeway counts here as it counts in the sidecar."""
    now = int(datetime.now(UTC).timestamp())
    finding = await examined.finding(
        "token.exp", examined.token(claims={"iat": now - 600, "nbf": now - 600, "exp": now + seconds})
    )

    assert (finding.verdict, seen in finding.seen) == (verdict, True)


async def test_a_token_type_that_settings_refuse_is_told_from_a_wrong_token(examined: Examined) -> None:
    """The token is right, and CF_ACCESS_TOKEN_TYPES is wrong."""
    finding = await examined.finding("token.type", examined.token(), CF_ACCESS_TOKEN_TYPES="org")

    assert is_fault(finding, "CF_ACCESS_TOKEN_TYPES is org")
    assert "CF_ACCESS_TOKEN_TYPES=app,org" in finding.fix


async def test_a_token_that_the_team_did_not_sign_is_a_fault(
    examined: Examined, access_key: SigningKey
) -> None:
    """A foreign key, a wrong signature, and keys that cannot be read are three findings."""
    foreign = SigningKey.generate()
    now = int(datetime.now(UTC).timestamp())
    claims = {"iss": examined.issuer.team_domain, "aud": [AUD], "iat": now, "exp": now + 60}
    unknown = examined.issuer.mint_claims(claims, key=foreign)
    wrong = examined.issuer.mint_claims(claims, key=foreign, header={"kid": access_key.kid})

    assert is_fault(await examined.finding("token.signature", unknown), "does not publish")
    assert is_fault(await examined.finding("token.signature", wrong), "does not match")
    examined.team.answer = jwks_server.status("500 No")
    assert is_warning(await examined.finding("token.signature", wrong), "not checked")


# Exposure


@pytest.mark.parametrize("variable", ["AUTH_PROXY_LISTEN", "AUTH_PROXY_OPS_LISTEN"])
@pytest.mark.parametrize(
    "listen, verdict",
    [
        ("127.0.0.1:1", Verdict.OK),
        ("10.0.0.4:1", Verdict.OK),
        ("unix:/run/none.sock", Verdict.OK),
        ("0.0.0.0:1", Verdict.WARN),
        ("[::]:1", Verdict.WARN),
        ("gate.internal:1", Verdict.WARN),
        ("8.8.8.8:1", Verdict.FAIL),
    ],
)
async def test_a_listener_that_the_world_reaches_is_told(
    examined: Examined, variable: str, listen: str, verdict: Verdict
) -> None:
    """R-136: loopback, private and unix are well; every address is a warning, a public one a fault."""
    examined.only = ("listener",)  # nothing is asked of an address that is no test's own
    finding = await examined.finding(f"listener {variable}", **{variable: listen})

    assert finding.verdict is verdict
    assert bool(finding.fix) == (verdict is not Verdict.OK)


@pytest.mark.parametrize(
    "networks, verdict",
    [
        ("", Verdict.OK),
        ("127.0.0.1,10.0.0.0/8", Verdict.OK),
        ("64.0.0.0/4", Verdict.WARN),
        ("::/0", Verdict.FAIL),
        ("127.0.0.1,0.0.0.0/0", Verdict.FAIL),
    ],
)
async def test_trusting_every_proxy_is_a_fault(examined: Examined, networks: str, verdict: Verdict) -> None:
    """Mistake 5 of others: with everybody trusted a client chooses the address in the audit log."""
    finding = await examined.finding("trusted proxies", AUTH_PROXY_TRUSTED_PROXIES=networks)

    assert finding.verdict is verdict


async def test_a_frontend_in_the_panels_origin_is_told(examined: Examined, tmp_path: Path) -> None:
    """The panel's host is the panel's alone, or somebody said otherwise; a host of its own shares nothing."""
    examined.only = ("panel origin",)
    config = tmp_path / "auth_proxy.toml"

    async def seen(routes: str, **changed: str) -> Finding:
        config.write_text(routes)
        return await examined.finding("panel origin", AUTH_PROXY_CONFIG=str(config), **changed)

    alone = {"AUTH_PROXY_UPSTREAM": ""}
    target = 'target = "http://127.0.0.1:9"'
    hosts = {"ADMIN_HOST": f"{HOST},app.example.com", **alone}
    own_host = await seen(f'[[routes]]\nhost = "app.example.com"\nprefix = "/"\n{target}\n', **hosts)
    beside = await seen(f'[[routes]]\nprefix = "/tool"\n{target}\n', **alone)

    assert is_warning(await examined.finding("panel origin"), "AUTH_PROXY_UPSTREAM", "beside the panel")
    assert (await examined.finding("panel origin", **alone)).verdict is Verdict.OK
    assert own_host.verdict is Verdict.OK
    assert is_warning(beside, "/tool")
    assert await examined.findings("panel origin", ADMIN_SERVICE_URL="", TENANT_SERVICE_URL="",
                                   AUTH_PROXY_ROSTER="open:support") == []  # fmt: skip


async def test_an_open_development_gate_is_told(examined: Examined) -> None:
    """R-049: whoever runs doctor on such a machine should know."""
    open_gate = {"ALLOW_DEV_ADMIN_AUTH": "true", "LOCAL_DEV_ADMIN_EMAIL": "dev@example.com"}

    assert is_warning(await examined.finding("development gate", **open_gate), "open")
    assert await examined.findings("development gate") == []


# Signing keys


@pytest.mark.parametrize("mode, is_found", [(0o600, None), (0o640, Verdict.WARN), (0o644, Verdict.FAIL)])
async def test_a_key_that_others_can_read_is_told(
    examined: Examined, mode: int, is_found: Verdict | None
) -> None:
    """A key that its group can read is a warning, one that every user can read is a fault."""
    (file,) = examined.keys.iterdir()
    file.chmod(mode)
    found = [item for item in await examined.findings("signing keys") if "can read it" in item.seen]

    assert [item.verdict for item in found] == ([is_found] if is_found else [])
    assert all(f"chmod 600 {file}" in item.fix for item in found)


async def test_a_key_folder_that_others_can_write_is_a_fault(examined: Examined) -> None:
    """Whoever can put a key there can be anybody."""
    examined.keys.chmod(0o777)
    found = [item for item in await examined.findings("signing keys") if item.verdict is Verdict.FAIL]

    assert is_fault(found[0], "others can write")


async def test_a_key_that_is_old_is_told(examined: Examined) -> None:
    """Ninety days are enough; a successor that is already published silences it."""
    (file,) = examined.keys.iterdir()
    file.rename(examined.keys / "20200101T000000Z.pem")
    old = await examined.finding("signing keys")
    new_signing_key(examined.keys / key_file_name(datetime.now(UTC)))
    replaced = await examined.finding("signing keys")

    assert is_warning(old, "days old")
    assert "auth-proxy keys rotate" in old.fix
    assert replaced.verdict is Verdict.OK


async def test_no_key_is_a_fault_and_stops_nothing_else(examined: Examined) -> None:
    """Without a key the other parts are still looked at, and say why they could not ask."""
    empty = {"INTERNAL_SIGNING_KEY_FILE": str(examined.keys.parent / "none.pem")}
    report = await examined.doctor(**empty)
    verdicts = {item["name"]: item["verdict"] for item in report.document["findings"]}

    assert is_fault(await examined.finding("signing keys", **empty), "cannot be read")
    assert (verdicts["signing keys"], verdicts["roster"], verdicts["admin_service"]) == (
        "fail",
        "fail",
        "warn",
    )
    assert (verdicts["audience"], report.status) == ("ok", 1)


async def test_a_service_that_does_not_know_the_key_is_a_fault(examined: Examined) -> None:
    """The service answers 401 to what is signed here: its key set is not ours."""
    (file,) = examined.keys.iterdir()
    file.unlink()
    new_signing_key(file)
    examined.only = ("services",)
    for name in ("admin_service", "tenant_service"):
        finding = await examined.finding(name)

        assert is_fault(finding, "refuses what is signed with")
        assert "INTERNAL_JWKS_URL" in finding.fix


async def test_a_service_with_another_issuer_is_a_fault(examined: Examined) -> None:
    """The key is known and the issuer is not: the same answer, and the fix names both."""
    examined.only = ("services",)
    finding = await examined.finding("tenant_service", INTERNAL_ISSUER="somebody")

    assert is_fault(finding, "key, issuer or clock")
    assert "INTERNAL_ISSUER" in finding.fix


async def test_a_service_that_does_not_know_the_next_key_is_a_warning(examined: Examined) -> None:
    """The key that signs is known; the one that will sign is not yet."""
    new_signing_key(examined.keys / key_file_name(datetime.now(UTC)))
    found = await examined.findings("tenant_service")

    assert [finding.verdict for finding in found] == [Verdict.OK, Verdict.WARN]
    assert "does not sign yet" in found[1].seen


async def test_a_service_without_any_keys_is_a_fault(examined: Examined) -> None:
    """503: the service never loaded a key set, because no sidecar publishes one."""
    async with answering(503) as url:
        finding = await examined.finding("tenant_service", TENANT_SERVICE_URL=url)

    assert is_fault(finding, "has loaded no identity keys")


async def test_a_service_that_is_away_is_a_fault(examined: Examined) -> None:
    """Nothing listens where the setting says."""
    away = f"http://127.0.0.1:{free_port()}"
    finding = await examined.finding("tenant_service", TENANT_SERVICE_URL=away)

    assert is_fault(finding, "nothing listens there")
    assert "TENANT_SERVICE_URL" in finding.fix


async def test_a_service_that_hangs_is_given_up(examined: Examined, monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes connections and answers nothing: said within its own limit."""
    monkeypatch.setattr("auth_proxy.commands.doctor.patient.ASK_SECONDS", 0.2)
    examined.only = ("services",)
    async with JwksServer(jwks_server.hang) as silent:
        finding = await examined.finding("tenant_service", TENANT_SERVICE_URL=silent.team_domain)

    assert is_fault(finding, "no answer in time")


async def test_something_else_in_a_services_place_is_a_fault(examined: Examined) -> None:
    """A server that answers strangers is not the service, whatever it says to a signed request."""
    async with answering(404) as url:
        finding = await examined.finding("tenant_service", TENANT_SERVICE_URL=url)

    assert is_fault(finding, "without identity", "not the tenant_service")


async def test_a_service_that_fails_is_a_fault(examined: Examined) -> None:
    """Refuses strangers and breaks on us: its own log knows more."""
    async with answering(401, signed=500) as url:
        finding = await examined.finding("tenant_service", TENANT_SERVICE_URL=url)

    assert is_fault(finding, "answers 500 to a signed request")


def answering(status: int, *, signed: int | None = None) -> contextlib.AbstractAsyncContextManager[str]:
    """A server that gives every request this status, or another one to requests with an identity."""

    async def answer(request: web.Request) -> web.Response:
        has_identity = "X-Internal-Identity" in request.headers
        return web.Response(status=signed if signed is not None and has_identity else status)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    return served(app)


# Frontends


async def test_a_frontend_that_refuses_strangers_is_well(examined: Examined) -> None:
    """401 to both requests: it verifies the identity."""
    finding = await examined.finding(f"upstream {examined.environ['AUTH_PROXY_UPSTREAM']}")

    assert finding.verdict is Verdict.OK


@pytest.mark.parametrize(
    "statuses, seen",
    [((200, None), "answers 200 without identity"), ((302, None), "302"), ((403, 200), "nobody signed")],
)
async def test_a_frontend_that_answers_strangers_is_a_warning(
    examined: Examined, statuses: tuple[int, int | None], seen: str
) -> None:
    """R-136: who comes past the sidecar gets an answer, or a forged identity is believed."""
    async with answering(statuses[0], signed=statuses[1]) as url:
        finding = await examined.finding(f"upstream {url}", AUTH_PROXY_UPSTREAM=url)

    assert is_warning(finding, seen)
    assert "X-Internal-Identity" in finding.fix


async def test_a_target_of_a_route_is_looked_at_too(examined: Examined, tmp_path: Path) -> None:
    """Every target of the TOML counts: another server, a folder, a socket, one that is away."""
    away = f"http://127.0.0.1:{free_port()}"
    targets = {"/a": away, "/b": f"static:{tmp_path}", "/c": "http+unix:///run/none.sock"}
    toml = tmp_path / "auth_proxy.toml"
    toml.write_text("".join(f'[[routes]]\nprefix = "{p}"\ntarget = "{t}"\n' for p, t in targets.items()))
    found = await examined.findings("upstream", AUTH_PROXY_CONFIG=str(toml), AUTH_PROXY_UPSTREAM="")
    by_name = {finding.name.removeprefix("upstream "): finding for finding in found}

    assert is_fault(by_name[away], "nothing listens there")
    assert by_name[f"static:{tmp_path}"].verdict is Verdict.OK
    assert by_name["http+unix:///run/none.sock"].verdict is Verdict.OK


# The roster


async def test_a_feed_that_tells_nothing_is_a_fault(
    examined: Examined, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R-064: no snapshot within three seconds means that nobody gets in."""
    monkeypatch.setattr("auth_proxy.commands.live.SNAPSHOT_SECONDS", 0.3)
    async with answering(404) as url:
        away = await examined.finding("roster", ADMIN_SERVICE_URL=url)

    assert is_fault(away, "gives no feed within 3 s")


async def test_a_feed_that_opens_and_stays_silent_is_told_apart(
    examined: Examined, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R-064: the service answers 200 and says nothing: it is there, and its feed is not."""
    monkeypatch.setattr("auth_proxy.commands.live.SNAPSHOT_SECONDS", 2.0)
    async with answering(200) as url:
        finding = await examined.finding("roster", ADMIN_SERVICE_URL=url)

    assert is_fault(finding, "opens the feed and says nothing")


async def test_a_feed_without_operators_is_a_warning(examined: Examined) -> None:
    """R-077: the way out is the first operator."""
    examined.admin.operators.clear()
    finding = await examined.finding("roster")

    assert is_warning(finding, "nobody is enrolled")
    assert "seed-admin" in finding.fix


@pytest.mark.parametrize(
    "text, verdict, seen",
    [
        (ROSTER.format(sub=', sub = "s1"'), Verdict.OK, "1 operators"),
        (ROSTER.format(sub=""), Verdict.WARN, "without a pinned sub: a@example.com"),
        ("operators = []", Verdict.FAIL, "at least 1"),
        ("operators = [", Verdict.FAIL, "is not TOML"),
        (None, Verdict.FAIL, "cannot be read"),
    ],
    ids=["pinned", "unpinned", "empty", "broken", "missing"],
)
async def test_a_roster_file_is_judged(
    examined: Examined, tmp_path: Path, text: str | None, verdict: Verdict, seen: str
) -> None:
    """R-060: who is not pinned is named; a broken or empty file is a fault."""
    path = tmp_path / "roster.toml"
    if text is not None:
        path.write_text(text)
    finding = await examined.finding("roster", **other_frontend(f"file:{path}"))

    assert finding.verdict is verdict
    assert seen in finding.seen
    assert bool(finding.fix) == (verdict is not Verdict.OK)


@pytest.mark.parametrize("role, verdict", [(Role.SUPPORT, Verdict.OK), (Role.SUPER_ADMIN, Verdict.WARN)])
async def test_an_open_roster_of_super_admins_is_a_warning(
    examined: Examined, role: Role, verdict: Verdict
) -> None:
    """Everybody whom Access lets in could do everything."""
    finding = await examined.finding("roster", **other_frontend(f"open:{role.value}"))

    assert finding.verdict is verdict


def other_frontend(roster: str) -> dict[str, str]:
    return {"AUTH_PROXY_ROSTER": roster, "ADMIN_SERVICE_URL": "", "TENANT_SERVICE_URL": ""}


# A sidecar that runs


async def test_no_sidecar_that_runs_is_a_warning(examined: Examined) -> None:
    """Doctor is asked before the first start too."""
    socket = {"AUTH_PROXY_OPS_LISTEN": "unix:/run/none.sock"}

    assert is_warning(await examined.finding("running sidecar"), "nothing listens there")
    assert is_warning(await examined.finding("running sidecar", **socket), "nothing listens there")


async def test_a_sidecar_that_is_not_ready_is_a_fault(examined: Examined) -> None:
    """Its readiness names the part that is missing."""
    examined.team.answer = jwks_server.status("500 No")
    async with sidecar_of(examined.environ):
        finding = await examined.finding("running sidecar")

    assert is_fault(finding, "not ready", "access_keys")


async def test_a_sidecar_with_other_keys_is_a_fault(examined: Examined, tmp_path: Path) -> None:
    """It publishes keys that are not those of the configured files."""
    other = tmp_path / "other.pem"
    new_signing_key(other)
    async with sidecar_of({**examined.environ, "INTERNAL_SIGNING_KEY_FILE": str(other)}):
        finding = await examined.finding("published keys")

    assert is_fault(finding, "does not publish")


async def test_something_else_on_the_operations_port_is_a_fault(examined: Examined) -> None:
    """A server that is no sidecar answers there."""
    async with answering(200) as url:
        listen = url.removeprefix("http://")
        finding = await examined.finding("running sidecar", AUTH_PROXY_OPS_LISTEN=listen)

    assert is_fault(finding, "something else")


# The round itself


async def test_settings_that_cannot_be_read_are_findings(examined: Examined) -> None:
    """R-173: every wrong variable is a finding of its own, and the status says configuration."""
    report = await examined.doctor(CF_ACCESS_AUD="", AUTH_PROXY_LISTEN="here")

    assert report.status == 2
    assert [item["seen"].partition(":")[0] for item in report.document["findings"]] == [
        "CF_ACCESS_AUD",
        "AUTH_PROXY_LISTEN",
    ]


async def test_http_to_a_team_outside_development_is_a_finding(examined: Examined) -> None:
    """R-043: keys that come over plain http are anybody's keys."""
    report = await examined.doctor(APP_ENV="production")

    assert "CF_ACCESS_TEAM_DOMAIN: must be https" in report.document["findings"][0]["seen"]


async def test_one_check_that_breaks_or_hangs_stops_no_other(
    examined: Examined, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each check has its bound; what the others found is told."""

    async def hangs(_patient: Patient) -> list[Finding]:
        await asyncio.Event().wait()
        return []

    async def breaks(_patient: Patient) -> list[Finding]:
        raise RuntimeError("with a secret")

    monkeypatch.setattr(examination, "CHECK_SECONDS", 0.1)
    sound = [(name, check) for name, check in examination.CHECKS if name in ("token types", "audience")]
    checks = [("one", hangs), ("two", breaks), *sound]
    report = await examination.examine(examined.environ, SystemClock(), checks=checks)
    found = {item["name"]: item for item in report.document["findings"]}

    assert found["one"]["seen"].startswith("no result within")
    assert found["two"]["seen"] == "the check failed itself (RuntimeError)"
    assert (found["token types"]["verdict"], found["audience"]["verdict"]) == ("ok", "ok")
    assert (report.status, report.lines[-1]) == (1, "3 ok, 0 warn, 2 fail")


async def test_the_command_prints_the_report_for_people_and_machines(
    examined: Examined, tmp_path: Path
) -> None:
    """Lines with the fix below each fault, or one JSON document; the token is in neither."""
    token = tmp_path / "token"
    token.write_text(examined.token(claims={"aud": ["b" * 64]}) + "\n")
    shown = await command(examined, "doctor", "--token", str(token))
    document = await command(examined, "doctor", "--json", "--token", str(token))
    findings = json.loads(document.stdout)["findings"]

    assert (shown.returncode, document.returncode) == (1, 1)
    assert "fail  token.aud: " in shown.stdout
    assert f"      fix: if this is your application, set CF_ACCESS_AUD={'b' * 64}" in shown.stdout
    assert {item["name"] for item in findings if item["verdict"] == "fail"} == {"token.aud"}
    assert_hides(shown.stdout + shown.stderr + document.stdout, token.read_text().strip())


async def command(examined: Examined, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`python -m auth_proxy …` as a process of its own."""
    return await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "auth_proxy", *arguments],
        env={**examined.environ, "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
