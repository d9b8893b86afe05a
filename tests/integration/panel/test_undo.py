"""Taking back what was just done: a real form for ten minutes, over the real tenant service (rule 7)."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from service_kit.identity.model import Role
from tests.integration.panel.back_office import House, Shown, house
from tests.integration.panel.test_billing_pages import BILLING, acme, grant, packs, send, two_packs
from tests.integration.panel.test_tenant_life_pages import LINK, REASON, Place
from tests.integration.tenant_service.people import add_tenant

MINUTES = 60


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    """A house with one tenant in it."""
    async with house(tmp_path) as running:
        yield Place(running, await add_tenant(running.tenant))


def undo(page: Shown) -> str:
    """Where the form of the notice is sent to; nothing when there is none."""
    forms = [one for one in page.tree.iter("form") if one.get("class") == "undo"]
    return forms[0].get("action", "") if forms else ""


async def take_back(running: House, page: Shown, role: Role = Role.SUPER_ADMIN, **typed: str) -> Shown:
    """Send the form of the notice as it stands; it is the page's first one."""
    return await running.office.post(undo(page), {**page.fields(), **typed}, role)


async def test_suspend_and_restore_take_each_other_back(place: Place) -> None:
    """After each step its inverse is one click away, with a reason that the log keeps (R-085, R-086)."""
    done = await place.fill("/suspend", Role.SUPPORT, reason=REASON)
    page = await place.office.get(done.headers["Location"], Role.SUPPORT)
    assert undo(page) == place.path("/restore")

    restored = await take_back(place.house, page, Role.SUPPORT)
    assert (restored.status, await place.status()) == (303, "active")
    row, _twin = await place.events("tenant.restored")
    assert row["reason"] == "Suspended by mistake a moment ago"

    page = await place.office.get(restored.headers["Location"], Role.SUPPORT)
    assert undo(page) == place.path("/suspend")
    await take_back(place.house, page, Role.SUPPORT, reason="It was right after all")
    assert await place.status() == "suspended"
    # The address of a step that was taken back meanwhile offers nothing any more.
    await place.fill("/restore", Role.SUPPORT, reason=REASON)
    assert undo(await place.office.get(done.headers["Location"], Role.SUPPORT)) == ""


async def test_ten_minutes_later_there_is_no_undo(place: Place) -> None:
    """The notice stays, the form goes; a time that was made up in the address lengthens nothing."""
    done = (await place.fill("/suspend", reason=REASON)).headers["Location"]
    place.office.clock.advance(10 * MINUTES - 1)
    assert undo(await place.office.get(done)) != ""
    place.office.clock.advance(1)
    late = await place.office.get(done)

    assert "The tenant was suspended" in late.words
    assert undo(late) == ""
    for at in ("9999999999", "0", "never", "-1", "1e9", ""):
        assert undo(await place.office.get(re.sub(r"at=[0-9]+", f"at={at}", done))) == ""
        assert undo(await place.office.get(re.sub(r"at=.+", f"at={at}", done))) == ""


async def test_a_link_that_somebody_made_up_offers_nothing(place: Place) -> None:
    """Neither a time that was typed, nor the stamp of a colleague's step (R-085).

    One click must not do, with a reason that is not true, what a page with a warning asks for.
    """
    made_up = place.path(f"?notice=restored&at={int(place.office.clock.now().timestamp())}")
    page = await place.office.get(made_up, Role.SUPPORT)
    assert ("The tenant was restored" in page.words, undo(page)) == (True, "")

    done = (await place.fill("/suspend", Role.SUPPORT, reason=REASON)).headers["Location"]
    assert undo(await place.office.get(done, Role.SUPPORT)) == place.path("/restore")
    assert undo(await place.office.get(done, Role.SUPER_ADMIN)) == ""


async def test_a_reason_that_says_nothing_is_refused_by_the_step(place: Place) -> None:
    """The inverse step asks as much as ever: its own page comes back with what was typed (rule 6)."""
    done = await place.fill("/suspend", reason=REASON)
    page = await place.office.get(done.headers["Location"])
    answer = await take_back(place.house, page, reason="oops")

    assert (answer.status, answer.heading) == (422, "Restore tenant")
    assert answer.value("reason") == "oops"
    assert await place.status() == "suspended"


async def test_an_undo_sent_twice_counts_once(place: Place) -> None:
    """The form carries a key of its own: a second click changes nothing and records nothing (R-139)."""
    done = await place.fill("/suspend", reason=REASON)
    page = await place.office.get(done.headers["Location"])
    for _ in range(2):
        assert (await take_back(place.house, page)).status == 303

    assert len(await place.events("tenant.restored")) == 2  # one act, told in both scopes


async def test_undo_is_offered_to_whoever_may(place: Place) -> None:
    """An address that a colleague sent offers nothing to a role that may not, and its form is refused."""
    done = (await place.fill("/suspend", reason=REASON)).headers["Location"]
    page = await place.office.get(done)
    assert undo(await place.office.get(done, Role.READ_ONLY)) == ""

    foreign = await take_back(place.house, page, Role.READ_ONLY)
    assert (foreign.status, await place.status()) == (403, "suspended")


async def test_a_pack_goes_back_on_offer(both: House) -> None:
    """Deactivated, then active again, without a second page (R-027)."""
    small, _large = await two_packs(both)
    await send(both.office, f"{small}/activate") if not (await packs(both))["Small"]["active"] else None
    done = await send(both.office, f"{small}/deactivate")
    page = await both.office.get(done.headers["Location"])
    assert undo(page) == f"{small}/activate"

    form = next(one for one in page.tree.iter("form") if one.get("class") == "undo")
    fields = {one.get("name", ""): one.get("value", "") for one in form.iter("input")}
    assert "reason" not in fields
    assert (await both.office.post(undo(page), fields)).status == 303
    assert (await packs(both))["Small"]["active"]


async def test_a_grant_is_voided_with_its_reason(both: House) -> None:
    """What is left of a grant made by mistake is taken back, and the ledger says why (R-023)."""
    tenant = await acme(both)
    made, _fields = await grant(both, tenant)
    page = await both.office.get(made.headers["Location"], Role.SUPPORT)
    form = next(one for one in page.tree.iter("form") if one.get("class") == "undo")
    fields = {one.get("name", ""): one.get("value", "") for one in form.iter("input")}
    assert (await both.office.post(undo(page), fields, Role.SUPPORT)).status == 303

    [row] = await both.tenant.rows("credit_grants")
    assert (row["remaining"], row["void_reason"]) == (0, "Granted by mistake a moment ago")
    assert BILLING in page.text


async def test_an_invitation_is_canceled_from_its_own_page(place: Place) -> None:
    """The page that shows the link once also takes it back; no reason is asked (G-04)."""
    page = await place.fill("/invitations/new", Role.SUPPORT, email="tom@acme.example", role="admin")
    assert LINK.search(page.text)
    answer = await take_back(place.house, page, Role.SUPPORT)

    assert answer.status == 303
    rows = await place.house.tenant.rows("invitations")
    assert [row["status"] for row in rows if row["email"] == "tom@acme.example"] == ["canceled"]
