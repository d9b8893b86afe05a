"""The client of the tenant service: what it sends, what it understands, and how it fails."""

import asyncio
import dataclasses
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from multidict import CIMultiDictProxy

from admin_service import tenant_api
from admin_service.tenant_address import parse_address
from admin_service.tenant_api import NewTenant, OnBehalf, TenantApi, TenantListQuery
from service_kit.audit.queries import AuditFilter
from service_kit.audit.verifying import Stretch
from service_kit.db.keyset import Position
from service_kit.errors import (
    ConflictError,
    ForbiddenError,
    NotFoundError,
    RateLimitedError,
    UnavailableError,
    UnprocessableError,
)
from service_kit.web.api import RequestOrigin

NOW = "2026-01-02T03:04:05.123456Z"
BEHALF = OnBehalf("the-delegation", RequestOrigin("req_1", "203.0.113.7", "Firefox"))
COUNTS = {
    "total": 3,
    "active": 2,
    "suspended": 1,
    "deleted": 0,
    "pendingInvitations": 1,
    "approximate": False,
}
WANTED = NewTenant("acme", "Acme", "owner@acme.example", "pro", "INR")


@dataclasses.dataclass
class Recorded:
    """One request as the tenant service received it."""

    method: str
    target: str
    headers: CIMultiDictProxy[str]
    body: bytes


class TenantServer:
    """Answers every request alike and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[Recorded] = []
        self.answer: Callable[[], Awaitable[web.StreamResponse]] | None = None

    def says(self, document: object, *, status: int = 200, headers: dict[str, str] | None = None) -> None:
        async def answer() -> web.StreamResponse:
            return web.json_response(document, status=status, headers=headers)

        self.answer = answer

    def refuses(self, status: int, code: str, error: str = "No", **more: Any) -> None:
        kind = f"urn:problem:{code.lower().replace('_', '-')}"
        document = {"type": kind, "title": error, "status": status, "error": error, "code": code}
        self.says({**document, "requestId": "req_1", **more}, status=status)

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        self.asked.append(Recorded(request.method, request.raw_path, request.headers, await request.read()))
        assert self.answer is not None
        return await self.answer()

    @property
    def last(self) -> Recorded:
        return self.asked[-1]


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[tuple[TenantServer, str]]:
    fake = TenantServer()
    runner = web.ServerRunner(web.Server(fake.handle))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    yield fake, f"http://127.0.0.1:{port}"
    await runner.cleanup()


@asynccontextmanager
async def started(url: str | None) -> AsyncIterator[TenantApi]:
    api = TenantApi(url)
    await api.start()
    try:
        yield api
    finally:
        await api.close()


async def test_the_delegation_is_the_only_identity_that_travels(server: tuple[TenantServer, str]) -> None:
    """Every request carries the operator's delegation as it came, and no identity of this service (R-005)."""
    fake, url = server
    fake.says(COUNTS)
    async with started(url) as api:
        counts = await api.counts(BEHALF)

    assert counts.total == 3
    sent = fake.last.headers
    assert sent.getall("X-Internal-Delegation") == ["the-delegation"]
    assert "X-Internal-Identity" not in sent
    assert "Cookie" not in sent
    assert "Authorization" not in sent


async def test_the_origin_of_the_browser_request_travels_too(server: tuple[TenantServer, str]) -> None:
    """The request id, the client's address and its user agent reach the tenant service's audit rows."""
    fake, url = server
    fake.says(COUNTS)
    async with started(url) as api:
        await api.counts(BEHALF)

    sent = fake.last.headers
    assert sent["X-Request-Id"] == "req_1"
    assert sent["X-Forwarded-For"] == "203.0.113.7"
    assert sent["User-Agent"] == "Firefox"


async def test_a_user_agent_of_broken_bytes_does_no_harm(server: tuple[TenantServer, str]) -> None:
    """A lone surrogate in the user agent, which no header can hold, becomes a question mark."""
    fake, url = server
    fake.says(COUNTS)
    origin = RequestOrigin("req_1", "", "Fire\udcfffox")
    async with started(url) as api:
        await api.counts(OnBehalf("d", origin))

    assert fake.last.headers["User-Agent"] == "Fire?fox"
    assert "X-Forwarded-For" not in fake.last.headers


