"""Both services for real: the panel in front of the tenant service, over loopback, in the operator's name."""

import pytest

from service_kit.identity.model import Role
from tests.fakes.clock import FrozenClock
from tests.fixtures.identities import Vouch
from tests.integration.panel.back_office import NEW, House

EVIL = '<script>alert("x")</script>'


async def test_create_then_list_then_detail_then_audit(both: House) -> None:
    """A tenant made in the browser is in the list, on its page and in the log, in the operator's name.

    R-018, R-020, R-021, R-030…R-033, R-101, R-126.
    """
    made, _ = await both.create(plan="pro")
    assert made.status == 200
    assert "accept-invite/inv_" in made.text
    (detail_link,) = (link for link in made.links if link.startswith("/manage/tenants/org_"))

    listed = await both.office.get("/manage/tenants", Role.READ_ONLY)
    assert "Acme acme boss@acme.example Pro Active Invited 2 Jan 2026" in listed.words
    detail = await both.office.get(detail_link, Role.READ_ONLY)
    assert detail.heading == "Acme"
    assert "boss@acme.example" in detail.words
    assert "Tenant created" in detail.words

    dashboard = await both.office.get("/manage")
    assert "Tenants 1 Active 1 Suspended 0 Pending invitations 1" in dashboard.words
    assert "Tenant created" in dashboard.words
    log = await both.office.get("/manage/audit")
    assert "create_tenant" in log.words
    assert "support@example.com" in log.words
    assert detail_link.removeprefix("/manage/tenants/") in log.words
    # the platform's row in the log, its twin in the tenant's own; each stands once.
    assert len(log.tree.findall(".//tbody/tr")) == 1


async def test_the_audit_row_names_the_operator_and_the_browser(both: House) -> None:
    """The row of the tenant service holds the operator, the request id and the browser's address."""
    await both.create()
    link = next(
        link
        for link in (await both.office.get("/manage/audit")).links
        if link.startswith("/manage/audit/aud_")
    )
    event = await both.office.get(link, Role.SECURITY)

    assert event.status == 200
    for text in ("support@example.com", "203.0.113.7", "req_panel1", "tenant.created", "Twin"):
        assert text in event.words
    twin = next(link for link in event.links if link.startswith("/manage/audit/aud_"))
    assert (await both.office.get(twin, Role.SECURITY)).status == 200


async def test_one_tenant_has_its_own_log(both: House) -> None:
    """The link from a tenant to the log shows that tenant's rows, and no other's."""
    made, _ = await both.create()
    await both.create(slug="other", name="Other")
    org = next(link for link in made.links if link.startswith("/manage/tenants/org_")).rsplit("/", 1)[1]
    page = await both.office.get(f"/manage/audit?organizationId={org}&range=all")

    assert len(page.tree.findall(".//tbody/tr")) == 1
    assert org in page.words


async def test_the_invitation_link_is_in_no_other_place(both: House) -> None:
    """The secret of the link is in the answer to the POST only (G-16)."""
    made, _ = await both.create()
    (link,) = {
        control.get("value", "") for control in made.tree.iter("input") if control.get("id") == "accept-url"
    }
    secret = link.rsplit("_", 1)[1]
    assert len(secret) == 26

    for path in [*made.links, "/manage", "/manage/audit"]:
        if path.startswith("/manage"):
            assert secret not in (await both.office.get(path)).text


async def test_a_form_sent_twice_makes_one_tenant(both: House) -> None:
    """The same form again leads to the tenant and shows no link."""
    _, sent = await both.create()
    again = await both.office.post(NEW, sent, Role.SUPPORT)

    assert again.status == 303
    assert (await both.tenant.counts())["organizations"] == 1
    assert "This tenant was created already" in (await both.office.get(again.headers["Location"])).words


async def test_the_same_form_with_other_values_makes_none(both: House) -> None:
    """A form that was used up and changed afterwards is explained, and nothing is created."""
    _, sent = await both.create()
    page = await both.office.post(NEW, {**sent, "slug": "other"}, Role.SUPPORT)

    assert page.status == 422
    assert "This form was sent before, with other values" in page.words
    assert (await both.tenant.counts())["organizations"] == 1


