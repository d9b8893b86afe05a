"""The search over the people of all tenants: capped, counted, recorded, or nothing (R-089, R-120…R-126)."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import pytest
from aiohttp import ClientResponse
from sqlalchemy import event, text
from sqlalchemy.engine import Engine

from service_kit.audit.recorder import AuditRecorder
from service_kit.errors import UnavailableError
from service_kit.identity.model import Role
from tenant_service.people.models import MemberRole
from tests.integration.tenant_service.people import add_tenant, add_user, add_users, spend
from tests.integration.tenant_service.tenant_process import AUDIENCE, TenantProcess, tenant_process

USERS = "/api/admin/users"
EXECUTED = "admin.support_query.executed"
LIMITED = "admin.support_query.rate_limited"
TOLD = "org.support_access"
ANN = {"email": "ann@a.example"}
NOBODY = {"q": "nobody"}
MANY: dict[str, object] = {"email": "@many.example", "match": "contains"}
Query = Mapping[str, object]
REFUSE_EVENT = {
    "sqlite": """CREATE TRIGGER refuse BEFORE INSERT ON audit_events WHEN NEW.event = '{event}'
                 BEGIN SELECT RAISE(ABORT, 'refused'); END""",
    "postgresql": "ALTER TABLE audit_events ADD CONSTRAINT refuse CHECK (event <> '{event}')",
}


async def search(
    process: TenantProcess, query: Query, role: Role = Role.SUPPORT, operator_id: str | None = None
) -> ClientResponse:
    return await process.get(f"{USERS}?{urlencode(query)}", role, operator_id=operator_id)


async def found(process: TenantProcess, query: Query) -> list[str]:
    """The addresses that a search finds."""
    answer = await search(process, query)
    assert answer.status == 200, await answer.text()
    return [user["email"] for user in (await answer.json())["data"]]


async def events(process: TenantProcess, name: str) -> list[Mapping[str, Any]]:
    rows = [row for row in await process.rows("audit_events") if row["event"] == name]
    return sorted(rows, key=lambda row: (row["chain"], row["chain_seq"]))


FINDS: tuple[tuple[dict[str, object], list[str]], ...] = (
    ({"email": " Ann@A.example "}, ["ann@a.example"]),
    ({"email": "ann@", "match": "prefix"}, ["ann@a.example", "ann@b.example"]),
    ({"email": "@B.EX", "match": "contains"}, ["ann@b.example", "b_b@b.example"]),
    ({"email": "b_b", "match": "prefix"}, ["b_b@b.example"]),
    ({"email": "%@a", "match": "contains"}, []),
    ({"email": "a//", "match": "contains"}, []),
    ({"q": "ann"}, ["ann@a.example", "ann@b.example", "z@c.example"]),
    ({"q": "Anna Zee", "match": "exact"}, ["z@c.example"]),
    ({"q": "z@c.example", "match": "exact"}, ["z@c.example"]),
    ({"q": "zee", "match": "contains"}, ["z@c.example"]),
    ({"q": "50%", "match": "contains"}, ["bob@a.example"]),
    ({"q": "___", "match": "contains"}, []),
    ({"q": "' OR 1=1 --", "match": "contains"}, []),
)
PEOPLE = (
    ("z@c.example", "Anna Zee"),
    ("ann@b.example", "Bob"),
    ("bob@a.example", "50% Bob"),
    ("b_b@b.example", "Bea"),
    ("ann@a.example", "Ann"),
)


async def test_what_is_found(process: TenantProcess) -> None:
    """Exact, prefix and contains, in address order; wildcards and quotes of the text are plain (R-089)."""
    org = await add_tenant(process)
    for email, name in PEOPLE:
        await add_user(process, email, org, name=name)

    for query, emails in FINDS:
        assert await found(process, query) == emails, query


async def test_a_wrong_query_is_named(sqlite_process: TenantProcess) -> None:
    """An exact address must be one, and only one text is searched for; what is wrong costs nothing."""
    for query in (
        {"email": "ann at a"},
        {"email": "x" * 300},
        {**ANN, "q": "ann"},
        {**ANN, "match": "regex"},
    ):
        refused = await search(sqlite_process, query)
        code = (await refused.json())["code"]
        assert (refused.status, code) == (400, "QUERY_INVALID"), query
    assert await sqlite_process.rows("rate_limit_hits") == []


async def test_the_answer_of_a_search(sqlite_process: TenantProcess) -> None:
    """Each person comes with every tenant of theirs; the audit row and the budget stand in the answer."""
    process = sqlite_process
    one, two = await add_tenant(process, "one"), await add_tenant(process, "two")
    user_id = await add_user(process, "ann@a.example", one, role=MemberRole.OWNER, name="Ann")
    await add_user(process, "bob@a.example", two)
    await process.sql(
        "INSERT INTO members (id, organization_id, user_id, role, created_at, updated_at, version) "
        f"SELECT 'mem_2', '{two}', '{user_id}', 'admin', created_at, updated_at, 1 FROM users "
        f"WHERE id = '{user_id}'",
        "UPDATE organizations SET status = 'suspended', suspended_at = created_at WHERE slug = 'two'",
    )

    answer = await search(process, ANN)
    body = await answer.json()

    assert body["data"] == [
        {
            "userId": user_id,
            "email": "ann@a.example",
            "name": "Ann",
            "emailVerified": True,
            "memberships": [
                {"orgId": one, "slug": "one", "role": "owner", "status": "active"},
                {"orgId": two, "slug": "two", "role": "admin", "status": "suspended"},
            ],
        }
    ]
    assert body["page"] == {"nextCursor": None, "prevCursor": None, "hasMore": False}
    [row] = await events(process, EXECUTED)
    assert body["audit"] == {"eventId": row["id"], "rowCount": 1, "severity": "CRITICAL"}
    assert body["rateLimit"] == {"limit": 60, "remaining": 59, "resetAt": "2026-01-02T04:04:05Z"}
    assert answer.headers["RateLimit-Policy"] == '"support_query";q=60;w=3600'
    assert answer.headers["RateLimit"] == '"support_query";r=59;t=3600'
    assert answer.headers["Cache-Control"] == "no-store"


async def test_a_search_for_nearly_everybody_is_refused(sqlite_process: TenantProcess) -> None:
    """Fewer than three characters are QUERY_TOO_BROAD; it costs nothing and reads nothing."""
    for query in ({}, {"q": "ab"}, {"email": "a@"}, {"q": "  a  "}, {"match": "contains"}):
        answer = await search(sqlite_process, query)
        assert (answer.status, (await answer.json())["code"]) == (400, "QUERY_TOO_BROAD"), query

    assert await sqlite_process.rows("rate_limit_hits") == []
    assert await sqlite_process.rows("audit_events") == []


async def test_each_search_is_one_critical_row_without_its_values(sqlite_process: TenantProcess) -> None:
    """R-121, R-124: actor, keyed digest, shape, count and page are recorded; what was typed is nowhere."""
    process = sqlite_process
    await add_user(process, "secret.person@a.example", await add_tenant(process), name="Zaphod")
    why = {"justification": "Ticket of the customer", "ticketRef": "SUP-7"}

    await found(process, {"q": "zaphod", **why})

    [row] = await events(process, EXECUTED)
    told = {name: row[name] for name in ("severity", "scope", "actor_type", "actor_id", "actor_role")}
    assert told == {
        "severity": "CRITICAL",
        "scope": "global",
        "actor_type": "global_admin",
        "actor_id": "adm_support",
        "actor_role": "support",
    }
    assert json.loads(row["predicate_shape"]) == {"email": "prefix", "name": "prefix"}
    assert (row["row_count"], row["page_no"], row["organization_id"]) == (1, 1, None)
    assert (row["reason"], row["ticket_ref"]) == ("Ticket of the customer", "SUP-7")
    assert len(row["predicate_digest"]) == 64
    everything = str(
        [await process.rows(table) for table in ("audit_events", "audit_pii", "rate_limit_hits")]
    )
    assert "zaphod" not in everything.lower()
    assert "secret.person" not in everything


async def test_each_tenant_shown_reads_of_it_in_its_own_log(process: TenantProcess) -> None:
    """R-126: one tenant-view row for each distinct tenant in the page, linked to the global row."""
    orgs = [await add_tenant(process, slug) for slug in ("one", "two", "far")]
    await add_user(process, "ann@a.example", orgs[0], orgs[1])
    await add_user(process, "ann@b.example", orgs[0])

    await found(process, {"email": "ann@", "match": "prefix", "justification": "Billing question"})

    [row] = await events(process, EXECUTED)
    told = await events(process, TOLD)
    assert {(one["organization_id"], json.dumps(_details(one))) for one in told} == {
        (orgs[0], '{"people": 2}'),
        (orgs[1], '{"people": 1}'),
    }
    assert {one["pair_id"] for one in told} == {row["pair_id"]}
    assert {(one["target_type"], one["actor_id"], one["reason"]) for one in told} == {
        ("organization", "adm_support", "Billing question")
    }


def _details(row: Mapping[str, Any]) -> Any:
    details = row["details"]
    return json.loads(details) if isinstance(details, str) else details


@pytest.mark.parametrize("event", [EXECUTED, TOLD])
async def test_what_cannot_be_recorded_is_not_shown(process: TenantProcess, event: str) -> None:
    """R-121: when an audit row fails, the answer is a 500 without a row of data, and nothing is written."""
    await add_user(process, "ann@a.example", await add_tenant(process))
    await process.sql(REFUSE_EVENT[process.database.dialect].format(event=event))
    before = await process.rows("audit_events")

    answer = await search(process, ANN)

    text = await answer.text()
    assert (answer.status, json.loads(text)["code"]) == (500, "AUDIT_WRITE_FAILED")
    assert "ann@" not in text
    assert await process.rows("audit_events") == before
    assert len(await process.rows("rate_limit_hits")) == 1  # the try has cost one all the same


async def test_the_rows_are_read_in_the_transaction_that_records_it(process: TenantProcess) -> None:
    """R-121: between reading people and recording it nothing is committed, and one connection does both."""
    await add_user(process, "ann@a.example", await add_tenant(process))
    seen: list[tuple[int, str]] = []

    def note(connection: Any, _cursor: object, statement: str, parameters: object, *_rest: object) -> None:
        read = "read" if "FROM users" in statement and "LIMIT" in statement else ""
        wrote = "wrote" if "INTO audit_events" in statement and EXECUTED in str(parameters) else ""
        if read or wrote:
            seen.append((id(connection), read or wrote))

    def end(connection: Any) -> None:
        seen.append((id(connection), "end"))

    for name, listener in (("before_cursor_execute", note), ("commit", end), ("rollback", end)):
        event.listen(Engine, name, listener)
    try:
        assert await found(process, ANN) == ["ann@a.example"]
    finally:
        for name, listener in (("before_cursor_execute", note), ("commit", end), ("rollback", end)):
            event.remove(Engine, name, listener)

    [(reader, _)] = [one for one in seen if one[1] == "read"]
    mine = [what for connection, what in seen if connection == reader]
    assert mine[mine.index("read") : mine.index("read") + 3] == ["read", "wrote", "end"]


async def test_a_database_that_is_away_is_no_refused_row(
    sqlite_process: TenantProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R-121, architecture 9: nothing is shown either way, and the answer says that a try may help."""
    await add_user(sqlite_process, "ann@a.example", await add_tenant(sqlite_process))

    async def away(*_: object) -> tuple[str, ...]:
        raise UnavailableError("DATABASE_UNAVAILABLE", "The database does not answer")

    monkeypatch.setattr(AuditRecorder, "record", away)
    answer = await search(sqlite_process, ANN)

    assert (answer.status, (await answer.json())["code"]) == (503, "DATABASE_UNAVAILABLE")


