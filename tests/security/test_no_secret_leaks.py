"""Every secret of a long day at the front door, looked for in all that the product said, logged and stored.

Tokens are shown once, their digests stand in one column, and nothing else of them stands anywhere (R-068).
"""

import base64
import hashlib
import re
import secrets
import shutil
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any, Final

import pytest
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from deploy.demo import sample_data
from deploy.demo.people import ADA, IRMA, NOEL, ROSA, SAMIR, Person
from tests.fixtures.whole_stack import Answered, Door, front_door

pytestmark = [pytest.mark.stack, pytest.mark.timeout(120)]

OPERATORS: Final = "/api/admin/global-admins"
EXCHANGE: Final = "/api/access-sso"
HEADER: Final = "x-admin-enrollment-token"
UPSTREAM: Final = "frontend"
SHAPES: Final = {
    "an enrollment token": re.compile(r"enr_[A-Za-z0-9_-]{43}"),
    "a session token": re.compile(r"axs_[A-Za-z0-9_-]{43}"),
    "a JWT": re.compile(r"eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}"),
    "a private key": re.compile(r"PRIVATE KEY"),
}
"""What a secret looks like, also one that the test did not see being made."""
DIGEST_COLUMNS: Final = {
    ("global_admins", "enrollment_token_hash"),
    ("operator_sessions", "token_hash"),
}
KEY_COLUMN: Final = ("service_keys", "value")
NAVIGATION: Final = {"Accept": "text/html", "Sec-Fetch-Mode": "navigate"}


def forms_of(secret: bytes) -> set[str]:
    """A secret of raw bytes in every spelling in which it could be written down."""
    plain, url = base64.b64encode(secret).decode(), base64.urlsafe_b64encode(secret).decode()
    return {secret.hex(), secret.hex().upper(), plain.rstrip("="), url.rstrip("=")}


def forms_of_token(token: str) -> set[str]:
    """A token, and what it would be after an encoding that somebody might call harmless."""
    encoded = (
        base64.b64encode(token.encode()).decode().rstrip("=")[:-1]
    )  # the last sign depends on what follows
    return {token, token.partition("_")[2] or token, encoded, token.encode().hex()}


def digests_of(token: str) -> set[str]:
    return forms_of(hashlib.sha256(token.encode()).digest())


@dataclass
class Secrets:
    """What must not be found, each by a name that a failure may print."""

    spellings: dict[str, str] = field(default_factory=dict)

    def add(self, name: str, spellings: set[str]) -> None:
        self.spellings |= dict.fromkeys(spellings, name)

    def found_in(self, text: str, *, shapes: Mapping[str, re.Pattern[str]] = SHAPES) -> set[str]:
        """The names of what the text holds."""
        known = {name for spelling, name in self.spellings.items() if spelling in text}
        return known | {name for name, shape in shapes.items() if shape.search(text)}


class Day:
    """Everything that happens, and every secret that comes up meanwhile."""

    def __init__(self, door: Door, first_token: str) -> None:
        self.door = door
        self.enrollment = [first_token]
        self.sessions: list[str] = []
        self.typed: list[str] = []
        """Wrong tokens: somebody's typing error is a secret of theirs too."""
        self.csrf: set[str] = set()

    async def provision(self, who: Person, role: str) -> dict[str, Any]:
        issued = await self.door.provision(ADA, who, role)
        self.enrollment.append(issued["enrollmentToken"])
        return issued

    async def issue_again(self, path: str, body: Mapping[str, Any]) -> str:
        """A new token for an operator, where the endpoint exists; it must be another one."""
        answer = await self.door.ask("POST", path, ADA, body=body)
        token = str(answer.json["enrollmentToken"]) if answer.status == 200 else ""
        self.enrollment += [token] if token else []
        return token

    async def fail(self, who: Person, token: str) -> None:
        """A claim that must fail, in the header and in the form."""
        await self.door.must(403, "GET", "/api/admin/me", who, headers={HEADER: token})
        page = await self.page("/enrollment", who)
        (csrf,) = set(re.findall(r'name="csrf_token" value="([^"]+)"', page.text))
        form = f"csrf_token={csrf}&token={token}".encode()
        kind = {**NAVIGATION, "Content-Type": "application/x-www-form-urlencoded"}
        answer = await self.door.ask("POST", "/enrollment", who, body=form, headers=kind)
        assert answer.status == 403, answer.body

    async def page(self, path: str, who: Person) -> Answered:
        answer = await self.door.ask("GET", path, who, headers=NAVIGATION)
        self.csrf |= set(re.findall(r'name="csrf_token" value="([^"]+)"', answer.text))
        return answer

    async def exchange(self, who: Person, *cookies: str, status: int = 200) -> str:
        cookie = {"Cookie": "; ".join(f"ax_token={token}" for token in cookies)} if cookies else {}
        answer = await self.door.must(status, "POST", EXCHANGE, who, headers=cookie)
        if status != 200:
            return ""
        self.sessions.append(SimpleCookie(answer.header("Set-Cookie"))["ax_token"].value)
        return self.sessions[-1]

    async def check(self, who: Person, token: str, status: int) -> None:
        """As an upstream's own API asks; through the sidecar nobody asks, for it drops the header."""
        headers = {"X-AX-Token": token}
        answer = await self.door.ask_as_upstream(f"{EXCHANGE}/session", who, UPSTREAM, headers)
        assert answer.status == status, answer.body
        outside = await self.door.ask("GET", f"{EXCHANGE}/session", who, headers=headers)
        assert outside.status in (401, 405), outside.body

    def wrong(self, prefix: str) -> str:
        self.typed.append(prefix + secrets.token_urlsafe(32))
        return self.typed[-1]


