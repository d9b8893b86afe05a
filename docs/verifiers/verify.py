# noqa: INP001 - to be pasted, not imported
"""Verifies an internal identity with PyJWT[crypto] 2.10 or newer; see docs/internal-identity.md."""

import base64
import hashlib
import json
from typing import Any

import jwt

ISSUER, AUDIENCE = "auth_proxy", "frontend"
SKEW, LIFETIME, MOST_BYTES, JTI_LENGTH = 5, 30, 4096, 16
SAFE = {"GET", "HEAD", "OPTIONS"}
ROLES = {None, "super_admin", "support", "read_only", "security"}
REQUIRED = {"iss": str, "aud": str, "sub": str, "email": str, "name": str, "jti": str, "iat": int, "exp": int}
KNOWN = {**REQUIRED, "rv": int} | dict.fromkeys(("opid", "role", "scope", "htm", "htp", "azp"), str)
JWS = jwt.PyJWS(algorithms=["EdDSA"])


def require(holds: object, reason: str) -> None:
    if not holds:
        raise jwt.InvalidTokenError(reason)


def decode(part: str) -> bytes:
    data = base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    require(base64.urlsafe_b64encode(data).decode().rstrip("=") == part, "malformed")
    return data


def members(data: bytes) -> dict[str, Any]:
    pairs = json.loads(data.decode(), object_pairs_hook=tuple)
    if not isinstance(pairs, tuple) or len(dict(pairs)) < len(pairs):
        raise ValueError("not an object, or a member comes twice")
    return dict(pairs)


def verify(
    token: str,
    method: str,
    target: str,
    *,
    keys: dict[str, jwt.PyJWK],
    seen: dict[str, int],
    now: float,
    delegate: str | None = None,
) -> dict[str, Any]:
    """The claims of this request's identity. Raises jwt.InvalidTokenError with the reason.

    `target` is the path and query as received, `keys` maps kid to key, `seen` remembers used tokens. For a
    delegation, `delegate` is the service that may send it.
    """
    require(len(token) <= MOST_BYTES, "malformed")
    try:
        header, _payload, _signature = (decode(part) for part in token.split("."))
        head = members(header)
    except (ValueError, RecursionError):
        raise jwt.InvalidTokenError("malformed") from None
    kid: Any = head.get("kid")
    require(isinstance(kid, str) and head == {"alg": "EdDSA", "typ": "sally+jwt", "kid": kid}, "malformed")
    require(kid in keys, "key_unknown")
    try:
        payload = JWS.decode_complete(token, keys[kid].key, algorithms=["EdDSA"])["payload"]
    except jwt.PyJWTError:
        raise jwt.InvalidTokenError("signature") from None
    try:
        claims = members(payload)
    except (ValueError, RecursionError):
        raise jwt.InvalidTokenError("claims") from None
    require(all(name in claims for name in REQUIRED), "claims")
    require(all(type(value) is KNOWN.get(name) for name, value in claims.items()), "claims")
    require(all(0 <= value < 2**53 for value in claims.values() if type(value) is int), "claims")
    require(claims["sub"] and len(claims["jti"]) >= JTI_LENGTH and claims.get("role") in ROLES, "claims")
    require(claims["iss"] == ISSUER, "issuer")
    require(claims["aud"] == AUDIENCE, "audience")
    require(("opid" in claims) == ("role" in claims) and not {"opid", "scope"} <= claims.keys(), "claims")
    require(0 < claims["exp"] - claims["iat"] <= LIFETIME, "lifetime")
    require(now < claims["exp"] + SKEW, "expired")
    require(claims["iat"] <= now + SKEW, "not_yet_valid")
    require(claims.get("azp") == delegate, "delegation")
    bound = "htm" in claims or "htp" in claims
    if delegate is None and (bound or method not in SAFE):
        digest = base64.urlsafe_b64encode(hashlib.sha256(target.encode()).digest()).decode().rstrip("=")
        require((claims.get("htm"), claims.get("htp")) == (method, digest), "binding")
    elif delegate is None or method in SAFE:
        return claims  # a read: the token may be used again
    else:
        require(claims.get("htm", "GET") not in SAFE, "binding")
    for old in [jti for jti, until in seen.items() if until < now]:
        del seen[old]
    require(claims["jti"] not in seen, "replayed")
    seen[claims["jti"]] = claims["exp"] + SKEW
    return claims
