"""Credit over HTTP, for operators: grant, void, expiry, the ledger and the totals."""

import asyncio
import csv
import io
from datetime import timedelta

from service_kit.identity.model import Role
from tests.integration.tenant_service.billing.billing_process import (
    REASON,
    BillingProcess,
    billing_process,
    copy_grant,
)
from tests.integration.tenant_service.tenant_process import new_tenant


def of(billing: BillingProcess, what: str) -> str:
    return f"/api/admin/tenants/{billing.tenant}/{what}"


async def test_an_operator_grants_credit(billing: BillingProcess) -> None:
    """R-022, R-023, R-032: the grant is in the answer, in the balance and in a pair of audit rows."""
    body = {"replies": 500, "reason": REASON, "expiresInDays": 30, "ticketRef": "T-1"}
    answer = await billing.ask(
        "POST", of(billing, "credits/grants"), body, role=Role.SUPPORT, idempotency_key="k"
    )

    made = await answer.json()
    assert (answer.status, made["warning"]) == (201, None)
    assert made["balance"] == {
        "remaining": 500, "used": 0, "granted": 500, "reserved": 0, "expired": 0, "voided": 0,
    }  # fmt: skip
    shown = await (await billing.ask("GET", of(billing, "billing"), role=Role.READ_ONLY)).json()
    assert shown["balance"] == made["balance"]
    assert shown["grants"] == [made["grant"]]
    assert shown["expiresNext"] == made["grant"]["expiresAt"]
    by_slug = await (await billing.ask("GET", "/api/admin/tenants/acme/billing")).json()
    assert shown["limits"] is None
    assert by_slug == {**shown, "limits": {"atOnce": 1_000_000, "aDay": 5_000_000, "grantedToday": 0}}
    own = await (await billing.ask("GET", of(billing, "billing"), role=Role.SUPPORT)).json()
    assert own["limits"]["atOnce"] == 10_000

    rows = [row for row in await billing.process.rows("audit_events") if row["action"] == "grant_replies"]
    assert sorted((row["scope"], row["event"], row["resource_type"]) for row in rows) == [
        ("global", "billing.credits.granted", "billing"),
        ("tenant", "billing.credits.granted", "billing"),
    ]
    assert {(row["actor_id"], row["reason"], row["ticket_ref"]) for row in rows} == {
        ("adm_support", REASON, "T-1")
    }


async def test_a_cut_list_of_grants_says_so(billing: BillingProcess) -> None:
    """200 grants are the whole list; with one more the answer says so, and the one is had by its id."""
    last = (await billing.grant(5, key="a", priority=100))["grant"]
    await copy_grant(billing.process, 199, priority=1)
    whole = await (await billing.ask("GET", of(billing, "billing"))).json()
    first = await billing.grant(1, key="b", priority=1)
    cut = await (await billing.ask("GET", of(billing, "billing"))).json()
    one = await (await billing.ask("GET", of(billing, f"billing?grant={last['id']}"))).json()
    none = [
        await billing.ask("GET", of(billing, f"billing?grant={named}"))
        for named in ("grant_nothing", "grant_01KDYAK348C5X7SGAGCBQF0001")
    ]
    long = await billing.ask("GET", of(billing, f"billing?grant={'g' * 65}"))

    assert (len(whole["grants"]), whole["grantsCut"]) == (200, False)
    assert (len(cut["grants"]), cut["grantsCut"]) == (200, True)
    assert last["id"] not in {grant["id"] for grant in cut["grants"]}
    assert first["grant"]["id"] in {grant["id"] for grant in cut["grants"]}
    assert (one["grants"], one["grantsCut"], one["balance"]) == ([last], False, cut["balance"])
    assert [(answer.status, (await answer.json())["grants"]) for answer in none] == [(200, [])] * 2
    assert long.status == 400


async def test_a_grant_of_another_tenant_is_not_listed(billing: BillingProcess) -> None:
    """Naming a grant in the query opens no other tenant's."""
    grant = (await billing.grant(5, key="a"))["grant"]["id"]
    other = (await (await billing.process.create(new_tenant("other"), key="other")).json())["orgId"]
    answer = await billing.ask("GET", f"/api/admin/tenants/{other}/billing?grant={grant}")

    assert (answer.status, (await answer.json())["grants"]) == (200, [])


