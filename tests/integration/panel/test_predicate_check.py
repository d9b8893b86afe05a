"""P-17: whether a recorded search was for certain words, and the receipt of a row."""

import json
from pathlib import Path

import pytest

from service_kit.identity.model import Role
from tests.integration.panel.back_office import BackOffice, House, Shown, house
from tests.integration.tenant_service.people import add_tenant, add_user

SEARCHED = "max@example.com"


async def searched(running: House) -> str:
    """Somebody searched for somebody; the page of that search's row."""
    organization = await add_tenant(running.tenant)
    await add_user(running.tenant, SEARCHED, organization)
    form = (await running.office.get("/manage/users", Role.SUPPORT)).fields()
    await running.office.post("/manage/users", {**form, "text": SEARCHED}, Role.SUPPORT)
    rows = await running.tenant.rows("audit_events")
    (row,) = (row for row in rows if row["event"] == "admin.support_query.executed")
    return f"/manage/audit/{row['id']}"


async def ask(office: BackOffice, page: str, text: str, role: Role = Role.SECURITY, **typed: str) -> Shown:
    form = (await office.get(page, Role.SECURITY)).fields()
    token = (await office.get(page, role)).text
    sent = {**form, "text": text, **typed}
    if 'name="text"' not in token:
        sent["csrf_token"] = form["csrf_token"]
    return await office.post(page, sent, role)


async def checks(running: House) -> list[str]:
    rows = await running.tenant.rows("audit_events")
    return [str(row["details"]) for row in rows if row["event"] == "admin.support_query.checked"]


async def test_yes_or_no_and_both_are_recorded(both: House) -> None:
    """R-124: the words that were searched for are known again; others are not, nor another way to look."""
    page = await searched(both)
    yes = await ask(both.office, page, SEARCHED)
    assert (yes.status, "Yes: this is what was searched for" in yes.words) == (200, True)
    for text, how in (("mad@example.com", "email:exact"), (SEARCHED, "q:contains")):
        no = await ask(both.office, page, text, how=how)
        assert "No: the search was for something else" in no.words
        assert (no.value("text"), no.value("how")) == (text, how)
    assert ["true" in one.lower() for one in await checks(both)] == [True, False, False]
    assert (yes.headers["Cache-Control"], SEARCHED in str(await checks(both))) == ("no-store", False)

    # What nobody could have searched for is said beside the field, and not compared.
    short = await ask(both.office, page, "ma")
    assert (short.status, "at least three characters" in short.words) == (400, True)
    old = await ask(both.office, page, SEARCHED, csrf_token="1.x")
    assert (old.status, "This form is no longer valid" in old.words) == (403, True)
    assert len(await checks(both)) == 3
    await check_receipt(both, page)


async def check_receipt(both: House, page: str) -> None:
    """P-17: the row's place, its neighbours and the signed note, ready to be kept elsewhere."""
    shown = await both.office.get(page, Role.SECURITY)
    (button,) = (one for one in shown.tree.iter("button") if "Copy receipt" in "".join(one.itertext()))
    receipt = json.loads(button.get("data-copy", ""))

    assert receipt["event_id"] == page.rpartition("/")[2]
    assert receipt.keys() >= {"chain", "chain_seq", "hash", "prev_hash", "next_hash", "checkpoint"}
    assert receipt["hash"] in shown.words


async def test_who_may_not_see_searches_may_not_ask(both: House) -> None:
    """R-080: support and read_only find no such row and no form; a form that was carried over is refused."""
    page = await searched(both)
    for role in (Role.SUPPORT, Role.READ_ONLY):
        assert (await both.office.get(page, role)).status == 404
        assert (await ask(both.office, page, SEARCHED, role)).status == 403
    foreign = await both.office.post(
        page, (await both.office.get(page, Role.SECURITY)).fields(), Role.SECURITY, headers={"Origin": "null"}
    )
    assert foreign.status == 403
    assert await checks(both) == []

    # A row that is no search has no form, and its address answers nothing.
    other = next(
        row for row in await both.tenant.rows("audit_events") if row["event"] == "org.support_access"
    )
    beside = await both.office.get(f"/manage/audit/{other['id']}", Role.SECURITY)
    assert 'name="text"' not in beside.text


async def test_without_the_tenant_service_nothing_is_told(tmp_path: Path) -> None:
    """R-139: neither yes nor no; the page says that there is no answer without its record."""
    async with house(tmp_path) as running:
        page = await searched(running)
        form = (await running.office.get(page, Role.SECURITY)).fields()
        await running.tenant.sql(
            "CREATE TRIGGER refuse BEFORE INSERT ON audit_events BEGIN SELECT RAISE(ABORT, 'x'); END"
        )
        answer = await running.office.post(page, {**form, "text": SEARCHED}, Role.SECURITY)

    assert answer.status == 500
    assert "without its record there is no answer" in answer.words
    assert "Yes" not in answer.words
    assert answer.value("text") == SEARCHED


@pytest.mark.parametrize("role", [Role.SECURITY, Role.SUPPORT])
async def test_a_tenants_log_is_taken_by_whoever_may_export(tmp_path: Path, role: Role) -> None:
    """P-11 as a file is the audit log's own export of these rows, for those who may export only."""
    async with house(tmp_path) as running:
        tenant = await add_tenant(running.tenant)
        page = await running.office.get(f"/manage/tenants/{tenant}/audit?event=tenant.*", role)
        links = [link for link in page.links if "format=csv" in link]
        if role is Role.SUPPORT:
            assert links == []
            return
        (link,) = links
        assert link.startswith("/api/admin/audit-logs/export?scope=tenant&")
        assert f"organizationId={tenant}" in link
        assert "event=tenant." in link
        file = await running.office.get(link, role)
    assert file.headers["Content-Type"].startswith("text/csv")
