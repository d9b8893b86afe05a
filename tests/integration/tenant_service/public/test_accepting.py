"""The way from an invitation's link to a membership (R-106 … R-112)."""

import asyncio
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from typing import Any

import structlog

from tenant_service.people.accepting import Accepting
from tenant_service.system.working import JOBS
from tests.integration.tenant_service.lives import GRACE_SECONDS, ask, bring_to, events
from tests.integration.tenant_service.public.tenant_site import (
    ACCEPT,
    COOKIE,
    OTHER_PASSWORD,
    PASSWORD,
    TenantSite,
    cookie_of,
)

TWO_DAYS = timedelta(hours=48).total_seconds()
PEOPLE = ("users", "user_credentials", "members", "sessions")


async def people(site: TenantSite) -> tuple[int, ...]:
    """How many users, credentials, members and sessions there are."""
    return tuple([await site.count(table) for table in PEOPLE])


async def status_of(site: TenantSite) -> list[str]:
    return [str(row["status"]) for row in await site.process.rows("invitations")]


async def test_an_owner_comes_in(site: TenantSite) -> None:
    """R-107, R-109, R-110, R-111: one call makes the user, the owner's membership and a session."""
    made = await site.tenant()

    said = await site.accept(made["invitationId"])

    assert (said.status, said.body) == (200, {"redirectTo": "/dashboard"})
    [cookie] = said.headers.getall("Set-Cookie")  # type: ignore[attr-defined] # a multidict
    assert cookie == (f"{COOKIE}={cookie_of(said)}; HttpOnly; Max-Age=604800; Path=/; SameSite=Lax; Secure")
    [user] = await site.process.rows("users")
    assert (user["email"], user["name"], bool(user["email_verified"])) == ("bob@example.com", "Bob", True)
    [member] = await site.process.rows("members")
    assert (member["role"], member["user_id"]) == ("owner", user["id"])
    [invitation] = await site.process.rows("invitations")
    assert (invitation["status"], invitation["accepted_user_id"]) == ("accepted", user["id"])
    session = await site.browser().with_cookie_of(said).ask("GET", "/api/auth/get-session")
    assert (session.status, session.body["role"], session.body["user"]["id"]) == (200, "owner", user["id"])
    told = await events(site.process, made["orgId"])
    assert told[-3:] == ["org.invitation.accepted", "org.member.joined", "org.session.signed_in"]


async def test_what_is_stored_opens_nothing(sqlite_site: TenantSite) -> None:
    """data-model 2.5: neither a password nor a token stands anywhere in the database as it was given."""
    said = await sqlite_site.accept((await sqlite_site.tenant())["invitationId"])

    for table in (*PEOPLE, "audit_events", "audit_pii", "outbox"):
        kept = str(await sqlite_site.process.rows(table))
        assert PASSWORD not in kept
        assert cookie_of(said) not in kept
    [credential] = await sqlite_site.process.rows("user_credentials")
    assert credential["password_hash"].startswith("$argon2id$v=19$m=19456,t=2,p=1$")


async def test_a_known_person_proves_their_password(site: TenantSite) -> None:
    """R-108: a wrong password is refused in the seed's bytes; the right one joins; it stays as it was."""
    await site.owner("acme")
    second = await site.tenant("globex", primaryAdminEmail="bob@example.com")
    [before] = await site.process.rows("user_credentials")

    raw = await site.public.post(
        f"{ACCEPT}/{second['invitationId']}",
        json={"name": "Mallory", "password": OTHER_PASSWORD},
        headers={"Host": "globex.app.example.com"},
    )

    assert (raw.status, await raw.read()) == (401, b'{"error":"Invalid credentials"}')
    assert (await people(site))[:3] == (1, 1, 1)
    said = await site.accept(second["invitationId"], slug="globex", name="Mallory")
    assert said.status == 200
    assert (await people(site))[:3] == (1, 1, 2)
    [after] = await site.process.rows("user_credentials")
    assert after["password_hash"] == before["password_hash"]
    [user] = await site.process.rows("users")
    assert user["name"] == "Bob"
    assert {row["attempts"] for row in await site.process.rows("invitations")} == {0, 1}


