"""Creating a tenant: what is written, and that it is written whole or not at all."""

import asyncio
import hashlib
import itertools
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from service_kit.audit.events import AuditEntry
from service_kit.db.session import WriteSession
from service_kit.identity.model import Role
from tenant_service.recording import Recorder
from tenant_service.tenants.handlers import CREATION
from tenant_service.tenants.schemas import NewTenant
from tests.integration.tenant_service.faults import FaultyWrites
from tests.integration.tenant_service.tenant_process import (
    TABLES,
    TENANTS,
    TenantProcess,
    asker,
    new_tenant,
    tenant_process,
)


def as_json(value: Any) -> Any:
    """SQLite keeps JSON as text."""
    return json.loads(value) if isinstance(value, str) else value


async def test_an_operator_creates_a_tenant_with_its_owner_invitation(process: TenantProcess) -> None:
    """The organization and the pending owner invitation are stored as R-103 and R-104 say."""
    answer = await process.create(new_tenant(primaryAdminEmail="  Bob@Example.COM "), operator_id="adm_7")

    assert answer.status == 201
    made = await answer.json()
    assert set(made) == {"orgId", "invitationId", "hostedAt", "acceptUrl", "expiresAt"}
    assert made["hostedAt"] == "acme.app.example.com"
    assert made["acceptUrl"] == f"https://acme.app.example.com/accept-invite/{made['invitationId']}"
    assert answer.headers["Location"] == f"{TENANTS}/{made['orgId']}"
    [organization] = await process.rows("organizations")
    assert organization["id"] == made["orgId"]
    assert organization["slug"] == "acme"
    assert organization["primary_email"] == "bob@example.com"
    assert organization["plan"] == "free"
    assert organization["currency"] == "INR"
    assert organization["status"] == "active"
    assert organization["created_by_operator_id"] == "adm_7"
    [invitation] = await process.rows("invitations")
    assert made["invitationId"].startswith(f"{invitation['id']}_")
    assert invitation["organization_id"] == made["orgId"]
    assert invitation["email"] == "bob@example.com"
    assert invitation["role"] == "owner"
    assert invitation["status"] == "pending"
    assert invitation["inviter_id"] is None
    assert invitation["inviter_operator_id"] == "adm_7"


async def test_the_invitation_lives_for_48_hours(process: TenantProcess) -> None:
    """`expiresAt` is 48 hours after the creation (R-103)."""
    made = await (await process.create(new_tenant())).json()

    expected = process.clock.now() + timedelta(hours=48)
    assert made["expiresAt"] == expected.isoformat().replace("+00:00", "Z")


async def test_the_pair_of_audit_rows_tells_both_views_of_the_creation(process: TenantProcess) -> None:
    """One row for the platform and one for the tenant, linked, in two chains (R-102, R-126)."""
    made = await (
        await process.create(
            new_tenant(reason="Signed contract", ticketRef="T-1"), operator_id="adm_7", request_id="req_abc"
        )
    ).json()

    rows = {row["scope"]: row for row in await process.rows("audit_events")}
    assert set(rows) == {"global", "tenant"}
    for row in rows.values():
        assert row["event"] == "tenant.created"
        assert row["action"] == "create_tenant"
        assert row["severity"] == "NOTICE"
        assert (row["actor_type"], row["actor_id"]) == ("global_admin", "adm_7")
        assert row["target_id"] == row["resource_id"] == made["orgId"]
        assert (row["reason"], row["ticket_ref"], row["request_id"]) == ("Signed contract", "T-1", "req_abc")
    assert (rows["global"]["target_type"], rows["global"]["organization_id"]) == ("tenant", None)
    assert (rows["tenant"]["target_type"], rows["tenant"]["organization_id"]) == (
        "organization",
        made["orgId"],
    )
    assert rows["global"]["pair_id"] == rows["tenant"]["pair_id"] is not None
    assert (rows["global"]["chain"], rows["tenant"]["chain"]) == ("global", made["orgId"])


