"""A foreign frontend behind a sidecar that stands alone, verifying by nothing but what the document shows."""

import asyncio
import importlib.util
import json
import re
import time
import urllib.request
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import jwt
import pytest

from deploy.demo.issuer import SigningKey
from tests.fakes.recording_upstream import ReceivedRequest
from tests.fixtures.sidecar import ORIGIN, STRANGER, SidecarUnderTest, sidecar_under_test

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGE = (DOCS / "internal-identity.md").read_text(encoding="utf-8")
Verify = Callable[[str, str, str, dict[str, jwt.PyJWK], dict[str, int]], dict[str, Any]]


@pytest.fixture
async def alone(access_key: SigningKey, tmp_path: Path) -> AsyncIterator[SidecarUnderTest]:
    """A sidecar without our services, as the README sets it up."""
    nothing = {"ADMIN_SERVICE_URL": "", "TENANT_SERVICE_URL": "", "AUTH_PROXY_ROSTER": "open:support"}
    async with sidecar_under_test(access_key, tmp_path, **nothing) as under_test:
        yield under_test


@pytest.fixture
def verify() -> Verify:
    """The function of the file that the document shows, by this machine's time."""
    spec = importlib.util.spec_from_file_location("documented_verifier", DOCS / "verifiers" / "verify.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    def call(
        token: str, method: str, target: str, keys: dict[str, jwt.PyJWK], seen: dict[str, int]
    ) -> dict[str, Any]:
        claims: dict[str, Any] = module.verify(token, method, target, keys=keys, seen=seen, now=time.time())
        return claims

    return call


async def keys_of(sidecar: SidecarUnderTest) -> dict[str, jwt.PyJWK]:
    url = f"http://127.0.0.1:{sidecar.ops_port}/.well-known/jwks.json"
    document = await asyncio.to_thread(lambda: urllib.request.urlopen(url, timeout=20).read())
    return {str(key.key_id): key for key in jwt.PyJWKSet.from_json(document).keys}


async def arrived(sidecar: SidecarUnderTest, method: str, target: str) -> ReceivedRequest:
    sidecar.upstream.received.clear()
    answer = await sidecar.get(
        target, method=method, token=sidecar.token(STRANGER), headers=(("Origin", ORIGIN),)
    )
    assert answer.status == 200
    (request,) = sidecar.upstream.received
    return request


async def test_any_frontend_can_verify_who_asks(alone: SidecarUnderTest, verify: Verify) -> None:
    """R-007: before a frontend of one's own, whom Access proved arrives with the configured role."""
    request = await arrived(alone, "GET", "/reports?month=11")
    claims = verify(request.one("X-Internal-Identity"), "GET", "/reports?month=11", await keys_of(alone), {})

    assert claims["email"] == STRANGER.email
    assert claims["sub"] == claims["opid"] == STRANGER.sub
    assert claims["role"] == "support"
    assert claims["aud"] == "frontend"


async def test_a_changing_request_is_good_once_and_for_itself_alone(
    alone: SidecarUnderTest, verify: Verify
) -> None:
    """R-005: the document's code refuses a bound identity for another target, method, or a second time."""
    request = await arrived(alone, "POST", "/orders?draft=1")
    token, keys = request.one("X-Internal-Identity"), await keys_of(alone)

    for method, target in (("POST", "/orders"), ("PUT", "/orders?draft=1"), ("GET", "/orders?draft=1")):
        with pytest.raises(jwt.InvalidTokenError):
            verify(token, method, target, keys, {})
    seen: dict[str, int] = {}
    verify(token, "POST", "/orders?draft=1", keys, seen)
    with pytest.raises(jwt.InvalidTokenError):
        verify(token, "POST", "/orders?draft=1", keys, seen)


async def test_an_identity_for_reading_changes_nothing(alone: SidecarUnderTest, verify: Verify) -> None:
    """R-005: by the document's code an identity that came with a GET is refused for a POST."""
    request = await arrived(alone, "GET", "/orders")

    with pytest.raises(jwt.InvalidTokenError):
        verify(request.one("X-Internal-Identity"), "POST", "/orders", await keys_of(alone), {})


async def test_the_document_lists_every_claim(alone: SidecarUnderTest) -> None:
    """What the sidecar signs is what the document's table names."""
    request = await arrived(alone, "POST", "/orders")
    token = request.one("X-Internal-Identity")
    claims = jwt.decode(token, options={"verify_signature": False})
    rows = set(re.findall(r"`(\w+)`", "".join(re.findall(r"^\| (`\w+`(?:, `\w+`)*) \|", PAGE, re.MULTILINE))))

    assert set(claims) <= rows
    assert json.loads(json.dumps(jwt.get_unverified_header(token)))["typ"] in PAGE
