"""The list of tenants: complete, in order, and with cursors that nobody can bend."""

import base64
from dataclasses import replace
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from yarl import URL

from service_kit.identity.model import Role
from tenant_service.tenants import handlers as tenant_handlers
from tenant_service.tenants.counting import TenantCounter
from tests.integration.tenant_service.lives import ask
from tests.integration.tenant_service.tenant_process import TENANTS, TenantProcess, new_tenant


async def page(process: TenantProcess, **parameters: object) -> dict[str, Any]:
    answer = await process.get(f"{TENANTS}?{urlencode(parameters)}")
    assert answer.status == 200, await answer.text()
    body: dict[str, Any] = await answer.json()
    return body


def slugs(body: dict[str, Any]) -> list[str]:
    return [row["slug"] for row in body["data"]]


async def fill(process: TenantProcess, number: int, *, seconds_between: float = 0) -> list[str]:
    made = [f"acme-{index:02}" for index in range(number)]
    for slug in made:
        await process.create(new_tenant(slug, name=f"Name of {slug}"))
        process.clock.advance(seconds_between)
    return made


async def test_a_row_shows_what_the_panel_lists(process: TenantProcess) -> None:
    """E-mail, plan and creation date of each tenant (R-020), and how far its owner has come."""
    made = await (await process.create(new_tenant(plan="pro"))).json()

    body = await page(process)

    assert body == {
        "data": [
            {
                "id": made["orgId"],
                "slug": "acme",
                "name": "Acme Inc",
                "email": "bob@example.com",
                "plan": "pro",
                "status": "active",
                "createdAt": "2026-01-02T03:04:05Z",
                "creditsRemaining": None,
                "ownerState": "invited",
            }
        ],
        "page": {"nextCursor": None, "prevCursor": None, "hasMore": False},
    }


@pytest.mark.parametrize("sort", ["newest", "oldest"])
@pytest.mark.parametrize("seconds_between", [0, 1])
async def test_walking_the_pages_there_and_back_meets_every_tenant_once(
    process: TenantProcess, sort: str, seconds_between: float
) -> None:
    """Nothing is unreachable (R-020), also when all rows have the same time and no index orders them."""
    await process.sql("DROP INDEX ix_organizations_time")
    expected = await fill(process, 7, seconds_between=seconds_between)
    if sort == "newest":
        expected.reverse()

    forward = [await page(process, sort=sort, limit=3)]
    while forward[-1]["page"]["hasMore"]:
        forward.append(await page(process, sort=sort, limit=3, cursor=forward[-1]["page"]["nextCursor"]))
    back = [forward[-1]]
    while back[-1]["page"]["prevCursor"]:
        back.append(await page(process, sort=sort, limit=3, cursor=back[-1]["page"]["prevCursor"]))

    assert [slugs(each) for each in forward] == [expected[:3], expected[3:6], expected[6:]]
    assert [slugs(each) for each in back] == [expected[6:], expected[3:6], expected[:3]]
    assert back[-1]["page"]["hasMore"] is True
    assert forward[-1]["page"]["nextCursor"] is None


async def test_a_tenant_that_is_created_meanwhile_moves_no_page(process: TenantProcess) -> None:
    """A cursor names a place, not a number of rows."""
    made = await fill(process, 4, seconds_between=1)
    first = await page(process, limit=2)
    await process.create(new_tenant("newcomer"))

    second = await page(process, limit=2, cursor=first["page"]["nextCursor"])

    assert slugs(second) == [made[1], made[0]]


async def test_the_link_header_leads_to_the_same_pages(process: TenantProcess) -> None:
    """`Link` keeps the filters and is followed as it stands (http-api 3.0)."""
    await fill(process, 3)
    answer = await process.get(f"{TENANTS}?limit=2&q=name%20of")

    target = URL(answer.links["next"]["url"])
    followed = await process.get(str(target.relative()))

    body = await answer.json()
    assert target.query["cursor"] == body["page"]["nextCursor"]
    assert target.query["q"] == "name of"
    assert len((await followed.json())["data"]) == 1
    assert "next" not in followed.links
    assert "prev" in followed.links