async def test_the_owners_address_is_kept_apart_from_the_audit_chain(process: TenantProcess) -> None:
    """The e-mail address stands in the erasable table only (data-model 2.6)."""
    await process.create(new_tenant())

    assert "bob@example.com" not in str(await process.rows("audit_events"))
    for row in await process.rows("audit_pii"):
        assert as_json(row["details_pii"]) == {"ownerEmail": "bob@example.com"}


async def test_the_secret_of_an_invitation_is_stored_nowhere(process: TenantProcess) -> None:
    """Only the SHA-256 of the secret is in the database, also when the answer is kept for replays (G-16)."""
    made = await (await process.create(new_tenant(), key="k")).json()
    secret = made["invitationId"].rsplit("_", 1)[1]

    everything = str([await process.rows(table) for table in TABLES])
    [invitation] = await process.rows("invitations")
    assert len(secret) == 26
    assert secret not in everything
    assert invitation["secret_hash"] == hashlib.sha256(secret.encode()).hexdigest()


async def test_one_of_fifty_simultaneous_creations_of_a_slug_wins(process: TenantProcess) -> None:
    """The unique index decides the race: one 201, and SLUG_TAKEN for all others (R-100)."""
    answers = await asyncio.gather(*(process.create(new_tenant()) for _ in range(50)))

    statuses = [answer.status for answer in answers]
    codes = {(await answer.json())["code"] for answer in answers if answer.status != 201}
    assert statuses.count(201) == 1
    assert statuses.count(409) == 49
    assert codes == {"SLUG_TAKEN"}
    assert (await process.counts())["organizations"] == 1
    assert (await process.counts())["audit_events"] == 2


async def test_simultaneous_creations_of_different_slugs_keep_the_chain_whole(process: TenantProcess) -> None:
    """Every row of the global chain follows exactly one other (no fork, no gap)."""
    await asyncio.gather(*(process.create(new_tenant(f"acme-{number}")) for number in range(20)))

    rows = [row for row in await process.rows("audit_events") if row["chain"] == "global"]
    rows.sort(key=lambda row: row["chain_seq"])
    assert [row["chain_seq"] for row in rows] == list(range(1, 21))
    assert all(later["prev_hash"] == earlier["hash"] for earlier, later in itertools.pairwise(rows))


class FailingRecorder:
    """Writes what a real recorder writes, or nothing, and then fails."""

    def __init__(self, recorder: Recorder, *, writes_first: bool) -> None:
        self._recorder = recorder
        self._writes_first = writes_first

    async def record(self, session: WriteSession, entry: AuditEntry) -> tuple[str, ...]:
        if self._writes_first:
            await self._recorder.record(session, entry)
        raise OSError("no space left on device")


@pytest.mark.parametrize("writes_first", [False, True])
async def test_without_its_audit_rows_there_is_no_tenant(process: TenantProcess, writes_first: bool) -> None:
    """When the audit rows cannot be written, nothing at all is (R-102)."""
    creation = process.apps.internal[CREATION]
    failing = replace(creation, recorder=FailingRecorder(creation.recorder, writes_first=writes_first))
    before = await process.counts()

    with pytest.raises(OSError, match="no space"):
        await failing.create(asker(), wish(), key="k")

    assert await process.counts() == before


def wish(slug: str = "acme") -> NewTenant:
    return NewTenant(slug=slug, name="Acme Inc", primary_admin_email="bob@example.com")