async def test_fifty_double_clicks_are_one_grant(billing: BillingProcess) -> None:
    """G-12: the same Idempotency-Key 50 times at once over HTTP: one effect, 50 equal answers."""
    body = {"replies": 7, "reason": REASON}
    target = of(billing, "credits/grants")

    answers = await asyncio.gather(
        *(billing.ask("POST", target, body, idempotency_key="click") for _ in range(50))
    )

    assert {answer.status for answer in answers} == {201}
    assert len({await answer.text() for answer in answers}) == 1
    replayed = [answer.headers.get("Idempotency-Replayed") for answer in answers]
    assert replayed.count("true") == 49
    assert len(await billing.process.rows("credit_grants")) == 1


WRONG_GRANTS: tuple[tuple[dict[str, object], str], ...] = (
    ({"replies": 0}, "/replies"),
    ({"replies": -5}, "/replies"),
    ({"replies": 1.5}, "/replies"),
    ({"replies": "5"}, "/replies"),
    ({"replies": 1_000_001}, "/replies"),
    ({"reason": "too short"}, "/reason"),
    ({"reason": "          short          "}, "/reason"),
    ({"priority": 101}, "/priority"),
    ({"category": "gift"}, "/category"),
    ({"expiresAt": "2026-01-02T03:04:05Z"}, "/expiresAt"),
    ({"expiresInDays": 0}, "/expiresInDays"),
    ({"expiresInDays": 3, "expiresAt": "2027-01-01T00:00:00Z"}, ""),
    ({"actorId": "adm_2"}, "/actorId"),
)


async def test_a_wrong_grant_names_its_field(sqlite_billing: BillingProcess) -> None:
    """G-12: bounds, a real reason, an expiry to come; the refusal points at the field and moves nothing."""
    target = of(sqlite_billing, "credits/grants")
    for change, pointer in WRONG_GRANTS:
        body = {"replies": 5, "reason": REASON, **change}
        answer = await sqlite_billing.ask("POST", target, body, idempotency_key="k")
        assert answer.status == 422, change
        assert [field["pointer"] for field in (await answer.json())["errors"]] == [pointer]
    assert await sqlite_billing.process.rows("credit_grants") == []


async def test_money_needs_a_key(sqlite_billing: BillingProcess) -> None:
    """G-12: grant, void, consume and reserve without an Idempotency-Key are refused by name."""
    body = {"replies": 5, "reason": REASON}
    answers = [
        await sqlite_billing.ask("POST", of(sqlite_billing, "credits/grants"), body),
        await sqlite_billing.ask("POST", of(sqlite_billing, "credits/grants/x/void"), {"reason": REASON}),
        await sqlite_billing.use("consume", {"amount": 1}),
        await sqlite_billing.use("reserve", {"amount": 1}),
    ]

    assert [answer.status for answer in answers] == [400] * 4
    assert {(await answer.json())["code"] for answer in answers} == {"IDEMPOTENCY_KEY_REQUIRED"}


async def test_support_may_grant_up_to_its_cap(sqlite_url: str, tmp_path: object) -> None:
    """G-06, G-12: above GRANT_SUPPORT_MAX 403 names who may; over GRANT_DAILY_MAX 429 says when again."""
    from pathlib import Path

    limits = {"GRANT_SUPPORT_MAX": "50", "GRANT_DAILY_MAX": "120"}
    async with billing_process(sqlite_url, Path(str(tmp_path)), **limits) as billing:
        target = of(billing, "credits/grants")
        asked = [
            await billing.ask(
                "POST",
                target,
                {"replies": replies, "reason": REASON},
                role=role,
                idempotency_key=f"k{number}",
            )
            for number, (replies, role) in enumerate(
                [
                    (51, Role.SUPPORT),
                    (50, Role.SUPPORT),
                    (51, Role.SUPER_ADMIN),
                    (50, Role.SUPPORT),
                    (21, Role.SUPPORT),
                ]
            )
        ]

    assert [answer.status for answer in asked] == [403, 201, 201, 201, 429]
    above, over = await asked[0].json(), await asked[-1].json()
    assert (above["code"], above["roles"], above["maximum"]) == (
        "GRANT_ABOVE_SUPPORT_MAX",
        ["super_admin"],
        50,
    )
    assert (over["code"], over["grantedToday"]) == ("GRANT_DAILY_CAP", 100)
    assert 0 < int(asked[-1].headers["Retry-After"]) <= 86_401


