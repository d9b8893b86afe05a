"""`auth-proxy explain`: the sidecar's own decision about one request, without a trace of it anywhere."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from auth_proxy.access.errors import KeyRefreshError
from auth_proxy.commands.explain import Question, explain
from auth_proxy.commands.report import Report
from auth_proxy.settings import load_proxy_settings
from deploy.demo.people import Person
from service_kit.clock import SystemClock
from service_kit.identity.model import Role
from tests.fakes.admin_service import operator
from tests.fakes.recording_upstream import recording_upstream
from tests.fixtures.examined import Examined, examined, gate_of
from tests.fixtures.sidecar import AUD, HOST, ORIGIN, person

__all__ = ["examined"]

SAME_ORIGIN = ("Origin", ORIGIN)
FOREIGN = ("Origin", "https://evil.example")


async def asked(examined: Examined, question: Question, **changed: str) -> Report:
    settings = load_proxy_settings({**examined.environ, **changed})
    return await explain(settings, question, SystemClock())


def words(report: Report) -> str:
    return "\n".join(report.lines)


async def test_a_grant_tells_where_it_leads_and_with_what(examined: Examined) -> None:
    """Route, rule, audience and the names of the headers that an upstream would get; no value of one."""
    token = examined.token(Role.SUPPORT)
    headers = (SAME_ORIGIN, ("Accept", "text/html"), ("X-Forwarded-User", "root"))
    question = Question("/api/admin/tenants?x=1", "POST", headers=headers, token=token)
    report = await asked(examined, question)
    shown = report.document

    assert (report.status, shown["verdict"]) == (0, "granted")
    assert shown["person"] == {"email": "support@example.com", "sub": person(Role.SUPPORT).sub}
    assert shown["operator"]["role"] == "support"
    assert (shown["rule"]["route"], shown["rule"]["needs"]) == ("/api/admin/tenants", "tenant.create")
    assert shown["upstream"] == {
        "target": "tenant_service",
        "audience": "tenant_service",
        "request": "POST /api/admin/tenants?x=1",
        "headers": [
            *("Accept", "Host", "Origin", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto"),
            *("X-Internal-Identity", "X-Request-Id"),
        ],
        "dropped": 1,
    }
    assert {claim["verdict"] for claim in shown["token"]} == {"ok"}
    assert words(report).startswith("GRANTED\nperson    support@example.com (sub ")
    assert_no_secret(report, token)


def assert_no_secret(report: Report, token: str) -> None:
    text = words(report) + json.dumps(report.document)

    assert "eyJ" not in text  # neither a part of this token nor the minted identity
    assert token.rpartition(".")[2] not in text


REFUSALS: list[tuple[str, Question, str | None, str, str]] = [
    # name, question, role of the token, step, reason
    ("host", Question("/", host="other.example"), "support", "admit", "host_unknown"),
    ("path", Question("/manage/../x"), "support", "admit", "path_ambiguous"),
    (
        "spoof",
        Question("/", headers=(("X_Internal.Identity", "x"),)),
        "support",
        "screen",
        "identity_header_spoofed",
    ),
    ("no_token", Question("/"), None, "authenticate", "token_missing"),
    ("not_a_token", Question("/", token="x.y"), None, "authenticate", "token_malformed"),
    (
        "contradiction",
        Question("/", headers=(("Cf-Access-Authenticated-User-Email", "b@example.com"),)),
        "support",
        "identify",
        "email_header_contradicts",
    ),
    ("method", Question("/static/panel/x", "PATCH"), "support", "authorize", "method_not_allowed"),
    ("origin", Question("/manage", "POST", headers=(FOREIGN,)), "support", "authorize", "origin_rejected"),
    ("permission", Question("/api/admin/system"), "support", "authorize", "permission_denied"),
    (
        "upgrade",
        Question("/x", headers=(("Connection", "Upgrade"), ("Upgrade", "h2c"))),
        "support",
        "authorize",
        "upgrade_not_allowed",
    ),
]


@pytest.mark.parametrize(
    "question, role, step, reason", [row[1:] for row in REFUSALS], ids=[row[0] for row in REFUSALS]
)
async def test_a_refusal_names_its_step_and_reason(
    examined: Examined, question: Question, role: str | None, step: str, reason: str
) -> None:
    """Where it ended, why, what the client is told, and the way out."""
    report = await asked(examined, with_token(question, examined, role))
    shown = report.document

    assert (report.status, shown["verdict"]) == (1, "refused")
    assert (shown["step"], shown["reason"]) == (step, reason)
    assert shown["answer"]["status"] >= 400
    assert f"\nfix       {shown['fix']}" in words(report)


def with_token(question: Question, examined: Examined, role: str | None) -> Question:
    token = examined.token(Role(role)) if role else question.token
    return Question(question.target, question.method, question.host, question.headers, token)


@pytest.mark.parametrize("question, role", [row[1:3] for row in REFUSALS], ids=[row[0] for row in REFUSALS])
async def test_the_running_sidecar_answers_the_same(
    examined: Examined, question: Question, role: str | None
) -> None:
    """R-003: what explain says is what a client gets, byte for byte the same status and code."""
    asking = with_token(question, examined, role)
    explained = (await asked(examined, asking)).document["answer"]
    async with gate_of(examined) as gate:
        status, body = await gate.send(asking)

    assert status == explained["status"]
    assert explained["error"] in body
    assert explained["code"] in body or status == 404  # the foreign host's answer is bare text


async def test_a_permission_that_is_missing_is_told_with_who_has_it(examined: Examined) -> None:
    """R-081: the rule, what the role has instead, and which roles would do."""
    report = await asked(examined, Question("/api/admin/system", token=examined.token(Role.READ_ONLY)))
    rule = report.document["rule"]

    assert rule["needs"] == "platform.view_system_metrics"
    assert (rule["role"], rule["rolesThatMay"]) == ("read_only", ["super_admin"])
    assert "tenant.view" in rule["roleHas"]
    assert report.document["person"]["email"] == "read_only@example.com"
    assert "needs     platform.view_system_metrics (held by super_admin)" in words(report)


async def test_a_person_who_is_no_operator_may_see_the_way_in(examined: Examined) -> None:
    """R-066: `/enrollment` asks for a proven person, and says that there is no operator."""
    stranger = examined.issuer.mint(Person.with_email("new@example.com"), audience=AUD)
    report = await asked(examined, Question("/enrollment", token=stranger))

    assert (report.status, report.document["operator"]) == (0, None)
    assert "operator  none" in report.lines


async def test_a_route_refuses_at_its_own_step(examined: Examined, tmp_path: Path) -> None:
    """The same reason may come from two steps: `%2F` is refused by admit or by the route that is asked."""
    toml = tmp_path / "auth_proxy.toml"
    toml.write_text(
        '[[routes]]\nprefix = "/files"\nhost = "files.example"\nencoded_slashes = true\n'
        'target = "http://127.0.0.1:1"\n'
    )
    hosts = {"ADMIN_HOST": f"{HOST},files.example", "AUTH_PROXY_CONFIG": str(toml)}
    question = Question("/a%2Fb", token=examined.token())

    assert (await asked(examined, question)).document["step"] == "admit"
    report = await asked(examined, question, **hosts)
    assert (report.document["step"], report.document["reason"]) == ("authorize", "path_ambiguous")


async def test_a_person_whom_nobody_can_vouch_for_is_refused_at_the_end(
    examined: Examined, tmp_path: Path
) -> None:
    """A name with a line break cannot become a header: nothing is forwarded, and the step is named."""
    who = person(Role.SUPPORT)
    roster = tmp_path / "roster.toml"
    roster.write_text(
        f'operators = [{{ email = "{who.email}", sub = "{who.sub}", role = "support", name = "A\\nB" }}]'
    )
    toml = tmp_path / "auth_proxy.toml"
    toml.write_text(
        '[[routes]]\nprefix = "/grafana"\ntarget = "http://127.0.0.1:1"\n'
        'identity_headers = { "X-WEBAUTH-NAME" = "name" }\n'
    )
    report = await asked(
        examined,
        Question("/grafana", token=examined.token(Role.SUPPORT)),
        AUTH_PROXY_CONFIG=str(toml),
        **other_frontend(f"file:{roster}"),
    )

    assert (report.document["step"], report.document["reason"]) == ("vouch", "cannot_vouch")


def other_frontend(roster: str) -> dict[str, str]:
    return {"AUTH_PROXY_ROSTER": roster, "ADMIN_SERVICE_URL": "", "TENANT_SERVICE_URL": ""}


async def test_nothing_is_sent_or_changed(examined: Examined) -> None:
    """R-061, R-065: no request at an upstream, no activity, no denial, and an enrollment token stays good."""
    stranger = Person.with_email("new@example.com")
    examined.admin.tokens["enr_1234567890"] = operator("", stranger.email, Role.SUPPORT)
    token = examined.issuer.mint(stranger, audience=AUD)
    enrollment = (("x-admin-enrollment-token", "enr_1234567890"),)
    async with recording_upstream() as upstream:
        frontend = {"AUTH_PROXY_UPSTREAM": upstream.url}
        granted = await asked(examined, Question("/", token=examined.token()), **frontend)
        refused = await asked(examined, Question("/", headers=enrollment, token=token), **frontend)

    assert (granted.status, refused.document["reason"]) == (0, "enrollment_required")
    assert "it is not tried here" in words(refused)
    assert "enr_1234567890" not in words(refused)
    assert upstream.raw == b""
    assert "enr_1234567890" in examined.admin.tokens
    assert (examined.admin.received, examined.admin.seen, examined.admin.denials) == ([], [], [])


async def test_keys_may_come_from_a_file(examined: Examined) -> None:
    """Offline: with a saved key set nobody is asked; without it an endpoint that is away refuses."""
    jwks = json.dumps(examined.issuer.certs_document()).encode()
    token = examined.token()
    await examined.team.refuse()
    offline = await asked(examined, Question("/manage", token=token, jwks=jwks))
    online = await asked(examined, Question("/manage", token=token))

    assert offline.status == 0
    assert (online.document["reason"], online.document["answer"]["status"]) == ("keys_unavailable", 503)
    with pytest.raises(KeyRefreshError):
        await asked(examined, Question("/manage", token=token, jwks=b"{}"))


async def test_a_roster_that_nobody_confirms_refuses(
    examined: Examined, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R-064: without a feed the verdict is the one that a sidecar gives."""
    monkeypatch.setattr("auth_proxy.commands.live.SNAPSHOT_SECONDS", 0.3)
    silent = {"ADMIN_SERVICE_URL": "http://127.0.0.1:1"}
    report = await asked(examined, Question("/manage", token=examined.token()), **silent)

    assert report.document["reason"] == "roster_unavailable"