async def test_links_that_open_nothing_are_one(site: TenantSite) -> None:
    """R-107, G-16: unknown, foreign, canceled, and the public id alone: one answer, and nothing written."""
    made, other = await site.tenant(), await site.tenant("globex")
    public_id, _, secret = made["invitationId"].rpartition("_")
    canceled = await site.tenant("initech")
    target = f"/{canceled['orgId']}/invitations/{canceled['invitationId'].rpartition('_')[0]}"
    assert (await ask(site.process, "DELETE", target)).status == 204
    before = await people(site)
    answers: list[tuple[int, object]] = []
    for link, slug in (
        (public_id, "acme"),
        (f"{public_id}_{secret[::-1]}", "acme"),
        (other["invitationId"], "acme"),
        (canceled["invitationId"], "initech"),
        ("inv_1", "acme"),
        (made["invitationId"].lower(), "acme"),
    ):
        said = await site.accept(link, slug=slug)
        seen = await site.browser(slug).ask("GET", f"/api/invitations/{link}")
        answers += [(each.status, {**each.body, "requestId": ""}) for each in (said, seen)]
        assert (await site.browser(slug).ask("GET", f"/accept-invite/{link}")).status == 404

    assert {status for status, _ in answers} == {404}
    assert all(answer == answers[0] for answer in answers)
    assert await people(site) == before


async def test_an_invitation_ends_after_48_hours(sqlite_site: TenantSite) -> None:
    """R-107: late is 410 on the page, in the API and for the accept call, and makes nobody."""
    made = await sqlite_site.tenant()
    sqlite_site.process.clock.advance(TWO_DAYS)

    said = await sqlite_site.accept(made["invitationId"])

    assert (said.status, said.code) == (410, "INVITATION_EXPIRED")
    assert (await sqlite_site.browser().ask("GET", f"/api/invitations/{made['invitationId']}")).status == 410
    assert (await sqlite_site.browser().ask("GET", f"/accept-invite/{made['invitationId']}")).status == 410
    assert await sqlite_site.count("users") == 0


async def test_an_invitation_waits_for_its_suspended_tenant(sqlite_site: TenantSite) -> None:
    """R-107, data-model 2.7: suspended is 409 and keeps the invitation; restored, the same link works."""
    made = await sqlite_site.tenant()
    await bring_to(sqlite_site.process, made["orgId"], "suspended")

    said = await sqlite_site.accept(made["invitationId"])

    assert (said.status, said.code) == (409, "TENANT_SUSPENDED")
    assert (await sqlite_site.browser().ask("GET", f"/accept-invite/{made['invitationId']}")).status == 409
    assert await people(sqlite_site) == (0, 0, 0, 0)
    assert (await ask(sqlite_site.process, "POST", f"/{made['orgId']}/restore", {})).status == 200
    assert (await sqlite_site.accept(made["invitationId"])).status == 200


async def test_a_deleted_tenant_never_was(sqlite_site: TenantSite) -> None:
    """data-model 2.7: the host of a deleted tenant answers as one that never existed, byte for byte."""
    made = await sqlite_site.tenant()
    await bring_to(sqlite_site.process, made["orgId"], "deleted")
    never = sqlite_site.browser("nobody")

    for path in ("/", f"/accept-invite/{made['invitationId']}", "/api/tenant", "/login", "/nothing"):
        here, there = await sqlite_site.browser().ask("GET", path), await never.ask("GET", path)
        assert (here.status, here.body) == (there.status, there.body) == (404, "Not Found")
    said = await sqlite_site.accept(made["invitationId"])
    assert (said.status, said.body) == (404, "Not Found")
    sqlite_site.process.clock.advance(GRACE_SECONDS)
    assert (await sqlite_site.accept(made["invitationId"])).status == 404


async def test_a_used_link(site: TenantSite) -> None:
    """R-107: used is 409 for a stranger, 200 again for the same person signed in, and 404 as a page."""
    made = await site.tenant()
    said = await site.accept(made["invitationId"])
    here = site.browser().with_cookie_of(said)
    body = {"name": "Bob", "password": PASSWORD}
    before = await people(site)

    again = await here.ask("POST", f"{ACCEPT}/{made['invitationId']}", body)
    stranger = await site.accept(made["invitationId"])

    assert (again.status, again.body) == (200, {"redirectTo": "/dashboard"})
    assert "Set-Cookie" not in again.headers
    assert (stranger.status, stranger.code) == (409, "INVITATION_ALREADY_ACCEPTED")
    assert (await site.browser().ask("GET", f"/accept-invite/{made['invitationId']}")).status == 404
    assert await people(site) == before


WEAK = (
    ("short", "TOO_SHORT"),
    ("x9" * 150, "TOO_LONG"),
    ("Password2026!", "COMMON"),
    ("zacmez-otter-29-plum", "CONTAINS_NAME"),
    ("verandah-BOB-29-plum", "CONTAINS_NAME"),
    ("plum-verandah\x00-29-otter", "CONTROL_CHARACTER"),
)


async def test_weak_passwords(sqlite_site: TenantSite) -> None:
    """data-model 2.5: a weak password is 422, says which rule, and leaves nothing behind."""
    made = await sqlite_site.tenant()

    for password, rule in WEAK:
        said = await sqlite_site.accept(made["invitationId"], password)
        assert (said.status, said.code) == (422, "PASSWORD_TOO_WEAK")
        assert [each["code"] for each in said.body["errors"]] == [rule]
        assert password not in str(said.body)
    assert await sqlite_site.count("users") == 0
    assert await status_of(sqlite_site) == ["pending"]


