"""Tokens that the signer would never make: any claims, any header, any key."""

import base64
import json
from collections.abc import Mapping
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from service_kit.identity.binding import TOKEN_TYPE, target_digest
from tests.fakes.clock import START

NOW = int(START.timestamp())
AUDIENCE = "tenant_service"
ISSUER = "auth_proxy"


def b64(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def claims(**changes: Any) -> dict[str, Any]:
    """The claims of an operator's unbound token; a change to `...` leaves the claim out."""
    honest = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "sub-1",
        "email": "ada@example.com",
        "name": "Ada",
        "iat": NOW,
        "exp": NOW + 30,
        "jti": "j" * 22,
        "opid": "adm_1",
        "role": "super_admin",
        "rv": 7,
    }
    return {name: value for name, value in {**honest, **changes}.items() if value is not ...}


def bound(method: str, target: str, **changes: Any) -> dict[str, Any]:
    return claims(htm=method, htp=target_digest(target), **changes)


def forge(payload: Mapping[str, Any] | bytes, key: Ed25519PrivateKey, **header: Any) -> str:
    """A compact JWS that is really signed, whatever it says; a header of `...` is left out."""
    full = {"alg": "EdDSA", "typ": TOKEN_TYPE, **header}
    head = json.dumps({name: value for name, value in full.items() if value is not ...})
    body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    text = f"{b64(head.encode())}.{b64(body)}"
    return f"{text}.{b64(key.sign(text.encode()))}"
