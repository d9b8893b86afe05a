"""The product's runtime: its own key opens its own endpoints, and nothing else (G-13, ADR 0024)."""

import asyncio
import importlib.util
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import ClientResponse
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from service_kit.clock import SystemClock
from service_kit.identity.model import Role, Scope
from service_kit.identity.signing import RequestBinding, Subject
from service_kit.web.api import Endpoint
from tenant_service.app import endpoints, runtime_endpoints
from tests.fixtures.identities import new_key
from tests.integration.tenant_service.billing.billing_process import BillingProcess
from tests.integration.tenant_service.tenant_process import AUDIENCE, new_tenant, tenant_process

SNIPPET = Path(__file__).parents[4] / "docs" / "snippets" / "credits_client.py"
OPERATOR = Subject(sub="x", operator_id="adm_1", role=Role.SUPER_ADMIN, roster_version=1)


async def sent(
    billing: BillingProcess, method: str, target: str, token: str, **headers: str
) -> ClientResponse:
    proof = {"X-Internal-Identity": token, "Idempotency-Key": "k", **headers}
    answer = await billing.process.client.request(method, target, json={"amount": 1}, headers=proof)
    await answer.read()
    return answer


def consume_of(billing: BillingProcess) -> str:
    return f"/internal/v1/tenants/{billing.tenant}/credits/consume"


async def test_the_runtime_uses_credit(billing: BillingProcess) -> None:
    """G-13: consume, reserve, commit, release and restore, with which grant paid what, and no audit row."""
    await billing.grant(100, key="a", expiresInDays=5, priority=10)
    await billing.grant(100, key="b")
    rows = len(await billing.process.rows("audit_events"))

    used = await billing.use("consume", {"amount": 150, "reference": "reply 1"}, key="u")
    held = await (await billing.use("reserve", {"amount": 20, "ttlSeconds": 60}, key="h")).json()
    other = await (await billing.use("reserve", {"amount": 5}, key="h2")).json()
    committed = await billing.use(f"reservations/{held['reservationId']}/commit")
    released = await billing.use(f"reservations/{other['reservationId']}/release")
    body = await used.json()
    restored = await billing.use(f"txns/{body['txnId']}/restore", {"reference": "it failed"})
    again = await billing.use(f"txns/{body['txnId']}/restore", {"reference": "it failed"})

    assert [answer.status for answer in (used, committed, released, restored, again)] == [
        201,
        200,
        200,
        201,
        201,
    ]
    assert [share["amount"] for share in body["allocations"]] == [100, 50]
    assert [share["expiresAt"] is None for share in body["allocations"]] == [False, True]
    final = (await restored.json())["balance"]
    assert (final["remaining"], final["used"], final["reserved"]) == (180, 20, 0)
    assert again.headers["Idempotency-Replayed"] == "true"
    assert len(await billing.process.rows("audit_events")) == rows
    short = await billing.use("consume", {"amount": 181}, key="s")
    problem = await short.json()
    assert (short.status, problem["code"]) == (409, "INSUFFICIENT_CREDITS")
    assert (problem["available"], problem["required"]) == (180, 181)


async def test_a_restored_use_of_an_expired_grant_stays_expired(billing: BillingProcess) -> None:
    """G-13, against Concierge's `restore_credit`: credit that ended meanwhile does not come back for ever."""
    await billing.grant(10, key="a", expiresInDays=1)
    txn = (await (await billing.use("consume", {"amount": 10}, key="u")).json())["txnId"]
    billing.process.clock.advance(86_400)

    restored = await (await billing.use(f"txns/{txn}/restore")).json()

    assert (restored["amount"], restored["ended"]) == (10, 10)
    assert (restored["balance"]["remaining"], restored["balance"]["expired"]) == (0, 10)
    assert restored["allocations"][0]["expiresAt"] is not None


