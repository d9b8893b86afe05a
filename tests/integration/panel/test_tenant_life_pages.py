"""The pages of one tenant over the real tenant service: what may be done, what follows, what was done."""

import re
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from admin_service.panel.pages.tenant_asking import api_path
from service_kit.errors import NotFoundError
from service_kit.identity.model import Permission, Role, roles_with
from tests.integration.panel.back_office import BackOffice, House, Shown, house
from tests.integration.tenant_service.lives import add_account, add_session
from tests.integration.tenant_service.people import add_tenant, add_user

REASON = "Chargeback on two invoices"
LINK = re.compile(r"/accept-invite/inv_[A-Za-z0-9_]+")


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator["Place"]:
    """A house with one tenant in it."""
    async with house(tmp_path, FEATURE_FLAGS="beta_inbox,voice") as running:
        yield Place(running, await add_tenant(running.tenant))


class Place:
    """One tenant, and the browser that looks at it."""

    def __init__(self, running: House, organization_id: str) -> None:
        self.house = running
        self.id = organization_id

    @property
    def office(self) -> BackOffice:
        return self.house.office

    def path(self, end: str = "") -> str:
        return f"/manage/tenants/{self.id}{end}"

    async def get(self, end: str = "", role: Role = Role.SUPER_ADMIN) -> Shown:
        return await self.office.get(self.path(end), role)

    async def filled(self, end: str, who: Role = Role.SUPER_ADMIN, /, **typed: str) -> dict[str, str]:
        return {**(await self.get(end, who)).fields(), **typed}

    async def fill(self, end: str, who: Role = Role.SUPER_ADMIN, /, **typed: str) -> Shown:
        """Open the form, fill it in, and send it."""
        fields = await self.filled(end, who, **typed)
        return await self.office.post(self.path(end).split("?")[0], fields, who)

    async def status(self) -> str:
        [row] = [one for one in await self.house.tenant.rows("organizations") if one["id"] == self.id]
        return str(row["status"])

    async def events(self, name: str) -> list[Mapping[str, Any]]:
        return [row for row in await self.house.tenant.rows("audit_events") if row["event"] == name]


ENDS = (
    "",
    "/edit",
    "/suspend",
    "/restore",
    "/delete",
    "/undelete",
    "/members",
    "/members/sessions",
    "/invitations",
    "/invitations/new",
    "/accounts",
    "/flags",
    "/flags/voice",
    "/audit",
)
NEEDS = {
    "/edit": Permission.TENANT_UPDATE,
    "/suspend": Permission.TENANT_SUSPEND,
    "/restore": Permission.TENANT_SUSPEND,
    "/delete": Permission.TENANT_DELETE,
    "/undelete": Permission.TENANT_DELETE,
    "/members/sessions": Permission.TENANT_SUSPEND,
    "/invitations/new": Permission.TENANT_INVITE_ADMIN,
    "/flags/voice": Permission.TENANT_FEATURE_FLAGS,
    "/audit": Permission.VIEW_AUDIT_LOGS_GLOBAL,
}


async def test_each_page_opens_for_exactly_who_may(place: Place) -> None:
    """P-04…P-12: a page is 200 for a role that holds its permission, a 403 page for every other (R-081)."""
    for end in ENDS:
        allowed = roles_with(NEEDS.get(end, Permission.TENANT_VIEW))
        for role in Role:
            shown = await place.get(end, role)
            assert shown.status == (200 if role in allowed else 403), (end, role)
            assert shown.headers["Content-Type"] == "text/html; charset=utf-8"


async def test_the_overview_leads_only_where_the_role_may_go(place: Place) -> None:
    """Actions and tabs of the overview are those that open for the role; Billing for who views billing."""
    ends: set[str] = set()
    for role in (Role.SUPER_ADMIN, Role.SUPPORT, Role.READ_ONLY):
        shown = await place.get("", role)
        ends = {link.removeprefix(place.path()) for link in shown.links if link.startswith(place.path("/"))}
        assert "/billing" in ends
        for end in ends - {"/billing"}:
            assert (await place.get(end, role)).status == 200, (end, role)
    assert not {"/suspend", "/delete", "/edit"} & ends


