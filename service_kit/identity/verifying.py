"""Proving an internal identity: signature, type, issuer, audience, time, request binding, replay.

It trusts no header but the token it is given and reads no key from the token. Every doubt raises
`IdentityRejectedError` with one named reason; there is no result that means "perhaps".
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Final, Protocol

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from jwt.api_jws import PyJWS
from jwt.exceptions import PyJWTError
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from service_kit.base64url import decode_canonical
from service_kit.clock import Clock
from service_kit.identity.binding import MAX_LIFETIME_SECONDS, SAFE_METHODS, TOKEN_TYPE, target_digest
from service_kit.identity.model import InternalIdentity, Role, Scope
from service_kit.identity.replay import ReplayGuard
from service_kit.strict_json import StrictJsonError, parse_object

CLOCK_SKEW_SECONDS: Final = 5
"""Sidecar and services share a machine or a rack: seconds of skew are a fault, not a fact of life."""

_ALGORITHM: Final = "EdDSA"
_MOST_BYTES: Final = 4096
_PARTS: Final = 3

# JavaScript and Go read these numbers exactly too, so that no verifier sees another moment than we do.
_Count = Annotated[int, Field(ge=0, lt=2**53)]


class IdentityReason(StrEnum):
    """Why an internal identity was refused: the metric label and the word in the log."""

    MISSING = "missing"
    DUPLICATED = "duplicated"
    MALFORMED = "malformed"
    KEY_UNKNOWN = "key_unknown"
    SIGNATURE = "signature"
    CLAIMS = "claims"
    ISSUER = "issuer"
    AUDIENCE = "audience"
    EXPIRED = "expired"
    NOT_YET_VALID = "not_yet_valid"
    LIFETIME = "lifetime"
    BINDING = "binding"
    REPLAYED = "replayed"
    DELEGATION = "delegation"


class IdentityRejectedError(Exception):
    """The token proves nothing to this service."""

    def __init__(self, reason: IdentityReason) -> None:
        super().__init__(reason.value)
        self.reason = reason


class KeysNotLoadedError(Exception):
    """The public keys were never loaded: nothing can be proven, so nothing is served."""


class PublicKeys(Protocol):
    """Where public keys come from; a file or the sidecar's JWK set."""

    async def key(self, kid: str) -> Ed25519PublicKey | None:
        """The key, or None when the current set does not name it.

        Raises KeysNotLoadedError when there is no set at all.
        """
        ...