async def test_only_the_registered_runtime_comes_in(sqlite_billing: BillingProcess) -> None:
    """G-13: no proof, the sidecar's, a stranger's key, another issuer: 401; without the scope: 403."""
    for endpoint in runtime_endpoints():
        await holds_its_door(sqlite_billing, endpoint)


async def holds_its_door(sqlite_billing: BillingProcess, endpoint: Endpoint) -> None:
    path = endpoint.path.replace("{id}", sqlite_billing.tenant)
    target, vouch = re.sub(r"{\w+}", "some-id", path), sqlite_billing.process.vouch
    bound = RequestBinding("POST", target)
    sidecar = [
        vouch.signer.sign(OPERATOR, audience=AUDIENCE, binding=bound),
        vouch.signer.sign(Subject(sub="auth_proxy", scope=Scope.ROSTER), audience=AUDIENCE, binding=bound),
        vouch.signer.sign(Subject(sub="auth_proxy", scope=Scope.CREDITS), audience=AUDIENCE, binding=bound),
    ]
    foreign = [
        sqlite_billing.runtime_token("POST", target, key=new_key()),
        sqlite_billing.runtime_token("POST", target, issuer="auth_proxy"),
        sqlite_billing.runtime_token("POST", f"{target}x"),
        sqlite_billing.runtime_token("GET", target),
    ]
    for token in ("", *sidecar, *foreign):
        assert (await sent(sqlite_billing, "POST", target, token)).status == 401
    delegation = vouch.headers(audience=AUDIENCE, method="POST", target=target, delegate="admin_service")
    assert (await sqlite_billing.process.client.post(target, json={}, headers=delegation)).status == 401

    for subject in (OPERATOR, Subject(sub="somebody"), Subject(sub="x", scope=Scope.ROSTER)):
        token = sqlite_billing.runtime_token("POST", target, subject=subject)
        assert (await sent(sqlite_billing, "POST", target, token)).status == 403
    good = sqlite_billing.runtime_token("POST", target)
    assert (await sent(sqlite_billing, "POST", target, good)).status in {404, 409, 422}
    assert (await sent(sqlite_billing, "POST", target, good)).status == 401  # a token is good once


async def test_the_runtimes_key_opens_nothing_else(sqlite_billing: BillingProcess) -> None:
    """G-13, R-005: on every other endpoint its proof is none, also when it says that it is a super_admin."""
    for endpoint in endpoints():
        target = re.sub(r"{\w+}", "some-id", endpoint.path)
        for subject in (OPERATOR, Subject(sub="x", scope=Scope.CREDITS)):
            token = sqlite_billing.runtime_token(endpoint.method, target, subject=subject)
            answer = await sent(sqlite_billing, endpoint.method, target, token)
            assert answer.status == 401, target


DETOURS = (
    "/internal/v1/tenants/{id}/credits/../../../../../api/admin/tenants",
    "/internal/v1/tenants/{id}/credits/consume/../../../../../../api/admin/tenants",
    "/internal/v1/tenants/{id}/credits/%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e/api/admin/tenants",
    "/internal/v1/tenants/{id}/credits/consume/",
    "//internal/v1/tenants/{id}/credits/consume",
    "/internal/v1/tenants/..%2f..%2f..%2fapi%2fadmin%2ftenants/credits/consume",
)


async def test_no_detour_leads_through_the_other_door(sqlite_billing: BillingProcess) -> None:
    """ADR 0024, G-13: the endpoint that was chosen decides which key counts, however the path is spelled."""
    url = sqlite_billing.process.client.make_url("/")
    host, port = str(url.host), int(url.port or 0)
    for detour in DETOURS:
        target = detour.replace("{id}", sqlite_billing.tenant)
        for subject in (OPERATOR, None):
            token = sqlite_billing.runtime_token("POST", target, subject=subject)
            head = (
                f"POST {target} HTTP/1.1\r\nHost: {host}\r\nX-Internal-Identity: {token}\r\n"
                "Idempotency-Key: k\r\nContent-Type: application/json\r\nContent-Length: 12\r\n"
                'Connection: close\r\n\r\n{"amount":1}'
            )
            assert await raw_status(host, port, head) in {400, 401, 403, 404}, target

    assert len(await sqlite_billing.process.rows("organizations")) == 1


