"""A tenant's own team: members, roles and invitations from the tenants' side (R-110)."""

import asyncio
import re
from collections.abc import Mapping

import pytest
from sqlalchemy import insert

from tenant_service.tables import schema
from tests.integration.tenant_service.lives import Said, events, letters
from tests.integration.tenant_service.public.tenant_site import OTHER_PASSWORD, Browser, TenantSite

MEMBERS = "/api/tenant/members"
INVITE = "/api/auth/organization/invite-member"
INVITATIONS = "/api/tenant/invitations"
LINK = re.compile(r"inv_[0-9A-Z]{26}_[0-9A-Z]{26}")


async def invite(by: Browser, email: str, role: str = "member") -> Said:
    return await by.ask("POST", INVITE, {"email": email, "role": role})


async def joined(site: TenantSite, by: Browser, url: str, email: str, role: str) -> Browser:
    """Somebody whom the tenant itself invited, signed in."""
    said = await invite(by, email, role)
    assert said.status == 201, said
    sent = set(LINK.findall("".join(await letters(site.process, url))))
    [found] = {link for link in sent if said.body["id"] in link}
    accepted = await site.accept(found, OTHER_PASSWORD, name=email.partition("@")[0])
    assert accepted.status == 200, accepted
    return site.browser().with_cookie_of(accepted)


async def member_ids(by: Browser) -> Mapping[str, str]:
    found = await by.ask("GET", MEMBERS)
    return {row["email"]: row["id"] for row in found.body["data"]}


async def test_a_team_grows(site: TenantSite, database_url: str) -> None:
    """R-110: the owner invites, the invited person joins with the role, and the answer holds no secret."""
    owner = await site.owner()

    said = await invite(owner, "Ann@Example.com", "admin")
    assert (said.status, said.body["email"], said.body["role"]) == (201, "ann@example.com", "admin")
    assert LINK.search(str(said.body)) is None
    admin = await joined(site, owner, database_url, "ann@example.com", "admin")

    assert set(await member_ids(admin)) == {"bob@example.com", "ann@example.com"}
    [organization] = await site.process.rows("organizations")
    told = await events(site.process, organization["id"])
    assert told.count("org.member.invited") == 2
    assert "org.member.invitation_canceled" not in told
    assert (await owner.ask("GET", INVITATIONS)).body["data"] == []


async def test_roles_reach_so_far(sqlite_site: TenantSite, sqlite_url: str) -> None:
    """http-api 3.3: members manage nothing, admins touch no owner, and only owners make owners."""
    owner = await sqlite_site.owner()
    admin = await joined(sqlite_site, owner, sqlite_url, "ann@example.com", "admin")
    member = await joined(sqlite_site, admin, sqlite_url, "max@example.com", "member")
    ids = await member_ids(owner)
    bob, max_id = f"{MEMBERS}/{ids['bob@example.com']}", f"{MEMBERS}/{ids['max@example.com']}"

    for said in (
        await member.ask("GET", MEMBERS),
        await invite(member, "x@example.com"),
        await member.ask("DELETE", max_id),
        await member.ask("GET", "/api/tenant/audit-logs"),
        await invite(admin, "x@example.com", "owner"),
        await admin.ask("DELETE", bob),
        await admin.ask("PATCH", bob, {"role": "member"}),
        await admin.ask("PATCH", max_id, {"role": "owner"}),
    ):
        assert (said.status, said.code) == (403, "PERMISSION_DENIED")
    assert (await admin.ask("PATCH", max_id, {"role": "admin"})).body["role"] == "admin"
    assert (await owner.ask("PATCH", max_id, {"role": "owner"})).body["role"] == "owner"
    assert (await invite(owner, "ann@example.com")).code == "ALREADY_MEMBER"


