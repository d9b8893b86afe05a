"""Credit packs over HTTP: made, changed, offered or not, ordered, deleted (R-024…R-028)."""

from collections.abc import Sequence

from sqlalchemy import Executable, RowMapping

from service_kit.db.session import ReadSession
from service_kit.identity.model import Role
from tenant_service.billing.packs.repository import PackRepository
from tenant_service.tables import schema
from tests.integration.tenant_service.billing.billing_process import PACKS, BillingProcess, new_pack


async def made(billing: BillingProcess, name: str, **members: object) -> dict[str, object]:
    answer = await billing.ask("POST", PACKS, new_pack(name, **members))
    assert answer.status == 201, await answer.text()
    pack: dict[str, object] = await answer.json()
    return pack


async def test_a_pack_is_created_and_listed_with_its_prices(sqlite_billing: BillingProcess) -> None:
    """R-024, R-025: every pack is listed by sort order, also inactive ones, with readable prices."""
    await made(sqlite_billing, "Large", prices={"INR": 29990000, "USD": 3600}, sortOrder=2, active=False)
    await made(sqlite_billing, "Small", sortOrder=1)

    answer = await sqlite_billing.ask("GET", PACKS, role=Role.READ_ONLY)
    small, large = (await answer.json())["data"]
    assert (small["name"], small["priceDisplay"]) == ("Small", {"INR": "₹249.00", "USD": "$3.00"})
    assert (large["active"], large["priceDisplay"]) == (False, {"INR": "₹2,99,900.00", "USD": "$36.00"})
    assert large["prices"] == {"INR": 29990000, "USD": 3600}

    offered = await sqlite_billing.ask("GET", f"{PACKS}?includeInactive=0")
    assert [pack["name"] for pack in (await offered.json())["data"]] == ["Small"]


WRONG_FIELDS: tuple[tuple[dict[str, object], str], ...] = (
    ({"prices": {"INR": 24900}}, "/prices/USD"),
    ({"prices": {"INR": 0, "USD": 300}}, "/prices/INR"),
    ({"prices": {"INR": 24900, "USD": -1}}, "/prices/USD"),
    ({"prices": {"INR": 249.5, "USD": 300}}, "/prices/INR"),
    ({"prices": {"INR": "24900", "USD": 300}}, "/prices/INR"),
    ({"prices": {"INR": True, "USD": 300}}, "/prices/INR"),
    ({"prices": {"INR": 10**13 + 1, "USD": 300}}, "/prices/INR"),
    ({"prices": {"INR": 24900, "USD": 300, "EUR": 300}}, "/prices/EUR"),
    ({"replies": 0}, "/replies"),
    ({"name": " "}, "/name"),
    ({"name": "x" * 81}, "/name"),
    ({"sortOrder": -1}, "/sortOrder"),
)


async def test_a_wrong_field_is_named(sqlite_billing: BillingProcess) -> None:
    """R-025: amounts are whole minor units above zero in both currencies; the refusal points at the field."""
    for change, pointer in WRONG_FIELDS:
        answer = await sqlite_billing.ask("POST", PACKS, {**new_pack(), **change})
        assert answer.status == 422, change
        assert [field["pointer"] for field in (await answer.json())["errors"]] == [pointer]


async def test_every_field_can_be_changed_by_whoever_saw_it(billing: BillingProcess) -> None:
    """R-026: any field, under If-Match: without one 428, with an old one 412 and the pack as it is."""
    pack = await made(billing, "Small")
    target = f"{PACKS}/{pack['id']}"
    change = {"name": "Starter", "replies": 5, "prices": {"USD": 400}, "sortOrder": 3, "active": False}

    assert (await billing.ask("PATCH", target, change)).status == 428
    changed = await billing.ask("PATCH", target, change, if_match='"1"')
    stale = await billing.ask("PATCH", target, {"replies": 9}, if_match='"1"')

    body = await changed.json()
    assert (changed.status, changed.headers["ETag"], body["version"]) == (200, '"2"', 2)
    assert body["prices"] == {"INR": 24900, "USD": 400}
    assert (body["name"], body["replies"], body["sortOrder"], body["active"]) == ("Starter", 5, 3, False)
    assert stale.status == 412
    assert (await stale.json())["current"]["name"] == "Starter"
    for wrong in ({}, {"name": None}, {"prices": {"INR": None}}, {"id": "pack_x"}):
        refused = await billing.ask("PATCH", target, wrong, if_match='"2"')
        assert refused.status == 422, wrong


async def test_a_name_is_taken_whatever_its_case(billing: BillingProcess) -> None:
    """R-025, R-026: 409 PACK_NAME_TAKEN that names the field, on creation and on change."""
    await made(billing, "Small")
    other = await made(billing, "Other")

    created = await billing.ask("POST", PACKS, new_pack("SMALL"))
    renamed = await billing.ask("PATCH", f"{PACKS}/{other['id']}", {"name": "small"}, if_match='"1"')

    for refused in (created, renamed):
        assert refused.status == 409
        body = await refused.json()
        assert (body["code"], body["errors"][0]["pointer"]) == ("PACK_NAME_TAKEN", "/name")
    kept = await billing.ask("PATCH", f"{PACKS}/{other['id']}", {"name": "OTHER"}, if_match='"1"')
    assert kept.status == 200