async def test_fifty_at_once_make_one(site: TenantSite) -> None:
    """R-110, R-111: fifty simultaneous accepts of one link make one user, one member and one session."""
    made = await site.tenant()

    answers = await asyncio.gather(*(site.accept(made["invitationId"]) for _ in range(50)))

    statuses = Counter(said.status for said in answers)
    assert statuses[200] == 1, statuses
    assert set(statuses) <= {200, 409, 429}
    assert await people(site) == (1, 1, 1, 1)
    assert await status_of(site) == ["accepted"]


class Broken:
    """A part that fails at one of its steps, before or after it did its work."""

    def __init__(self, part: object, step: str, *, after: bool) -> None:
        self._part, self._step, self._after = part, step, after

    def __getattr__(self, name: str) -> Any:
        work = getattr(self._part, name)
        if name != self._step:
            return work

        async def fail(*arguments: Any, **named: Any) -> Any:
            if self._after:
                await work(*arguments, **named)
            raise RuntimeError("injected")

        return fail


STEPS = [
    ("invitations", "by_code"),
    ("accounts", "by_email"),
    ("passwords", "hash"),
    ("accounts", "add"),
    ("accounts", "succeeded"),
    ("team", "of_user"),
    ("team", "add"),
    ("invitations", "accept"),
    ("sessions", "open"),
    ("recorder", "record"),
]
BEFORE_THE_USER_IS_KEPT = {"invitations.by_code", "accounts.by_email", "passwords.hash", "accounts.add"}


async def test_the_same_link_works_again(site: TenantSite) -> None:
    """R-111, R-112: whatever step fails, nothing is accepted, and the next try ends with one of each.

    A user who was made without a membership is told of in both logs, if the log can be written.
    """
    whole = site.plane.accepting
    faults = [(part, step, False) for part, step in STEPS]
    faults += [(part, step, True) for part, step in STEPS if step in {"add", "record"}]
    for number, (part, step, after) in enumerate(faults):
        slug, email = f"tenant{number}", f"p{number}@example.com"
        made = await site.tenant(slug, primaryAdminEmail=email)
        fault: Any = Broken(getattr(whole, part), step, after=after)
        site.replace_plane(accepting=replace(whole, **{part: fault}))
        with structlog.testing.capture_logs():  # a trace that is drawn for a person takes half a second
            failed = await site.accept(made["invitationId"], slug=slug)
        site.replace_plane(accepting=whole)

        where = f"{part}.{step} {after=}"
        assert failed.status == 500, where
        user = await user_of(site, email)
        assert await standing(site, made["orgId"]) == ("pending", 0, 0), where
        assert (user is None) == (f"{part}.{step}" in BEFORE_THE_USER_IS_KEPT), where
        told = await partial_failures(site, user)
        assert told == (["global", "tenant"] if user and part != "recorder" else []), where

        again = await site.accept(made["invitationId"], slug=slug)
        assert again.status == 200, where
        assert await standing(site, made["orgId"]) == ("accepted", 1, 1), where
        kept = await user_of(site, email)
        assert kept is not None, where
        assert user in {None, kept}, where
    assert await site.count("users") == await site.count("user_credentials") == len(faults)


async def user_of(site: TenantSite, email: str) -> str | None:
    """The id of the one user of an address."""
    found = [str(row["id"]) for row in await site.process.rows("users") if row["email"] == email]
    assert len(found) <= 1
    return found[0] if found else None


async def standing(site: TenantSite, organization_id: str) -> tuple[str, int, int]:
    """What became of a tenant's one invitation, and how many members and sessions it has."""
    rows = {
        table: [row for row in await site.process.rows(table) if row["organization_id"] == organization_id]
        for table in ("invitations", "members", "sessions")
    }
    return str(rows["invitations"][0]["status"]), len(rows["members"]), len(rows["sessions"])


async def partial_failures(site: TenantSite, user_id: str | None) -> list[str]:
    """In which logs a user stands who was made without a membership."""
    return sorted(
        str(row["scope"])
        for row in await site.process.rows("audit_events")
        if row["event"] == "org.invitation.partial_failure" and str(user_id) in str(row["details"])
    )