async def test_void_takes_what_is_left_and_no_more(billing: BillingProcess) -> None:
    """G-12: what was used stays used; a second void is refused, and so is one of a grant that is used up."""
    grant = (await billing.grant(10, key="a"))["grant"]["id"]
    await billing.use("consume", {"amount": 4}, key="u")
    target = of(billing, f"credits/grants/{grant}/void")

    voided = await billing.ask("POST", target, {"reason": REASON}, idempotency_key="v")
    replayed = await billing.ask("POST", target, {"reason": REASON}, idempotency_key="v")
    again = await billing.ask("POST", target, {"reason": REASON}, idempotency_key="w")

    body = await voided.json()
    assert (body["voided"], body["alreadyUsed"], body["balance"]["used"]) == (6, 4, 4)
    assert await replayed.json() == body
    assert (again.status, (await again.json())["code"]) == (409, "GRANT_ALREADY_VOIDED")
    used_up = (await billing.grant(3, key="b"))["grant"]["id"]
    await billing.use("consume", {"amount": 3}, key="u2")
    exhausted = await billing.ask(
        "POST", of(billing, f"credits/grants/{used_up}/void"), {"reason": REASON}, idempotency_key="x"
    )
    assert (exhausted.status, (await exhausted.json())["code"]) == (409, "GRANT_EXHAUSTED")


async def test_an_expiry_can_be_moved_until_it_is_there(sqlite_billing: BillingProcess) -> None:
    """G-12: later, earlier or never, by whoever manages packs; a grant that ended is not revived."""
    grant = (await sqlite_billing.grant(10, key="a", expiresInDays=2))["grant"]["id"]
    target, now = of(sqlite_billing, f"credits/grants/{grant}/expiry"), sqlite_billing.process.clock.now()
    soon = (now + timedelta(hours=12)).isoformat()

    forbidden = await sqlite_billing.ask(
        "POST", target, {"expiresAt": None, "reason": REASON}, role=Role.SUPPORT
    )
    never = await sqlite_billing.ask("POST", target, {"expiresAt": None, "reason": REASON})
    earlier = await sqlite_billing.ask(
        "POST", target, {"expiresAt": soon, "reason": REASON}, idempotency_key="e"
    )
    again = await sqlite_billing.ask(
        "POST", target, {"expiresAt": soon, "reason": REASON}, idempotency_key="e"
    )
    past = await sqlite_billing.ask("POST", target, {"expiresAt": now.isoformat(), "reason": REASON})

    statuses = [answer.status for answer in (forbidden, never, earlier, again, past)]
    assert statuses == [403, 200, 200, 200, 422]
    assert (await never.json())["grant"]["expiresAt"] is None
    assert again.headers["Idempotency-Replayed"] == "true"
    sqlite_billing.process.clock.advance(43_200)
    late = await sqlite_billing.ask("POST", target, {"expiresAt": None, "reason": REASON})
    assert (late.status, (await late.json())["code"]) == (409, "GRANT_EXPIRED")
    answered = await sqlite_billing.ask(
        "POST", target, {"expiresAt": soon, "reason": REASON}, idempotency_key="e"
    )
    assert (answered.status, await answered.json()) == (200, await earlier.json())
    lapsed = await (await sqlite_billing.ask("GET", of(sqlite_billing, "billing"))).json()
    # The job may have booked it a moment ago: either way nothing of it can be used.
    assert lapsed["balance"]["remaining"] == lapsed["lapsed"]
    assert lapsed["lapsed"] + lapsed["balance"]["expired"] == 10
    rows = [
        row for row in await sqlite_billing.process.rows("audit_events") if row["action"] == "change_expiry"
    ]
    assert len(rows) == 4


