"""What support and read_only never learn of what is done to operators, on every way there is (R-080).

Hidden are the rows of `admin.*`, and those that the log writes of itself: a witnessed checkpoint counts the
former, and a broken chain names one of them.
"""

import base64
import json
import re
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import DummyCookieJar
from aiohttp.test_utils import TestClient, TestServer
from sqlalchemy import text

from admin_service.app import endpoints as admin_endpoints
from admin_service.audit.service import Reader
from admin_service.panel.routes import PANEL
from admin_service.tables import AUDIT
from deploy.demo.people import ADA, IRMA, NOEL, ROSA, SAMIR
from service_kit.audit.events import SYSTEM, AuditEntry
from service_kit.audit.own_events import WITNESSED
from service_kit.audit.recorder import AuditRecorder
from service_kit.identity.model import Role
from service_kit.ids import IdFactory
from tenant_service.app import endpoints as tenant_endpoints
from tenant_service.tables import schema
from tests.fixtures.whole_stack import Door, front_door
from tests.integration.admin_service.admin_process import asker
from tests.integration.panel.back_office import House, house
from tests.integration.tenant_service.people import add_user
from tests.integration.tenant_service.public.tenant_site import PASSWORD, TenantSite

LOG = "/api/admin/audit-logs"
BLIND = (Role.SUPPORT, Role.READ_ONLY)
HIDDEN = ("admin.", "audit.")
NAMES = re.compile(r"admin\.(?:operator|enrollment|session|access|break_glass|audit_log|support_query)\.\w+")
STREAMS = {"/internal/v1/roster/feed", "/manage/live"}
"""They do not end by themselves; the tiles show counts that the dashboard shows too."""
OWN_WORDS = {"/api/admin/events/catalogue", "/manage/help"}
"""What kinds of event there are is no secret: it stands in the documentation."""

Row = Mapping[str, Any]


@dataclass
class Recorded:
    """Both services with rows of every kind, and which of them are hidden."""

    both: House
    rows: list[Row] = field(default_factory=list)

    @property
    def hidden(self) -> list[Row]:
        return [row for row in self.rows if row["event"].startswith(HIDDEN)]

    @property
    def shown(self) -> list[Row]:
        return [row for row in self.rows if not row["event"].startswith(HIDDEN)]

    async def get(
        self, target: str, role: Role = Role.SUPPORT, method: str = "GET", *, html: bool = False
    ) -> tuple[int, str]:
        """A status, and all that a client sees."""
        office = self.both.office
        proof = office.proof(method, target, role, delegated=True)
        headers = {**proof, "Accept": "text/html" if html else "application/json"}
        answer = await office.client.request(method, target, headers=headers, allow_redirects=False)
        return answer.status, f"{dict(answer.headers)}\n{await answer.text()}"

    async def read(self, query: str = "", role: Role = Role.SUPPORT) -> Any:
        office = self.both.office
        target = f"{LOG}{query}"
        answer = await office.client.get(target, headers=office.proof("GET", target, role, delegated=True))
        return await answer.json()

    async def look(self) -> None:
        """Read both databases."""
        async with self.both.office.database.read() as session:
            own = [dict(row) for row in await session.rows(text("SELECT * FROM audit_events"))]
        self.rows = [*own, *await self.both.tenant.rows("audit_events")]

    def leaks(self, said: str, *, of_search: str = "") -> list[str]:
        """What of the hidden rows stands in an answer."""
        marks = {row[name] for row in self.hidden for name in ("id", "hash") if row[name] != of_search}
        return sorted(mark for mark in marks if mark in said) + NAMES.findall(said)


@pytest.fixture
async def recorded(tmp_path: Path) -> AsyncIterator[Recorded]:
    """A tenant with a person, a search that found them, operators' rows in both databases."""
    async with house(tmp_path) as both:
        office, tenant = both.office, both.tenant
        for slug in ("acme", "bravo"):
            await both.create(slug=slug)
        organizations = [str(row["id"]) for row in await tenant.rows("organizations")]
        await add_user(tenant, "ann@acme.example", *organizations)
        await tenant.get("/api/admin/users?email=ann@acme.example", Role.SUPPORT)
        await office.get("/manage/audit", Role.SUPPORT)
        for database, tables in ((office.database, AUDIT), (tenant.database, schema().audit)):
            recorder = AuditRecorder(tables, IdFactory(office.clock), office.clock)
            async with database.write() as session:
                entry = AuditEntry(WITNESSED, SYSTEM, "admin_service", details={"checkpoints": [{"size": 7}]})
                await recorder.record(session, entry)
        await both.create(slug="charlie")
        found = Recorded(both)
        await found.look()
        assert {row["event"] for row in found.hidden} == {
            "admin.support_query.executed",
            "admin.audit_log.viewed",
            "audit.checkpoint.witnessed",
        }
        yield found


