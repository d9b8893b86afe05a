"""Lists as CSV files: the filter that the page shows, no formula, no silent end, and a record of it."""

import csv
import io
from collections.abc import AsyncIterator, Mapping
from typing import Any

import aiohttp
import pytest
from sqlalchemy import select

from admin_service.panel.pages.list_files import MOST_ROWS
from admin_service.tables import AUDIT
from admin_service.tenant_answers import PageInfo, TenantPage
from admin_service.tenant_api import OnBehalf, TenantListQuery
from service_kit.errors import UnavailableError
from service_kit.identity.model import Role
from tests.fakes.tenant_api import FakeTenantApi
from tests.integration.panel.back_office import BROWSER, BackOffice, House, back_office
from tests.integration.panel.test_billing_pages import acme, grant, two_packs
from tests.integration.tenant_service.billing.billing_process import copy_grant

TENANTS = "/manage/tenants?format=csv"
EVENT = "admin.list.exported"


class PagedTenants(FakeTenantApi):
    """Pages of any list; `breaks_at` is the row before which it stops answering."""

    breaks_at: int | None = None

    async def list(self, behalf: OnBehalf, query: TenantListQuery) -> TenantPage:
        assert behalf.delegation
        self.memory.queries.append(query)
        start = int(query.cursor or 0)
        if self.breaks_at is not None and start >= self.breaks_at:
            raise UnavailableError("TENANT_SERVICE_UNAVAILABLE", "The tenant service does not answer")
        rows = self.memory.tenants[start : start + query.limit]
        end = start + len(rows)
        following = str(end) if end < len(self.memory.tenants) else None
        return TenantPage(data=rows, page=PageInfo(next_cursor=following, prev_cursor=None))


@pytest.fixture
def tenants() -> PagedTenants:
    return PagedTenants()


@pytest.fixture
async def office(sqlite_url: str, tenants: PagedTenants) -> AsyncIterator[BackOffice]:
    async with back_office(sqlite_url, tenant_api=tenants) as running:
        yield running


def many(tenants: FakeTenantApi, count: int) -> None:
    """Rows of one tenant, without making a model of each."""
    tenants.memory.tenants.extend([tenants.add("acme", "Acme")] * (count - 1))


def records(text: str) -> list[dict[str, str]]:
    """The file as a strict reader of RFC 4180 reads it."""
    assert text.endswith("\r\n")
    assert "\n" not in text.replace("\r\n", "")
    head, *rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    assert {len(row) for row in rows} <= {len(head)}
    return [dict(zip(head, row, strict=True)) for row in rows]


async def recorded(office: BackOffice) -> list[Mapping[str, Any]]:
    events = AUDIT.events
    async with office.database.read() as session:
        rows = await session.rows(select(events).order_by(events.c.chain_seq))
    return [dict(row) for row in rows if row["event"] == EVENT]


async def test_a_file_holds_exactly_the_filter_of_the_page(office: BackOffice, tenants: PagedTenants) -> None:
    """What the address says is asked for on every page of the file, and nothing else (R-020, rule 5)."""
    many(tenants, 250)
    page = await office.get("/manage/tenants?q=ac&status=active&plan=pro&sort=oldest&hide=email&cursor=100")
    (link,) = (link for link in page.links if "format=csv" in link)
    tenants.memory.queries.clear()
    file = await office.get(link)

    assert len(records(file.text)) == 250
    asked = {(one.q, one.status, one.plan, one.sort) for one in tenants.memory.queries}
    assert asked == {("ac", "active", "pro", "oldest")}
    assert [one.cursor for one in tenants.memory.queries] == ["", "100", "200"]


async def test_it_is_a_file_to_save_and_head_takes_nothing(office: BackOffice, tenants: PagedTenants) -> None:
    """A download in UTF-8 with a name of ours; HEAD says the same, reads nothing and records nothing."""
    tenants.add("acme", "Ærø & Søn")
    file = await office.get(TENANTS)
    tenants.memory.queries.clear()
    target = TENANTS
    headers = {**BROWSER, **office.proof("HEAD", target, Role.READ_ONLY, delegated=True)}
    head = await office.client.head(target, headers=headers)

    assert file.headers["Content-Type"] == "text/csv; charset=utf-8; header=present"
    assert file.headers["Content-Disposition"] == 'attachment; filename="tenants-2026-01-02.csv"'
    assert file.headers["Cache-Control"] == "no-store"
    assert records(file.text)[0]["name"] == "Ærø & Søn"
    assert (head.status, head.headers["Content-Disposition"]) == (200, file.headers["Content-Disposition"])
    assert (len(await recorded(office)), tenants.memory.queries) == (1, [])


