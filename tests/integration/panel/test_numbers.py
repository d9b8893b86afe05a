"""Charts, bars and badges of the pages, over the real tenant service (P-01, P-04, P-06, P-08, P-13)."""

from datetime import timedelta
from xml.etree.ElementTree import Element

from sqlalchemy import insert

from service_kit.audit.events import SYSTEM, AuditEntry, Outcome
from service_kit.audit.recorder import AuditRecorder
from service_kit.identity.model import Role
from service_kit.ids import IdFactory
from tenant_service.people_events import INVITATION_PARTIAL_FAILURE
from tenant_service.tables import schema
from tests.integration.panel.back_office import House, Shown
from tests.integration.panel.test_billing_pages import acme, grant


def charts(page: Shown) -> list[Element]:
    return [one for one in page.tree.iter() if str(one.tag).endswith("svg") and one.get("role") == "img"]


def sums(page: Shown) -> dict[str, int]:
    """What the legend of the credits' chart says."""
    entries = ["".join(one.itertext()) for one in page.tree.iter("li") if "series-" in one.get("class", "")]
    pairs = (entry.split(": ") for entry in entries)
    return {name: int(count.replace(",", "")) for name, count in pairs}


def table_sums(page: Shown, heading: str) -> list[int]:
    """The columns of the chart's table, added up."""
    (table,) = [
        one for one in page.tree.iter("table") if heading in "".join(next(one.iter("caption")).itertext())
    ]
    rows = [
        [int("".join(cell.itertext()).replace(",", "")) for cell in row.findall("td")]
        for row in table.findall(".//tbody/tr")
    ]
    return [sum(column) for column in zip(*rows, strict=True)]


async def test_the_credits_chart_tells_the_ledgers_sums(both: House) -> None:
    """P-01, P-13: granted and used per day over thirty days; legend, table and tiles say the same."""
    tenant = await acme(both)
    await grant(both, tenant, replies="500")
    both.office.clock.advance(3 * 24 * 3600)
    await grant(both, tenant, replies="70")
    dashboard = await both.office.get("/manage", Role.READ_ONLY)
    billing = await both.office.get("/manage/billing", Role.READ_ONLY)

    for page in (dashboard, billing):
        assert sums(page) == {"Granted": 570, "Used": 0}
        assert table_sums(page, "Replies granted and used") == [570, 0]
    assert "Granted, 30 days 570" in billing.words
    assert "Nothing was used, expired or voided in the last 30 days." in billing.words
    assert len(charts(dashboard)) == 2
    assert "Management actions" in dashboard.words


async def test_without_a_ledger_there_is_a_sentence(both: House) -> None:
    """An empty house has no empty drawing."""
    dashboard = await both.office.get("/manage", Role.READ_ONLY)

    assert "Nothing was granted or used in the last 30 days." in dashboard.words
    assert charts(dashboard) == []


async def test_security_is_told_no_credits(both: House) -> None:
    """A role without `billing.view` gets neither the chart nor its heading (R-075)."""
    await grant(both, await acme(both))
    page = await both.office.get("/manage", Role.SECURITY)

    assert "Replies granted and used" not in page.text
    assert "Granted" not in sums(page)


async def test_a_grant_shows_how_much_time_is_left(both: House) -> None:
    """P-08: a bar and words for a grant that ends; none for one that does not."""
    tenant = await acme(both)
    ends = (both.office.clock.now() + timedelta(days=40)).date().isoformat()
    await grant(both, tenant, replies="5", reason="this one never ends")
    await grant(both, tenant, replies="7", reason="this one ends soon", expiresOn=ends)
    path = f"/manage/tenants/{tenant}/billing"
    early = await both.office.get(path, Role.READ_ONLY)
    both.office.clock.advance(39 * 24 * 3600)
    late = await both.office.get(path, Role.READ_ONLY)

    for page, left, series in ((early, "40 days left", "series-1"), (late, "1 day left", "series-3")):
        (bar,) = [one for one in page.tree.iter() if one.get("class") == f"bar {series}"]

        assert left in page.words
        assert 0 < float(bar.get("width", "")) <= 100
    assert (
        "3 Jan 2026" not in early.text.split("this one never ends")[1].split("</tr>")[0].split("Expires")[1]
    )


async def test_tenants_that_run_out_are_a_filter(both: House) -> None:
    """P-02: the tile of the dashboard leads to exactly those tenants, and the chips keep the filter."""
    tenant = await acme(both)
    await both.create(slug="globex", name="Globex", primaryAdminEmail="boss@globex.example")
    await grant(both, tenant, replies="99")
    dashboard = await both.office.get("/manage", Role.READ_ONLY)
    low = await both.office.get("/manage/tenants?lowBalance=true", Role.READ_ONLY)
    odd = await both.office.get("/manage/tenants?lowBalance=perhaps", Role.READ_ONLY)

    assert "Low balances 1" in dashboard.words
    assert "Acme" in low.words
    assert "Globex" not in low.words
    assert "/manage/tenants?status=active&lowBalance=true" in low.links
    assert "Globex" in odd.words
    assert "These filters were not applied" in odd.words


async def test_a_half_accepted_invitation_names_the_account(both: House) -> None:
    """P-06, R-112: the badge with the recorded user id; the dashboard's number leads to the event."""
    tenant = await acme(both)
    (invitation,) = await both.tenant.rows("invitations")
    tables, clock = schema(), both.tenant.clock
    ids, now = IdFactory(clock), clock.now()
    entry = AuditEntry(
        INVITATION_PARTIAL_FAILURE,
        SYSTEM,
        str(invitation["id"]),
        organization_id=tenant,
        outcome=Outcome.FAILURE,
        details={"user_id": "usr_left_alone"},
    )
    person = {
        "id": "usr_left_alone",
        "email": invitation["email"],
        "name": "Boss",
        "email_verified": True,
        "version": 1,
    }
    async with both.tenant.database.write() as session:
        await AuditRecorder(tables.audit, ids, clock).record(session, entry)
        columns = {"created_at": now, "updated_at": now}
        await session.execute(insert(tables.people.users).values(**person, **columns))
    page = await both.office.get(f"/manage/tenants/{tenant}/invitations", Role.READ_ONLY)
    dashboard = await both.office.get("/manage", Role.READ_ONLY)
    log = await both.office.get(
        "/manage/audit?event=org.invitation.partial_failure&range=all", Role.READ_ONLY
    )

    assert "Half accepted account usr_left_alone" in page.words
    assert "Partial failures 1 accounts without a place" in dashboard.words
    assert "Invitation half accepted" in log.words


async def test_a_tenants_own_id_is_not_repeated(both: House) -> None:
    """P-04: the last actions on a tenant's page say what was done, and by whom; nothing else."""
    tenant = await acme(both)
    page = await both.office.get(f"/manage/tenants/{tenant}", Role.READ_ONLY)
    (recent,) = [one for one in page.tree.iter("ol") if one.get("class") == "activity"]
    words = "".join(recent.itertext())

    assert "Tenant created" in words
    assert tenant not in words
    assert "pair_" not in page.text