async def raw_status(host: str, port: int, request: str) -> int:
    reader, writer = await asyncio.open_connection(host, port)
    writer.write(request.encode())
    line = await reader.readline()
    writer.close()
    await writer.wait_closed()
    return int(line.split()[1])


async def test_no_runtime_is_registered_by_default(sqlite_url: str) -> None:
    """G-13: without CREDITS_KEYS_FILE nobody uses credit, whoever signs."""
    async with tenant_process(sqlite_url) as process:
        tenant = (await (await process.create(new_tenant())).json())["orgId"]
        billing = BillingProcess(process, tenant, new_key())
        sidecar = replace(billing, runtime_key=process.vouch.key)

        for each in (billing, sidecar):
            assert (await each.use("consume", {"amount": 1}, key="k")).status == 401


async def test_an_unknown_tenant_reservation_or_use_is_404(billing: BillingProcess) -> None:
    """G-13: ids that are not there, of another tenant, or no ids at all; nothing is told apart."""
    await billing.grant(10, key="a")
    mine = await (await billing.use("reserve", {"amount": 1}, key="h")).json()
    other_id = (await (await billing.process.create(new_tenant("other"))).json())["orgId"]
    other = replace(billing, tenant=other_id)

    answers = [
        await replace(billing, tenant="org_01J8Z000000000000000000000").use(
            "consume", {"amount": 1}, key="k"
        ),
        await replace(billing, tenant="acme").use("consume", {"amount": 1}, key="k"),
        await other.use(f"reservations/{mine['reservationId']}/commit"),
        await other.use(f"txns/{mine['txnId']}/restore"),
        await billing.use("reservations/res_x/release"),
        await billing.use("txns/%00/restore"),
    ]

    assert [answer.status for answer in answers] == [404] * 6
    assert (await billing.use(f"txns/{mine['txnId']}/restore")).status == 409


def snippet() -> Any:
    spec = importlib.util.spec_from_file_location("credits_client", SNIPPET)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


async def test_the_documented_client_works(sqlite_url: str, tmp_path: Path) -> None:
    """G-13: docs/snippets/credits_client.py, as it stands there, uses a tenant's credit with its own key."""
    client_module, private = snippet(), Ed25519PrivateKey.generate()
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    keys = tmp_path / "keys.json"
    keys.write_text(json.dumps({"keys": [client_module.public_jwk(private)]}))
    async with tenant_process(sqlite_url, CREDITS_KEYS_FILE=str(keys)) as process:
        tenant = (await (await process.create(new_tenant())).json())["orgId"]
        billing = BillingProcess(process, tenant, new_key())
        await billing.grant(10, key="a")
        clock = SystemClock().now() - process.clock.now()
        # The client signs by the machine's clock, which goes on while the service's stands still. A token
        # counts from 5 seconds before it is signed until 30 after.
        process.clock.advance(clock.total_seconds() + 15)
        async with aiohttp.ClientSession() as http:
            client = client_module.CreditsClient(http, str(process.client.make_url("")), pem)
            used = await client.consume(tenant, 4, key="reply-1", reference="one reply")
            held = await client.reserve(tenant, 2, key="reply-2")
            await client.commit(tenant, held["reservationId"])
            other = await client.reserve(tenant, 2, key="reply-3")
            await client.release(tenant, other["reservationId"])
            final = await client.restore(tenant, used["txnId"])
            with pytest.raises(client_module.CreditsError, match="INSUFFICIENT_CREDITS"):
                await client.consume(tenant, 100, key="reply-4")

    assert (final["balance"]["remaining"], final["balance"]["used"]) == (8, 2)