async def test_offering_a_pack_is_idempotent(sqlite_billing: BillingProcess) -> None:
    """R-027: activate and deactivate repeat without a second version or a second audit row."""
    pack = await made(sqlite_billing, "Small")
    versions = []
    for action in ("deactivate", "deactivate", "activate", "activate"):
        answer = await sqlite_billing.ask("POST", f"{PACKS}/{pack['id']}/{action}")
        assert answer.status == 200
        versions.append((await answer.json())["version"])

    assert versions == [2, 2, 3, 3]
    rows = await sqlite_billing.process.rows("audit_events")
    actions = [row["action"] for row in rows if row["resource_type"] == "credit_pack"]
    assert actions == ["create_pack", "deactivate_pack", "activate_pack"]


async def test_packs_are_reordered_as_a_whole(billing: BillingProcess) -> None:
    """R-024: the new order must name every pack once; whoever saw an older list hears 409."""
    ids = [(await made(billing, name))["id"] for name in ("A", "B", "C")]
    target = f"{PACKS}/reorder"

    for wrong in (ids[:2], [*ids, ids[0]], [*ids[:2], "pack_01J8Z000000000000000000000"]):
        refused = await billing.ask("POST", target, {"ids": wrong})
        assert (refused.status, (await refused.json())["code"]) == (409, "PACK_LIST_CHANGED")
    answer = await billing.ask("POST", target, {"ids": [ids[2], ids[0], ids[1]]})

    assert [pack["name"] for pack in (await answer.json())["data"]] == ["C", "A", "B"]
    listed = await billing.ask("GET", PACKS)
    assert [pack["name"] for pack in (await listed.json())["data"]] == ["C", "A", "B"]


async def test_a_pack_is_deleted_and_history_stays_readable(billing: BillingProcess) -> None:
    """R-028, C-16: the row and its prices are gone; purchases and grants keep what it was."""
    pack = await made(billing, "Big & Bold")
    grant = (await billing.grant(10, key="k"))["grant"]["id"]
    snapshot = '{"name": "Big & Bold", "replies": 1000, "prices": {"INR": 24900, "USD": 300}}'
    await billing.process.sql(
        "INSERT INTO purchases (id, organization_id, pack_id, pack_snapshot, currency, amount_minor,"
        " provider, provider_ref, status, version, created_at, updated_at)"
        f" SELECT 'pur_1', id, '{pack['id']}', '{snapshot}', 'INR', 24900, 'test', 'ref', 'paid', 1,"
        " created_at, created_at FROM organizations",
        f"UPDATE credit_grants SET pack_id = '{pack['id']}', pack_snapshot = '{snapshot}'",
    )
    target = f"{PACKS}/{pack['id']}"
    confirmed = f"{target}?confirm=Big%20%26%20Bold"

    assert (await billing.ask("DELETE", confirmed)).status == 428
    assert (await billing.ask("DELETE", target, if_match='"1"')).status == 400
    assert (await billing.ask("DELETE", f"{target}?confirm=Small", if_match='"1"')).status == 400
    assert (await billing.ask("DELETE", confirmed, if_match='"7"')).status == 412
    assert (await billing.ask("DELETE", confirmed, if_match='"1"')).status == 204
    assert (await billing.ask("DELETE", confirmed, if_match='"1"')).status == 404

    assert await billing.process.rows("credit_packs") == []
    assert await billing.process.rows("credit_pack_prices") == []
    [purchase] = await billing.process.rows("purchases")
    assert purchase["pack_id"] is None
    assert "Big & Bold" in str(purchase["pack_snapshot"])
    shown = await (await billing.ask("GET", f"/api/admin/tenants/{billing.tenant}/billing")).json()
    assert shown["grants"][0]["id"] == grant
    assert shown["grants"][0]["pack"]["name"] == "Big & Bold"
    deleted = [row for row in await billing.process.rows("audit_events") if row["action"] == "delete_pack"]
    assert [row["scope"] for row in deleted] == ["global"]


async def test_a_key_makes_a_pack_once(sqlite_billing: BillingProcess) -> None:
    """R-025: the same Idempotency-Key gives the stored answer again; with another body it is refused."""
    first = await sqlite_billing.ask("POST", PACKS, new_pack(), idempotency_key="k")
    again = await sqlite_billing.ask("POST", PACKS, new_pack(), idempotency_key="k")
    other = await sqlite_billing.ask("POST", PACKS, new_pack("Other"), idempotency_key="k")

    assert (first.status, again.status, other.status) == (201, 201, 422)
    assert again.headers["Idempotency-Replayed"] == "true"
    assert await first.json() == await again.json()
    assert len(await sqlite_billing.process.rows("credit_packs")) == 1


async def test_a_list_that_is_read_while_a_pack_goes_is_as_it_was(billing: BillingProcess) -> None:
    """R-024, R-028: packs and prices are two statements: a delete between them spoils no list."""
    pack, other = await made(billing, "Small"), await made(billing, "Other")
    process, statuses = billing.process, list[int]()

    class Interrupted(ReadSession):
        """Somebody deletes the pack after the first statement."""

        async def rows(self, query: Executable) -> Sequence[RowMapping]:
            found = await super().rows(query)
            if not statuses:
                gone = await billing.ask("DELETE", f"{PACKS}/{pack['id']}?confirm=Small", if_match='"1"')
                statuses.append(gone.status)
            return found

    async with process.database.read() as session:
        packs = await PackRepository(schema().billing).all(Interrupted(session._connection))

    assert statuses == [204]
    assert {each.id: len(each.prices) for each in packs} == {pack["id"]: 2, other["id"]: 2}
