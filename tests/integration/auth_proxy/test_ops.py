"""The second listener of the running sidecar: ready only when it can decide, and only public keys."""

import json
from pathlib import Path

import aiohttp
import pytest
from multidict import CIMultiDictProxy

from deploy.demo.issuer import SigningKey
from service_kit.identity.keys import parse_public_jwks
from service_kit.identity.model import Role
from service_kit.identity.signing import IdentitySigner, SigningError
from tests.fixtures import sidecar as fixture
from tests.fixtures.sidecar import AUD, SidecarUnderTest, person, sidecar_under_test


async def ask(
    sidecar: SidecarUnderTest, path: str, **headers: str
) -> tuple[int, bytes, CIMultiDictProxy[str]]:
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"http://127.0.0.1:{sidecar.ops_port}{path}", headers=headers) as response,
    ):
        return response.status, await response.read(), response.headers


async def readiness(sidecar: SidecarUnderTest) -> tuple[int, dict[str, bool]]:
    status, body, _ = await ask(sidecar, "/readyz")
    return status, {check["name"]: check["ready"] for check in json.loads(body)["checks"]}


async def test_a_sidecar_that_can_decide_is_ready(sidecar: SidecarUnderTest) -> None:
    """Keys of the team, a key of ours, and a confirmed roster."""
    assert await readiness(sidecar) == (
        200,
        {"access_keys": True, "signing_key": True, "roster": True, "open": True, "staying": True},
    )
    assert (await ask(sidecar, "/livez"))[:2] == (200, b"ok\n")


async def _never(_under_test: SidecarUnderTest) -> None:
    """Do not wait for what will not come."""


async def test_without_the_teams_keys_it_is_alive_and_not_ready(
    access_key: SigningKey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing can be proven: requests get 503, and the balancer is told."""
    monkeypatch.setattr(fixture, "_until_ready", _never)
    async with sidecar_under_test(
        access_key, tmp_path, CF_ACCESS_TEAM_DOMAIN="http://127.0.0.1:1"
    ) as sidecar:
        status, checks = await readiness(sidecar)
        who, team = person(Role.SUPPORT), "http://127.0.0.1:1"
        got = await sidecar.get("/x", token=sidecar.issuer.mint(who, audience=AUD, iss=team))
        alive, _, _ = await ask(sidecar, "/livez")

    assert (status, checks["access_keys"], alive) == (503, False, 200)
    assert (got.status, json.loads(got.body)["code"]) == (503, "KEYS_UNAVAILABLE")
    assert got.header("Retry-After") == "5"


async def test_without_a_roster_it_is_not_ready(
    access_key: SigningKey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R-064: an admin service that is away stops no start, and lets nobody in."""
    monkeypatch.setattr(fixture, "_until_ready", _never)
    async with sidecar_under_test(access_key, tmp_path, ADMIN_SERVICE_URL="http://127.0.0.1:1") as sidecar:
        status, checks = await readiness(sidecar)
        got = await sidecar.get("/manage")

    assert (status, checks["roster"]) == (503, False)
    assert (got.status, json.loads(got.body)["code"]) == (503, "ROSTER_UNAVAILABLE")


async def test_without_a_key_that_signs_it_is_not_ready(
    sidecar: SidecarUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Readiness signs for real."""

    def broken(*_: object, **__: object) -> str:
        raise SigningError

    monkeypatch.setattr(IdentitySigner, "sign", broken)

    status, checks = await readiness(sidecar)
    assert (status, checks["signing_key"]) == (503, False)


async def test_the_key_set_is_public_cachable_and_has_a_tag(sidecar: SidecarUnderTest) -> None:
    """Services read it: public halves only, an ETag, and 304 for who has it."""
    status, body, headers = await ask(sidecar, "/.well-known/jwks.json")
    tag = str(headers["ETag"])
    again = await ask(sidecar, "/.well-known/jwks.json", **{"If-None-Match": tag})
    other = await ask(sidecar, "/.well-known/jwks.json", **{"If-None-Match": '"other"'})

    assert status == 200
    assert len(parse_public_jwks(body)) == 1
    assert b'"d"' not in body
    assert headers["Cache-Control"] == "public, max-age=30"
    assert (again[0], again[1], other[0]) == (304, b"", 200)


async def test_the_metrics_page_is_there_and_the_gate_shows_none_of_it(sidecar: SidecarUnderTest) -> None:
    """R-008, R-003: SREs scrape the ops port; the public port has no such page."""
    await sidecar.get("/x", token=None)
    status, body, _ = await ask(sidecar, "/metrics")

    assert status == 200
    assert b'auth_proxy_decisions_total{outcome="refused",reason="token_missing"} 1.0' in body
    for path in ("/metrics", "/readyz", "/livez", "/.well-known/jwks.json"):
        assert (await sidecar.get(path, token=None)).status == 403
