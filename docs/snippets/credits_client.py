# noqa: INP001 - to be copied, not imported
"""Use a tenant's credits from the product's runtime; needs `aiohttp` and `pyjwt[crypto]`.

Every call is signed for itself with the runtime's own Ed25519 key and is good for half a minute. A call that
got no answer is sent again with the same key, which moves credit once, however often it arrives.
"""

import asyncio
import base64
import hashlib
import json
import secrets
import time
from typing import Any

import aiohttp
import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

_UNAVAILABLE = 503


class CreditsError(Exception):
    """The service said no: `code` is INSUFFICIENT_CREDITS, TENANT_SUSPENDED or the like."""

    def __init__(self, status: int, problem: dict[str, Any]) -> None:
        super().__init__(f"{status} {problem.get('code')}")
        self.status = status
        self.code = problem.get("code")
        self.problem = problem


class CreditsClient:
    """`base_url` is the internal listener of the tenant service; `name` stands in the ledger."""

    def __init__(
        self,
        http: aiohttp.ClientSession,
        base_url: str,
        private_key_pem: bytes,
        *,
        name: str = "runtime",
        issuer: str = "runtime",
        tries: int = 3,
    ) -> None:
        key = load_pem_private_key(private_key_pem, password=None)
        if not isinstance(key, Ed25519PrivateKey):
            raise TypeError("the runtime's key must be an Ed25519 key")
        self._http, self._base, self._key = http, base_url.rstrip("/"), key
        self._name, self._issuer, self._tries = name, issuer, tries
        self._kid = public_jwk(key)["kid"]

    async def consume(self, tenant: str, amount: int, *, key: str, reference: str = "") -> dict[str, Any]:
        return await self._post(tenant, "consume", {"amount": amount, "reference": reference}, key)

    async def reserve(
        self, tenant: str, amount: int, *, key: str, reference: str = "", seconds: int = 900
    ) -> dict[str, Any]:
        body = {"amount": amount, "reference": reference, "ttlSeconds": seconds}
        return await self._post(tenant, "reserve", body, key)

    async def commit(self, tenant: str, reservation: str) -> dict[str, Any]:
        return await self._post(tenant, f"reservations/{reservation}/commit", {}, None)

    async def release(self, tenant: str, reservation: str) -> dict[str, Any]:
        return await self._post(tenant, f"reservations/{reservation}/release", {}, None)

    async def restore(self, tenant: str, txn: str, *, reference: str = "") -> dict[str, Any]:
        return await self._post(tenant, f"txns/{txn}/restore", {"reference": reference}, None)

    async def _post(self, tenant: str, what: str, body: dict[str, Any], key: str | None) -> dict[str, Any]:
        path = f"/internal/v1/tenants/{tenant}/credits/{what}"
        headers = {"Idempotency-Key": key} if key else {}
        for tries_left in range(self._tries - 1, -1, -1):
            signed = {**headers, "X-Internal-Identity": self._token("POST", path)}  # a token is good once
            try:
                async with self._http.post(self._base + path, json=body, headers=signed) as answer:
                    document: dict[str, Any] = json.loads(await answer.text())
                    if answer.ok:
                        return document
                    if answer.status != _UNAVAILABLE or not tries_left:
                        raise CreditsError(answer.status, document)
            except (aiohttp.ClientConnectionError, TimeoutError):
                if not tries_left:
                    raise
            await asyncio.sleep(0.2)
        raise AssertionError("not reached")

    def _token(self, method: str, path: str) -> str:
        now = int(time.time())
        claims = {
            "iss": self._issuer,
            "aud": "tenant_service",
            "sub": self._name,
            "email": "",
            "name": "",
            "scope": "credits",
            "iat": now,
            "exp": now + 30,
            "jti": secrets.token_urlsafe(16),
            "htm": method,
            "htp": _b64(hashlib.sha256(path.encode()).digest()),
        }
        header = {"typ": "sally+jwt", "kid": self._kid}
        return jwt.encode(claims, self._key, algorithm="EdDSA", headers=header)


def public_jwk(key: Ed25519PrivateKey) -> dict[str, str]:
    """The public half, for `CREDITS_KEYS_FILE`: `{"keys": [<this>]}`."""
    x = _b64(key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw))
    members = json.dumps({"crv": "Ed25519", "kty": "OKP", "x": x}, separators=(",", ":"))
    kid = _b64(hashlib.sha256(members.encode()).digest())  # RFC 7638
    return {"kty": "OKP", "crv": "Ed25519", "x": x, "kid": kid, "alg": "EdDSA", "use": "sig"}


def _b64(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()