@pytest.mark.parametrize("begins", ["=", "+", "-", "@", "\t", "\r", "\0"])
async def test_no_cell_is_a_formula(office: BackOffice, tenants: PagedTenants, begins: str) -> None:
    """What a spreadsheet would run gets an apostrophe before it; quotes and commas stay text (CWE-1236)."""
    tenants.add("acme", f'{begins}HYPERLINK("https://evil.example","x")', email="a,b@acme.example")
    (row,) = records((await office.get(TENANTS)).text)

    assert row["name"].startswith("'")
    assert row["name"].endswith('HYPERLINK("https://evil.example","x")')
    assert row["email"] == "a,b@acme.example"


async def test_ten_thousand_rows_come_whole(office: BackOffice, tenants: PagedTenants) -> None:
    """Ten thousand rows are a hundred pages, each asked for once, and the file says nothing of an end."""
    many(tenants, 10_000)
    found = records((await office.get(TENANTS)).text)

    assert len(found) == 10_000
    assert len(tenants.memory.queries) == 100
    assert not any(row["id"].startswith("#") for row in found[-1:])


async def test_a_file_at_its_bound_says_so(office: BackOffice, tenants: PagedTenants) -> None:
    """A list longer than the bound ends with a line that says it, and the bound stands in a header."""
    many(tenants, MOST_ROWS + 1)
    file = await office.get(TENANTS)
    found = records(file.text)

    assert file.headers["X-Row-Limit"] == str(MOST_ROWS)
    assert len(found) == MOST_ROWS + 1
    assert found[-1]["id"] == f"# incomplete: only the first {MOST_ROWS} rows are here; narrow the filters"
    assert found[-1]["slug"] == ""


async def test_a_source_that_fails_breaks_the_transfer(office: BackOffice, tenants: PagedTenants) -> None:
    """Half a list never looks like a whole one: the connection is cut before the end of the answer."""
    many(tenants, 5000)
    tenants.breaks_at = 2000
    headers = {**BROWSER, **office.proof("GET", TENANTS, Role.READ_ONLY, delegated=True)}
    response = await office.client.get(TENANTS, headers=headers)

    assert response.status == 200
    with pytest.raises(aiohttp.ClientError):
        await response.read()
    assert len(await recorded(office)) == 1


async def test_without_the_tenant_service_there_is_no_file(office: BackOffice, tenants: PagedTenants) -> None:
    """A page says what is missing; a file is not made, and nothing is recorded as taken (R-139)."""
    tenants.breaks_at = 0
    file = await office.get(TENANTS)

    assert file.status == 503
    assert "text/html" in file.headers["Content-Type"]
    assert await recorded(office) == []


@pytest.mark.parametrize("query", ["status=sleeping", "createdFrom=never", "sort=random"])
async def test_a_filter_that_makes_no_sense_makes_no_file(
    office: BackOffice, tenants: PagedTenants, query: str
) -> None:
    """A page shows the rest and says so; a file would be the wrong list with nobody told."""
    tenants.add("acme", "Acme")
    file = await office.get(f"{TENANTS}&{query}")

    assert file.status == 400
    assert (await office.get("/manage/tenants?format=xlsx")).status == 400
    assert (tenants.memory.queries, await recorded(office)) == ([], [])