class _Claims(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    iss: str
    aud: str
    sub: str = Field(min_length=1, max_length=255)
    email: str = Field(max_length=320)
    name: str = Field(max_length=200)
    iat: _Count
    exp: _Count
    jti: str = Field(min_length=16, max_length=64)
    opid: str | None = Field(default=None, min_length=1, max_length=64)
    role: Annotated[Role, Field(strict=False)] | None = None  # JSON has no enums: text is taken for one
    rv: _Count | None = None
    scope: Annotated[Scope, Field(strict=False)] | None = None
    htm: str | None = None
    htp: str | None = None
    azp: str | None = None


@dataclass(frozen=True, slots=True)
class VerifierPolicy:
    """What a service accepts: one issuer, its own audience, and at most one delegating service."""

    issuer: str
    audience: str
    delegate: str | None = None


class IdentityVerifier:
    """The one way from a token to an `InternalIdentity`."""

    def __init__(self, policy: VerifierPolicy, keys: PublicKeys, replay: ReplayGuard, clock: Clock) -> None:
        self._policy = policy
        self._keys = keys
        self._replay = replay
        self._clock = clock
        self._jws = PyJWS(algorithms=[_ALGORITHM])

    async def verify(self, token: str, *, method: str, target: str) -> InternalIdentity:
        """The caller of this request.

        A token for an unsafe method must name exactly this method and target, and is good once (R-005).
        Raises IdentityRejectedError or KeysNotLoadedError.
        """
        claims = await self._proven(token)
        if claims.azp is not None:
            raise IdentityRejectedError(IdentityReason.DELEGATION)
        bound = claims.htm is not None or claims.htp is not None
        if bound or method not in SAFE_METHODS:
            self._check_binding(claims, method, target)
            await self._check_first_use(claims)
        return _identity(claims)

    async def verify_delegation(self, token: str, *, method: str) -> InternalIdentity:
        """The operator in whose name another service asks.

        A delegation that came with a safe browser request can only read; one that came with an unsafe
        request changes something at most once. So the delegate cannot widen what the operator did.
        """
        claims = await self._proven(token)
        if self._policy.delegate is None or claims.azp != self._policy.delegate:
            raise IdentityRejectedError(IdentityReason.DELEGATION)
        if method not in SAFE_METHODS:
            if claims.htm is None or claims.htm in SAFE_METHODS:
                raise IdentityRejectedError(IdentityReason.BINDING)
            await self._check_first_use(claims)
        return _identity(claims)

    async def verify_shown(self, token: str) -> InternalIdentity:
        """The person of a request to somebody else, who shows what came with it.

        It proves that the request was there within the last half minute, and is no leave to do anything:
        so neither binding nor replay is asked. Only a person's own request counts; a delegation and a
        process are refused. Raises IdentityRejectedError or KeysNotLoadedError.
        """
        claims = await self._proven(token)
        if claims.azp is not None or claims.scope is not None:
            raise IdentityRejectedError(IdentityReason.DELEGATION)
        return _identity(claims)

    async def _proven(self, token: str) -> _Claims:
        key = await self._keys.key(_unverified_kid(token))
        if key is None:
            raise IdentityRejectedError(IdentityReason.KEY_UNKNOWN)
        claims = _parse(self._verified_payload(token, key))
        self._check_policy(claims)
        self._check_time(claims)
        return claims

    def _verified_payload(self, token: str, key: Ed25519PublicKey) -> bytes:
        try:
            payload: bytes = self._jws.decode_complete(token, key, algorithms=[_ALGORITHM])["payload"]
        except PyJWTError as error:
            raise IdentityRejectedError(IdentityReason.SIGNATURE) from error
        return payload

    def _check_policy(self, claims: _Claims) -> None:
        if claims.iss != self._policy.issuer:
            raise IdentityRejectedError(IdentityReason.ISSUER)
        if claims.aud != self._policy.audience:
            raise IdentityRejectedError(IdentityReason.AUDIENCE)
        # A role without an operator, or a process that is also a person, is nobody we know.
        if (claims.opid is None) != (claims.role is None) or (claims.scope and claims.opid):
            raise IdentityRejectedError(IdentityReason.CLAIMS)

    def _check_time(self, claims: _Claims) -> None:
        now = self._clock.now().timestamp()
        if not 0 < claims.exp - claims.iat <= MAX_LIFETIME_SECONDS:
            raise IdentityRejectedError(IdentityReason.LIFETIME)
        if claims.exp <= now - CLOCK_SKEW_SECONDS:
            raise IdentityRejectedError(IdentityReason.EXPIRED)
        if claims.iat > now + CLOCK_SKEW_SECONDS:
            raise IdentityRejectedError(IdentityReason.NOT_YET_VALID)

    def _check_binding(self, claims: _Claims, method: str, target: str) -> None:
        if claims.htm != method or claims.htp != target_digest(target):
            raise IdentityRejectedError(IdentityReason.BINDING)

    async def _check_first_use(self, claims: _Claims) -> None:
        if not await self._replay.first_use(claims.jti, claims.exp + CLOCK_SKEW_SECONDS):
            raise IdentityRejectedError(IdentityReason.REPLAYED)


def _unverified_kid(token: str) -> str:
    """Which key the token names, once its form is the one and only form that the sidecar writes.

    Exactly three members: `crit`, `b64`, `zip` or a key of the token's own have no place to stand.
    """
    parts = token.split(".")
    if len(token) > _MOST_BYTES or len(parts) != _PARTS:
        raise IdentityRejectedError(IdentityReason.MALFORMED)
    try:
        header, _payload, _signature = (decode_canonical(part) for part in parts)
        members = parse_object(header, max_bytes=_MOST_BYTES)
    except ValueError:
        raise IdentityRejectedError(IdentityReason.MALFORMED) from None
    kid = members.get("kid")
    if not isinstance(kid, str) or members != {"alg": _ALGORITHM, "typ": TOKEN_TYPE, "kid": kid}:
        raise IdentityRejectedError(IdentityReason.MALFORMED)
    return kid


def _parse(payload: bytes) -> _Claims:
    try:
        members = parse_object(payload, max_bytes=_MOST_BYTES)
        claims = _Claims.model_validate(members)
    except (StrictJsonError, ValidationError) as error:
        raise IdentityRejectedError(IdentityReason.CLAIMS) from error
    # The sidecar leaves out what is not so; null would be absent to one reader and present to the next.
    if None in members.values():
        raise IdentityRejectedError(IdentityReason.CLAIMS)
    return claims


def _identity(claims: _Claims) -> InternalIdentity:
    return InternalIdentity(
        subject=claims.sub,
        email=claims.email,
        name=claims.name,
        audience=claims.aud,
        token_id=claims.jti,
        expires_at=claims.exp,
        operator_id=claims.opid,
        role=claims.role,
        roster_version=claims.rv,
        scope=claims.scope,
        delegate=claims.azp,
    )