async def test_a_suspension_is_told_in_numbers_done_and_taken_back(place: Place) -> None:
    """P-12, R-085, R-086: the page counts what follows; the tenant is suspended, then restored."""
    user = await add_user(place.house.tenant, "ann@acme.example", place.id)
    await add_session(place.house.tenant, place.id, user)
    asked = await place.get("/suspend", Role.SUPPORT)
    assert "Sessions: 1 open session ended at once" in asked.words
    assert "Invitations: 1 open invitation" in asked.words
    assert "Credits: 0 replies frozen" in asked.words

    sent = await place.fill("/suspend", Role.SUPPORT, reason=REASON, ticketRef="SUP-1")

    assert sent.status == 303
    assert sent.headers["Location"].startswith(place.path("?notice=suspended&at="))
    assert await place.status() == "suspended"
    row = (await place.events("tenant.suspended"))[0]
    assert (row["reason"], row["ticket_ref"], row["actor_id"]) == (REASON, "SUP-1", "adm_support")
    flash = await place.office.get(sent.headers["Location"], Role.SUPPORT)
    assert "The tenant was suspended" in flash.words
    assert f'action="{place.path("/restore")}"' in flash.text
    assert "1 open session" not in (await place.get("/restore")).words

    assert (await place.fill("/restore", Role.SUPPORT, reason=REASON)).status == 303
    assert await place.status() == "active"


async def test_a_reason_that_says_nothing_is_refused(place: Place) -> None:
    """Panel rule 7: under ten characters nothing is done, and what was typed is kept."""
    before = len(await place.house.tenant.rows("audit_events"))

    for end in ("/suspend", "/delete", "/members/sessions"):
        sent = await place.fill(end, reason="too short", confirm="acme", ticketRef="SUP-7")
        assert sent.status == 422
        assert "Give a reason of at least 10 characters" in sent.words
        assert sent.value("ticketRef") == "SUP-7"
        assert sent.text.count('aria-invalid="true"') == 1

    assert await place.status() == "active"
    assert len(await place.house.tenant.rows("audit_events")) == before


async def test_a_form_sent_twice_counts_once(place: Place) -> None:
    """A reload or a double click suspends once and writes one pair of audit rows."""
    fields = await place.filled("/suspend", reason=REASON)
    first = await place.office.post(place.path("/suspend"), fields)
    again = await place.office.post(place.path("/suspend"), fields)

    assert [first.status, again.status] == [303, 303]
    assert len(await place.events("tenant.suspended")) == 2


async def test_a_foreign_or_unproven_form_changes_nothing(place: Place) -> None:
    """R-097: another Origin is refused, and so is a form whose token was made for another step or person."""
    fields = await place.filled("/suspend", reason=REASON)
    foreign = await place.office.post(
        place.path("/suspend"), fields, headers={"Origin": "https://evil.example"}
    )
    other = (await place.get("/restore")).text
    token = re.findall(r'name="csrf_token" value="([^"]+)"', other)[-1]
    wrong = await place.office.post(place.path("/suspend"), {**fields, "csrf_token": token})
    stolen = await place.office.post(place.path("/suspend"), fields, Role.SUPPORT)

    assert [foreign.status, wrong.status, stolen.status] == [403] * 3
    assert "This form is no longer valid" in wrong.words
    assert wrong.value("reason") == REASON
    assert await place.status() == "active"


async def test_a_deletion_needs_the_slug_and_can_be_undone(place: Place) -> None:
    """P-12, R-087: only the right slug deletes, undelete leads back in time; red is there alone."""
    for end in ENDS:
        shown = await place.get(end)
        red = [one for one in shown.tree.iter("button") if "danger" in (one.get("class") or "")]
        assert len(red) == (1 if end == "/delete" else 0), end
        focused = [one.text for one in shown.tree.iter("a") if "autofocus" in one.attrib]
        takes_away = end in {"/delete", "/suspend", "/members/sessions"} and await place.status() == "active"
        assert focused == (["Cancel"] if takes_away else []), end
    wrong = await place.fill("/delete", reason=REASON, confirm="acne")
    assert wrong.status == 400
    assert "Type the slug, exactly as it is shown" in wrong.words
    assert await place.status() == "active"

    assert (await place.fill("/delete", reason=REASON, confirm="acme")).status == 303
    assert await place.status() == "deleted"
    overview = await place.get("?notice=deleted")
    assert "Deleted; purged after" in overview.words
    assert place.path("/undelete") in overview.links
    assert place.path("/suspend") not in overview.links

    assert (await place.fill("/undelete", reason=REASON)).status == 303
    assert await place.status() == "active"


async def test_restore_does_not_bring_a_deleted_tenant_back(place: Place) -> None:
    """A restore form from before the deletion undeletes nothing."""
    await place.fill("/suspend", reason=REASON)
    old = await place.filled("/restore", reason=REASON)
    await place.fill("/delete", reason=REASON, confirm="acme")

    sent = await place.office.post(place.path("/restore"), old)

    assert (sent.status, await place.status()) == (409, "deleted")