async def test_a_page_holds_a_hundred_and_the_next_one_is_a_search_of_its_own(process: TenantProcess) -> None:
    """R-122: more is cut, not refused; a further page costs one more and writes its own row."""
    await add_users(process, 103, await add_tenant(process))

    first = await (await search(process, MANY | {"limit": 1000})).json()
    second = await (await search(process, MANY | {"cursor": first["page"]["nextCursor"]})).json()

    assert [len(first["data"]), len(second["data"])] == [100, 3]
    emails = [user["email"] for user in first["data"] + second["data"]]
    assert emails == [f"user{number:03}@many.example" for number in range(103)]
    assert (second["page"]["hasMore"], second["rateLimit"]["remaining"]) == (False, 58)
    rows = await events(process, EXECUTED)
    assert [(row["page_no"], row["row_count"]) for row in rows] == [(1, 100), (2, 3)]
    assert rows[0]["predicate_digest"] != rows[1]["predicate_digest"]


async def test_a_cursor_belongs_to_its_search_and_its_operator(sqlite_process: TenantProcess) -> None:
    """A cursor of another search or operator, or a made-up one, is INVALID_CURSOR and costs nothing."""
    process = sqlite_process
    await add_users(process, 3, await add_tenant(process))
    wanted = MANY | {"limit": 2}
    cursor = (await (await search(process, wanted)).json())["page"]["nextCursor"]

    tries = (
        await search(process, wanted | {"email": "@many.exampl", "cursor": cursor}),
        await search(process, wanted | {"cursor": cursor}, operator_id="adm_other"),
        await search(process, wanted | {"cursor": cursor[:-4] + "AAAA"}),
        await search(process, wanted | {"cursor": "%00"}),
    )

    assert [(each.status, (await each.json())["code"]) for each in tries] == [(400, "INVALID_CURSOR")] * 4
    assert len(await process.rows("rate_limit_hits")) == 1
    assert "many" not in cursor