async def _enrollments(day: Day) -> None:
    """Tokens that are used, wrong, shown by somebody else, replaced and given anew."""
    newcomer = Person.with_email("newcomer@example.com", name="New Comer")
    leaver = Person.with_email("leaver@example.com", name="Lea Ver")
    issued = await day.provision(newcomer, "support")
    await day.fail(NOEL, issued["enrollmentToken"])
    await day.fail(newcomer, day.wrong("enr_"))
    await day.door.enroll(newcomer, issued["enrollmentToken"])
    await day.fail(NOEL, issued["enrollmentToken"])

    pending = await day.provision(leaver, "super_admin")
    again = await day.issue_again(f"{OPERATORS}/{pending['id']}/reissue-enrollment", {})
    await day.door.enroll(leaver, again or pending["enrollmentToken"])
    token = await day.exchange(leaver)
    rebind = {"rebind": True, "confirm": leaver.email}
    await day.issue_again(f"{OPERATORS}/{pending['id']}/reissue-enrollment", rebind)
    role = {"role": "read_only", "reason": "moves to another team"}
    etag = (await day.door.ask("GET", f"{OPERATORS}/{pending['id']}", ADA)).header("ETag")
    await day.door.ask(
        "POST", f"{OPERATORS}/{pending['id']}/role", ADA, body=role, headers={"If-Match": etag}
    )
    gone = f"{OPERATORS}/{issued['id']}"
    await day.exchange(newcomer)
    await day.door.must(200, "POST", f"{gone}/deactivate", ADA, body={"reason": "left the company"})
    await day.door.must(403, "POST", EXCHANGE, newcomer, headers={"Cookie": f"ax_token={token}"})
    await day.issue_again(f"{gone}/reactivate", {"reason": "came back to us"})


async def _sessions(day: Day) -> None:
    """Sessions that are minted, renewed, checked, listed, ended and limited."""
    first = await day.exchange(SAMIR)
    second = await day.exchange(SAMIR, first)
    late = await day.exchange(SAMIR, first, day.wrong("axs_"))
    await day.check(SAMIR, late, 200)
    await day.check(SAMIR, first, 401)
    await day.check(ROSA, second, 401)
    await day.check(SAMIR, day.wrong("axs_"), 401)
    other = await day.exchange(ROSA)
    await day.door.must(204, "DELETE", EXCHANGE, SAMIR, headers={"Cookie": f"ax_token={late}"})
    me = (await day.door.must(200, "GET", "/api/admin/me", ROSA)).json
    await day.door.ask("GET", f"{OPERATORS}/{me['id']}/sessions", ADA)
    await day.door.ask("DELETE", f"{OPERATORS}/{me['id']}/sessions", ADA)
    for _ in range(59):
        other = await day.exchange(ROSA, other)
    await day.exchange(ROSA, other, status=429)


async def _refusals(day: Day) -> None:
    """Everything that is refused, each time with a secret where a careless line would repeat it."""
    door, good = day.door, day.door.token(ADA)
    head, payload, signature = good.split(".")
    forged = f"{head}.{payload}.{signature[:-8]}{signature[-4:]}{signature[-8:-4]}"
    now = 1_700_000_000
    late = door.token(ADA, iat=now, nbf=now, exp=now + 60)
    door.tokens.append(forged)
    for token in (None, forged, late, f"{good}.x", day.wrong("axs_"), day.wrong("enr_")):
        for headers in ({}, NAVIGATION):
            assert (await door.ask("GET", "/manage", token, headers=headers)).status == 403
    enrollment, session = day.wrong("enr_"), day.wrong("axs_")
    await door.must(403, "GET", "/api/admin/me", ADA, headers={"X-Internal-Identity": good})
    await door.must(403, "GET", "/api/admin/tenants", IRMA, headers={"X-AX-Token": session})
    await door.must(403, "POST", "/api/admin/tenants", ROSA, body={"slug": "x"}, headers={HEADER: enrollment})
    await door.must(403, "POST", OPERATORS, ADA, body={}, headers={"Origin": f"https://{session}.example"})
    await door.must(404, "GET", f"/nowhere/{enrollment}?t={session}", ADA)
    await door.must(400, "GET", f"/api/admin/audit-logs?actorEmail={enrollment}&cursor={session}", ADA)
    await door.must(400, "GET", f"/manage/../{enrollment}%2f", ADA)
    await door.must(422, "POST", OPERATORS, ADA, body={"email": session, "name": "", "role": enrollment})
    await door.must(400, "POST", OPERATORS, ADA, body=f'{{"email": "{enrollment}'.encode())
    await door.must(403, "GET", "/api/admin/me", NOEL)
    cookies = f"CF_Authorization={good}; ax_token={session}"
    await door.ask(
        "GET", "/api/admin/me", None, headers={"Cookie": cookies, "Authorization": f"Bearer {good}"}
    )