async def test_the_last_owner_stays(site: TenantSite, database_url: str) -> None:
    """data-model 2.3: nobody takes the last owner away, and two owners cannot remove each other at once."""
    owner = await site.owner()
    [own] = (await member_ids(owner)).values()
    for said in (
        await owner.ask("DELETE", f"{MEMBERS}/{own}"),
        await owner.ask("PATCH", f"{MEMBERS}/{own}", {"role": "admin"}),
    ):
        assert (said.status, said.code) == (409, "LAST_OWNER")
    second = await joined(site, owner, database_url, "ann@example.com", "owner")
    other = (await member_ids(owner))["ann@example.com"]

    both = await asyncio.gather(
        owner.ask("DELETE", f"{MEMBERS}/{other}"), second.ask("DELETE", f"{MEMBERS}/{own}")
    )

    assert min(said.status for said in both) == 204
    assert max(said.status for said in both) in {401, 409}
    assert len([row for row in await site.process.rows("members") if row["role"] == "owner"]) == 1


async def test_who_is_removed_is_out_at_once(sqlite_site: TenantSite, sqlite_url: str) -> None:
    """http-api 3.3: a removed member's session is worth nothing, and their account stays."""
    owner = await sqlite_site.owner()
    member = await joined(sqlite_site, owner, sqlite_url, "max@example.com", "member")
    ids = await member_ids(owner)

    said = await owner.ask("DELETE", f"{MEMBERS}/{ids['max@example.com']}")

    assert said.status == 204
    assert (await member.ask("GET", "/api/auth/get-session")).status == 401
    # The session itself has ended: it must not come back with the person.
    ended = [row for row in await sqlite_site.process.rows("sessions") if row["revoked_at"] is not None]
    assert len(ended) == 1
    assert await sqlite_site.count("users") == 2


async def test_invitations_are_replaced_and_taken_back(site: TenantSite, database_url: str) -> None:
    """R-110: a second invitation kills the first one's link and letter; a canceled one opens nothing."""
    owner = await site.owner()
    await invite(owner, "max@example.com", "member")
    first = LINK.findall("".join(await letters(site.process, database_url)))[-1]
    second = await invite(owner, "max@example.com", "admin")
    left = set(LINK.findall("".join(await letters(site.process, database_url))))

    assert first not in left
    assert (await site.accept(first)).status == 404
    pending = (await owner.ask("GET", INVITATIONS)).body["data"]
    assert [row["id"] for row in pending] == [second.body["id"]]
    assert (await owner.ask("DELETE", f"{INVITATIONS}/{second.body['id']}")).status == 204
    assert (await owner.ask("DELETE", f"{INVITATIONS}/{second.body['id']}")).status == 404
    [link] = {link for link in left if second.body["id"] in link}
    assert (await site.accept(link)).status == 404


async def test_a_tenant_sends_so_many_invitations(sqlite_site: TenantSite) -> None:
    """A hundred invitations an hour: a tenant is no machine for letters to strangers."""
    owner = await sqlite_site.owner()

    [organization] = await sqlite_site.process.rows("organizations")
    hits, partition = schema().rate_limit_hits, f"invite:{organization['id']}"
    now = sqlite_site.process.clock.now()
    async with sqlite_site.process.database.write() as session:
        earlier = [{"partition": partition, "seq": number, "at": now} for number in range(1, 99)]
        await session.execute(insert(hits), earlier)

    statuses = [(await invite(owner, f"p{number}@example.com")).status for number in range(3)]

    assert statuses == [201, 201, 429]
    sqlite_site.process.clock.advance(3600)
    assert (await invite(owner, "p2@example.com")).status == 201


@pytest.mark.parametrize(
    "body", [{"email": "x", "role": "member"}, {"email": "x@example.com", "role": "god"}]
)
async def test_wishes_that_make_no_sense(sqlite_site: TenantSite, body: Mapping[str, str]) -> None:
    """http-api 3.0: a wrong field is 422, and nobody is invited."""
    owner = await sqlite_site.owner()

    assert (await owner.ask("POST", INVITE, body)).status == 422
    assert await sqlite_site.count("invitations") == 1