async def test_a_fault_after_any_statement_leaves_nothing_behind(
    process: TenantProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before or after, never between: each single write of the creation is made to fail (R-102)."""
    creation = process.apps.internal[CREATION]
    before = await process.counts()
    faulty = FaultyWrites(0)
    for number in itertools.count(1):
        faulty = FaultyWrites(number)
        with monkeypatch.context() as patch:
            faulty.install(patch)
            try:
                await creation.create(asker(), wish(), key="k")
            except OSError:
                assert await process.counts() == before, f"after statement {number}"
            else:
                break

    assert faulty.seen >= 10
    assert (await process.counts())["organizations"] == 1


REFUSE_AUDIT_ROWS = {
    "sqlite": """CREATE TRIGGER refuse BEFORE INSERT ON audit_events WHEN NEW.scope = 'tenant'
                 BEGIN SELECT RAISE(ABORT, 'refused'); END""",
    "postgresql": "ALTER TABLE audit_events ADD CONSTRAINT refuse CHECK (scope <> 'tenant')",
}


async def test_a_database_that_refuses_the_second_audit_row_refuses_the_tenant(
    process: TenantProcess,
) -> None:
    """The answer is a 500 without a trace, nothing is written, and the failure is counted (R-102)."""
    await process.sql(REFUSE_AUDIT_ROWS[process.database.dialect])

    answer = await process.create(new_tenant(), key="k")

    assert answer.status == 500
    assert (await answer.json())["code"] == "AUDIT_WRITE_FAILED"
    assert set((await process.counts()).values()) == {0}
    assert await process.metric("tenant_service_audit_write_failures_total") == 1


@pytest.mark.parametrize(
    ("slug", "status", "code", "rule"),
    [
        ("ab", 422, "SLUG_INVALID", "length"),
        ("a" * 64, 422, "SLUG_INVALID", "length"),
        ("", 422, "SLUG_INVALID", "length"),
        ("Acme", 422, "SLUG_INVALID", "characters"),
        ("acme.com", 422, "SLUG_INVALID", "characters"),
        ("a\u0441me", 422, "SLUG_INVALID", "characters"),
        ("\u212acme", 422, "SLUG_INVALID", "characters"),
        ("acme\n", 422, "SLUG_INVALID", "characters"),
        ("acme\x00", 422, "SLUG_INVALID", "characters"),
        ("acm\u0663", 422, "SLUG_INVALID", "characters"),
        ("9acme", 422, "SLUG_INVALID", "first_character"),
        ("123", 422, "SLUG_INVALID", "first_character"),
        ("-acme", 422, "SLUG_INVALID", "first_character"),
        ("acme-", 422, "SLUG_INVALID", "last_character"),
        ("ac--me", 422, "SLUG_INVALID", "double_hyphen"),
        ("xn--acme", 422, "SLUG_INVALID", "double_hyphen"),
        ("admin", 409, "SLUG_RESERVED", "reserved"),
        ("postmaster", 409, "SLUG_RESERVED", "reserved"),
        ("cdn-cgi", 409, "SLUG_RESERVED", "reserved"),
    ],
)
async def test_a_slug_is_refused_with_the_rule_that_it_breaks(
    sqlite_process: TenantProcess, slug: str, status: int, code: str, rule: str
) -> None:
    """Each refusal names its rule and slugs that can be had (R-100, data-model 2.7)."""
    await refused_with_suggestions(sqlite_process, slug, (status, code, rule))


async def test_a_slug_that_is_or_was_in_use_is_refused(process: TenantProcess) -> None:
    """A living tenant's slug is taken, a deleted tenant's is tombstoned (R-100, G-11)."""
    made = await (await process.create(new_tenant("taken", name="Taken"))).json()
    await process.sql(
        "INSERT INTO slug_tombstones (slug, organization_id, tombstoned_at) "
        f"VALUES ('gone', '{made['orgId']}', '2026-01-01T00:00:00.000000Z')"
    )

    await refused_with_suggestions(process, "gone", (409, "SLUG_TOMBSTONED", "tombstoned"))
    await refused_with_suggestions(process, "taken", (409, "SLUG_TAKEN", "taken"))


async def refused_with_suggestions(process: TenantProcess, slug: str, expected: tuple[int, str, str]) -> None:
    before = await process.counts()
    answer = await process.create(new_tenant(slug))

    problem = await answer.json()
    assert (answer.status, problem["code"], problem["rule"]) == expected
    assert problem["errors"][0]["pointer"] == "/slug"
    assert await process.counts() == before
    assert problem["suggestions"]
    for suggestion in problem["suggestions"]:
        made = await process.create(new_tenant(suggestion))
        assert made.status == 201, suggestion


async def test_a_released_tombstone_frees_its_slug(process: TenantProcess) -> None:
    """A slug that a super_admin released may be given again (data-model 2.3)."""
    other = await (await process.create(new_tenant("other"))).json()
    await process.sql(
        "INSERT INTO slug_tombstones (slug, organization_id, tombstoned_at, released_at) "
        f"VALUES ('gone', '{other['orgId']}', "
        "'2026-01-01T00:00:00.000000Z', '2026-01-02T00:00:00.000000Z')"
    )

    assert (await process.create(new_tenant("gone"))).status == 201


async def test_taken_names_are_not_suggested(process: TenantProcess) -> None:
    """A suggestion is free at the time of the answer, so each refusal moves on to others."""
    for slug in ("acme", "acme-hq"):
        await process.create(new_tenant(slug))

    problem = await (await process.create(new_tenant(name="!"))).json()

    assert problem["suggestions"] == ["acme-co", "acme-2", "acme-3"]


HUGE = "x" * (1 << 20)
REFUSED_BODIES: list[tuple[str, bytes, int, str]] = [
    ("no body", b"", 422, "VALIDATION_FAILED"),
    ("no JSON", b"{", 400, "MALFORMED_JSON"),
    (
        "a lone surrogate",
        rb'{"slug":"acme","name":"\ud800","primaryAdminEmail":"b@e.com"}',
        400,
        "MALFORMED_JSON",
    ),
    ("a surrogate as member name", rb'{"\udc00":1}', 400, "MALFORMED_JSON"),
    ("UTF-16", '{"slug":"acme"}'.encode("utf-16"), 400, "MALFORMED_JSON"),
    ("not UTF-8", b'{"slug":"\xff"}', 400, "MALFORMED_JSON"),
    (
        "a NUL in the name",
        rb'{"slug":"acme","name":"a\u0000b","primaryAdminEmail":"b@e.com"}',
        422,
        "VALIDATION_FAILED",
    ),
    (
        "a NUL in the slug",
        rb'{"slug":"ac\u0000me","name":"A","primaryAdminEmail":"b@e.com"}',
        422,
        "SLUG_INVALID",
    ),
    (
        "two addresses",
        rb'{"slug":"acme","name":"A","primaryAdminEmail":"b@e.com,c@e.com"}',
        422,
        "VALIDATION_FAILED",
    ),
    (
        "a look-alike address",
        '{"slug":"acme","name":"A","primaryAdminEmail":"\u212a@e.com"}'.encode(),
        422,
        "VALIDATION_FAILED",
    ),
    ("a number as slug", b'{"slug":1,"name":"A","primaryAdminEmail":"b@e.com"}', 422, "VALIDATION_FAILED"),
    ("a huge number", b'{"slug":' + b"9" * 5000 + b"}", 400, "MALFORMED_JSON"),
    ("an infinite number", b'{"slug":1e400}', 422, "VALIDATION_FAILED"),
    (
        "an unknown member",
        b'{"slug":"acme","name":"A","primaryAdminEmail":"b@e.com","status":"deleted"}',
        422,
        "VALIDATION_FAILED",
    ),
    (
        "an unknown currency",
        b'{"slug":"acme","name":"A","primaryAdminEmail":"b@e.com","currency":"EUR"}',
        422,
        "VALIDATION_FAILED",
    ),
    ("a blank name", b'{"slug":"acme","name":"  ","primaryAdminEmail":"b@e.com"}', 422, "VALIDATION_FAILED"),
    (
        "a long name",
        b'{"slug":"acme","name":"' + b"n" * 121 + b'","primaryAdminEmail":"b@e.com"}',
        422,
        "VALIDATION_FAILED",
    ),
    (
        "a plan that is no word",
        b'{"slug":"acme","name":"A","primaryAdminEmail":"b@e.com","plan":"a b"}',
        422,
        "VALIDATION_FAILED",
    ),
    ("a list", b"[]", 422, "VALIDATION_FAILED"),
    ("null", b"null", 422, "VALIDATION_FAILED"),
    ("deep nesting", b"[" * 20000 + b"]" * 20000, 400, "MALFORMED_JSON"),
    ("a megabyte", json.dumps(new_tenant(name=HUGE)).encode(), 413, "BODY_TOO_LARGE"),
    ("a long slug", json.dumps(new_tenant("a" * 60_000)).encode(), 422, "SLUG_INVALID"),
]


async def test_a_body_that_is_wrong_is_refused_and_writes_nothing(process: TenantProcess) -> None:
    """Hostile text and numbers are the client's error, never ours (attacks.md section 5)."""
    for name, body, status, code in REFUSED_BODIES:
        answer = await process.create(body)
        assert (answer.status, (await answer.json())["code"]) == (status, code), name

    assert set((await process.counts()).values()) == {0}


async def test_a_form_is_no_json(sqlite_process: TenantProcess) -> None:
    """Another media type is refused, so that no plain HTML form can reach the endpoint."""
    answer = await sqlite_process.create(
        b"slug=acme", headers={"Content-Type": "application/x-www-form-urlencoded"}
    )

    assert (answer.status, (await answer.json())["code"]) == (415, "UNSUPPORTED_MEDIA_TYPE")


async def test_a_name_of_any_script_is_kept_exactly(process: TenantProcess) -> None:
    """What is not refused is stored and given back unchanged."""
    names = ["Zürich & Söhne", "شركة", "🦜 GmbH", "=1+1", "<b>x</b>", "{{7*7}}", "%s'\";--", "n" * 120]
    for number, name in enumerate(names):
        await process.create(new_tenant(f"acme-{number}", name=name))

    shown = [await (await process.get(f"{TENANTS}/acme-{number}")).json() for number in range(len(names))]
    assert [tenant["name"] for tenant in shown] == names


@pytest.mark.parametrize(
    ("role", "status"),
    [
        (Role.SUPER_ADMIN, 201),
        (Role.SUPPORT, 201),
        (Role.READ_ONLY, 403),
        (Role.SECURITY, 403),
        (None, 403),
    ],
)
async def test_only_roles_that_may_create_create(
    sqlite_process: TenantProcess, role: Role | None, status: int
) -> None:
    """`tenant.create` is held by super_admin and support (R-073, R-074, R-075, R-082)."""
    answer = await sqlite_process.create(new_tenant(), role=role)

    assert answer.status == status
    assert (await sqlite_process.counts())["organizations"] == (1 if status == 201 else 0)


async def test_the_panel_creates_in_the_operators_name(sqlite_process: TenantProcess) -> None:
    """A delegation to the admin service creates, and the audit row names the operator, not the service."""
    answer = await sqlite_process.create(new_tenant(), delegate="admin_service", operator_id="adm_9")

    assert answer.status == 201
    assert {row["actor_id"] for row in await sqlite_process.rows("audit_events")} == {"adm_9"}


async def test_the_origin_of_the_request_is_kept_with_the_audit_rows(sqlite_process: TenantProcess) -> None:
    """The client's address and browser, as the sidecar passed them on, stand beside the row."""
    origin = {"X-Forwarded-For": "203.0.113.9", "User-Agent": "Firefox"}

    await sqlite_process.create(new_tenant(), headers=origin)

    shown = await (await sqlite_process.get("/internal/v1/audit-events?scope=all")).json()
    assert [(row["ip"], row["userAgent"]) for row in shown["data"]] == [("203.0.113.9", "Firefox")] * 2


@asynccontextmanager
async def local_demo(url: str) -> AsyncIterator[TenantProcess]:
    async with tenant_process(url, TENANT_BASE_DOMAIN="localhost:8003", APP_ENV="development") as running:
        yield running


async def test_the_demo_links_to_this_machine(sqlite_url: str) -> None:
    """With a base of localhost:8003 in development the link is plain http to that port."""
    async with local_demo(sqlite_url) as process:
        made = await (await process.create(new_tenant())).json()

    assert made["hostedAt"] == "acme.localhost:8003"
    assert made["acceptUrl"].startswith("http://acme.localhost:8003/accept-invite/inv_")


async def test_the_link_never_follows_the_host_header(sqlite_process: TenantProcess) -> None:
    """Host and X-Forwarded-Host of the request cannot poison the invitation link (attacks.md 5)."""
    poisoned = {"Host": "evil.example", "X-Forwarded-Host": "evil.example"}

    made = await (await sqlite_process.create(new_tenant(), headers=poisoned)).json()

    assert "evil" not in json.dumps(made)