async def test_an_edit_holds_to_the_version_that_was_seen(place: Place) -> None:
    """G-02: a change is saved; one over a version nobody saw shows both, keeps what was typed, then saves."""
    stale = await place.filled("/edit", Role.SUPPORT, name="Acme Two", plan="pro")
    assert (await place.fill("/edit", name="Acme One", reason="Renamed")).status == 303

    conflict = await place.office.post(place.path("/edit"), stale, Role.SUPPORT)

    assert conflict.status == 412
    assert "Somebody changed this while you were looking" in conflict.words
    assert "Name now Acme One" in conflict.words
    assert conflict.value("name") == "Acme Two"
    again = await place.office.post(place.path("/edit"), conflict.fields(), Role.SUPPORT)
    twice = await place.office.post(place.path("/edit"), conflict.fields(), Role.SUPPORT)
    assert [again.status, twice.status] == [303, 303]
    overview = await place.get("?notice=saved")
    assert (overview.heading, "The changes were saved" in overview.words) == ("Acme Two", True)
    assert len(await place.events("tenant.updated")) == 4


async def test_a_wrong_edit_is_told_at_its_field(place: Place) -> None:
    """422 stands beside the field, with the version of the first look."""
    sent = await place.fill("/edit", primaryEmail="nobody")

    assert sent.status == 422
    assert "Enter one plain email address" in sent.words
    assert sent.value("primaryEmail") == "nobody"


async def test_an_invitation_link_is_shown_once(place: Place) -> None:
    """P-06, R-088: the answer to the form shows the link; no list, no repeat and no row shows it again."""
    fields = await place.filled("/invitations/new", Role.SUPPORT, email="zoe@acme.example", role="admin")
    made = await place.office.post(place.path("/invitations/new"), fields, Role.SUPPORT)
    [link] = set(LINK.findall(made.text))
    again = await place.office.post(place.path("/invitations/new"), fields, Role.SUPPORT)
    listed = await place.get("/invitations?notice=invited-twice")

    assert (made.status, made.heading) == (200, "zoe@acme.example invited")
    assert made.headers["Cache-Control"] == "no-store"
    assert (again.status, again.headers["Location"]) == (303, place.path("/invitations?notice=invited-twice"))
    assert "zoe@acme.example" in listed.words
    assert not LINK.search(again.text + listed.text)
    secret = link.rsplit("_", 1)[1]
    assert all(secret not in str(row) for row in await place.house.tenant.rows("invitations"))
    assert len([one for one in await place.house.tenant.rows("invitations") if "zoe" in one["email"]]) == 1


async def test_an_invitation_is_sent_again_and_canceled(place: Place) -> None:
    """G-04: both have a page that asks; afterwards the list says what became of it."""
    [row] = await place.house.tenant.rows("invitations")
    end = f"/invitations/{row['id']}"

    assert "bob@example.com" in (await place.get(f"{end}/cancel")).words
    assert (await place.fill(f"{end}/resend", Role.SUPPORT)).status == 303
    assert len(await place.events("tenant.invitation.resent")) == 2
    stale = await place.filled(f"{end}/cancel")
    assert (await place.fill(f"{end}/cancel", Role.SUPPORT)).status == 303
    late = await place.office.post(place.path(f"{end}/cancel"), stale)

    assert (late.status, "not open any more" in late.words) == (409, True)
    listed = await place.get("/invitations?notice=canceled")
    assert "The invitation was canceled" in listed.words
    assert "Canceled" in listed.words
    assert place.path(f"{end}/resend") not in listed.links


async def test_an_invitation_that_is_over_says_so(place: Place) -> None:
    """The list tells an expired one from an open one, also before the job has marked it."""
    place.house.tenant.clock.advance(49 * 3600)

    shown = await place.get("/invitations")

    assert "Expired" in shown.words
    assert not [link for link in shown.links if link.endswith("/resend")]


async def test_sessions_of_one_person_and_of_everybody_end(place: Place) -> None:
    """P-05: each member has their own link; the other one ends every session, both for a reason."""
    tenant = place.house.tenant
    ann, bob = [
        await add_user(tenant, f"{name.lower()}@acme.example", place.id, name=name) for name in ("Ann", "Bob")
    ]
    for user in (ann, bob, bob):
        await add_session(tenant, place.id, user)
    listed = await place.get("/members", Role.SUPPORT)
    assert "Ann ann@acme.example Member" in listed.words
    assert "End every session (3)" in listed.words
    assert place.path(f"/members/sessions?user={ann}") in listed.links

    one = await place.fill(f"/members/sessions?user={ann}", Role.SUPPORT, reason=REASON)
    assert one.status == 303
    assert "End every session (2)" in (await place.get("/members")).words
    await place.fill("/members/sessions", reason=REASON)
    assert "End every session (0)" in (await place.get("/members?notice=sessions")).words
    assert not [link for link in (await place.get("/members", Role.READ_ONLY)).links if "sessions" in link]


