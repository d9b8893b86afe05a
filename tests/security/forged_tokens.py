"""Forged Access tokens: an operator's claims under other headers, keys and signatures.

Each is made for a running gate, whose team's public key every forger knows.
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from deploy.demo.issuer import sign_compact
from service_kit.identity.model import Role
from tests.fixtures.sidecar import AUD, person
from tests.fixtures.witnessed import Witnessed


def encoded(value: object) -> str:
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def hs256(gate: Witnessed, secret: bytes, **header: object) -> str:
    """An operator's claims, signed with a secret that everybody knows."""
    head = encoded({"alg": "HS256", "typ": "JWT", "kid": gate.sidecar.issuer.current.kid, **header})
    message = f"{head}.{gate.token().split('.')[1]}"
    return f"{message}.{encoded(hmac.digest(secret, message.encode(), hashlib.sha256))}"


def resigned(gate: Witnessed, **header: object) -> str:
    """An operator's claims, well signed, under another header."""
    key = gate.sidecar.issuer.current
    claims = base64.urlsafe_b64decode(gate.token().split(".")[1] + "==")
    honest = {"alg": "RS256", "typ": "JWT", "kid": key.kid}
    return sign_compact(json.dumps({**honest, **header}).encode(), claims, key)


def public(gate: Witnessed, encoding: Encoding, shape: PublicFormat) -> bytes:
    return gate.sidecar.issuer.current.private.public_key().public_bytes(encoding, shape)


def spoilt_signature(gate: Witnessed, change: Callable[[str], str]) -> str:
    head, claims, signature = gate.token().split(".")
    return f"{head}.{claims}.{change(signature)}"


Forgery = Callable[[Witnessed], str]
FORGERIES: dict[str, Forgery] = {
    "PEM as secret": lambda g: hs256(g, public(g, Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)),
    "PKCS1 PEM as secret": lambda g: hs256(g, public(g, Encoding.PEM, PublicFormat.PKCS1)),
    "SSH as secret": lambda g: hs256(g, public(g, Encoding.OpenSSH, PublicFormat.OpenSSH)),
    "DER as secret": lambda g: hs256(g, public(g, Encoding.DER, PublicFormat.SubjectPublicKeyInfo)),
    "JWK as secret": lambda g: hs256(g, json.dumps(g.sidecar.issuer.current.jwk()).encode()),
    "JWK set as secret": lambda g: hs256(g, json.dumps({"keys": [g.sidecar.issuer.current.jwk()]}).encode()),
    "no secret": lambda g: hs256(g, b""),
    "a JWK of its own": lambda g: hs256(g, b"k", jwk={"kty": "oct", "k": encoded(b"k")}),
    "alg none": lambda g: resigned(g, alg="none").rpartition(".")[0] + ".",
    "alg None": lambda g: resigned(g, alg="None"),
    "alg of another hash": lambda g: resigned(g, alg="RS512"),
    "alg of another family": lambda g: resigned(g, alg="ES256"),
    "PSS": lambda g: resigned(g, alg="PS256"),
    "a signature of zeros": lambda g: spoilt_signature(g, lambda _: encoded(bytes(256))),
    "an empty signature": lambda g: spoilt_signature(g, lambda _: ""),
    "crit": lambda g: resigned(g, crit=["x"], x=1),
    "crit b64": lambda g: resigned(g, crit=["b64"], b64=False),
    "b64 alone": lambda g: resigned(g, b64=False),
    "file as jku": lambda g: resigned(g, jku="file:///etc/passwd"),
    "a key of its own": lambda g: resigned(g, jwk=g.sidecar.issuer.current.jwk()),
    "kid unknown": lambda g: resigned(g, kid="0" * 64),
    "kid as a path": lambda g: resigned(g, kid="../../keys"),
    "padding": lambda g: spoilt_signature(g, lambda signature: signature + "=="),
    "junk in base64": lambda g: spoilt_signature(g, lambda signature: "!!!!" + signature),
    "stray bits": lambda g: spoilt_signature(g, lambda signature: signature[:-1] + "_"),
    "another issuer by a prefix": lambda g: g.sidecar.issuer.mint(
        person(Role.SUPER_ADMIN), audience=AUD, iss=g.sidecar.issuer.team_domain[:-1]
    ),
    "a list of issuers": lambda g: g.sidecar.issuer.mint(
        person(Role.SUPER_ADMIN), audience=AUD, iss=[g.sidecar.issuer.team_domain]
    ),
}

_AS_SECRET = ("PEM as secret", "PKCS1 PEM as secret", "SSH as secret", "DER as secret")
_JWK_SECRET = ("JWK as secret", "JWK set as secret", "no secret", "a JWK of its own", "DER as secret")
_BASE64 = ("padding", "junk in base64", "stray bits")
_CLIENT = ("file as jku", "a key of its own", "kid unknown", "kid as a path")
_THE_FIVE = (
    *_JWK_SECRET,
    *_CLIENT,
    "alg of another hash",
    "alg of another family",
    "PSS",
    "crit b64",
    "b64 alone",
)
PYJWT: dict[str, tuple[str, ...]] = {
    "CVE-2017-11424": _AS_SECRET,
    "CVE-2022-29217": _AS_SECRET,
    "CVE-2024-53861": ("another issuer by a prefix", "a list of issuers"),
    "CVE-2025-45768": _JWK_SECRET,  # weak secrets; a short RSA key is refused with its key set
    "CVE-2026-32597": ("crit", "crit b64", "b64 alone"),
    # With CVE-2026-48526 the five repairs of 2.13.0; which number is which repair decides nothing here.
    "CVE-2026-48522": _THE_FIVE,
    "CVE-2026-48523": _THE_FIVE,
    "CVE-2026-48524": _THE_FIVE,
    "CVE-2026-48525": _THE_FIVE,
    "CVE-2026-48526": _JWK_SECRET,
    "GHSA-r6x4-923q-g947": _JWK_SECRET,
    "GHSA-ffc3-869f-jxw9": _BASE64,
    "GHSA-p4g4-x82p-q773": _JWK_SECRET,
    "GHSA-w2cx-738m-mc7w": _JWK_SECRET,
    "GHSA-9v7f-9g4p-ffgj": _CLIENT,
    "GHSA-2gx3-rcp4-g85q": _CLIENT,
    # What these two repaired was not told in public when this was written: everything is tried.
    "GHSA-8wjv-2p76-3863": tuple(FORGERIES),
    "GHSA-w6j9-cwv2-h6wq": tuple(FORGERIES),
    "GHSA-hxm8-2xgr-2p9m": _BASE64,
    "GHSA-pxh4-856f-4h89": _JWK_SECRET,
}
CLASSICS: dict[str, tuple[str, ...]] = {
    "CVE-2020-28042": ("an empty signature",),
    "CVE-2018-0114": ("a key of its own", "a JWK of its own"),
    "CVE-2015-9235": ("alg none", "alg None", *_AS_SECRET),
    "CVE-2016-10555": _AS_SECRET,
    "CVE-2016-5431": _AS_SECRET,
    "CVE-2019-20933": ("no secret",),
    "CVE-2022-21449": ("a signature of zeros", "alg of another family"),
}