async def test_the_61st_search_within_an_hour_is_refused(process: TenantProcess) -> None:
    """R-123: the 60th passes, the 61st is 429 with its headers, and an hour after the first one is free."""
    await add_user(process, "ann@a.example", await add_tenant(process))
    await spend(process, 59)
    process.clock.advance(600)

    last, refused = await search(process, ANN), await search(process, ANN)

    assert ((await last.json())["rateLimit"]["remaining"], refused.status) == (0, 429)
    problem = await refused.json()
    assert problem["code"] == "RATE_LIMITED"
    assert problem["rateLimit"] == {"limit": 60, "remaining": 0, "resetAt": "2026-01-02T04:04:05Z"}
    assert refused.headers["Retry-After"] == "3000"
    assert refused.headers["RateLimit"] == '"support_query";r=0;t=3000'
    assert (await search(process, ANN, operator_id="adm_other")).status == 200
    process.clock.advance(3000)
    assert (await search(process, ANN)).status == 200


async def test_a_flood_of_denied_tries_writes_one_row_an_hour(sqlite_process: TenantProcess) -> None:
    """R-123: the first denied try is a WARNING row, the others of that hour are only counted."""
    process = sqlite_process
    await add_user(process, "ann@a.example", await add_tenant(process))
    await spend(process, 60)
    statuses = [(await search(process, ANN)).status for _ in range(5)]
    assert statuses == [429] * 5

    [row] = await events(process, LIMITED)
    assert (row["severity"], row["outcome"], row["actor_id"]) == ("WARNING", "denied", "adm_support")
    process.clock.advance(3600)
    await process.sql("DELETE FROM rate_limit_hits WHERE partition = 'adm_support:support_query'")
    await spend(process, 60)
    assert (await search(process, ANN)).status == 429
    assert len(await events(process, LIMITED)) == 2