async def test_an_account_is_removed_for_a_reason(place: Place) -> None:
    """P-07, R-021: it is listed, removed with its reason, and a second time nothing happens."""
    account = await add_account(place.house.tenant, place.id, "+41 79")
    end = f"/accounts/{account}/remove"
    assert place.path(end) in (await place.get("/accounts", Role.SUPPORT)).links
    fields = await place.filled(end, reason=REASON)

    first = await place.office.post(place.path(end), fields)
    again = await place.office.post(place.path(end), fields)

    assert first.headers["Location"] == place.path("/accounts?notice=account-removed")
    assert again.headers["Location"] == place.path("/accounts?notice=account-gone")
    assert "No connected accounts" in (await place.get("/accounts")).words
    assert {row["reason"] for row in await place.events("tenant.connected_account.removed")} == {REASON}


async def test_a_flag_is_switched_with_a_note(place: Place) -> None:
    """P-10, G-03: known flags are listed, one is switched with a note, a stale form is refused."""
    stale = await place.filled("/flags/voice", Role.SUPPORT, note="I was late")
    empty = await place.fill("/flags/voice", note="")
    done = await place.fill("/flags/voice", Role.SUPPORT, note="Beta of the customer")
    late = await place.office.post(place.path("/flags/voice"), stale, Role.SUPPORT)

    assert (empty.status, "Say why in a note" in empty.words) == (422, True)
    assert done.headers["Location"] == place.path("/flags?notice=flag-on")
    assert late.status == 412
    listed = await place.get("/flags?notice=flag-on", Role.READ_ONLY)
    assert "voice On Beta of the customer" in listed.words
    assert "beta_inbox Off" in listed.words
    assert "Test support" in listed.words  # who set it, by name
    assert "adm_support" not in listed.words
    assert place.path("/flags/voice") not in listed.links
    assert (await place.get("/flags/unheard")).status == 404


async def test_the_log_is_what_the_tenant_reads(place: Place) -> None:
    """P-11: the tenant's own rows, with name and reason but no address; filters narrow them."""
    await place.fill("/suspend", Role.SUPPORT, reason=REASON)

    shown = await place.get("/audit", Role.SECURITY)
    narrowed = await place.get("/audit?event=tenant.suspended")
    wrong = await place.get("/audit?from=yesterday")

    assert "Tenant suspended" in shown.words
    assert "via system operator" in shown.words
    assert REASON in shown.words
    assert "support@example.com" not in shown.words
    assert {link for link in shown.links if link.startswith("/manage/tenants")} == {place.path("/audit")}
    [row] = [one for one in await place.events("tenant.suspended") if one["scope"] == "tenant"]
    assert f"/manage/audit/{row['id']}" in narrowed.links
    assert "Tenant created" not in narrowed.words
    assert "These filters were not applied" in wrong.words


async def test_an_unknown_tenant_is_a_page_everywhere(place: Place) -> None:
    """404 as a page, for a form too; dots never become a path of the tenant service."""
    with pytest.raises(NotFoundError):
        api_path("..", "tenants")
    for end in ENDS:
        for name in ("org_nobody", "a%2fb"):
            shown = await place.office.get(f"/manage/tenants/{name}{end}")
            assert (shown.status, shown.headers["Content-Type"][:9]) == (404, "text/html"), (end, name)
    fields = await place.filled("/suspend", reason=REASON)
    assert (await place.office.post("/manage/tenants/org_nobody/suspend", fields)).status == 404


async def test_dates_and_order_of_the_list(place: Place) -> None:
    """P-02: creation dates and the order come from the URL and stay in every link; nonsense is named."""
    await add_tenant(place.house.tenant, "beta-co")
    newest = await place.office.get("/manage/tenants")
    oldest = await place.office.get("/manage/tenants?sort=oldest&createdFrom=2020-01-01")
    none = await place.office.get("/manage/tenants?createdFrom=2099-01-01")
    wrong = await place.office.get("/manage/tenants?createdFrom=soon&sort=best")

    assert newest.words.index("beta-co") < newest.words.index("acme ")
    assert oldest.words.index("acme ") < oldest.words.index("beta-co")
    assert "/manage/tenants?status=active&createdFrom=2020-01-01&sort=oldest" in oldest.links
    assert "No tenants match createdFrom=2099-01-01" in none.words
    assert "These filters were not applied" in wrong.words
