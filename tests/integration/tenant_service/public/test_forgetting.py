"""Whom the purge of a tenant forgets: everybody whom it had or asked, if they are a member nowhere."""

from dataclasses import replace
from typing import Any

import pytest
import structlog

from tests.integration.tenant_service.lives import GRACE_SECONDS, ask, run_job
from tests.integration.tenant_service.public.tenant_site import PASSWORD, Browser, TenantSite

pytestmark = pytest.mark.usefixtures("no_job_by_itself")
MEMBERS = "/api/tenant/members"
EVE = "eve@example.com"


async def asked_in(site: TenantSite) -> str:
    """The link of an operator's invitation of Eve to acme."""
    said = await ask(site.process, "POST", "/acme/invitations", {"email": EVE, "role": "admin"})
    assert said.status == 201, said
    return str(said.body["invitationId"])


async def came_and_went(site: TenantSite, owner: Browser) -> None:
    """Eve becomes a member of acme, and its owner removes her."""
    assert (await site.accept(await asked_in(site), name="Eve")).status == 200
    [eve] = [row["id"] for row in (await owner.ask("GET", MEMBERS)).body["data"] if row["email"] == EVE]
    assert (await owner.ask("DELETE", f"{MEMBERS}/{eve}")).status == 204


async def purge_acme(site: TenantSite) -> None:
    assert (await ask(site.process, "DELETE", "/acme")).status == 200
    site.process.clock.advance(GRACE_SECONDS)
    assert await run_job(site.process, "purge_tenants", limit=10) == 1


async def accounts(site: TenantSite) -> set[str]:
    """The addresses of all users; each has a credential, and there is none beside them."""
    users = {row["id"]: str(row["email"]) for row in await site.process.rows("users")}
    assert {row["user_id"] for row in await site.process.rows("user_credentials")} == users.keys()
    return set(users.values())


async def test_who_was_removed_is_forgotten(site: TenantSite) -> None:
    """G-11, data-model 2.7: a former member's account does not outlive the tenant."""
    owner = await site.owner()
    await came_and_went(site, owner)
    kept_until_then = await accounts(site)

    await purge_acme(site)

    assert kept_until_then == {"bob@example.com", EVE}
    assert await accounts(site) == set()
    assert await site.count("sessions") == 0


async def test_who_was_left_half_way_is_forgotten(site: TenantSite) -> None:
    """G-11, R-112: an account of an acceptance that failed goes with the tenant that had asked for it."""
    await site.owner()
    link, whole = await asked_in(site), site.plane.accepting
    broken: Any = None
    site.replace_plane(accepting=replace(whole, sessions=broken))
    with structlog.testing.capture_logs():  # a trace that is drawn for a person takes half a second
        assert (await site.accept(link, name="Eve")).status == 500
    site.replace_plane(accepting=whole)
    left = await accounts(site)

    await purge_acme(site)

    assert left == {"bob@example.com", EVE}
    assert await accounts(site) == set()


async def test_who_is_elsewhere_is_not_forgotten(site: TenantSite) -> None:
    """G-11: a former member, and one who was only asked, stay the users that another tenant has."""
    owner = await site.owner()
    await came_and_went(site, owner)
    other = await site.tenant("globex", primaryAdminEmail=EVE)
    assert (await site.accept(other["invitationId"], slug="globex")).status == 200
    third = await site.owner("initech", "ann@initech.example")
    body = {"email": "ann@initech.example", "role": "admin"}
    assert (await ask(site.process, "POST", "/acme/invitations", body)).status == 201

    await purge_acme(site)

    assert await accounts(site) == {EVE, "ann@initech.example"}
    assert len(await site.process.rows("members")) == 2
    again = {"email": "ann@initech.example", "password": PASSWORD}
    assert (await third.ask("POST", "/api/auth/sign-in/email", again)).status == 200