async def test_no_cookie_of_one_operator_reaches_the_next(server: tuple[TenantServer, str]) -> None:
    """A Set-Cookie of the tenant service is forgotten at once."""
    fake, url = server
    fake.says(COUNTS, headers={"Set-Cookie": "who=first; Path=/"})
    async with started(url) as api:
        await api.counts(BEHALF)
        await api.counts(BEHALF)

    assert "Cookie" not in fake.last.headers


async def test_a_list_is_asked_for_with_its_filters_only(server: tuple[TenantServer, str]) -> None:
    """Empty filters are left out, and a filter with any character arrives as it was typed (R-020)."""
    fake, url = server
    row = {
        "id": "org_1",
        "slug": "acme",
        "name": "Acme",
        "email": "owner@acme.example",
        "plan": "pro",
        "status": "active",
        "createdAt": NOW,
        "creditsRemaining": None,
        "ownerState": "invited",
    }
    fake.says({"data": [row], "page": {"nextCursor": "n", "prevCursor": None, "hasMore": True}})
    async with started(url) as api:
        page = await api.list(BEHALF, TenantListQuery(q="a&b=c %2F+ü", plan="pro"))

    assert fake.last.target == "/api/admin/tenants?q=a%26b%3Dc+%252F%2B%C3%BC&plan=pro&limit=50"
    assert page.data[0].email == "owner@acme.example"
    assert page.data[0].created_at == datetime(2026, 1, 2, 3, 4, 5, 123456, tzinfo=UTC)
    assert page.page.next_cursor == "n"


async def test_creating_sends_the_form_and_its_key(server: tuple[TenantServer, str]) -> None:
    """The idempotency key of the form goes along, so that a repeat makes no second tenant (R-100, R-104)."""
    fake, url = server
    made = {
        "orgId": "org_1",
        "invitationId": "inv_1",
        "hostedAt": "acme.app.example.com",
        "acceptUrl": "https://acme.app.example.com/accept-invite/inv_1_secret",
        "expiresAt": NOW,
    }
    fake.says(made, status=201)
    async with started(url) as api:
        created = await api.create(BEHALF, WANTED, idempotency_key="k" * 32)

    assert fake.last.method == "POST"
    assert fake.last.headers["Idempotency-Key"] == "k" * 32
    assert json.loads(fake.last.body) == {
        "slug": "acme",
        "name": "Acme",
        "primaryAdminEmail": "owner@acme.example",
        "plan": "pro",
        "currency": "INR",
    }
    assert created.accept_url == "https://acme.app.example.com/accept-invite/inv_1_secret"
    assert "secret" not in repr(created)


async def test_a_replayed_creation_has_no_link(server: tuple[TenantServer, str]) -> None:
    """A replay answers the record without its secret."""
    fake, url = server
    made = {"orgId": "org_1", "hostedAt": "h", "acceptUrl": None, "expiresAt": NOW, "secretOmitted": True}
    fake.says(made, status=201, headers={"Idempotency-Replayed": "true"})
    async with started(url) as api:
        created = await api.create(BEHALF, WANTED, idempotency_key="k" * 32)

    assert created.accept_url is None


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (403, "PERMISSION_DENIED", ForbiddenError),
        (404, "TENANT_NOT_FOUND", NotFoundError),
        (409, "SLUG_TAKEN", ConflictError),
        (422, "SLUG_INVALID", UnprocessableError),
        (429, "RATE_LIMITED", RateLimitedError),
        (503, "DATABASE_UNAVAILABLE", UnavailableError),
    ],
)
async def test_a_refusal_keeps_its_meaning(
    server: tuple[TenantServer, str], status: int, code: str, kind: type[Exception]
) -> None:
    """A problem document becomes our error of the same status and code, with its fields and extras."""
    fake, url = server
    field = {"pointer": "/slug", "code": code, "message": "This slug is in use"}
    fake.refuses(status, code, "This slug is in use", errors=[field], suggestions=["acme-2"])
    async with started(url) as api:
        with pytest.raises(kind) as caught:
            await api.create(BEHALF, WANTED, idempotency_key="k" * 32)

    error = caught.value
    assert isinstance(
        error,
        ForbiddenError
        | NotFoundError
        | ConflictError
        | UnprocessableError
        | RateLimitedError
        | UnavailableError,
    )
    assert error.status == status
    assert error.code == code
    if not isinstance(error, UnavailableError):
        assert error.message == "This slug is in use"
        assert [(one.pointer, one.message) for one in error.fields] == [("/slug", "This slug is in use")]
        assert error.extra == {"suggestions": ["acme-2"]}


