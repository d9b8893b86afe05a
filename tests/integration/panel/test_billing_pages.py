"""Packs, grants and a tenant's ledger in the browser, with the real tenant service behind (R-022…R-029)."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from service_kit.identity.model import Role
from tests.integration.panel.back_office import BackOffice, House, Shown, back_office
from tests.integration.tenant_service.billing.billing_process import copy_grant

BILLING = "/manage/billing"
NEW = f"{BILLING}/packs/new"
REASON = "goodwill after the outage"
PACK = {"name": "Large", "replies": "3,000", "priceInr": "2,99,900.00", "priceUsd": "$36", "sortOrder": "20"}

NO_AMOUNTS = (
    ("priceInr", "249,00"),
    ("priceInr", "0"),
    ("priceUsd", "₹36"),
    ("priceUsd", "36.005"),
    ("replies", "many"),
    ("replies", "0"),
    ("name", " "),
    ("sortOrder", "-1"),
)
NO_GRANTS = (
    ("replies", "5.5"),
    ("replies", "0"),
    ("reason", "too short"),
    ("expiresOn", "2020-01-01"),
    ("expiresOn", "2027-02-30"),
)


async def send(office: BackOffice, path: str, role: Role = Role.SUPER_ADMIN, /, **typed: str) -> Shown:
    """Open the form, fill it in, and send it."""
    return await office.post(path, {**(await office.get(path, role)).fields(), **typed}, role)


async def packs(both: House) -> dict[str, Mapping[str, Any]]:
    return {str(row["name"]): row for row in await both.tenant.rows("credit_packs")}


async def two_packs(both: House) -> tuple[str, str]:
    """Their paths: Small, then Large."""
    small = {**PACK, "name": "Small", "replies": "500", "priceInr": "249", "sortOrder": "10"}
    for typed in (small, PACK):
        assert (await send(both.office, NEW, **typed)).status == 303
    found = await packs(both)
    return f"{BILLING}/packs/{found['Small']['id']}", f"{BILLING}/packs/{found['Large']['id']}"


async def acme(both: House) -> str:
    await both.create()
    (row,) = await both.tenant.rows("organizations")
    return str(row["id"])


async def grant(
    both: House, tenant: str, role: Role = Role.SUPPORT, **typed: str
) -> tuple[Shown, dict[str, str]]:
    """Preview, then grant; the last answer, and the form that it answers."""
    path = f"{BILLING}/grant/{tenant}"
    shown = await send(both.office, path, role, **{"replies": "500", "reason": REASON, **typed})
    assert shown.status == 200, shown.words
    fields = shown.fields()
    return await both.office.post(path, fields, role), fields


async def events(both: House) -> list[str]:
    rows = await both.tenant.rows("audit_events")
    return [str(row["event"]) for row in rows if str(row["event"]).startswith("billing.")]


async def test_packs_are_listed_with_prices_as_people_write_them(both: House) -> None:
    """R-024: all packs, also those not on offer, with replies, both prices, price per reply and status."""
    _, large = await two_packs(both)
    assert (await send(both.office, f"{large}/deactivate")).status == 303
    page = await both.office.get(BILLING)

    for words in ("₹249.00", "₹0.4980 a reply", "₹2,99,900.00", "$36.00", "$0.0120 a reply", "3,000"):
        assert words in page.words
    assert ("On offer" in page.words, "Not on offer" in page.words) == (True, True)
    assert "2 credit packs, 1 on offer" in page.words
    assert BILLING in (await both.office.get("/manage")).links


async def test_a_pack_is_created_once(both: House) -> None:
    """R-025: every field, in minor units; the same form sent again is one pack."""
    fields = {**(await both.office.get(NEW)).fields(), **PACK}
    answers = [await both.office.post(NEW, fields) for _ in range(2)]
    (pack,) = (await packs(both)).values()
    prices = {row["currency"]: row["amount_minor"] for row in await both.tenant.rows("credit_pack_prices")}

    assert [answer.status for answer in answers] == [303, 303]
    assert (pack["replies"], pack["sort_order"], bool(pack["active"])) == (3000, 20, True)
    assert prices == {"INR": 29_990_000, "USD": 3600}
    assert "The pack was created" in (await both.office.get(answers[0].headers["Location"])).words


async def test_what_is_no_amount_is_refused_with_its_field(both: House) -> None:
    """R-025: nothing is guessed and nothing made; the field is named, and every value is kept."""
    for control, typed in NO_AMOUNTS:
        shown = await send(both.office, NEW, **{**PACK, control: typed})

        assert (shown.status, f"#{control}" in shown.links) == (422, True), (control, typed)
        assert {name: shown.value(name) for name in PACK} == {**PACK, control: typed}
    assert await packs(both) == {}


async def test_a_taken_name_is_told_beside_the_field(both: House) -> None:
    """409 of the tenant service is a message at the name, with the values kept."""
    await two_packs(both)
    shown = await send(both.office, NEW, **{**PACK, "name": "small"})

    assert (shown.status, "Another pack has this name" in shown.words) == (409, True)
    assert "#name" in shown.links


async def test_every_field_of_a_pack_changes(both: House) -> None:
    """R-026, with the version that the form showed; the form sent twice counts once."""
    small, _ = await two_packs(both)
    changed = {**PACK, "name": "Tiny", "replies": "7", "priceInr": "1.50", "sortOrder": "5"}
    fields = {**(await both.office.get(f"{small}/edit")).fields(), **changed}
    answers = [await both.office.post(f"{small}/edit", fields) for _ in range(2)]
    pack = (await packs(both))["Tiny"]

    assert [answer.status for answer in answers] == [303, 303]
    assert (pack["replies"], pack["sort_order"], pack["version"]) == (7, 5, 2)
    assert (await both.office.get(f"{small}/edit")).value("priceInr") == "1.50"


async def test_a_conflict_shows_both_versions(both: House) -> None:
    """P-14: somebody was faster: nothing is lost, both versions are there, and sending anew decides."""
    small, _ = await two_packs(both)
    old = (await both.office.get(f"{small}/edit")).fields()
    await send(both.office, f"{small}/edit", priceInr="299.00")
    shown = await both.office.post(f"{small}/edit", {**old, "replies": "600"})
    row = (await packs(both))["Small"]
    again = await both.office.post(f"{small}/edit", shown.fields())

    assert (shown.status, row["replies"]) == (412, 500)
    assert "Somebody changed this pack while you were looking" in shown.words
    for words in ("₹299.00", "₹249.00", "600", "500"):
        assert words in shown.words
    assert (again.status, (await packs(both))["Small"]["replies"]) == (303, 600)


async def test_a_pack_goes_on_and_off_the_offer(both: House) -> None:
    """R-027: behind a page that asks, with a way back, and its own event each time."""
    small, _ = await two_packs(both)
    off = await send(both.office, f"{small}/deactivate")
    told = await both.office.get(off.headers["Location"])
    was_off = (await packs(both))["Small"]["active"]
    await send(both.office, f"{small}/activate")

    assert f"{small}/activate" in told.links
    assert (bool(was_off), bool((await packs(both))["Small"]["active"])) == (False, True)
    assert (await events(both))[-2:] == ["billing.pack.deactivated", "billing.pack.activated"]
    assert "on offer already" in (await both.office.get(f"{small}/activate")).words


async def test_a_pack_is_deleted_by_its_name(both: House) -> None:
    """R-028: the name typed exactly, and the version that was seen; twice leads to the list."""
    small, _ = await two_packs(both)
    fields = (await both.office.get(f"{small}/delete")).fields()
    wrong = await both.office.post(f"{small}/delete", {**fields, "confirm": "small"})
    await send(both.office, f"{small}/edit", replies="501")
    stale = await both.office.post(f"{small}/delete", {**fields, "confirm": "Small"})
    answers = [await both.office.post(f"{small}/delete", {**stale.fields(), "confirm": "Small"})]
    answers += [await both.office.post(f"{small}/delete", {**stale.fields(), "confirm": "Small"})]

    assert (wrong.status, "#confirm" in wrong.links) == (400, True)
    assert (stale.status, "501 replies" in stale.words) == (412, True)
    assert [answer.status for answer in answers] == [303, 303]
    assert list(await packs(both)) == ["Large"]
    assert "deleted before" in (await both.office.get(answers[1].headers["Location"])).words


async def test_packs_move_by_buttons(both: House) -> None:
    """Rule 9: up and down without a drag; a list that changed meanwhile is not mixed up."""
    small, large = await two_packs(both)
    fields = (await both.office.get(BILLING)).fields()
    pack_id = large.rpartition("/")[2]
    moved = await both.office.post(BILLING, {**fields, "move": f"up {pack_id}"})
    order = sorted((row["sort_order"], name) for name, row in (await packs(both)).items())
    await send(both.office, f"{small}/delete", confirm="Small")
    fields["idempotency_key"] = "k" * 24
    stale = await both.office.post(BILLING, {**fields, "move": f"down {fields['order'].split()[0]}"})
    absurd = await both.office.post(BILLING, {**fields, "move": "up nothing"})

    assert (moved.status, [name for _, name in order]) == (303, ["Large", "Small"])
    assert (stale.status, "The list of packs changed" in stale.words) == (409, True)
    assert absurd.status == 400


async def test_a_grant_is_previewed_and_counts_once(both: House) -> None:
    """R-029, rule 6: first what it does, then the grant; the same form again is no second one (G-12)."""
    tenant = await acme(both)
    path = f"{BILLING}/grant/{tenant}"
    last_day = "2099-12-31"
    shown = await send(
        both.office, path, Role.SUPPORT, replies="1,500", reason=REASON, expiresOn=last_day, ticket="SUP-1"
    )
    nothing_yet = await both.tenant.rows("credit_grants")
    fields = shown.fields()
    answers = [await both.office.post(path, fields, Role.SUPPORT) for _ in range(2)]
    (made,) = await both.tenant.rows("credit_grants")
    told = await both.office.get(answers[0].headers["Location"], Role.SUPPORT)

    assert "Acme: 0 → 1,500 replies; the new ones expire 31 Dec 2099" in shown.words
    assert nothing_yet == []
    assert [answer.status for answer in answers] == [303, 303]
    assert (made["amount"], made["reason"], made["ticket_ref"]) == (1500, REASON, "SUP-1")
    assert made["granted_by_id"] == "adm_support"
    assert "2099-12-31T23:59:59" in str(made["expires_at"]).replace(" ", "T")
    assert "The replies were granted" in told.words
    assert told.words.count("Test support") >= 2  # the grant, and its line in the ledger
    assert "adm_support" not in told.words
    assert f"/manage/tenants/{tenant}/billing/grants/{made['id']}/void" in told.links


async def test_values_that_were_not_shown_are_not_granted(both: House) -> None:
    """Another number than the previewed one is previewed first."""
    tenant = await acme(both)
    shown = await send(both.office, f"{BILLING}/grant/{tenant}", replies="5", reason=REASON)
    again = await both.office.post(f"{BILLING}/grant/{tenant}", {**shown.fields(), "replies": "5000"})

    assert (again.status, "0 → 5,000 replies" in again.words) == (200, True)
    assert await both.tenant.rows("credit_grants") == []


async def test_a_wrong_grant_is_refused_with_its_field(both: House) -> None:
    """R-029: the field is named, what was typed is kept, and nothing is granted."""
    tenant = await acme(both)
    for control, typed in NO_GRANTS:
        sent = {"replies": "5", "reason": REASON, "expiresOn": "", control: typed}
        shown = await send(both.office, f"{BILLING}/grant/{tenant}", **sent)

        assert (shown.status, f"#{control}" in shown.links) == (422, True), (control, typed)
        assert {name: shown.value(name) for name in sent} == sent
    assert await both.tenant.rows("credit_grants") == []


async def test_support_sees_its_cap_and_is_held_to_it(both: House) -> None:
    """G-12: the cap of the role stands beside the field, and above it the answer names who may."""
    tenant = await acme(both)
    path = f"{BILLING}/grant/{tenant}"
    await grant(both, tenant, replies="400")
    own = await both.office.get(path, Role.SUPPORT)
    other = await both.office.get(path)
    refused, _ = await grant(both, tenant, replies="10001")
    above, _ = await grant(both, tenant, Role.SUPER_ADMIN, replies="1000001")

    assert "You may grant up to 10,000 at a time" in own.words
    assert "today 4,999,600 of 5,000,000 are left" in own.words
    assert "You may grant up to 1,000,000 at a time" in other.words
    assert (refused.status, "A super admin may grant more" in refused.words) == (403, True)
    assert refused.value("replies") == "10001"
    assert (above.status, "#replies" in above.links) == (422, True)


async def test_the_days_budget_is_told_when_it_is_spent(both: House) -> None:
    """429 of the tenant service is a notice with numbers beside the form."""
    tenant = await acme(both)
    for _ in range(5):
        await grant(both, tenant, Role.SUPER_ADMIN, replies="1000000")
    shown, _ = await grant(both, tenant, Role.SUPER_ADMIN, replies="1")

    assert shown.status == 429
    assert "Today you granted 5,000,000 of 5,000,000 replies" in shown.words


async def test_a_tenants_billing_shows_balance_grants_and_ledger(both: House) -> None:
    """P-08, R-022: remaining, used, granted; grants in burn order; entries with the running balance."""
    tenant = await acme(both)
    await grant(both, tenant, replies="500", reason="the first of all grants")
    await grant(both, tenant, replies="40", reason="the one that ends first", expiresOn="2099-01-01")
    page = await both.office.get(f"/manage/tenants/{tenant}/billing", Role.READ_ONLY)
    only = await both.office.get(f"/manage/tenants/{tenant}/billing?kind=void", Role.READ_ONLY)
    odd = await both.office.get(f"/manage/tenants/{tenant}/billing?kind=x&cursor=y", Role.READ_ONLY)
    detail = await both.office.get(f"/manage/tenants/{tenant}", Role.READ_ONLY)

    assert "Replies remaining 540" in page.words
    assert page.words.index("the one that ends first") < page.words.index("the first of all grants")
    assert f"/api/admin/tenants/{tenant}/credits/ledger?format=csv" in page.links
    assert "No entry matches kind=void" in only.words
    assert (odd.status, "cannot be shown" in odd.words) == (200, True)
    assert "Replies remaining 540" in detail.words
    assert f"/manage/tenants/{tenant}/billing" in detail.links
    assert {f"/manage/tenants/{tenant}/members", f"/manage/tenants/{tenant}/flags"} <= page.links
    assert not [link for link in page.links | detail.links if "/grant" in link]


async def test_the_ledger_goes_on_page_by_page(both: House) -> None:
    """Keyset paging: older and back, with each entry once."""
    tenant = await acme(both)
    path = f"/api/admin/tenants/{tenant}/credits/grants"
    for number in range(52):
        proof = both.tenant.vouch.headers(
            Role.SUPER_ADMIN, audience="tenant_service", method="POST", target=path
        )
        body = {"replies": 1, "reason": f"number {number:02d} of many"}
        sent = {**proof, "Idempotency-Key": f"key-{number:016d}"}
        assert (await both.tenant.client.post(path, json=body, headers=sent)).status == 201
    first = await both.office.get(f"/manage/tenants/{tenant}/billing")
    (older,) = [link for link in first.links if "cursor=" in link]
    second = await both.office.get(older)

    assert (first.words.count("txn_"), second.words.count("txn_")) == (50, 2)
    assert any("cursor=" in link for link in second.links)


async def test_a_grant_is_voided_with_a_reason(both: House) -> None:
    """P-08: what it does in numbers, at least ten characters, one effect for two clicks."""
    tenant = await acme(both)
    await grant(both, tenant)
    (made,) = await both.tenant.rows("credit_grants")
    path = f"/manage/tenants/{tenant}/billing/grants/{made['id']}/void"
    asked = await both.office.get(path, Role.SUPPORT)
    short = await both.office.post(path, {**asked.fields(), "reason": "short"}, Role.SUPPORT)
    answers = [
        await both.office.post(path, {**asked.fields(), "reason": REASON}, Role.SUPPORT) for _ in range(2)
    ]
    late = await both.office.get(path, Role.SUPPORT)

    assert "500 → 0 replies" in asked.words
    assert (short.status, "#reason" in short.links) == (422, True)
    assert [answer.status for answer in answers] == [303, 303]
    assert (await both.tenant.rows("credit_grants"))[0]["void_reason"] == REASON
    assert (await events(both)).count("billing.credits.voided") == 2  # the pair: tenant and global
    assert "This grant has ended" in late.words


async def test_a_grant_behind_a_cut_list_can_be_taken_back(both: House) -> None:
    """200 live grants before it: the page says that it is cut, and the new one has its undo and its steps."""
    tenant = await acme(both)
    await grant(both, tenant, expiresOn="2099-01-01")
    whole = await both.office.get(f"/manage/tenants/{tenant}/billing")
    await copy_grant(both.tenant, 199)
    answer, _ = await grant(both, tenant, replies="7")
    told = await both.office.get(answer.headers["Location"], Role.SUPPORT)
    (made,) = [row for row in await both.tenant.rows("credit_grants") if row["amount"] == 7]
    path = f"/manage/tenants/{tenant}/billing/grants/{made['id']}"
    steps = [(await both.office.get(f"{path}/{step}")).status for step in ("void", "expiry")]

    assert steps == [200, 200]
    assert "grants are shown" not in whole.words
    assert "Only the first 200 grants are shown" in told.words
    assert "The replies were granted" in told.words
    assert ("Undo: void this grant" in told.words, f'action="{path}/void"' in told.text) == (True, True)
    done = await send(both.office, f"{path}/void", reason=REASON)
    (made,) = [row for row in await both.tenant.rows("credit_grants") if row["amount"] == 7]
    assert (done.status, made["void_reason"]) == (303, REASON)


async def test_the_ledger_names_who_changed_it(both: House) -> None:
    """P-08: also somebody who gave none of the grants that stand above it."""
    tenant = await acme(both)
    await grant(both, tenant, Role.SUPPORT)
    (made,) = await both.tenant.rows("credit_grants")
    path = f"/manage/tenants/{tenant}/billing"
    await send(both.office, f"{path}/grants/{made['id']}/void", Role.SUPER_ADMIN, reason=REASON)
    page = await both.office.get(path, Role.READ_ONLY)

    assert "Test super_admin" in page.words
    assert "adm_" not in page.words


async def test_a_grant_ends_at_another_time(both: House) -> None:
    """A new last day, and never; each with its reason in the log."""
    tenant = await acme(both)
    await grant(both, tenant)
    (made,) = await both.tenant.rows("credit_grants")
    path = f"/manage/tenants/{tenant}/billing/grants/{made['id']}/expiry"
    past = await send(both.office, path, expiresOn="2020-01-01", reason=REASON)
    done = await send(both.office, path, expiresOn="2099-05-06", reason=REASON)
    shown = (await both.office.get(path)).value("expiresOn")
    await send(both.office, path, expiresOn="", reason=REASON)

    assert (past.status, "#expiresOn" in past.links) == (422, True)
    assert (done.status, shown) == (303, "2099-05-06")
    assert (await both.tenant.rows("credit_grants"))[0]["expires_at"] is None


async def test_roles_see_and_do_what_the_matrix_says(both: House) -> None:
    """G-06: support grants and reads, read_only reads, security neither; no button, and 403 all the same."""
    small, _ = await two_packs(both)
    tenant = await acme(both)
    await grant(both, tenant)
    (made,) = await both.tenant.rows("credit_grants")
    given = f"/manage/tenants/{tenant}/billing/grants/{made['id']}"
    granting = [f"{BILLING}/grant/{tenant}", f"{given}/void"]
    managing = [NEW, f"{given}/expiry", *(f"{small}/{step}" for step in ("edit", "deactivate", "delete"))]
    reading = [BILLING, f"/manage/tenants/{tenant}/billing"]
    allowed = {Role.SUPPORT: [*reading, *granting], Role.READ_ONLY: reading, Role.SECURITY: []}
    for role, may in allowed.items():
        for path in (*reading, *granting, *managing):
            assert (await both.office.get(path, role)).status == (200 if path in may else 403), path
        for path in {*granting, *managing, BILLING} - (set(may) - {BILLING}):
            fields = (await both.office.get(path)).fields()
            typed = {
                **fields,
                "reason": REASON,
                "move": f"down {small.rpartition('/')[2]}",
                "confirm": "Small",
            }
            assert (await both.office.post(path, typed, role)).status == 403, path
        if may:
            page = await both.office.get(BILLING, role)
            assert not [link for link in page.links if "/packs/" in link]
            assert "<button" not in page.text.partition("<main")[2].partition("</main>")[0]
    assert BILLING not in (await both.office.get("/manage", Role.SECURITY)).links
    assert list(await packs(both)) == ["Small", "Large"]


async def test_a_form_of_somebody_else_changes_nothing(both: House) -> None:
    """CSRF: a foreign Origin is refused unread, another form's token is told with the values kept."""
    await two_packs(both)
    fields = {**(await both.office.get(NEW)).fields(), **PACK, "name": "Third"}
    order = await both.office.get(BILLING)
    foreign = await both.office.post(NEW, fields, headers={"Origin": "https://evil.example"})
    other = await both.office.post(NEW, {**fields, "csrf_token": order.value("csrf_token")})

    assert (foreign.status, other.status) == (403, 403)
    assert (other.value("name"), "no longer valid" in other.words) == ("Third", True)
    assert sorted(await packs(both)) == ["Large", "Small"]


async def test_what_is_not_there_is_a_page(both: House) -> None:
    """404 for packs, grants and tenants that do not exist; an empty list says what to do."""
    tenant = await acme(both)
    empty = await both.office.get(BILLING)
    paths = (
        f"{BILLING}/packs/pack_nothing/edit",
        f"{BILLING}/grant/nobody",
        "/manage/tenants/nobody/billing",
        f"/manage/tenants/{tenant}/billing/grants/grant_nothing/void",
    )

    assert (empty.status, "No credit packs yet" in empty.words) == (200, True)
    assert [(await both.office.get(path)).status for path in paths] == [404] * 4
    assert "Nothing was granted yet" in (await both.office.get(f"/manage/tenants/{tenant}/billing")).words


async def test_without_the_tenant_service_the_page_says_so(tmp_path: Path) -> None:
    """Rule 12: never a blank page, and no button that cannot work."""
    async with back_office(f"sqlite:///{tmp_path}/admin.db") as office:
        page = await office.get(BILLING)
        grant_page = await office.get(f"{BILLING}/grant/acme")

    assert (page.status, "The tenant service does not answer" in page.words) == (503, True)
    assert NEW not in page.links
    assert (grant_page.status, "The tenant service is away" in grant_page.words) == (503, True)