@pytest.mark.parametrize(
    ("typed", "status", "anchor", "words"),
    [
        ({"slug": "A!"}, 422, "#slug", "A slug"),
        ({"slug": "admin"}, 409, "#slug", "reserved"),
        ({"slug": "taken"}, 409, "#slug", "in use"),
        ({"name": ""}, 422, "#name", "Enter a name."),
        ({"name": "x" * 121}, 422, "#name", "120"),
        ({"name": "a\tb"}, 422, "#name", "control"),
        ({"primaryAdminEmail": "not an address"}, 422, "#primaryAdminEmail", "Enter one plain email address"),
        ({"primaryAdminEmail": ""}, 422, "#primaryAdminEmail", "Enter one plain email address"),
        ({"currency": "EUR"}, 422, "#currency", ""),
        ({"plan": "No Such Plan"}, 422, "#plan", ""),
    ],
)
async def test_each_rule_is_told_at_its_field(
    both: House, typed: dict[str, str], status: int, anchor: str, words: str
) -> None:
    """The tenant service's own rules arrive at the fields of the form, and nothing is created."""
    await both.create(slug="taken", name="Taken")
    page, sent = await both.create(**typed)

    assert page.status == status
    assert anchor in page.links
    assert words in page.words
    assert page.value("name") == sent["name"]
    assert page.value("slug") == sent["slug"]
    assert (await both.tenant.counts())["organizations"] == 1


async def test_a_refused_form_can_be_mended(both: House) -> None:
    """After a refusal the same page, corrected, creates the tenant."""
    page, _ = await both.create(slug="A!")
    made = await both.office.post(NEW, {**page.fields(), "slug": "acme"}, Role.SUPPORT)

    assert made.status == 200
    assert (await both.tenant.counts())["organizations"] == 1


async def test_markup_in_a_name_runs_nowhere(both: House) -> None:
    """A tenant named like a script is text on every page that shows it."""
    made, _ = await both.create(name=EVIL)
    link = next(link for link in made.links if link.startswith("/manage/tenants/org_"))

    for page in (made, await both.office.get("/manage/tenants"), await both.office.get(link)):
        assert EVIL in page.words
        assert len(list(page.tree.iter("script"))) == 1


async def test_a_search_finds_what_was_typed(both: House) -> None:
    """Name, slug and address are searched; wildcards and quotes are plain letters."""
    await both.create(name="100% Café_'s", slug="cafe")

    for query, hit in (("100%25", True), ("%25zz", False), ("Caf%C3%A9_'s", True), ("boss%40acme", True)):
        page = await both.office.get(f"/manage/tenants?q={query}")
        assert page.status == 200
        assert ("cafe" in page.links or any("/manage/tenants/org_" in link for link in page.links)) is hit


async def test_a_delegation_of_a_reader_creates_nothing(both: House) -> None:
    """The tenant service checks the operator's own role again (R-074)."""
    fields = (await both.office.get(NEW, Role.SUPPORT)).fields()
    sent = {**fields, "name": "Acme", "slug": "acme", "primaryAdminEmail": "boss@acme.example"}
    proof = both.office.vouch.headers(
        Role.READ_ONLY, audience="tenant_service", delegate="admin_service", method="POST", target=NEW
    )
    page = await both.office.post(NEW, sent, Role.SUPPORT, delegated=False, headers=dict(proof))

    assert page.status == 403
    assert "tenant.create" in page.words
    assert (await both.tenant.counts())["organizations"] == 0


async def test_a_forged_delegation_reads_nothing(both: House) -> None:
    """A delegation that another key signed is refused by the tenant service; the panel shows a banner."""
    await both.create()
    forged = Vouch(FrozenClock()).headers(
        Role.SUPER_ADMIN, audience="tenant_service", delegate="admin_service"
    )
    page = await both.office.get("/manage", delegated=False, headers=forged)

    assert page.status == 200
    assert "The tenant service does not answer" in page.words
    assert "Acme" not in page.words


async def test_the_panel_outlives_the_tenant_service(both: House) -> None:
    """When the tenant service stops, the dashboard stands under a banner, and a form keeps its values."""
    page = await both.office.get(NEW, Role.SUPPORT)
    await both.tenant.client.close()
    dashboard = await both.office.get("/manage")
    sent = {**page.fields(), "name": "Acme", "slug": "acme", "primaryAdminEmail": "boss@acme.example"}
    again = await both.office.post(NEW, sent, Role.SUPPORT)

    assert dashboard.status == 200
    assert "The tenant service does not answer" in dashboard.words
    assert again.status == 503
    assert again.value("slug") == "acme"
    assert again.value("idempotency_key") == sent["idempotency_key"]


async def test_paging_reaches_every_tenant_once(both: House) -> None:
    """Following the links of the list shows each tenant exactly once (R-020)."""
    for number in range(53):
        created = await both.tenant.create(
            {"slug": f"tenant-{number}", "name": f"T {number}", "primaryAdminEmail": "a@b.example"}
        )
        assert created.status == 201
        await created.read()
    seen: list[str] = []
    path: str | None = "/manage/tenants"
    while path is not None:
        page = await both.office.get(path)
        seen += [link.get("href", "") for link in page.tree.iter("a") if link.get("class") == "row-link"]
        path = next((link.get("href") for link in page.tree.iter("a") if link.get("rel") == "next"), None)

    assert len(seen) == 53
    assert len(set(seen)) == 53