@pytest.mark.parametrize("status", [301, 302, 307, 400, 401, 404, 418, 500, 502])
async def test_what_is_no_problem_document_is_an_outage(
    server: tuple[TenantServer, str], status: int
) -> None:
    """What does not speak like our tenant service is not believed, and no redirect is followed."""
    fake, url = server
    fake.says("hello", status=status, headers={"Location": "/elsewhere"})
    async with started(url) as api:
        with pytest.raises(UnavailableError, match="TENANT_SERVICE_UNAVAILABLE"):
            await api.counts(BEHALF)

    assert len(fake.asked) == 1


@pytest.mark.parametrize(("status", "code"), [(401, "INTERNAL_IDENTITY_INVALID"), (500, "INTERNAL_ERROR")])
async def test_a_failure_that_no_operator_can_mend_is_an_outage(
    server: tuple[TenantServer, str], status: int, code: str
) -> None:
    """A doubt about our own proof, or a crash over there, is not the operator's fault."""
    fake, url = server
    fake.refuses(status, code)
    async with started(url) as api:
        with pytest.raises(UnavailableError, match="TENANT_SERVICE_UNAVAILABLE"):
            await api.counts(BEHALF)


@pytest.mark.parametrize("document", [{"total": "many"}, [], None, {"total": 1}])
async def test_an_unreadable_answer_is_an_outage(server: tuple[TenantServer, str], document: object) -> None:
    """A success that lacks what it should say is no success."""
    fake, url = server
    fake.says(document)
    async with started(url) as api:
        with pytest.raises(UnavailableError):
            await api.counts(BEHALF)


async def test_a_newer_tenant_service_is_understood(server: tuple[TenantServer, str]) -> None:
    """Members that this build does not know are ignored."""
    fake, url = server
    fake.says({**COUNTS, "purged": 7})
    async with started(url) as api:
        assert (await api.counts(BEHALF)).active == 2