async def test_taking_a_list_is_recorded_before_its_first_byte(
    office: BackOffice, tenants: PagedTenants
) -> None:
    """Who took which list with which filters; what they searched for can be erased (ADR 0028)."""
    tenants.add("acme", "Acme")
    await office.get(f"{TENANTS}&q=max%40example.com&plan=pro", Role.SUPPORT)
    (row,) = await recorded(office)

    assert (row["actor_id"], row["severity"], row["resource_id"]) == ("adm_support", "WARNING", "tenants")
    assert row["details"] == {"format": "csv", "filters": {"plan": "pro"}}
    assert "max@example.com" not in str(row)


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/manage/tenants", {Role.SUPER_ADMIN, Role.SUPPORT, Role.READ_ONLY}),
        ("/manage/operators", {Role.SUPER_ADMIN}),
        ("/manage/billing", {Role.SUPER_ADMIN, Role.SUPPORT, Role.READ_ONLY}),
        ("/manage/tenants/org_1/billing", {Role.SUPER_ADMIN, Role.SUPPORT, Role.READ_ONLY}),
    ],
)
async def test_who_may_not_see_a_list_may_not_take_it(
    office: BackOffice, path: str, allowed: set[Role]
) -> None:
    """The permission of the page is that of the file (R-081)."""
    refused = {role for role in Role if (await office.get(f"{path}?format=csv", role)).status == 403}

    assert refused == set(Role) - allowed


async def test_the_operators_are_a_file_without_a_token(office: BackOffice) -> None:
    """Each operator of the filter, with what the list shows, and never a token or its hash (P-19, R-068)."""
    found = records((await office.get("/manage/operators?format=csv&role=support")).text)

    assert [(row["email"], row["role"], row["state"]) for row in found] == [
        ("support@example.com", "support", "active")
    ]
    assert set(found[0]) == {"id", "name", "email", "role", "state", "live_sessions", "last_active_at"}


async def test_a_support_search_is_no_file(office: BackOffice) -> None:
    """People of all tenants leave the service page by page and recorded, never as a list (R-120)."""
    page = await office.get("/manage/users?format=csv", Role.SUPPORT)

    assert "text/html" in page.headers["Content-Type"]
    assert not any("csv" in link for link in page.links)


async def test_packs_and_grants_are_files(both: House) -> None:
    """The packs of P-13 and the grants of P-08, with the real tenant service behind them."""
    await two_packs(both)
    tenant = await acme(both)
    await grant(both, tenant, reason="=cmd|' /C calc'!A0 for the outage")
    packs = records((await both.office.get("/manage/billing?format=csv")).text)
    grants = records((await both.office.get(f"/manage/tenants/{tenant}/billing?format=csv")).text)

    assert [(row["name"], row["price_inr_minor"], row["price_usd_minor"]) for row in packs] == [
        ("Small", "24900", "3600"),
        ("Large", "29990000", "3600"),
    ]
    assert [(row["replies"], row["remaining"], row["state"]) for row in grants] == [("500", "500", "active")]
    assert grants[0]["reason"].startswith("'=cmd")
    rows = await recorded(both.office)
    assert [row["resource_id"] for row in rows] == ["credit-packs", "grants"]
    assert rows[1]["details"]["organizationId"] == tenant


async def test_a_cut_list_of_grants_is_no_whole_file(both: House) -> None:
    """The tenant service lists 200 grants: with that many the file is whole, with one more it says so."""
    tenant = await acme(both)
    await grant(both, tenant)
    path = f"/manage/tenants/{tenant}/billing?format=csv"
    await copy_grant(both.tenant, 199, remaining=0)
    whole = records((await both.office.get(path)).text)
    await copy_grant(both.tenant, 1, remaining=0)
    file = await both.office.get(path)
    cut = records(file.text)

    assert (len(whole), whole[-1]["id"].startswith("grant_")) == (200, True)
    assert (len(cut), cut[-1]["id"].startswith("# incomplete: only the first 200 rows")) == (201, True)
    assert file.headers["X-Row-Limit"] == "200"


async def test_the_ledger_is_guarded_like_every_list(both: House) -> None:
    """The tenant service's own file of P-08 takes the same guard: NUL and wide letters too (CWE-1236)."""
    tenant = await acme(both)
    await grant(both, tenant, reason="\uff1dHYPERLINK(1) for the outage")
    target = f"/api/admin/tenants/{tenant}/credits/ledger?format=csv"
    answer = await both.tenant.client.get(
        target,
        headers=both.tenant.vouch.headers(
            Role.SUPPORT, audience="tenant_service", method="GET", target=target
        ),
    )

    (row,) = records(await answer.text())
    assert row["note"].startswith("'\uff1d")