async def test_the_other_rosters_decide_too(examined: Examined, tmp_path: Path) -> None:
    """A file, with a word on who is not pinned (R-060), and a role for everybody."""
    roster = tmp_path / "roster.toml"
    roster.write_text('operators = [{ email = "support@example.com", role = "read_only" }]')
    question = Question("/", token=examined.token(Role.SUPPORT))
    named = await asked(examined, question, **other_frontend(f"file:{roster}"))
    everybody = await asked(examined, question, **other_frontend("open:security"))

    assert named.document["operator"]["role"] == "read_only"
    assert "pins no sub" in words(named)
    assert everybody.document["operator"]["role"] == "security"
    assert "pins no sub" not in words(everybody)


async def test_a_folder_gets_no_headers(examined: Examined, tmp_path: Path) -> None:
    """Behind a static route nobody reads an identity, and nobody else is there who could answer."""
    (tmp_path / "index.html").write_text("hello")
    report = await asked(
        examined, Question("/", token=examined.token()), AUTH_PROXY_UPSTREAM=f"static:{tmp_path}"
    )

    assert (report.status, report.document["upstream"]["headers"]) == (0, [])
    assert report.document["notes"] == []


async def test_a_grant_promises_nothing_of_the_target(examined: Examined) -> None:
    """Who reads GRANTED must not take it for the answer: the frontend was not asked."""
    report = await asked(examined, Question("/", token=examined.token()))

    assert report.status == 0
    assert "what the target itself would answer was not asked" in words(report)


