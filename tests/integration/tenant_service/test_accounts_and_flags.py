"""Connected accounts and feature flags of a tenant, as operators see and change them."""

from collections.abc import AsyncIterator

import pytest

from service_kit.settings import SettingsError
from tests.integration.tenant_service.lives import add_account, ask, bring_to, events, everything
from tests.integration.tenant_service.people import add_tenant
from tests.integration.tenant_service.tenant_process import TenantProcess, settings_for, tenant_process

REASON = {"reason": "The customer asked for it", "ticketRef": "T-1"}


@pytest.fixture
async def flagged(database_url: str) -> AsyncIterator[TenantProcess]:
    """A service that knows two flags, on each kind of database."""
    async with tenant_process(database_url, FEATURE_FLAGS="new_inbox, csv_export") as running:
        yield running


async def test_accounts_are_listed_newest_first(process: TenantProcess) -> None:
    """R-021: every connected account of this tenant and of no other, page by page."""
    tenant_id, other = await add_tenant(process), await add_tenant(process, "other")
    await add_account(process, other, "elsewhere")
    for number in range(3):
        process.clock.advance(1)
        await add_account(process, tenant_id, f"number {number}")

    first = await ask(process, "GET", "/acme/connected-accounts?limit=2")
    cursor = first.body["page"]["nextCursor"]
    second = await ask(process, "GET", f"/acme/connected-accounts?limit=2&cursor={cursor}")

    assert [row["externalId"] for row in first.body["data"]] == ["number 2", "number 1"]
    assert second.body["data"] == [
        {
            "id": second.body["data"][0]["id"],
            "provider": "whatsapp",
            "displayName": "Shop number 0",
            "externalId": "number 0",
            "status": "connected",
            "connectedAt": "2026-01-02T03:04:06Z",
        }
    ]
    assert not second.body["page"]["hasMore"]


async def test_an_account_is_removed_for_a_reason(process: TenantProcess) -> None:
    """R-021: the row is gone; the audit rows say why, and whose it was only where it can be erased."""
    tenant_id = await add_tenant(process)
    account_id = await add_account(process, tenant_id, "+41790000000")

    said = await ask(process, "DELETE", f"/acme/connected-accounts/{account_id}", REASON)

    assert said.status == 204
    assert await process.rows("connected_accounts") == []
    rows = [row for row in await process.rows("audit_events") if row["resource_id"] == account_id]
    assert [(row["event"], row["reason"]) for row in rows] == [
        ("tenant.connected_account.removed", REASON["reason"])
    ] * 2
    assert "+41790000000" not in str(rows)
    assert "+41790000000" in str(await process.rows("audit_pii"))


async def test_an_account_that_cannot_be_removed_stays(sqlite_process: TenantProcess) -> None:
    """R-021: no reason, another tenant's account, no account, a deleted tenant."""
    tenant_id, other = await add_tenant(sqlite_process), await add_tenant(sqlite_process, "other")
    account_id = await add_account(sqlite_process, tenant_id, "mine")
    foreign = await add_account(sqlite_process, other, "theirs")
    before = await everything(sqlite_process)
    for body in ({}, {"reason": ""}, {"reason": " "}):
        said = await ask(sqlite_process, "DELETE", f"/acme/connected-accounts/{account_id}", body)
        assert (said.status, said.code) == (422, "VALIDATION_FAILED")
    for name in (foreign, "conn_01ARZ3NDEKTSV4RRFFQ69G5FAV", "%00", "mine"):
        said = await ask(sqlite_process, "DELETE", f"/acme/connected-accounts/{name}", REASON)
        assert (said.status, said.code) == (404, "CONNECTED_ACCOUNT_NOT_FOUND"), name
    assert await everything(sqlite_process) == before
    await bring_to(sqlite_process, tenant_id, "deleted")

    said = await ask(sqlite_process, "DELETE", f"/{tenant_id}/connected-accounts/{account_id}", REASON)

    assert (said.status, said.code) == (409, "TENANT_DELETED")


async def test_one_account_belongs_to_one_tenant(process: TenantProcess) -> None:
    """data-model 2.3: provider and external id are unique over all tenants, against raw SQL too."""
    await add_account(process, await add_tenant(process), "same")
    other = await add_tenant(process, "other")

    with pytest.raises(Exception, match=r"(?i)unique"):
        await add_account(process, other, "same")


