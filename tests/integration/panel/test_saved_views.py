"""Saved views, columns and density: state of the address, kept per operator, without JavaScript."""

import asyncio
from urllib.parse import parse_qs, urlsplit

import pytest

from admin_service.saved_views.models import MOST_OF_ONE, ListName, TooManyViewsError
from service_kit.identity.model import Role
from tests.fakes.tenant_api import FakeTenantApi
from tests.integration.admin_service.admin_process import asker
from tests.integration.panel.back_office import BackOffice, Shown

LIST = "/manage/tenants?q=ac&plan=pro&hide=email.owner&density=compact"
VIEWS = "/manage/views"


async def save(office: BackOffice, target: str, name: str, role: Role = Role.SUPPORT, **typed: str) -> Shown:
    """Send the form of the list at this address."""
    fields = (await office.get(target, role)).fields()
    return await office.post(VIEWS, {**fields, "name": name, **typed}, role)


def chips(page: Shown) -> dict[str, str]:
    nav = next(one for one in page.tree.iter("nav") if one.get("aria-label") == "Saved views")
    return {"".join(link.itertext()): link.get("href", "") for link in nav.iter("a")}


def heads(page: Shown) -> list[str]:
    return ["".join(one.itertext()).strip() for one in page.tree.iter("th") if one.get("scope") == "col"]


async def test_a_view_keeps_filters_and_look_but_no_place(office: BackOffice, tenants: FakeTenantApi) -> None:
    """Saved under a name, it leads back to the same address without its cursor, marked as the one shown."""
    tenants.add("acme", "Acme")
    answer = await save(office, f"{LIST}&cursor=next", "Pro  tenants")
    page = await office.get(answer.headers["Location"], Role.SUPPORT)

    assert answer.status == 303
    assert "The view was saved" in page.words
    assert chips(page) == {"Pro tenants": "/manage/tenants?q=ac&plan=pro&hide=email.owner&density=compact"}
    assert 'aria-current="true"' in page.text.split("Saved views")[1].split("</nav>")[0]


async def test_nobody_sees_or_drops_anothers_view(office: BackOffice) -> None:
    """A view is of one operator and of one list; dropping a foreign one changes nothing and tells nothing."""
    await save(office, "/manage/tenants?plan=pro", "Mine")
    other = await office.get("/manage/tenants", Role.READ_ONLY)
    (view,) = await office.services.saved_views.of(asker(Role.SUPPORT).actor, ListName.TENANTS)
    dropped = await office.post(f"{VIEWS}/{view.id}/delete", other.fields(), Role.READ_ONLY)

    assert "Mine" not in other.words
    assert dropped.status == 303
    mine = await office.get("/manage/tenants", Role.SUPPORT)
    assert chips(mine) == {"Mine": "/manage/tenants?plan=pro"}
    assert "Mine" not in (await office.get("/manage/audit", Role.SUPPORT)).words

    gone = await office.post(f"{VIEWS}/{view.id}/delete", mine.fields(), Role.SUPPORT)
    assert "removed" in (await office.get(gone.headers["Location"], Role.SUPPORT)).words
    assert "Mine" not in (await office.get("/manage/tenants", Role.SUPPORT)).text


async def test_saving_twice_at_once_keeps_one_view(office: BackOffice) -> None:
    """Concurrent saves under one name end as one view that holds one of the addresses, and none fails."""
    form = (await office.get("/manage/tenants", Role.SUPPORT)).fields()
    answers = await asyncio.gather(
        *(
            office.post(VIEWS, {**form, "name": "Mine", "query": f"q=n{number}"}, Role.SUPPORT)
            for number in range(6)
        )
    )
    page = await office.get("/manage/tenants", Role.SUPPORT)

    assert {answer.headers["Location"].split("saved=")[1] for answer in answers} == {"kept"}
    (kept,) = chips(page).values()
    assert kept in {f"/manage/tenants?q=n{number}" for number in range(6)}


async def test_the_bound_holds_against_saves_at_once(office: BackOffice) -> None:
    """The menu holds twenty of a list: of saves at once the last ones are told so (TOO_MANY_VIEWS)."""
    views, caller = office.services.saved_views, asker(Role.SUPPORT)
    found = await asyncio.gather(
        *(views.save(caller, ListName.AUDIT, f"View {number}", "") for number in range(MOST_OF_ONE + 5)),
        return_exceptions=True,
    )

    assert sum(isinstance(one, TooManyViewsError) for one in found) == 5
    assert len(await views.of(caller.actor, ListName.AUDIT)) == MOST_OF_ONE
    await views.save(caller, ListName.AUDIT, "View 0" if found[0] is None else "View 1", "range=7d")
    refused = await save(office, "/manage/audit", "One more")
    assert "you keep 20 views" in (await office.get(refused.headers["Location"], Role.SUPPORT)).words.lower()


