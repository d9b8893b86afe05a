"""Issues Access tokens as Cloudflare does, with real RSA keys: for the demo edge and for every test.

It checks nobody's identity and reads no request: whoever holds an `AccessIssuer` can be anyone.
It must therefore never sign for a team domain that a deployment trusts.
"""

import base64
import hashlib
import hmac
import json
import secrets
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID

from service_kit.clock import Clock

RSA_BITS = 2048
PUBLIC_EXPONENT = 65537
APPLICATION_TOKEN_LIFETIME = timedelta(hours=24)  # Cloudflare's default session duration
COUNTRY = "US"
SERVICE_CLIENT_ID = "9f8e7d6c5b4a39281706f5e4d3c2b1a0.access"

# A verifier matches the `kid` and never asks for the validity of these certificates, so they are the same
# at every start and need no file of their own.
CERTIFICATE_FROM = datetime(2020, 1, 1, tzinfo=UTC)
CERTIFICATE_UNTIL = datetime(2120, 1, 1, tzinfo=UTC)


class Identity(Protocol):
    """What a token says about a person."""

    @property
    def email(self) -> str: ...

    @property
    def sub(self) -> str: ...


@dataclass(frozen=True, slots=True)
class SigningKey:
    """An RSA key and the `kid` it is published under: 64 hex digits, as Cloudflare's are."""

    kid: str
    private: rsa.RSAPrivateKey

    @classmethod
    def of(cls, private: rsa.RSAPrivateKey) -> "SigningKey":
        der = private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return cls(hashlib.sha256(der).hexdigest(), private)

    @classmethod
    def generate(cls, bits: int = RSA_BITS) -> "SigningKey":
        """A fresh key. It costs about 100 ms: tests share theirs."""
        return cls.of(rsa.generate_private_key(PUBLIC_EXPONENT, bits))

    def sign(self, message: bytes) -> bytes:
        return self.private.sign(message, padding.PKCS1v15(), SHA256())

    def jwk(self) -> dict[str, str]:
        numbers = self.private.public_key().public_numbers()
        return {
            "kid": self.kid,
            "kty": "RSA",
            "alg": "RS256",
            "use": "sig",
            "e": _base64url_of_number(numbers.e),
            "n": _base64url_of_number(numbers.n),
        }

    def certificate(self, team_domain: str) -> dict[str, str]:
        """The key as Cloudflare's `{kid, cert}`: a self-signed X.509 certificate in PEM."""
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, team_domain.partition("://")[2][:64])])
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(self.private.public_key())
            .serial_number(int(self.kid[:30], 16) + 1)
            .not_valid_before(CERTIFICATE_FROM)
            .not_valid_after(CERTIFICATE_UNTIL)
            .sign(self.private, SHA256())
        )
        return {"kid": self.kid, "cert": certificate.public_bytes(Encoding.PEM).decode()}


class AccessIssuer:
    """One Access team: its signing keys, its published certificates and the tokens it mints.

    `keys` are the current key and, where there is one, the previous; without them `key_count` are generated.
    """

    def __init__(
        self, team_domain: str, clock: Clock, *, keys: Sequence[SigningKey] = (), key_count: int = 1
    ) -> None:
        self.team_domain = team_domain.rstrip("/")
        self._clock = clock
        self._keys = tuple(keys) or tuple(SigningKey.generate() for _ in range(key_count))
        if not 1 <= len(self._keys) <= 2:  # noqa: PLR2004 - Cloudflare publishes the current and the previous key
            raise ValueError("an issuer has a current key and at most one previous key")

    @property
    def keys(self) -> tuple[SigningKey, ...]:
        """The current key first, then the previous one."""
        return self._keys

    @property
    def current(self) -> SigningKey:
        return self._keys[0]

    def rotate(self, replacement: SigningKey | None = None) -> SigningKey:
        """Sign with a new key from now on; the key until now stays published, any older one is forgotten."""
        self._keys = (replacement or SigningKey.generate(), self.current)
        return self.current

    def forget_previous(self) -> None:
        """End the validity of the previous key; Cloudflare does so seven days after a rotation."""
        self._keys = (self.current,)

    def certs_document(self) -> dict[str, object]:
        """What `/cdn-cgi/access/certs` answers."""
        certificates = [key.certificate(self.team_domain) for key in self._keys]
        return {
            "keys": [key.jwk() for key in self._keys],
            "public_cert": certificates[0],
            "public_certs": certificates,
        }

    def mint(
        self,
        person: Identity,
        *,
        audience: str,
        lifetime: timedelta = APPLICATION_TOKEN_LIFETIME,
        without: Collection[str] = (),
        **overrides: object,
    ) -> str:
        """A person's application token; `overrides` replace claims by name, `without` leaves claims out."""
        issued = self._seconds()
        claims: dict[str, object] = {
            "aud": [audience],
            "email": person.email,
            "exp": issued + int(lifetime.total_seconds()),
            "iat": issued,
            "nbf": issued,
            "iss": self.team_domain,
            "type": "app",
            "identity_nonce": secrets.token_urlsafe(12),
            "sub": person.sub,
            "country": COUNTRY,
        }
        return self.mint_claims(_changed(claims, overrides, without))

    def mint_service_token(
        self,
        *,
        audience: str,
        client_id: str = SERVICE_CLIENT_ID,
        lifetime: timedelta = APPLICATION_TOKEN_LIFETIME,
        without: Collection[str] = (),
        **overrides: object,
    ) -> str:
        """A machine's application token: `type` is `app` too; the empty `sub` and `common_name` tell it."""
        issued = self._seconds()
        claims: dict[str, object] = {
            "type": "app",
            "aud": [audience],
            "exp": issued + int(lifetime.total_seconds()),
            "iss": self.team_domain,
            "common_name": client_id,
            "iat": issued,
            "sub": "",
        }
        return self.mint_claims(_changed(claims, overrides, without))

    def mint_claims(
        self,
        claims: Mapping[str, object],
        *,
        header: Mapping[str, object] | None = None,
        key: SigningKey | bytes | None = None,
    ) -> str:
        """Sign exactly these claims, for hostile tests.

        `header` fields replace the usual ones; a field given as None is left out. The header's `kid` is that
        of `key` (default: the current one). Bytes as `key` sign with HMAC-SHA256, empty bytes not at all.
        """
        kid = key.kid if isinstance(key, SigningKey) else self.current.kid
        fields = {"alg": "RS256", "kid": kid, "typ": "JWT"} | dict(header or {})
        kept = {name: value for name, value in fields.items() if value is not None}
        return sign_compact(_json(kept), _json(claims), self.current if key is None else key)

    def _seconds(self) -> int:
        return int(self._clock.now().timestamp())


def sign_compact(header: bytes, payload: bytes, key: SigningKey | bytes) -> str:
    """A compact JWS of any bytes whatever; bytes as `key` sign with HMAC-SHA256, empty bytes not at all."""
    signed = f"{_base64url(header)}.{_base64url(payload)}"
    return f"{signed}.{_base64url(_signature(signed.encode(), key))}"


def _signature(message: bytes, key: SigningKey | bytes) -> bytes:
    if isinstance(key, SigningKey):
        return key.sign(message)
    return hmac.digest(key, message, "sha256") if key else b""


def _changed(
    claims: dict[str, object], overrides: Mapping[str, object], without: Collection[str]
) -> dict[str, object]:
    return {name: value for name, value in (claims | dict(overrides)).items() if name not in without}


def _json(value: Mapping[str, object]) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _base64url_of_number(number: int) -> str:
    return _base64url(number.to_bytes((number.bit_length() + 7) // 8, "big"))