async def test_the_budget_holds_at_its_boundary(process: TenantProcess) -> None:
    """R-123: of eight searches at once with three left, exactly three pass, on either database."""
    await add_user(process, "ann@a.example", await add_tenant(process))
    await spend(process, 57)

    answers = await asyncio.gather(*(search(process, ANN) for _ in range(8)))

    assert sorted(answer.status for answer in answers) == [200] * 3 + [429] * 5
    assert len(await events(process, EXECUTED)) == 3
    assert len(await events(process, LIMITED)) == 1
    assert len(await process.rows("rate_limit_hits")) == 61  # sixty, and the one denial that was told


@pytest.mark.postgres
async def test_the_budget_holds_across_replicas(postgres_url: str) -> None:
    """R-123: two processes on one database share one budget."""
    async with tenant_process(postgres_url) as one, tenant_process(postgres_url) as two:
        await add_user(one, "ann@a.example", await add_tenant(one))
        await spend(one, 58)

        answers = await asyncio.gather(*(search(process, ANN) for process in (one, two) for _ in range(4)))

        assert sorted(answer.status for answer in answers) == [200] * 2 + [429] * 6


async def test_asking_for_the_budget_costs_nothing(sqlite_process: TenantProcess) -> None:
    """The panel shows what is left without spending of it."""
    await add_tenant(sqlite_process)
    await spend(sqlite_process, 48)

    for _ in range(2):
        answer = await sqlite_process.get("/internal/v1/support-search/budget", Role.SUPPORT)
        body = await answer.json()
        assert (body["limit"], body["remaining"], body["tenantsTold"]) == (60, 12, True)