async def _readings(day: Day) -> None:
    """Every page and list that could show too much, to the one who may see all of it."""
    for path in (OPERATORS, "/api/admin/audit-logs?limit=100", "/api/admin/tenants", "/api/admin/me"):
        await day.door.must(200, "GET", path, ADA)
    for row in (await day.door.ask("GET", "/api/admin/audit-logs?limit=100", IRMA)).json["data"][:40]:
        await day.door.must(200, "GET", f"/api/admin/audit-logs/{row['id']}", IRMA)
    for row in (await day.door.ask("GET", OPERATORS, ADA)).json["data"]:
        await day.door.ask("GET", f"{OPERATORS}/{row['id']}", ADA)
    for path in ("/manage", "/manage/operators", "/manage/audit", "/manage/tenants", "/manage/tenants/new"):
        assert (await day.page(path, ADA)).status == 200


def keys_of(data: Path) -> Iterator[tuple[str, bytes]]:
    """Every private key on the disk of the stack, and what its file holds."""
    for path in sorted(data.rglob("*.pem")):
        private = load_pem_private_key(path.read_bytes(), password=None)
        der = private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
        yield path.name, der
        yield path.name, der[-32:]  # of an Ed25519 key: the seed itself


def stored(path: Path) -> Iterator[tuple[str, str, str]]:
    """Table, column and text of every value of a database."""
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        for (table,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            rows = connection.execute(f'SELECT * FROM "{table}"')
            names = [item[0] for item in rows.description]
            for row in rows:
                for name, value in zip(names, row, strict=True):
                    text = value.decode("latin-1") if isinstance(value, bytes) else str(value)
                    yield table, name, text
    finally:
        connection.close()


def copy_of(data: Path, into: Path) -> list[Path]:
    """The database files as they lie there while everything runs, with their write-ahead logs."""
    into.mkdir()
    files = [path for path in data.glob("*.db*") if path.is_file()]
    return [Path(shutil.copy2(path, into / path.name)) for path in files]


def secrets_of(day: Day, data: Path) -> Secrets:
    """All of them; those that the stack made for itself are read from its disk."""
    known = Secrets()
    for kind, tokens in (
        ("an enrollment token", day.enrollment),
        ("a session token", day.sessions),
        ("a mistyped token", day.typed),
    ):
        for token in tokens:
            known.add(kind, forms_of_token(token))
            known.add(f"the digest of {kind}", digests_of(token))
    for token in day.door.tokens:
        _, payload, signature = token.split(".")[:3]
        known.add("an Access token", {payload, signature, *digests_of(token)})
    for token in day.csrf:
        known.add("a form's token", {token, token.partition(".")[2]})
    for name, key in keys_of(data):
        known.add(f"the key in {name}", forms_of(key))
    return known


def told(day: Day, known: Secrets) -> list[str]:
    """What the answers say that they must not; the one that shows a token may, once."""
    wrong, seen = [], set[str]()
    for answer in day.door.answers:
        text, found = answer.text, known.found_in(answer.text)
        if answer.status in (200, 201) and '"enrollmentToken"' in text and answer.asked.startswith("POST"):
            token = answer.json["enrollmentToken"]
            found = known.found_in(text.replace(token, ""))
            found |= {"a token that was shown before"} if token in seen else set()
            seen.add(token)
        if answer.asked == f"POST {EXCHANGE}" and answer.status == 200:
            token = SimpleCookie(answer.header("Set-Cookie"))["ax_token"].value
            found = known.found_in(text.replace(token, ""))
        if answer.header("Content-Type").startswith("text/html"):
            found -= {"a form's token"}
        wrong += [f"{answer.asked} ({answer.status}) tells {name}" for name in sorted(found)]
    return wrong


def kept(path: Path, known: Secrets) -> list[str]:
    """What stands in a table that must not; a digest may, in its own column, and a service's key in its."""
    wrong, keys, values = [], Secrets(), list(stored(path))
    for table, column, text in values:
        if (table, column) == KEY_COLUMN:
            keys.add("a key of the service", {text})
        elif (table, column) in DIGEST_COLUMNS and text != "None":
            keys.add("a digest that is stored", forms_of(bytes.fromhex(text)))
    for table, column, text in values:
        found = known.found_in(text)
        if (table, column) in DIGEST_COLUMNS:
            found = {name for name in found if not name.startswith("the digest of")}
        elif (table, column) != KEY_COLUMN:
            found |= keys.found_in(text, shapes={})
        wrong += [f"{path.name}: {table}.{column} holds {name}" for name in sorted(found)]
    return wrong


def lying(path: Path, known: Secrets) -> list[str]:
    """What the bytes of a file hold; digests lie there rightly, and free pages may keep old ones."""
    found = known.found_in(path.read_bytes().decode("latin-1"))
    return [f"{path.name} holds {name}" for name in sorted(found) if not name.startswith("the digest of")]


async def test_no_secret_is_told_logged_or_stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """R-068: no token, digest, key, Access JWT or form token stands where it must not.

    That is after provisioning, enrolling, failing, signing in and out, changes, and refusals of every kind.
    """
    seed, data = sample_data.seed_first_operator, tmp_path / "data"
    firsts: list[str] = []

    async def remembered(environment: Mapping[str, str]) -> str | None:
        firsts.append(await seed(environment) or "")
        return firsts[-1]

    monkeypatch.setattr("tests.fixtures.stack.seed_first_operator", remembered)
    environment = {"admin_service": {"SESSION_CHECK_AUDIENCES": UPSTREAM}}
    async with front_door(data, environment) as door:
        day = Day(door, firsts[0])
        for part in (_enrollments, _sessions, _refusals, _readings):
            await part(day)
        running = copy_of(data, tmp_path / "copy")
    known = secrets_of(day, data)
    logs = sorted((data / "logs").glob("*.log"))
    lines = [(path.name, line) for path in logs for line in path.read_text(errors="replace").splitlines()]

    wrong = told(day, known)
    wrong += [f"{name} logs {what}" for name, line in lines for what in sorted(known.found_in(line))]
    for path in (data / "admin.db", data / "tenant.db"):
        wrong += kept(path, known)
    wrong += [line for path in [*running, *data.glob("*.db*")] for line in lying(path, known)]

    assert not wrong, "\n".join(sorted(set(wrong)))
    _looked_at_everything(day, data, lines, running)


def _looked_at_everything(day: Day, data: Path, lines: list[tuple[str, str]], running: list[Path]) -> None:
    """Or a scan of nothing would find nothing."""
    events = {text for table, column, text in stored(data / "admin.db") if column == "event"}
    digests = [text for table, column, text in stored(data / "admin.db") if (table, column) in DIGEST_COLUMNS]

    assert {"admin.enrollment.failed", "admin.session.minted", "admin.session.revoked"} <= events
    assert {answer.status for answer in day.door.answers} >= {200, 201, 204, 400, 401, 403, 404, 422, 429}
    assert len([text for text in digests if text != "None"]) > 10
    assert {name for name, _ in lines} >= {"auth_proxy.log", "admin_service.log", "tenant_service.log"}
    assert len(lines) > len(day.door.answers)
    assert {path.name for path in running} >= {"admin.db", "tenant.db"}
    assert day.csrf
    assert len(set(day.enrollment)) == len(day.enrollment)


@pytest.mark.parametrize("where", ["{}", "a line with {} in it", '{{"token": "{}"}}', "x={}&y=1"])
def test_what_leaks_would_be_found(where: str) -> None:
    """R-068: each spelling of a secret is found by its name, wherever it stands, and nothing else is."""
    token, key = "enr_" + secrets.token_urlsafe(32), secrets.token_bytes(32)
    known = Secrets()
    known.add("the token", forms_of_token(token))
    known.add("its digest", digests_of(token))
    known.add("the key", forms_of(key))
    digest = hashlib.sha256(token.encode())
    for leak, name in (
        (token, "the token"),
        (token.removeprefix("enr_"), "the token"),
        (base64.b64encode(token.encode()).decode(), "the token"),
        (digest.hexdigest(), "its digest"),
        (base64.b64encode(digest.digest()).decode(), "its digest"),
        (base64.urlsafe_b64encode(key).decode(), "the key"),
        (key.hex(), "the key"),
    ):
        assert name in known.found_in(where.format(leak))
    assert known.found_in(where.format("enr_short and adm_01J8Z000000000000000000000")) == set()
    assert known.found_in(where.format("enr_" + "x" * 43)) == {"an enrollment token"}
    assert known.found_in(where.format("eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0")) == {"a JWT"}