async def test_filters_narrow_the_list(process: TenantProcess) -> None:
    """Status, plan and creation time each leave out what does not fit."""
    await process.create(new_tenant("first", plan="free"))
    process.clock.advance(timedelta(days=1).total_seconds())
    await process.create(new_tenant("second", plan="pro"))
    await process.sql(
        "UPDATE organizations SET status = 'suspended', suspended_at = created_at WHERE slug = 'first'"
    )

    assert slugs(await page(process, status="suspended")) == ["first"]
    assert slugs(await page(process, status="active")) == ["second"]
    assert slugs(await page(process, status="deleted")) == []
    assert slugs(await page(process, plan="pro")) == ["second"]
    assert slugs(await page(process, createdFrom="2026-01-03")) == ["second"]
    assert slugs(await page(process, createdTo="2026-01-03T00:00:00Z")) == ["first"]
    assert slugs(await page(process, createdFrom="2026-01-02T05:04:05+02:00")) == ["second", "first"]


async def test_the_search_takes_text_as_it_stands(process: TenantProcess) -> None:
    """`q` finds a part of name, slug or address, without regard to case and without wildcards."""
    await process.create(new_tenant("acme-x"))

    for q in ("ACME", "inc", "cme", "Bob@Example", "acme-x", " acme "):
        assert slugs(await page(process, q=q)) == ["acme-x"], q
    for q in ("%", "_", "a%e", "/", "\\", "'", "zzz", "\u212a", "a\u0301", "\U0001f99c" * 30):
        assert slugs(await page(process, q=q)) == [], q


async def test_a_wildcard_in_a_name_is_found(process: TenantProcess) -> None:
    """What a wildcard would be in SQL is a letter here."""
    await process.create(new_tenant(name="100% a_b /x"))

    for q in ("100%", "a_b", "/x"):
        assert slugs(await page(process, q=q)) == ["acme"]


async def test_a_cursor_belongs_to_its_filters(process: TenantProcess) -> None:
    """With other filters or another order it is refused; another page size is no other list."""
    await fill(process, 3)
    cursor = (await page(process, limit=1, status="active"))["page"]["nextCursor"]

    assert (await process.get(f"{TENANTS}?limit=2&status=active&cursor={cursor}")).status == 200
    for other in ("", "status=suspended", "status=active&q=a", "status=active&sort=oldest"):
        answer = await process.get(f"{TENANTS}?{other}&cursor={cursor}")
        assert (answer.status, (await answer.json())["code"]) == (400, "INVALID_CURSOR"), other


async def test_every_changed_bit_of_a_cursor_is_noticed(sqlite_process: TenantProcess) -> None:
    """A cursor cannot be forged or bent (the MAC covers all of it)."""
    await fill(sqlite_process, 2)
    cursor = (await page(sqlite_process, limit=1))["page"]["nextCursor"]
    raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))

    for index in range(len(raw)):
        bent = bytearray(raw)
        bent[index] ^= 1
        forged = base64.urlsafe_b64encode(bytes(bent)).decode()
        answer = await sqlite_process.get(f"{TENANTS}?cursor={forged}")
        assert answer.status == 400, index


WRONG_QUERIES = [
    "limit=0",
    "limit=101",
    "limit=-1",
    "limit=1.5",
    "limit=" + "9" * 5000,
    "limit=1e2",
    "status=gone",
    "status=ACTIVE",
    "sort=name",
    "plan=A%20B",
    "plan=%00",
    "q=%00",
    "q=a%0Ab",
    "q=" + "x" * 121,
    "createdFrom=yesterday",
    "createdFrom=0001-01-01T00:00:00%2B14:00",
    "createdTo=1969-12-31",
    "createdFrom=" + "9" * 400,
    "cursor=x",
    "cursor=%00",
    "cursor=%F0%9F%98%80",
    "cursor=" + "A" * 600,
    "offset=1",
    "limit=1&limit=2",
    "%00=1",
    "%ED%A0%80=1",
    "q=%ED%A0%80%00",
    "%F0%9F%98%80=1",
]


async def test_a_query_that_is_wrong_is_the_clients_error(process: TenantProcess) -> None:
    """Numbers, times, words and cursors that are none are refused with 400, never with a 5xx."""
    for query in WRONG_QUERIES:
        answer = await process.get(f"{TENANTS}?{query}")

        assert answer.status == 400, query
        assert (await answer.json())["code"] in {"QUERY_INVALID", "INVALID_CURSOR"}


async def test_bytes_that_are_no_text_find_nothing(process: TenantProcess) -> None:
    """A search for broken UTF-8 is answered, with an empty list."""
    for raw in ("%ED%A0%80", "%FF", "%C0%AF"):
        answer = await process.get(f"{TENANTS}?q={raw}")

        assert answer.status == 200, raw
        assert (await answer.json())["data"] == []