@pytest.mark.parametrize("name", ["", " ", "x" * 61, "evil\u202etxt"])
async def test_a_name_says_something_and_lies_about_nothing(office: BackOffice, name: str) -> None:
    """Empty, too long and reordering names are refused beside the list (rule 6)."""
    answer = await save(office, "/manage/tenants?plan=pro", name)
    if answer.status == 303:
        answer = await office.get(answer.headers["Location"], Role.SUPPORT)
        assert "Give it a name of 1 to 60 characters" in answer.words
    else:
        assert answer.status == 400
    assert 'aria-label="Saved views"' not in (await office.get("/manage/tenants", Role.SUPPORT)).text


@pytest.mark.parametrize(
    "query",
    [
        "//evil.example",
        "q=a&next=//evil.example&cursor=x&format=csv&saved=kept",
        "q=%0d%0aSet-Cookie:x",
        "&" * 99,
    ],
)
async def test_a_forged_address_is_never_gone_to(office: BackOffice, query: str) -> None:
    """Only the list's own parameters are kept, written anew: no open redirect, no download, no cursor."""
    form = (await office.get("/manage/tenants", Role.SUPPORT)).fields()
    answer = await office.post(VIEWS, {**form, "name": "Forged", "query": query}, Role.SUPPORT)
    if answer.status != 303:
        assert answer.status == 400
        return
    where = urlsplit(answer.headers["Location"])

    assert (where.scheme, where.netloc, where.path) == ("", "", "/manage/tenants")
    assert parse_qs(where.query).keys() <= {"q", "saved"}
    assert "\r" not in answer.headers["Location"]


async def test_a_form_that_is_not_ours_saves_nothing(office: BackOffice) -> None:
    """No token, another's token, a list that is none: nothing is saved, and the page says so (R-097)."""
    form = (await office.get("/manage/tenants", Role.SUPPORT)).fields()
    old = await office.post(VIEWS, {**form, "name": "x", "csrf_token": "1.x"}, Role.SUPPORT)
    foreign = await office.post(VIEWS, {**form, "name": "x"}, Role.READ_ONLY)
    none = await office.post(VIEWS, {**form, "name": "x", "list": "users"}, Role.SUPPORT)
    elsewhere = await office.post(VIEWS, form, Role.SUPPORT, headers={"Origin": "https://evil.example"})

    assert old.headers["Location"].endswith("saved=too-old")
    assert foreign.headers["Location"].endswith("saved=too-old")
    assert (none.status, elsewhere.status) == (400, 403)
    assert 'aria-label="Saved views"' not in (await office.get("/manage/tenants", Role.SUPPORT)).text


async def test_columns_and_density_are_state_of_the_address(
    office: BackOffice, tenants: FakeTenantApi
) -> None:
    """The form leads to one address; the columns are gone from head and rows; the next page keeps it."""
    for number in range(51):
        tenants.add(f"t-{number}", f"Tenant {number}", email="gone@example.com")
    chosen = await office.get(
        "/manage/tenants?choose=1&q=ten&column=plan&column=status&column=created&density=compact"
    )
    page = await office.get(chosen.headers["Location"])

    assert chosen.status == 303
    assert chosen.headers["Location"] == "/manage/tenants?q=ten&hide=email.owner.credits&density=compact"
    assert heads(page) == ["Tenant", "Plan", "Status", "Created ↓"]
    assert "gone@example.com" not in page.words
    assert 'data-density="compact"' in page.text
    kept = [link for link in page.links if "cursor=" in link or "status=active" in link or "sort=" in link]
    assert len(kept) == 3
    assert all("hide=email.owner.credits" in link and "density=compact" in link for link in kept)


@pytest.mark.parametrize(
    ("path", "column", "gone"),
    [("/manage/operators", "sessions", "Live sessions"), ("/manage/audit", "actor", "Actor")],
)
async def test_every_list_hides_its_columns(
    office: BackOffice, tenants: FakeTenantApi, path: str, column: str, gone: str
) -> None:
    """Operators and the audit log too; a column that no list has hides nothing (P-16, P-19)."""
    await office.get("/manage/audit?event=tenant.created")
    everything = await office.get(f"{path}?hide=nonsense.x")
    less = await office.get(f"{path}?hide={column}")

    assert tenants.memory.filters
    assert gone in heads(everything)
    assert heads(less) == [head for head in heads(everything) if head != gone]


async def test_the_link_to_copy_is_the_whole_address(office: BackOffice, tenants: FakeTenantApi) -> None:
    """The button to copy holds the absolute address of this very page, and its place (rule 2)."""
    tenants.add("acme", "Acme")
    page = await office.get(f"{LIST}&cursor=next&saved=kept")

    (button,) = [one for one in page.tree.iter("button") if "".join(one.itertext()) == "Copy link"]
    assert button.get("data-copy") == f"https://admin.example.com{LIST}&cursor=next"