async def test_an_endless_answer_is_cut(
    server: tuple[TenantServer, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """More bytes than any answer has are not kept."""
    fake, url = server
    monkeypatch.setattr(tenant_api, "_MOST_BYTES", 1000)
    fake.says({**COUNTS, "filler": "x" * 2000})
    async with started(url) as api:
        with pytest.raises(UnavailableError):
            await api.counts(BEHALF)


async def test_a_silent_tenant_service_is_given_up(
    server: tuple[TenantServer, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An answer that does not come is an outage, not a page that hangs."""
    fake, url = server
    never = asyncio.Event()

    async def answer() -> web.StreamResponse:
        await never.wait()
        return web.Response()

    fake.answer = answer
    ask = dataclasses.replace(tenant_api._Ask("GET", "/x", "d"), seconds=0.05)
    async with started(url) as api:
        with pytest.raises(UnavailableError):
            await api._send(ask)
    never.set()


async def test_a_tenant_service_that_is_not_there_is_an_outage(unused_tcp_port: int) -> None:
    """A refused connection is answered at once."""
    async with started(f"http://127.0.0.1:{unused_tcp_port}") as api:
        with pytest.raises(UnavailableError, match="TENANT_SERVICE_UNAVAILABLE"):
            await api.counts(BEHALF)


@asynccontextmanager
async def leaving(times: int) -> AsyncIterator[tuple[str, list[bytes]]]:
    """A replica that ends so many connections after their head, and then answers."""
    heads: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        if len(heads) > times:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", heads


async def test_a_question_that_a_leaving_replica_dropped_is_asked_again() -> None:
    """architecture.md section 9: a rolling restart of the tenant service is no page that failed."""
    async with leaving(1) as (url, heads), started(url) as api:
        assert await api._send(tenant_api._Ask("GET", "/internal", "d")) == (200, b"{}")

    assert len(heads) == 2


async def test_a_question_is_asked_twice_at_most() -> None:
    """An outage is told soon."""
    async with leaving(9) as (url, heads), started(url) as api:
        with pytest.raises(UnavailableError):
            await api._send(tenant_api._Ask("GET", "/internal", "d"))

    assert len(heads) == 2


async def test_a_change_is_never_sent_twice() -> None:
    """Nobody knows whether the first one was done; who sent it decides, with its idempotency key."""
    async with leaving(1) as (url, heads), started(url) as api:
        with pytest.raises(UnavailableError):
            await api._send(tenant_api._Ask("POST", "/internal", "d"))

    assert len(heads) == 1


async def test_without_a_url_every_question_is_unavailable() -> None:
    """The admin service starts alone, with its own database (R-006)."""
    async with started(None) as api:
        with pytest.raises(UnavailableError):
            await api.counts(BEHALF)


async def test_a_unix_socket_serves_as_well(tmp_path: Path) -> None:
    """`http+unix://` reaches a listener that no network reaches (R-136)."""
    fake = TenantServer()
    fake.says(COUNTS)
    runner = web.ServerRunner(web.Server(fake.handle))
    await runner.setup()
    path = tmp_path / "t.sock"
    await web.UnixSite(runner, str(path)).start()
    async with started(f"http+unix://{path}") as api:
        counts = await api.counts(BEHALF)
    await runner.cleanup()

    assert counts.total == 3


@pytest.mark.parametrize(
    "url",
    [
        "https://user:pw@tenant",
        "http://user:pw@tenant",
        "ftp://tenant",
        "http://tenant/path",
        "http://tenant?x=1",
        "http+unix://host/path",
        "http+unix:relative",
        "tenant:8082",
        "",
    ],
)
def test_a_url_that_is_no_address_is_refused(url: str) -> None:
    """Only `http://host:port` and `http+unix:///path` name a tenant service; the text is not repeated."""
    with pytest.raises(ValueError, match="must be http://host:port") as caught:
        parse_address(url)

    assert "pw" not in str(caught.value)


@pytest.mark.parametrize("name", ["..", ".", "", "..."])
async def test_dots_lead_nowhere(server: tuple[TenantServer, str], name: str) -> None:
    """An id of dots is answered here: no request can climb out of its folder."""
    fake, url = server
    async with started(url) as api:
        with pytest.raises(NotFoundError):
            await api.get(BEHALF, name)

    assert fake.asked == []


async def test_an_id_stays_one_segment(server: tuple[TenantServer, str]) -> None:
    """Slashes, dots and question marks of an id are sent as one path segment."""
    fake, url = server
    fake.refuses(404, "TENANT_NOT_FOUND")
    async with started(url) as api:
        with pytest.raises(NotFoundError):
            await api.get(BEHALF, "../users?x=%2e#y")

    assert fake.last.target == "/api/admin/tenants/..%2Fusers%3Fx%3D%252e%23y"


ROW = {
    "id": "aud_1",
    "occurredAt": NOW,
    "event": "tenant.created",
    "eventVersion": 1,
    "action": "create_tenant",
    "severity": "NOTICE",
    "outcome": "success",
    "scope": "global",
    "actorType": "global_admin",
    "actorId": "adm_1",
    "actorRole": "support",
    "actorEmail": None,
    "actorName": None,
    "ip": None,
    "targetType": "tenant",
    "targetId": "org_1",
    "resourceType": "tenant",
    "resourceId": "org_1",
    "organizationId": None,
    "requestId": "req_1",
    "sessionRef": None,
    "justificationCode": None,
    "reason": "",
    "ticketRef": "",
    "predicateDigest": None,
    "predicateShape": None,
    "rowCount": None,
    "pageNo": None,
    "details": {"slug": "acme"},
    "chain": "global",
    "chainSeq": 1,
    "pairId": None,
    "piiCommitment": "c",
    "prevHash": "0",
    "hash": "h",
}


async def test_audit_rows_are_asked_for_by_place(server: tuple[TenantServer, str]) -> None:
    """The filter and the keyset position travel; rows come back under the names of the kit's queries."""
    fake, url = server
    fake.says({"data": [ROW]})
    at = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
    wanted = AuditFilter(event="tenant.*", since=at)
    async with started(url) as api:
        rows = await api.audit_page("d", wanted, position=Position(at, "aud_9", backward=False), limit=101)
        await api.audit_page(
            "d", AuditFilter(scope=""), position=Position(at, "aud_9", backward=True), limit=1
        )

    first, second = (asked.target for asked in fake.asked)
    assert first == (
        "/internal/v1/audit-events?event=tenant.*&scope=global&from=2026-01-02T03:04:05.678901%2B00:00"
        "&beforeAt=2026-01-02T03:04:05.678901%2B00:00&beforeId=aud_9&limit=101"
    )
    assert second == (
        "/internal/v1/audit-events?scope=all&afterAt=2026-01-02T03:04:05.678901%2B00:00&afterId=aud_9&limit=1"
    )
    assert rows[0]["chain_seq"] == 1
    assert rows[0]["details"] == {"slug": "acme"}
    assert rows[0]["actor_email"] is None


async def test_a_proof_is_asked_for_by_chain_and_time(server: tuple[TenantServer, str]) -> None:
    """The stretch travels, and what the tenant service found comes back as it said it (R-030)."""
    fake, url = server
    found = {"chain": "org_1", "seq": 3, "rowId": "aud_1", "differs": "hash", "column": ""}
    none = {"state": "none", "checked": 0, "newestAt": None}
    fake.says({"ok": False, "checked": 2, "firstBreak": found, "checkpoints": none, "witness": none})
    async with started(url) as api:
        proof = await api.audit_proof("d", Stretch("org_1", datetime(2026, 1, 2, tzinfo=UTC)))
        await api.audit_proof("d", Stretch())

    assert [asked.target for asked in fake.asked] == [
        "/internal/v1/audit-events/verify?chain=org_1&from=2026-01-02T00:00:00%2B00:00",
        "/internal/v1/audit-events/verify",
    ]
    assert (proof.ok, proof.first_break and proof.first_break.row_id) == (False, "aud_1")


async def test_an_audit_event_that_is_not_there_is_none(server: tuple[TenantServer, str]) -> None:
    """Unknown and hidden rows are the same nothing (R-080)."""
    fake, url = server
    async with started(url) as api:
        fake.says({"row": ROW, "twin": None})
        found = await api.audit_event("d", "aud_1")
        fake.refuses(404, "AUDIT_EVENT_NOT_FOUND")
        missing = await api.audit_event("d", "aud_2")

    assert found is not None
    assert found["row"]["id"] == "aud_1"
    assert found["twin"] is None
    assert missing is None


async def test_activity_is_a_count_per_day(server: tuple[TenantServer, str]) -> None:
    """Days come back as dates."""
    fake, url = server
    fake.says({"data": [{"day": "2026-01-01", "count": 0}, {"day": "2026-01-02", "count": 4}]})
    async with started(url) as api:
        days = await api.audit_activity("d", 2)

    assert days == {date(2026, 1, 1): 0, date(2026, 1, 2): 4}
    assert fake.last.target == "/internal/v1/audit-activity?days=2"


def test_a_delegation_is_in_no_log_line() -> None:
    """What carries the delegation does not print it."""
    assert "the-delegation" not in repr(BEHALF)
    assert "the-delegation" not in repr(tenant_api._Ask("GET", "/", "the-delegation"))