@pytest.mark.parametrize(
    ("role", "status"),
    [(Role.SUPER_ADMIN, 200), (Role.SUPPORT, 200), (Role.READ_ONLY, 200), (Role.SECURITY, 403), (None, 403)],
)
@pytest.mark.parametrize("target", [TENANTS, "/internal/v1/tenant-counts", "/internal/v1/tenant-attention"])
async def test_who_may_list(
    sqlite_process: TenantProcess, role: Role | None, status: int, target: str
) -> None:
    """`tenant.list` belongs to super_admin, support and read_only (R-083, R-075)."""
    assert (await sqlite_process.get(target, role)).status == status


async def test_the_counts_tell_the_states(process: TenantProcess) -> None:
    """The dashboard's total and its parts (R-018)."""
    await fill(process, 4)
    await process.sql(
        "UPDATE organizations SET status = 'suspended', suspended_at = created_at WHERE slug = 'acme-01'",
        "UPDATE organizations SET status = 'deleted', deleted_at = created_at WHERE slug = 'acme-02'",
        "UPDATE invitations SET status = 'canceled' WHERE organization_id = "
        "(SELECT id FROM organizations WHERE slug = 'acme-02')",
    )

    counts = await (await process.get("/internal/v1/tenant-counts")).json()

    assert counts == {
        "total": 4,
        "active": 2,
        "suspended": 1,
        "deleted": 1,
        "pendingInvitations": 3,
        "approximate": False,
    }


async def test_the_list_of_those_who_run_out(process: TenantProcess) -> None:
    """`lowBalance` leaves the living tenants below their threshold, page by page; P-01 counts the same."""
    await fill(process, 5, seconds_between=1)
    for number, replies in ((0, 99), (1, 100), (2, 1), (3, 5)):
        made = await ask(
            process,
            "POST",
            f"/acme-{number:02}/credits/grants",
            {"replies": replies, "reason": "A few to begin with"},
            key=f"key-{number}",
        )
        assert made.status == 201
    await process.sql(
        "UPDATE organizations SET status = 'deleted', deleted_at = created_at WHERE slug = 'acme-03'"
    )
    first = await page(process, lowBalance="true", limit=1)
    second = await page(process, lowBalance="true", limit=1, cursor=first["page"]["nextCursor"])
    told = await (await process.get("/internal/v1/tenant-attention")).json()
    other = await process.get(f"{TENANTS}?cursor={first['page']['nextCursor']}&limit=1")

    assert slugs(first) + slugs(second) == ["acme-02", "acme-00"]
    assert second["page"]["hasMore"] is False
    assert told["lowBalances"] == 2
    assert (other.status, (await other.json())["code"]) == (400, "INVALID_CURSOR")
    assert (await process.get(f"{TENANTS}?lowBalance=perhaps")).status == 400


async def test_what_ends_within_a_day_is_counted(process: TenantProcess) -> None:
    """P-01: open invitations of the next 24 hours, neither canceled ones nor those that are over."""
    await fill(process, 3)
    process.clock.advance(24 * 3600)
    await fill_others(process)

    async def expiring() -> int:
        told = await (await process.get("/internal/v1/tenant-attention", Role.READ_ONLY)).json()
        return int(told["expiringInvitations"])

    assert await expiring() == 3
    process.clock.advance(24 * 3600)  # the first three are over, and no job has said so yet
    assert await expiring() == 2
    await process.sql("UPDATE invitations SET status = 'canceled' WHERE email <> 'bob@example.com'")
    assert await expiring() == 0


async def fill_others(process: TenantProcess) -> None:
    """Two whose invitations have two days left."""
    for slug in ("later-one", "later-two"):
        await process.create(new_tenant(slug, primaryAdminEmail=f"ann@{slug}.example"))


async def test_a_large_count_is_remembered_for_a_short_while(process: TenantProcess) -> None:
    """Above the limit the numbers may be half a minute old, and say so (http-api 3.0)."""
    service = process.apps.internal[tenant_handlers.TENANTS]
    counter = TenantCounter(
        process.database, service.tenants, service.invitations, process.clock, exact_up_to=2
    )
    service = replace(service, counter=counter)
    await fill(process, 3)
    first = await service.counts()
    await process.create(new_tenant("later"))
    second = await service.counts()
    process.clock.advance(31)
    third = await service.counts()

    assert [(each.total, each.approximate) for each in (first, second, third)] == [
        (3, True),
        (3, True),
        (4, True),
    ]
