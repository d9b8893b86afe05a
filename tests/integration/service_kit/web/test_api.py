"""The route registry: what comes in is judged before a handler sees it, and every error has one shape."""

from typing import Any

import pytest
from aiohttp.test_utils import TestClient

from service_kit.identity.model import Role
from tests.fixtures.identities import Vouch
from tests.integration.service_kit.web.service import AUDIENCE, serving

Client = TestClient[Any, Any]
JSON = {"Content-Type": "application/json"}


async def send(
    vouch: Vouch,
    client: Client,
    body: bytes,
    *,
    role: Role = Role.SUPPORT,
    headers: dict[str, str] | None = None,
) -> tuple[int, dict[str, Any]]:
    identity = vouch.headers(role, audience=AUDIENCE, method="POST", target="/notes")
    response = await client.post("/notes", data=body, headers={**JSON, **identity, **(headers or {})})
    return response.status, await response.json()


async def test_good_input_reaches_the_handler_and_its_reply_the_caller(vouch: Vouch) -> None:
    """Trimmed, in snake_case inside and camelCase outside, never cached."""
    async with serving(vouch.public_keys) as (client, _):
        identity = vouch.headers(Role.SUPPORT, audience=AUDIENCE, method="POST", target="/notes")
        response = await client.post("/notes", json={"displayName": "  Zoë 🦄 "}, headers=identity)

        assert response.status == 201
        assert await response.json() == {"displayName": "Zoë 🦄", "askedBy": "sub-support"}
        assert response.headers["X-Made"] == "1"
        assert response.headers["Cache-Control"] == "no-store"
        assert response.headers["X-Content-Type-Options"] == "nosniff"


async def test_an_unknown_path_is_404_for_who_is_proven(vouch: Vouch) -> None:
    """In the one shape of every error."""
    async with serving(vouch.public_keys) as (client, _):
        response = await client.get("/nowhere", headers=vouch.headers(audience=AUDIENCE))

        assert (response.status, (await response.json())["code"]) == (404, "NOT_FOUND")


async def test_a_defect_is_500_without_a_trace(vouch: Vouch, capsys: pytest.CaptureFixture[str]) -> None:
    """The trace is in the log, with the request id; the caller gets neither."""
    async with serving(vouch.public_keys) as (client, _):
        headers = vouch.headers(audience=AUDIENCE, request_id="req_1")
        response = await client.get("/fail", headers=headers)
        text = await response.text()

    assert response.status == 500
    assert '"code": "INTERNAL_ERROR"' in text
    assert '"requestId": "req_1"' in text
    assert "internal detail" not in text
    assert "Traceback" not in text
    assert "ZeroDivisionError" in capsys.readouterr().out


async def test_where_get_is_head_is(vouch: Vouch) -> None:
    """RFC 9110 9.1; except for processes of ours."""
    async with serving(vouch.public_keys) as (client, _):
        response = await client.head("/notes/x", headers=vouch.headers(audience=AUDIENCE))

        assert (response.status, await response.read()) == (200, b"")