async def test_who_may_search_can_be_narrowed(sqlite_url: str) -> None:
    """C-11: all four roles by default; SUPPORT_QUERY_ROLES narrows, and the refusal names who may."""
    async with tenant_process(sqlite_url, SUPPORT_QUERY_ROLES="support, security") as process:
        allowed = {role: (await search(process, NOBODY, role)).status for role in Role}
        refused = await (await search(process, NOBODY, Role.READ_ONLY)).json()

    assert allowed == {
        Role.SUPER_ADMIN: 403,
        Role.SUPPORT: 200,
        Role.READ_ONLY: 403,
        Role.SECURITY: 200,
    }
    assert (refused["code"], refused["roles"]) == ("PERMISSION_DENIED", ["support", "security"])


async def test_every_role_may_search_by_default(sqlite_process: TenantProcess) -> None:
    """C-11: the API table holds literally; a person who is no operator may not."""
    statuses = [(await search(sqlite_process, NOBODY, role)).status for role in Role]

    assert statuses == [200] * 4
    assert (await sqlite_process.get(f"{USERS}?q=nobody", None)).status == 403


async def test_tenants_are_not_told_where_the_installation_says_so(sqlite_url: str) -> None:
    """SUPPORT_ACCESS_VISIBLE=false leaves out the tenants' rows, never the platform's own."""
    async with tenant_process(sqlite_url, SUPPORT_ACCESS_VISIBLE="false") as process:
        await add_user(process, "ann@a.example", await add_tenant(process))
        await found(process, ANN)

        standing = await process.get("/internal/v1/support-search/budget", Role.SUPPORT)
        assert (await standing.json())["tenantsTold"] is False
        assert await events(process, TOLD) == []
        assert len(await events(process, EXECUTED)) == 1


async def test_support_does_not_read_of_searches(sqlite_process: TenantProcess) -> None:
    """R-080: `admin.support_query.*` is hidden from support and read_only, also by id."""
    process = sqlite_process
    await add_user(process, "ann@a.example", await add_tenant(process))
    event_id = (await (await search(process, ANN)).json())["audit"]["eventId"]
    path = f"/internal/v1/audit-events/{event_id}"

    statuses = {role: (await process.get(path, role)).status for role in Role}

    assert statuses == {Role.SUPER_ADMIN: 200, Role.SUPPORT: 404, Role.READ_ONLY: 404, Role.SECURITY: 200}


async def test_searches_are_counted_by_how_they_ended(sqlite_process: TenantProcess) -> None:
    """What an SRE watches: searches that ran, budgets that were spent, refusals."""
    process = sqlite_process
    await add_tenant(process)
    await spend(process, 59)
    for query in (NOBODY, NOBODY, {"q": "x"}):
        await search(process, query)

    name = "tenant_service_support_searches_total"
    outcomes = ("executed", "rate_limited", "refused", "audit_failed")
    counted = [await process.metric(f'{name}{{outcome="{outcome}"}}') for outcome in outcomes]
    assert counted == [1, 1, 1, 0]