HANDSHAKE = (SAME_ORIGIN, ("Connection", "Upgrade"), ("Upgrade", "websocket"))
VERSION = ("Sec-WebSocket-Version", "13")
BEHIND: list[tuple[str, Question, str]] = [
    # name, question, reason
    ("method", Question("/index.html", "POST", headers=(SAME_ORIGIN,)), "method_not_allowed"),
    ("file", Question("/missing.js"), "file_not_found"),
    ("hidden", Question("/.env"), "file_not_found"),
    ("version", Question("/live", headers=HANDSHAKE), "websocket_version"),
    ("key", Question("/live", headers=(*HANDSHAKE, VERSION)), "websocket_malformed"),
]


@pytest.mark.parametrize("question, reason", [row[1:] for row in BEHIND], ids=[row[0] for row in BEHIND])
async def test_what_the_way_to_the_target_refuses_is_told(
    examined: Examined, tmp_path: Path, question: Question, reason: str
) -> None:
    """R-003: a static folder's own refusals and a broken handshake are told as a client gets them."""
    changed = folder_and_websocket(tmp_path)
    asking = with_token(question, examined, "support")
    report = await asked(examined, asking, **changed)
    shown = report.document
    async with gate_of(examined, **changed) as gate:
        status, body = await gate.send(asking)

    assert (report.status, shown["step"], shown["reason"]) == (1, "forward", reason)
    assert shown["person"]["email"] == "support@example.com"
    assert shown["rule"]["role"] == "support"
    assert status == shown["answer"]["status"]
    assert shown["answer"]["code"] in body