async def test_a_changed_state_between_the_steps_is_seen(site: TenantSite) -> None:
    """R-111: an invitation that is taken back after the user was made makes no member."""
    made = await site.tenant()
    whole = site.plane.accepting
    target = f"/{made['orgId']}/invitations/{made['invitationId'].rpartition('_')[0]}"

    class TakesBack(Accepting):
        async def _join(self, *arguments: Any) -> Any:
            assert (await ask(site.process, "DELETE", target)).status == 204
            return await super()._join(*arguments)

    parts = {name: getattr(whole, name) for name in Accepting.__dataclass_fields__}
    site.replace_plane(accepting=TakesBack(**parts))

    said = await site.accept(made["invitationId"])

    assert said.status == 404
    assert await people(site) == (1, 1, 0, 0)
    told = await events(site.process, made["orgId"])
    assert told[-1] == "org.invitation.partial_failure"


async def test_a_password_that_is_changed_meanwhile_proves_nothing(sqlite_site: TenantSite) -> None:
    """R-108: the old password, proven a moment before it was changed, makes no member."""
    await sqlite_site.owner("acme")
    second = await sqlite_site.tenant("globex", primaryAdminEmail="bob@example.com")
    whole = sqlite_site.plane.accepting

    class Changes:
        async def proves(self, *given: Any) -> bool:
            proven = await whole.passwords.proves(*given)
            await sqlite_site.process.sql("UPDATE user_credentials SET password_hash = 'another'")
            return proven

    changes: Any = Changes()
    sqlite_site.replace_plane(accepting=replace(whole, passwords=changes))

    said = await sqlite_site.accept(second["invitationId"], slug="globex")

    assert said.status == 401
    assert len(await sqlite_site.process.rows("members")) == 1


async def test_tries_at_a_link_are_counted(sqlite_site: TenantSite) -> None:
    """R-108: ten wrong passwords behind one link are all that is tried in a quarter of an hour."""
    await sqlite_site.owner("acme")
    second = await sqlite_site.tenant("globex", primaryAdminEmail="bob@example.com")

    statuses = [
        (await sqlite_site.accept(second["invitationId"], OTHER_PASSWORD, slug="globex")).status
        for _ in range(11)
    ]

    assert statuses == [401] * 10 + [429]
    sqlite_site.process.clock.advance(15 * 60)
    assert (await sqlite_site.accept(second["invitationId"], slug="globex")).status == 200


async def test_the_page_shows_what_the_holder_may_know(sqlite_site: TenantSite) -> None:
    """R-106: without a session the page names the tenant, the masked address and the end."""
    made = await sqlite_site.tenant()

    said = await sqlite_site.browser().ask("GET", f"/accept-invite/{made['invitationId']}")
    view = await sqlite_site.browser().ask("GET", f"/api/invitations/{made['invitationId']}")

    assert said.status == 200
    assert "Acme Inc" in said.body
    assert "b•••@example.com" in said.body
    assert "bob@" not in said.body
    assert view.body["emailMasked"] == "b•••@example.com"
    assert view.body["userExists"] is False


async def test_who_was_left_outside_is_listed(site: TenantSite) -> None:
    """R-112, data-model 2.6: a job lists a half-finished acceptance until it succeeds or its link dies."""
    for slug in ("acme", "globex"):
        await site.tenant(slug, primaryAdminEmail=f"owner@{slug}.example")
    made = await site.tenant("initech", primaryAdminEmail="ann@initech.example")
    whole = site.plane.accepting
    fault: Any = Broken(whole.sessions, "open", after=False)
    site.replace_plane(accepting=replace(whole, sessions=fault))
    with structlog.testing.capture_logs():
        assert (await site.accept(made["invitationId"], slug="initech")).status == 500
    site.replace_plane(accepting=whole)
    [user] = await site.process.rows("users")
    [job] = [job for job in site.process.apps.internal[JOBS] if job.name == "list_half_accepted"]
    metric = "tenant_public_half_accepted_invitations"

    with structlog.testing.capture_logs() as lines:
        await job.work(job.limit)
    listed = [line for line in lines if line["event"] == "half_accepted"]

    assert [(line["user_id"], line["invitation_id"]) for line in listed] == [
        (user["id"], made["invitationId"].rpartition("_")[0])
    ]
    assert await site.process.metric(metric) == 1
    assert await _shown_to_operators(site) == (1, [user["id"]])
    assert (await site.accept(made["invitationId"], slug="initech")).status == 200
    await job.work(job.limit)
    assert await site.process.metric(metric) == 0
    assert await _shown_to_operators(site) == (0, [None])


async def _shown_to_operators(site: TenantSite) -> tuple[int, list[str | None]]:
    """The dashboard's number (P-01), and the accounts that initech's invitations name (P-06)."""
    told = await (await site.process.get("/internal/v1/tenant-attention")).json()
    listed = await (await site.process.get("/api/admin/tenants/initech/invitations")).json()
    return told["partialFailures"], [row["halfAcceptedBy"] for row in listed["data"]]