async def test_no_way_leads_to_a_hidden_row(recorded: Recorded) -> None:
    """R-080: every GET and HEAD of the admin service, with the id of each hidden row wherever one fits."""
    office = recorded.both.office
    registered = admin_endpoints(office.services, office.apps.internal[PANEL])
    reached, leaks = 0, []
    for path in sorted({one.path for one in registered if one.method == "GET" and one.path not in STREAMS}):
        for target in targets(path, recorded):
            for role in BLIND:
                for method, html in (("GET", False), ("GET", True), ("HEAD", False)):
                    status, said = await recorded.get(target, role, method, html=html)
                    reached += status == 200
                    found = recorded.leaks(said) if path not in OWN_WORDS else []
                    # A page's own refusal may repeat the address that was asked for.
                    if [one for one in found if one not in target]:
                        leaks.append((role, method, target, status, found))
                    if any(row["id"] in target for row in recorded.hidden):
                        assert status in {303, 403, 404, 503}, (target, status)
    assert leaks == []
    assert reached > 50


def targets(path: str, recorded: Recorded) -> Iterable[str]:
    """The path, with ids in it where it takes one."""
    if "{id}" not in path:
        return [re.sub(r"\{\w+\}", "x", path)]
    tenants = [row["organization_id"] for row in recorded.shown if row["organization_id"]][:1]
    ids = [*(row["id"] for row in recorded.rows), *tenants, "adm_support", "adm_super_admin"]
    return [re.sub(r"\{\w+\}", "x", path.replace("{id}", one)) for one in ids]


async def test_the_tenant_service_hides_them_by_itself(recorded: Recorded) -> None:
    """R-080: asked past the admin service with the operator's own leave, the other source hides them too."""
    tenant = recorded.both.tenant
    paths = {one.path for one in tenant_endpoints() if one.method == "GET"} - {
        "/internal/v1/events",
        "/api/admin/users",
    }
    for path in sorted(paths):
        for target in [
            *targets(path, recorded),
            *(f"{path}?scope=all" for _ in [0] if "audit-events" in path),
        ]:
            for role in BLIND:
                answer = await tenant.get(target, role)
                said = await answer.text()
                found = {row["id"] for row in recorded.hidden if row["id"] in said}
                assert (found, NAMES.findall(said)) == (set(), []), (role, target)


async def test_asking_for_them_is_refused_or_empty(recorded: Recorded) -> None:
    """R-080: `admin.*` is 403; a filter that only hidden rows fit is an empty page, without a cursor."""
    for event in ("admin.*", "admin.audit_log.*", "admin.audit_log.viewed", "admin.no_such"):
        for role in BLIND:
            status, said = await recorded.get(f"{LOG}?event={event}", role)
            assert (status, "ADMIN_EVENTS_FORBIDDEN" in said) == (403, True)
            status, said = await recorded.get(f"{LOG}/export?format=csv&event={event}", role)
            assert status == 403
    empty = {"data": [], "page": {"nextCursor": None, "prevCursor": None, "hasMore": False}}
    asked = [f"event={event}" for event in ("audit.*", "audit.checkpoint.witnessed", "adm.*", "a.*")]
    for row in recorded.hidden:
        asked += [f"severity={row['severity']}&action={row['action']}"]
        asked += [
            f"{name}={row[column]}"
            for name, column in (("resourceId", "resource_id"), ("resourceType", "resource_type"))
            if row[column] not in {one[column] for one in recorded.shown}
        ]
    for one in asked:
        for scope in ("global", "tenant", "all"):
            found = await recorded.read(f"?{one}&scope={scope}")
            assert {name: found.get(name) for name in empty} == empty, (one, found)