async def test_a_whole_handshake_is_granted(examined: Examined, tmp_path: Path) -> None:
    """Judged as far as it goes without the upstream, which is not there."""
    headers = (*HANDSHAKE, VERSION, ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="))
    question = Question("/live", headers=headers, token=examined.token())
    report = await asked(examined, question, **folder_and_websocket(tmp_path))

    assert report.document["verdict"] == "granted"


def folder_and_websocket(folder: Path) -> dict[str, str]:
    """A folder with a page and a hidden file as the frontend, and a route that takes websockets."""
    site, toml = folder / "site", folder / "auth_proxy.toml"
    site.mkdir()
    for name in ("index.html", ".env"):
        (site / name).write_text("hello")
    toml.write_text('[[routes]]\nprefix = "/live"\ntarget = "http://127.0.0.1:1"\nwebsocket = true\n')
    return {"AUTH_PROXY_UPSTREAM": f"static:{site}", "AUTH_PROXY_CONFIG": str(toml)}


async def test_an_open_development_gate_is_told(examined: Examined) -> None:
    """R-049: the verdict is right, and not because of the token."""
    gate = {"ALLOW_DEV_ADMIN_AUTH": "true", "LOCAL_DEV_ADMIN_EMAIL": "dev@example.com"}
    report = await asked(examined, Question("/"), **gate, **other_frontend("open:support"))

    assert report.document["person"]["email"] == "dev@example.com"
    assert "no token was looked at" in words(report)


async def test_every_wrong_claim_is_told_at_once(examined: Examined) -> None:
    """The sidecar stops at the first; a person wants to know them all, and no escape sequence."""
    token = examined.token(claims={"iss": "https://x\x1b[31m", "exp": 1, "aud": ["b" * 64]})
    report = await asked(examined, Question("/", token=token))
    wrong = {claim["name"] for claim in report.document["token"] if claim["verdict"] == "fail"}

    assert {"token.iss", "token.aud", "token.exp"} <= wrong
    assert "\x1b" not in words(report)
    assert_no_secret(report, token)


async def test_the_command_reads_the_token_from_a_file_or_standard_input(
    examined: Examined, tmp_path: Path
) -> None:
    """Status 0 for a grant, 1 for a refusal, 2 for what cannot be asked; a token is never an argument."""
    token = tmp_path / "token"
    token.write_text(f"{examined.token()}\n")
    from_file = await command(examined, "--token-file", str(token), "/manage")
    from_stdin = await command(examined, "--json", "--token-file", "-", "/manage", sent=token.read_text())
    refused = await command(
        examined, "--method", "POST", "--header", "Origin: https://x", "--host", HOST, "/"
    )

    assert (from_file.returncode, from_file.stdout.splitlines()[0]) == (0, "GRANTED")
    assert (from_stdin.returncode, json.loads(from_stdin.stdout)["verdict"]) == (0, "granted")
    assert (refused.returncode, refused.stdout.splitlines()[1]) == (1, "step      authenticate")
    assert from_file.stderr + from_stdin.stderr + refused.stderr == ""


@pytest.mark.parametrize(
    "arguments, said",
    [
        (("--header", "nonsense"), "--header: must be"),
        (("--header", "X: \udcff"), "--header: must be text in UTF-8"),
        (("--host", "\udcff"), "--host: must be text in UTF-8"),
        (("--method", "\udcff"), "--method: must be text in UTF-8"),
        (("--token-file", "-"), "the token is empty"),
        (("--token-file", "/none"), "/none: No such file"),
        (("--jwks", "/dev/null"), "--jwks: not a key set (malformed)"),
    ],
)
async def test_an_argument_that_cannot_be_used_is_status_2(
    examined: Examined, arguments: tuple[str, ...], said: str
) -> None:
    """One line, no trace."""
    ran = await command(examined, *arguments, "/")

    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr.startswith(f"auth-proxy: {said}")
    assert len(ran.stderr.splitlines()) == 1


async def command(examined: Examined, *arguments: str, sent: str = "") -> subprocess.CompletedProcess[str]:
    """`python -m auth_proxy explain …` as a process of its own."""
    return await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "auth_proxy", "explain", *arguments],
        env={**examined.environ, "PATH": os.environ["PATH"]},
        input=sent,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
