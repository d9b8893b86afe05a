"""Minting the internal identity: only the sidecar may import this (import-linter contract `mint`).

A key that cannot sign raises; an empty or unsigned identity is never returned.
"""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

import jwt

from service_kit.clock import Clock
from service_kit.identity.binding import MAX_LIFETIME_SECONDS, TOKEN_TYPE, target_digest
from service_kit.identity.keys import PUBLISH_BEFORE_USE, SigningKey, active_key, public_jwks
from service_kit.identity.model import Role, Scope


class SigningError(Exception):
    """The identity could not be signed; the request must not go on."""


@dataclass(frozen=True, slots=True)
class Subject:
    """Whom the sidecar vouches for, as the token's claims will say it."""

    sub: str
    email: str = ""
    name: str = ""
    operator_id: str | None = None
    role: Role | None = None
    roster_version: int | None = None
    scope: Scope | None = None


@dataclass(frozen=True, slots=True)
class RequestBinding:
    """The one request for which a token is good."""

    method: str
    target: str


class IdentitySigner:
    """Signs identities with the newest published Ed25519 key."""

    def __init__(
        self,
        keys: Callable[[], tuple[SigningKey, ...]],
        clock: Clock,
        *,
        issuer: str,
        lead: timedelta = PUBLISH_BEFORE_USE,
    ) -> None:
        self._lead = lead
        self._keys = keys
        self._clock = clock
        self._issuer = issuer

    def sign(
        self,
        subject: Subject,
        *,
        audience: str,
        binding: RequestBinding | None = None,
        delegate: str | None = None,
        lifetime_seconds: int = MAX_LIFETIME_SECONDS,
    ) -> str:
        """A compact JWS for exactly one audience, at most 30 s long.

        Raises SigningError when no key can sign.
        """
        now = self._clock.now()
        issued_at = int(now.timestamp())
        claims: dict[str, object] = {
            "iss": self._issuer,
            "aud": audience,
            "iat": issued_at,
            "exp": issued_at + min(lifetime_seconds, MAX_LIFETIME_SECONDS),
            "jti": secrets.token_urlsafe(16),
            **_subject_claims(subject),
            **_binding_claims(binding),
        }
        if delegate is not None:
            claims["azp"] = delegate
        try:
            key = active_key(self._keys(), now, self._lead)
            return jwt.encode(
                claims, key.private, algorithm="EdDSA", headers={"typ": TOKEN_TYPE, "kid": key.kid}
            )
        except Exception as error:
            raise SigningError("the internal identity could not be signed") from error

    def jwks(self) -> dict[str, object]:
        """The public half of every key, for the ops listener."""
        return public_jwks(self._keys())


def _subject_claims(subject: Subject) -> dict[str, object]:
    claims = {
        "sub": subject.sub,
        "email": subject.email,
        "name": subject.name,
        "opid": subject.operator_id,
        "role": subject.role,
        "rv": subject.roster_version,
        "scope": subject.scope,
    }
    return {name: value for name, value in claims.items() if value is not None}


def _binding_claims(binding: RequestBinding | None) -> dict[str, object]:
    if binding is None:
        return {}
    return {"htm": binding.method, "htp": target_digest(binding.target)}