async def test_who_did_it_and_for_which_request_finds_the_rest_only(recorded: Recorded) -> None:
    """R-080: the filters that hidden and shown rows share show the latter, whatever page they stand on."""
    shown = {row["id"] for row in recorded.shown}
    for name, column in (("actorId", "actor_id"), ("requestId", "request_id")):
        for value in {row[column] for row in recorded.hidden}:
            given = await recorded.read(f"?{name}={value}&scope=all")
            fits = {row["id"] for row in recorded.shown if row[column] == value} if value else shown
            assert {row["id"] for row in given["data"]} == fits
    person = await recorded.read("?actorEmail=support@example.com&scope=all")
    acted = {row["id"] for row in recorded.shown if row["actor_id"] == "adm_support"}
    assert {row["id"] for row in person["data"]} == acted


async def test_pages_and_cursors_count_nothing_hidden(recorded: Recorded) -> None:
    """R-033, R-080: pages of one are as many as shown rows; no cursor names a hidden one; no total."""
    ids, cursor = [], ""
    while True:
        found = await recorded.read(f"?scope=all&limit=1{cursor}")
        assert found.keys() == {"data", "page", "partial", "missing"}
        assert found["page"].keys() == {"nextCursor", "prevCursor", "hasMore"}
        ids += [row["id"] for row in found["data"]]
        for name in ("nextCursor", "prevCursor"):
            assert recorded.leaks(opened(found["page"][name])) == []
        if not found["page"]["hasMore"]:
            break
        cursor = f"&cursor={found['page']['nextCursor']}"
    assert sorted(ids) == sorted(row["id"] for row in recorded.shown)


async def test_a_cursor_of_who_sees_them_shows_nothing_more(recorded: Recorded) -> None:
    """R-080: a place on a hidden row, made for security, is a place between shown ones for support."""
    newest = await recorded.read("?scope=all&limit=1", Role.SECURITY)
    places = 0
    cursor: str | None = newest["page"]["nextCursor"]
    while cursor:
        stands_on_hidden = any(row["id"] in opened(cursor) for row in recorded.hidden)
        places += stands_on_hidden
        given = await recorded.read(f"?scope=all&cursor={cursor}")
        assert recorded.leaks(json.dumps(given)) == []
        older = await recorded.read(f"?scope=all&limit=1&cursor={cursor}", Role.SECURITY)
        cursor = older["page"]["nextCursor"]
    assert places >= 2


async def test_a_row_does_not_tell_its_place_among_hidden_ones(recorded: Recorded) -> None:
    """R-080: gaps of the chain, a previous hash, a head, a note or a pair would count or name hidden rows."""
    for row in (await recorded.read("?scope=all"))["data"]:
        assert [row[name] for name in ("chain_seq", "hash", "prev_hash", "pair_id")] == [None] * 4
        told = await recorded.read(f"/{row['id']}")
        assert told["place"] is None
        twin = told["twin"]
        assert (twin is None) == row["event"].startswith("org.")
        assert twin is None or (twin["scope"], twin["chain_seq"]) != (row["scope"], 1)
        _, page = await recorded.get(f"/manage/audit/{row['id']}", html=True)
        assert re.findall(r"\b[0-9a-f]{64}\b|pair_\w+", page) == []
        assert "Your role is not told where in it" in page
    one = next(row for row in recorded.shown if row["chain"] == "global")
    seen = await recorded.read(f"/{one['id']}", Role.SECURITY)
    assert (seen["row"]["chain_seq"], seen["place"]["headSeq"] > 0) == (one["chain_seq"], True)


async def test_the_twin_of_a_search_is_the_search(recorded: Recorded) -> None:
    """R-126: what a tenant reads of a search is no twin of what another tenant reads of it."""
    told = [row for row in recorded.shown if row["event"] == "org.support_access"]
    assert len({row["organization_id"] for row in told}) == 2
    for row in told:
        seen = await recorded.read(f"/{row['id']}", Role.SECURITY)
        assert seen["twin"]["event"] == "admin.support_query.executed"
        assert (await recorded.read(f"/{row['id']}"))["twin"] is None