async def test_a_flag_that_nobody_has_set_is_off(flagged: TenantProcess) -> None:
    """G-03: every known flag is listed, in the order of the settings, with version 0."""
    await add_tenant(flagged)

    said = await ask(flagged, "GET", "/acme/feature-flags")

    off = {"enabled": False, "note": "", "updatedBy": None, "updatedAt": None, "version": 0}
    assert said.body == {"data": [{"key": "new_inbox", **off}, {"key": "csv_export", **off}]}


async def test_a_flag_is_switched_by_who_has_seen_it(flagged: TenantProcess) -> None:
    """G-03: If-Match is its version; each change moves it, and the tenant's log says who and why."""
    tenant_id = await add_tenant(flagged)
    await add_tenant(flagged, "other")
    path = "/acme/feature-flags/new_inbox"

    on = await ask(flagged, "PUT", path, {"enabled": True, "note": "beta"}, version=0, operator_id="adm_7")
    same = await ask(flagged, "PUT", path, {"enabled": True, "note": "beta"}, version=1)
    off = await ask(flagged, "PUT", path, {"enabled": False}, version=1)

    assert on.body == {
        "key": "new_inbox",
        "enabled": True,
        "note": "beta",
        "updatedBy": "adm_7",
        "updatedAt": "2026-01-02T03:04:05Z",
        "version": 1,
    }
    tags = [each.headers["ETag"] for each in (on, same, off)]
    assert tags == ['"1"', '"1"', '"2"']
    assert (await events(flagged, tenant_id))[1:] == ["tenant.feature_flag.changed"] * 2
    assert (await ask(flagged, "GET", "/acme")).body["flags"][0]["version"] == 2
    assert (await ask(flagged, "GET", "/other")).body["flags"][0]["version"] == 0


async def test_a_flag_that_cannot_be_set_stays(flagged: TenantProcess) -> None:
    """G-03: unknown 404, without If-Match 428, stale 412 with the flag as it is, deleted tenant 409."""
    tenant_id = await add_tenant(flagged)
    known, on = "/acme/feature-flags/new_inbox", {"enabled": True}
    await ask(flagged, "PUT", known, on, version=0)
    before = await everything(flagged)

    refusals = [
        await ask(flagged, "PUT", "/acme/feature-flags/other", on, version=0),
        await ask(flagged, "PUT", "/acme/feature-flags/%00", on, version=0),
        await ask(flagged, "PUT", known, {"enabled": False}),
        await ask(flagged, "PUT", known, {"enabled": False}, version=0),
        await ask(flagged, "PUT", known, {"enabled": 0}, version=1),
        await ask(flagged, "PUT", known, {"enabled": False, "note": "n" * 501}, version=1),
        await ask(flagged, "PUT", known, {}, version=1),
    ]

    assert [f"{said.status} {said.code}" for said in refusals] == [
        "404 UNKNOWN_FLAG",
        "404 UNKNOWN_FLAG",
        "428 PRECONDITION_REQUIRED",
        "412 VERSION_CONFLICT",
        "422 VALIDATION_FAILED",
        "422 VALIDATION_FAILED",
        "422 VALIDATION_FAILED",
    ]
    assert (refusals[3].headers["ETag"], refusals[3].body["current"]["enabled"]) == ('"1"', True)
    assert await everything(flagged) == before
    await bring_to(flagged, tenant_id, "deleted")
    gone = await ask(flagged, "PUT", f"/{tenant_id}/feature-flags/new_inbox", {"enabled": False}, version=1)
    assert (gone.status, gone.code) == (409, "TENANT_DELETED")


def test_flags_are_named_in_the_settings_once_each() -> None:
    """G-03: the registry is a comma list of distinct keys; without it there is no flag."""
    assert settings_for("sqlite:///x.db").feature_flags == ()
    assert settings_for("sqlite:///x.db", FEATURE_FLAGS="b.2, a-1").feature_flags == ("b.2", "a-1")
    for wrong in ("a,,b", "a,a", "A", "a b", "1a", "a\u0441"):
        with pytest.raises(SettingsError, match="FEATURE_FLAGS"):
            settings_for("sqlite:///x.db", FEATURE_FLAGS=wrong)