async def test_a_suspended_tenant_gets_credit_and_cannot_use_it(billing: BillingProcess) -> None:
    """G-13: of a suspended tenant nothing is used and a grant warns; of a deleted one nothing is granted."""
    await billing.grant(10, key="a")
    held = (await (await billing.use("reserve", {"amount": 3}, key="h")).json())["reservationId"]
    await billing.process.sql(
        "UPDATE organizations SET status = 'suspended', suspended_at = created_at, suspended_by = 'adm_1',"
        " suspension_reason = 'unpaid'"
    )

    consumed = await billing.use("consume", {"amount": 1}, key="c")
    made = await billing.grant(5, key="b")
    committed = await billing.use(f"reservations/{held}/commit")
    assert (consumed.status, (await consumed.json())["code"]) == (409, "TENANT_SUSPENDED")
    assert (made["warning"], committed.status) == ("TENANT_SUSPENDED", 200)

    await billing.process.sql(
        "UPDATE organizations SET status = 'deleted', deleted_at = created_at, deleted_by = 'adm_1'"
    )
    answers = [
        await billing.use("consume", {"amount": 1}, key="d"),
        await billing.use("reserve", {"amount": 1}, key="e"),
        await billing.ask(
            "POST", of(billing, "credits/grants"), {"replies": 5, "reason": REASON}, idempotency_key="f"
        ),
    ]
    assert [answer.status for answer in answers] == [409] * 3
    assert {(await answer.json())["code"] for answer in answers} == {"TENANT_DELETED"}


async def test_a_key_is_answered_after_the_tenant_is_deleted(billing: BillingProcess) -> None:
    """http-api 3.0, G-12: a repeat of what was done hears what it came to; a new key is refused."""
    grants, wish, why = of(billing, "credits/grants"), {"replies": 5, "reason": REASON}, {"reason": REASON}
    made = await billing.ask("POST", grants, wish, idempotency_key="k")
    void = f"{grants}/{(await made.json())['grant']['id']}/void"
    voided = await billing.ask("POST", void, why, idempotency_key="v")
    assert (made.status, voided.status) == (201, 200)
    await billing.process.sql(
        "UPDATE organizations SET status = 'deleted', deleted_at = created_at, deleted_by = 'adm_1'"
    )

    for target, body, key, before in ((grants, wish, "k", made), (void, why, "v", voided)):
        again = await billing.ask("POST", target, body, idempotency_key=key)
        assert (again.status, again.headers["Idempotency-Replayed"]) == (before.status, "true")
        assert await again.json() == await before.json()
        new = await billing.ask("POST", target, body, idempotency_key=f"{key}-new")
        assert (new.status, (await new.json())["code"]) == (409, "TENANT_DELETED")
        other = {**body, "reason": "another good reason"}
        reused = await billing.ask("POST", target, other, idempotency_key=key)
        assert (reused.status, (await reused.json())["code"]) == (422, "IDEMPOTENCY_KEY_REUSED")


async def test_the_ledger_is_a_list_with_pages(billing: BillingProcess) -> None:
    """R-022: newest first, filtered by kind and time, with cursors that hold for their filter alone."""
    await billing.grant(100, key="a")
    for number in range(5):
        billing.process.clock.advance(1)
        await billing.use("consume", {"amount": number + 1, "reference": f"reply {number}"}, key=f"u{number}")
    target = of(billing, "credits/ledger")

    first = await (await billing.ask("GET", f"{target}?kind=consume&limit=2")).json()
    cursor = first["page"]["nextCursor"]
    second = await (await billing.ask("GET", f"{target}?kind=consume&limit=2&cursor={cursor}")).json()

    rows = first["data"] + second["data"]
    assert [row["note"] for row in rows] == ["reply 4", "reply 3", "reply 2", "reply 1"]
    assert [(row["amount"], row["balanceAfter"]) for row in rows] == [(5, 85), (4, 90), (3, 94), (2, 97)]
    assert {line["account"] for line in rows[0]["postings"]} == {"available", "consumed"}
    foreign = await billing.ask("GET", f"{target}?kind=grant&cursor={cursor}")
    assert (foreign.status, (await foreign.json())["code"]) == (400, "INVALID_CURSOR")
    unknown = await billing.ask("GET", "/api/admin/tenants/org_01J8Z000000000000000000000/credits/ledger")
    assert unknown.status == 404