async def test_a_hidden_row_is_refused_like_none(recorded: Recorded) -> None:
    """R-080: by its id, a hidden row and one that never was are the same answer, letter by letter."""
    never = f"aud_{'0' * 26}"
    for html in (False, True):
        for path in (LOG, "/manage/audit"):
            _, none = await recorded.get(f"{path}/{never}", html=html)
            for row in recorded.hidden:
                status, said = await recorded.get(f"{path}/{row['id']}", html=html)
                assert status == 404
                assert plain(said.replace(row["id"], never)) == plain(none)


async def test_charts_and_evidence_count_them_for_nobody_who_is_blind(recorded: Recorded) -> None:
    """R-080: the activity of a day is the number of rows that the role sees; evidence is not theirs."""
    proof = recorded.both.office.proof("GET", "/", Role.SUPPORT, delegated=True)
    reader = Reader(asker(Role.SUPPORT).actor, proof["X-Internal-Delegation"])
    activity = await recorded.both.office.services.audit.activity(reader)

    assert activity.missing == ()
    shown = [row for row in recorded.shown if row["scope"] == "global"]
    assert sum(day.count for day in activity.days) == len(shown)
    for role in BLIND:
        for path in ("/manage/audit/evidence", f"{LOG}/verify", f"{LOG}/export?format=csv"):
            for method in ("GET", "HEAD"):
                assert (await recorded.get(path, role, method))[0] == 403


async def test_the_tenants_own_log_shows_the_visit_and_not_the_search(recorded: Recorded) -> None:
    """R-080, R-127: the tenant reads that support looked; not the digest, the row or the operators' rows."""
    tenant = recorded.both.tenant
    server = TestServer(tenant.apps.public)
    async with TestClient(server, cookie_jar=DummyCookieJar()) as public:
        site = TenantSite(tenant, public)
        made = await site.tenant("delta")
        await add_user(tenant, "eve@delta.example", made["orgId"])
        await tenant.get("/api/admin/users?email=eve@delta.example", Role.SUPPORT)
        said = await site.accept(made["invitationId"], PASSWORD, slug="delta")
        owner = site.browser("delta").with_cookie_of(said)
        await recorded.look()
        for path in ("/api/tenant/audit-logs", "/api/tenant/audit-logs/export", "/audit"):
            answer = await owner.ask("GET", path)
            assert answer.status == 200
            assert recorded.leaks(str(answer.body)) == []
        assert "org.support_access" in str((await owner.ask("GET", "/api/tenant/audit-logs")).body)


@pytest.mark.stack
@pytest.mark.timeout(120)
async def test_the_real_stack_hides_them(tmp_path: Path) -> None:
    """R-080: through the real processes, with Access's tokens, after an operator was provisioned."""
    async with front_door(tmp_path) as door:
        made = await door.provision(ADA, NOEL, "support")
        hidden = (await door.must(200, "GET", f"{LOG}?event=admin.*", IRMA)).json["data"]
        assert made["id"] in {row["resource_id"] for row in hidden}
        for who in (SAMIR, ROSA):
            await hides(door, who, [row["id"] for row in hidden])


async def hides(door: Door, who: Any, ids: list[str]) -> None:
    refused = await door.must(403, "GET", f"{LOG}?event=admin.*", who)
    assert refused.code == "ADMIN_EVENTS_FORBIDDEN"
    for path in (f"{LOG}/export?format=csv", f"{LOG}/verify", "/manage/audit/evidence"):
        await door.must(403, "GET", path, who)
    for one in ids:
        assert (await door.must(404, "GET", f"{LOG}/{one}", who)).code == "AUDIT_EVENT_NOT_FOUND"
    for path in (f"{LOG}?scope=all", "/manage", "/manage/audit?range=all"):
        said = (await door.must(200, "GET", path, who)).text
        assert ([one for one in ids if one in said], NAMES.findall(said)) == ([], [])
    for path in ("/internal/v1/audit-events", "/internal/v1/audit-events/export"):
        assert (await door.ask("GET", path, who)).status == 404


def opened(cursor: str | None) -> str:
    """What a cursor says in plain letters."""
    if not cursor:
        return ""
    return base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode("latin-1")


def plain(said: str) -> str:
    """An answer without what differs each time: the nonce, the request and the moment."""
    body = said.partition("\n")[2]
    return re.sub(r'nonce-[\w+/=-]+|nonce="[^"]*"|req_\w+|name="csrf_token" value="[^"]*"', "", body)
