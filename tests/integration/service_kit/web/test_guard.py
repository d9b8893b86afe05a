"""The gate of a service: no path, no method and no header without one proven identity."""

import pytest
from aiohttp import web

from service_kit.errors import ProblemError
from service_kit.identity.model import Role, Scope
from tests.fixtures.identities import Vouch
from tests.integration.service_kit.web.service import AUDIENCE, serving


async def test_a_foreign_key_or_audience_is_no_identity(vouch: Vouch) -> None:
    """attacks.md section 2: another plane's token, however well signed."""
    async with serving(vouch.public_keys) as (client, _):
        for headers in (Vouch().headers(audience=AUDIENCE), vouch.headers(audience="admin_service")):
            assert (await client.get("/origin", headers=headers)).status == 401


@pytest.mark.parametrize(
    "path, allowed",
    [
        ("/origin", {"operator", "person"}),
        ("/process", {"process"}),
        ("/notes/x", {"operator"}),
        ("/page", {"operator"}),
    ],
)
async def test_who_may_call_is_the_endpoints_word(vouch: Vouch, path: str, allowed: set[str]) -> None:
    """R-081: an operator, a person without a row, a process of ours: each only where it belongs."""
    callers = {
        "operator": vouch.headers(Role.SUPPORT, audience=AUDIENCE),
        "person": vouch.headers(None, audience=AUDIENCE),
        "process": vouch.headers(None, audience=AUDIENCE, scope=Scope.ROSTER),
    }
    async with serving(vouch.public_keys) as (client, _):
        statuses = {
            name: (await client.get(path, headers=headers)).status for name, headers in callers.items()
        }

    assert {name for name, status in statuses.items() if status < 300} == allowed
    assert {status for name, status in statuses.items() if name not in allowed} <= {403}


async def test_a_refusal_can_be_a_page(vouch: Vouch) -> None:
    """Where a service gives one; None means the problem document."""

    def html(request: web.Request, error: ProblemError) -> web.Response | None:
        if request.path != "/page":
            return None
        return web.Response(text=f"<p>{error.message}</p>", status=error.status, content_type="text/html")

    async with serving(vouch.public_keys, html=html) as (client, _):
        page, document = await client.get("/page"), await client.get("/origin")

        assert (page.status, await page.text()) == (401, "<p>Internal identity required</p>")
        assert document.content_type == "application/problem+json"