async def test_the_ledger_as_a_file_runs_no_formula(sqlite_billing: BillingProcess) -> None:
    """G-12: every transaction is in the file, and a note that a spreadsheet would run is text there."""
    await sqlite_billing.grant(5000, key="a")
    for number, note in enumerate(("=HYPERLINK(1)", "+1", "-1", "@SUM(1)", 'a "quoted", note')):
        await sqlite_billing.use("consume", {"amount": 1, "reference": note}, key=f"u{number}")
    target = of(sqlite_billing, "credits/ledger?format=csv")

    answer = await sqlite_billing.ask("GET", target)
    head = await sqlite_billing.ask("HEAD", target)

    assert answer.headers["Content-Type"].startswith("text/csv")
    assert (head.status, await head.text()) == (200, "")
    rows = list(csv.DictReader(io.StringIO(await answer.text(), newline="")))
    assert len(rows) == 6
    assert sorted(row["note"] for row in rows) == sorted(
        ["'=HYPERLINK(1)", "'+1", "'-1", "'@SUM(1)", 'a "quoted", note', REASON]
    )


async def test_the_summary_adds_up(billing: BillingProcess) -> None:
    """R-019: granted, used, expired and voided per day, what is outstanding, who used most, who runs low."""
    await billing.grant(100, key="a", category="paid")
    await billing.grant(20, key="b", expiresInDays=1)
    await billing.use("consume", {"amount": 30}, key="u")
    await billing.use("reserve", {"amount": 5}, key="h")

    summary = await (await billing.ask("GET", "/api/admin/billing/summary", role=Role.READ_ONLY)).json()

    today = summary["days"][-1]
    assert len(summary["days"]) == 30
    assert (today["granted"], today["used"], today["expired"]) == (120, 30, 0)
    assert summary["liability"] == {"replies": 90, "byCategory": {"paid": 85}, "reserved": 5}
    assert [(row["slug"], row["used"]) for row in summary["topTenants"]] == [("acme", 30)]
    assert [(row["slug"], row["remaining"], row["threshold"]) for row in summary["lowBalances"]] == [
        ("acme", 85, 100)
    ]
    for query in ("from=2024-01-01&to=2026-01-01", "from=2026-01-02&to=2026-01-01", "from=yesterday"):
        refused = await billing.ask("GET", f"/api/admin/billing/summary?{query}")
        assert (refused.status, (await refused.json())["code"]) == (400, "QUERY_INVALID")


async def test_a_deleted_tenant_is_owed_nothing(billing: BillingProcess) -> None:
    """R-019: what is outstanding is what tenants may still use; one that comes back may use its again."""
    await billing.grant(100, key="a")
    await billing.use("reserve", {"amount": 5}, key="h")
    other = await (await billing.process.create(new_tenant("other"))).json()
    body = {"replies": 7, "reason": REASON}
    target = f"/api/admin/tenants/{other['orgId']}/credits/grants"
    assert (await billing.ask("POST", target, body, idempotency_key="o")).status == 201

    async def liability() -> object:
        summary = await billing.ask("GET", "/api/admin/billing/summary")
        return (await summary.json())["liability"]

    whole = await liability()
    assert (await billing.ask("DELETE", f"/api/admin/tenants/{billing.tenant}")).status == 200
    without = await liability()
    assert (await billing.ask("DELETE", f"/api/admin/tenants/{other['orgId']}")).status == 200
    nothing = await liability()
    assert (await billing.ask("POST", f"/api/admin/tenants/{billing.tenant}/restore")).status == 200
    back = await liability()

    assert whole == {"replies": 107, "byCategory": {"promotional": 102}, "reserved": 5}
    assert without == {"replies": 7, "byCategory": {"promotional": 7}, "reserved": 0}
    assert nothing == {"replies": 0, "byCategory": {}, "reserved": 0}
    assert back == {"replies": 100, "byCategory": {"promotional": 95}, "reserved": 5}


async def test_what_hits_the_tenant_page(billing: BillingProcess) -> None:
    """R-021, R-022: the tenant's page and list show its totals; without an account they show none."""
    target = f"/api/admin/tenants/{billing.tenant}"
    before = await (await billing.ask("GET", target)).json()
    await billing.grant(12, key="a", expiresInDays=3)
    await billing.use("consume", {"amount": 2}, key="u")

    after = await (await billing.ask("GET", target)).json()
    listed = await (await billing.ask("GET", "/api/admin/tenants")).json()

    assert before["billing"] is None
    assert after["billing"]["remaining"] == 10
    assert (after["billing"]["used"], after["billing"]["granted"], after["billing"]["reserved"]) == (2, 12, 0)
    assert after["billing"]["expiresNext"] is not None
    assert [row["creditsRemaining"] for row in listed["data"]] == [10]