CHECK = "/internal/v1/support-search/predicate-check"


async def check(
    process: TenantProcess, event_id: str, params: Query, role: Role = Role.SECURITY
) -> ClientResponse:
    headers = process.vouch.headers(role, audience=AUDIENCE, method="POST", target=CHECK)
    return await process.client.post(
        CHECK, json={"eventId": event_id, "params": dict(params)}, headers=headers
    )


async def test_a_digest_can_be_checked_by_who_suspects_the_search(sqlite_process: TenantProcess) -> None:
    """R-124: the same search gives the same digest, on every page of it; another one does not."""
    process = sqlite_process
    await add_users(process, 3, await add_tenant(process))
    wanted = MANY | {"email": "@Many.example", "limit": 2}
    first = await (await search(process, wanted)).json()
    second = await (await search(process, wanted | {"cursor": first["page"]["nextCursor"]})).json()

    for event_id in (first["audit"]["eventId"], second["audit"]["eventId"]):
        right = await check(process, event_id, {"email": "@many.EXAMPLE"})
        assert (right.status, await right.json()) == (200, {"matches": True})
        for wrong in ({"email": "@many.exampl"}, {"email": "@many.example", "match": "prefix"}):
            assert await (await check(process, event_id, wrong)).json() == {"matches": False}

    asked = await events(process, "admin.support_query.checked")
    assert [_details(row)["matches"] for row in asked] == [True, False, False] * 2
    assert "many" not in str(asked)


async def test_the_digest_is_keyed(sqlite_url: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    """R-124: another installation makes another digest of the same search, so nobody can precompute it."""
    digests = set()
    for url in (sqlite_url, f"sqlite:///{tmp_path_factory.mktemp('other')}/other.db"):
        async with tenant_process(url) as process:
            for _ in range(2):
                await found(process, ANN)
            rows = await events(process, EXECUTED)
            assert rows[0]["predicate_digest"] == rows[1]["predicate_digest"]
            digests.add(rows[0]["predicate_digest"])

    assert len(digests) == 2


async def test_a_check_is_for_searches_and_for_who_may_read_them(sqlite_process: TenantProcess) -> None:
    """An unknown row, a row of another kind and a role without the permission learn nothing."""
    process = sqlite_process
    await add_tenant(process)
    [created] = [row for row in await process.rows("audit_events") if row["scope"] == "global"]

    for event_id in (created["id"], "aud_01ARZ3NDEKTSV4RRFFQ69G5FAV", "x"):
        assert (await check(process, event_id, {"q": "abc"})).status == 404
    assert (await check(process, created["id"], {"q": "abc"}, Role.SUPPORT)).status == 403
    assert len(await process.rows("audit_events")) == 2


async def test_names_and_addresses_are_found_by_an_index(process: TenantProcess) -> None:
    """A prefix of a name and of an address is looked up, not read through, on both databases."""
    plans = {
        "sqlite": (
            "EXPLAIN QUERY PLAN SELECT id FROM users WHERE lower(name) >= 'a' AND lower(name) < 'b'",
            "EXPLAIN QUERY PLAN SELECT id FROM users WHERE email >= 'a' AND email < 'b'",
        ),
        "postgresql": (
            "EXPLAIN SELECT id FROM users WHERE lower(name) ~>=~ 'a' AND lower(name) ~<~ 'b'",
            "EXPLAIN SELECT id FROM users WHERE email >= 'a' AND email < 'b'",
        ),
    }
    async with process.database.write() as session:
        if session.dialect == "postgresql":
            await session.execute(text("SET LOCAL enable_seqscan = off"))
        seen = [str(await session.rows(text(plan))) for plan in plans[session.dialect]]

    assert "ix_users_name" in seen[0]
    assert "(email>" in seen[1] or "uq_users_email" in seen[1]  # SQLite names its own index of UNIQUE
