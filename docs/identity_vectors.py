# noqa: INP001 - a script beside the texts that it writes, not a package
"""Writes `identity-vectors.json`: tokens of every kind, and what a verifier must say to each.

Everything in it is fixed, so that every run gives the same bytes. Its private keys are public: they stand
below for everybody to read, and nothing but a test may believe them.
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from service_kit.identity.binding import MAX_LIFETIME_SECONDS, TOKEN_TYPE, target_digest
from service_kit.identity.keys import SigningKey, public_jwks, thumbprint
from service_kit.identity.verifying import CLOCK_SKEW_SECONDS, IdentityReason

OK: Final = "ok"
ISSUER: Final = "auth_proxy"
AUDIENCE: Final = "frontend"
DELEGATE: Final = "admin_service"
_MADE_AT: Final = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
NOW: Final = int(_MADE_AT.timestamp())

_ABOUT: Final = (
    "Test vectors of the internal identity, explained in docs/internal-identity.md and written by "
    "docs/identity_vectors.py. FOR TESTS ONLY: the private halves of these keys are published in that file, "
    "and whoever believes them outside a test lets everybody in."
)

R = IdentityReason
Claims = Mapping[str, Any]


def _public_knowledge_key(seed: bytes) -> SigningKey:
    private = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(seed).digest())
    return SigningKey(thumbprint(private.public_key()), private, _MADE_AT)


KEY: Final = _public_knowledge_key(b"sallyport test vectors: a public key, for tests only")
NEXT_KEY: Final = _public_knowledge_key(b"sallyport test vectors: the key after it, for tests only")
FOREIGN_KEY: Final = _public_knowledge_key(b"sallyport test vectors: a stranger's key, for tests only")


@dataclass(frozen=True, slots=True)
class Vector:
    """One token, the request it comes with, and the verdict on the last of its `uses`."""

    name: str
    token: str
    expect: str
    method: str = "GET"
    target: str = "/reports?month=11"
    header: str = "identity"
    now: int = NOW
    uses: int = 1


def document() -> str:
    """The file's text, the same on every machine."""
    content = {
        "about": _ABOUT,
        "jwks": public_jwks([KEY, NEXT_KEY]),
        "policy": {
            "issuer": ISSUER,
            "audience": AUDIENCE,
            "delegate": DELEGATE,
            "skewSeconds": CLOCK_SKEW_SECONDS,
            "lifetimeSeconds": MAX_LIFETIME_SECONDS,
        },
        "cases": [asdict(vector) for vector in vectors()],
    }
    return json.dumps(content, indent=1) + "\n"


def vectors() -> tuple[Vector, ...]:
    """Every case, in the order of a verifier's steps."""
    groups = (_good, _misshapen, _bad_headers, _unproven, _bad_claims, _ill_timed, _misdirected, _delegated)
    return tuple(vector for group in groups for vector in group())


def claims(**changes: Any) -> dict[str, Any]:
    """The claims of an operator's token for reading; a change to `...` leaves the claim out."""
    honest = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "iat": NOW,
        "exp": NOW + MAX_LIFETIME_SECONDS,
        "jti": "test-vector-token-0001",
        "sub": "7335d417-61da-459d-899c-0a01c76a2f94",
        "email": "ada@example.com",
        "name": "Ada Lovelace",
        "opid": "adm_01",
        "role": "support",
        "rv": 7,
    }
    return {name: value for name, value in {**honest, **changes}.items() if value is not ...}


def bound(method: str, target: str, **changes: Any) -> dict[str, Any]:
    """The same for one request alone."""
    return claims(htm=method, htp=target_digest(target), **changes)


def sign(payload: Claims | bytes, key: SigningKey = KEY, **header: Any) -> str:
    """A token that is really signed, whatever it says."""
    return signed_text(f"{_head(header, key)}.{_body(payload)}", key)


def signed_text(text: str, key: SigningKey = KEY) -> str:
    """The text and the signature over exactly this text."""
    return f"{text}.{_b64(key.private.sign(text.encode()))}"


def _head(changes: Mapping[str, Any], key: SigningKey = KEY) -> str:
    members = {"alg": "EdDSA", "typ": TOKEN_TYPE, "kid": key.kid, **changes}
    return _b64(_compact({name: value for name, value in members.items() if value is not ...}))


def _body(payload: Claims | bytes) -> str:
    return _b64(payload if isinstance(payload, bytes) else _compact(payload))


def _compact(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _b64(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def _good() -> Iterator[Vector]:
    person = claims(opid=..., role=..., rv=..., name="")
    upgrade = bound("GET", "/socket?room=1")
    yield Vector("an operator reads", sign(claims()), OK)
    yield Vector("a token for reading may be used again", sign(claims()), OK, uses=3)
    yield Vector("a token for reading serves HEAD and every path", sign(claims()), OK, "HEAD", "/")
    yield Vector("the other key of the set", sign(claims(), NEXT_KEY), OK)
    yield Vector("a person who is no operator", sign(person), OK)
    yield Vector("a process of the sidecar", sign(claims(opid=..., role=..., rv=..., scope="roster")), OK)
    yield Vector("a name in Greek and an emoji", sign(claims(name="Ὑπατία 🦉")), OK)
    yield Vector("white space between JSON members", sign(json.dumps(claims(), indent=2).encode()), OK)
    yield Vector("a write, bound to its request", sign(bound("POST", "/orders")), OK, "POST", "/orders")
    yield Vector(
        "a write to an escaped path with a query",
        sign(bound("PUT", "/a%2Fb/%C3%A9?x=1&y=%20")),
        OK,
        "PUT",
        "/a%2Fb/%C3%A9?x=1&y=%20",
    )
    yield Vector("a websocket upgrade, bound to its request", sign(upgrade), OK, "GET", "/socket?room=1")


def _misshapen() -> Iterator[Vector]:
    good = sign(claims())
    head, body, signature = good.split(".")
    serialised = json.dumps({"protected": head, "payload": body, "signature": signature})
    # 64 bytes leave four stray bits in the last character: flipping one gives a second spelling.
    last = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    respelt = good[:-1] + last[last.index(good[-1]) + 1]
    yield Vector("no token", "", R.MALFORMED)
    yield Vector("two parts", f"{head}.{body}", R.MALFORMED)
    yield Vector("four parts", f"{good}.", R.MALFORMED)
    yield Vector("JSON serialisation", serialised, R.MALFORMED)
    yield Vector("five thousand bytes", sign(claims(name="x" * 3500)), R.MALFORMED)
    yield Vector("padding behind the signature", f"{good}==", R.MALFORMED)
    yield Vector("padding that is signed", signed_text(f"{head}=.{body}"), R.MALFORMED)
    yield Vector("a space before it", f" {good}", R.MALFORMED)
    yield Vector("a line break behind it", f"{good}\n", R.MALFORMED)
    yield Vector("a line break that is signed", signed_text(f"{head}.\n{body}"), R.MALFORMED)
    yield Vector("the alphabet of plain base64", _other_alphabet(), R.MALFORMED)
    yield Vector("a second spelling of the signature", respelt, R.MALFORMED)
    yield Vector("a letter outside ASCII", f"{good}é", R.MALFORMED)


def _other_alphabet() -> str:
    head = _head({})
    body = base64.b64encode(_compact(claims(name="?>?>???"))).rstrip(b"=").decode()
    if not set("+/") & set(body):
        raise AssertionError("this text was chosen because it needs the letters that differ")
    return signed_text(f"{head}.{body}")


def _bad_headers() -> Iterator[Vector]:
    unsigned = f"{_head({'alg': 'none'})}.{_body(claims())}."
    raw = KEY.private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    confused = f"{_head({'alg': 'HS256'})}.{_body(claims())}"
    mac = _b64(hmac.new(raw, confused.encode(), hashlib.sha256).digest())
    twice = f'{{"alg":"none","alg":"EdDSA","typ":"{TOKEN_TYPE}","kid":"{KEY.kid}"}}'
    (own_key,) = json.loads(json.dumps(public_jwks([FOREIGN_KEY])))["keys"]
    yield Vector("alg none without a signature", unsigned, R.MALFORMED)
    yield Vector("alg none over a good signature", sign(claims(), alg="none"), R.MALFORMED)
    yield Vector("HS256 with the public key as secret", f"{confused}.{mac}", R.MALFORMED)
    yield Vector("RS256 by name", sign(claims(), alg="RS256"), R.MALFORMED)
    yield Vector("alg in small letters", sign(claims(), alg="eddsa"), R.MALFORMED)
    yield Vector("alg missing", sign(claims(), alg=...), R.MALFORMED)
    yield Vector("alg named twice", signed_text(f"{_b64(twice.encode())}.{_body(claims())}"), R.MALFORMED)
    trailed = _b64(f'{{"alg":"EdDSA","typ":"{TOKEN_TYPE}","kid":"{KEY.kid}"}}{{}}'.encode())
    yield Vector("text behind the header", signed_text(f"{trailed}.{_body(claims())}"), R.MALFORMED)
    yield Vector("typ missing", sign(claims(), typ=...), R.MALFORMED)
    yield Vector("typ of any JWT", sign(claims(), typ="JWT"), R.MALFORMED)
    yield Vector("kid missing", sign(claims(), kid=...), R.MALFORMED)
    yield Vector("kid is a number", sign(claims(), kid=1), R.MALFORMED)
    yield Vector("an extension that must be understood", sign(claims(), crit=["exp"]), R.MALFORMED)
    yield Vector(
        "a key that the token brings along",
        sign(claims(), FOREIGN_KEY, kid=KEY.kid, jwk=own_key),
        R.MALFORMED,
    )
    elsewhere = sign(claims(), jku="https://keys.example.com/jwks.json")
    yield Vector("a key set that the token points to", elsewhere, R.MALFORMED)
    deep = f'{{"alg":{"[" * 1500}{"]" * 1500}}}'
    yield Vector("a header nested deep", signed_text(f"{_b64(deep.encode())}.{_body(claims())}"), R.MALFORMED)
    yield Vector("a header that is a list", signed_text(f"{_b64(b'[]')}.{_body(claims())}"), R.MALFORMED)


def _unproven() -> Iterator[Vector]:
    good = sign(claims())
    text, _, signature = good.rpartition(".")
    raw = base64.urlsafe_b64decode(f"{signature}==")
    other = _body(claims(role="super_admin"))
    order = (
        2**252 + 27742317777372353535851937790883648493
    )  # RFC 8032: s + order verifies where s < order is not asked
    raised = (int.from_bytes(raw[32:], "little") + order).to_bytes(32, "little")
    yield Vector("a key that is not in the set", sign(claims(), FOREIGN_KEY), R.KEY_UNKNOWN)
    yield Vector("kid of an object's inner workings", sign(claims(), kid="__proto__"), R.KEY_UNKNOWN)
    yield Vector("a stranger's key under our kid", sign(claims(), FOREIGN_KEY, kid=KEY.kid), R.SIGNATURE)
    yield Vector("our keys mixed up", sign(claims(), NEXT_KEY, kid=KEY.kid), R.SIGNATURE)
    yield Vector("one bit flipped", f"{text}.{_b64(bytes([raw[0] ^ 1]) + raw[1:])}", R.SIGNATURE)
    yield Vector("a signature of zeroes", f"{text}.{_b64(bytes(64))}", R.SIGNATURE)
    yield Vector("a signature cut short", f"{text}.{_b64(raw[:63])}", R.SIGNATURE)
    yield Vector("a second signature made from the first", f"{text}.{_b64(raw[:32] + raised)}", R.SIGNATURE)
    yield Vector("claims exchanged", f"{_head({})}.{other}.{signature}", R.SIGNATURE)


def _bad_claims() -> Iterator[Vector]:
    whole = _compact(claims()).decode()
    yield Vector("a payload that is no JSON", sign(b"\xff\xfe"), R.CLAIMS)
    yield Vector("a payload that is a list", sign(b"[]"), R.CLAIMS)
    yield Vector("text behind the payload", sign(f"{whole}{{}}".encode()), R.CLAIMS)
    yield Vector("a byte order mark", sign(f"\ufeff{whole}".encode()), R.CLAIMS)
    yield Vector("a claim named twice", sign(f'{{"sub":"other",{whole[1:]}'.encode()), R.CLAIMS)
    yield Vector(
        "a claim named twice, once with an escape", sign(rf'{{"\u0073ub":"x",{whole[1:]}'.encode()), R.CLAIMS
    )
    yield Vector("a claim that nobody knows", sign(claims(admin=1)), R.CLAIMS)
    yield Vector("a claim named __proto__", sign(claims(__proto__="x")), R.CLAIMS)
    yield Vector("an object as claim", sign(claims(name={"first": "Ada"})), R.CLAIMS)
    yield Vector("null as claim", sign(claims(azp=None)), R.CLAIMS)
    yield Vector("sub missing", sign(claims(sub=...)), R.CLAIMS)
    yield Vector("sub empty", sign(claims(sub="")), R.CLAIMS)
    yield Vector("jti missing", sign(claims(jti=...)), R.CLAIMS)
    yield Vector("jti too short to be unique", sign(claims(jti="1")), R.CLAIMS)
    yield Vector("exp missing", sign(claims(exp=...)), R.CLAIMS)
    yield Vector("exp is text", sign(claims(exp=str(NOW + 30))), R.CLAIMS)
    yield Vector("exp has a fraction", sign(claims(exp=NOW + 29.5)), R.CLAIMS)
    yield Vector("exp has a fraction of nothing", sign(claims(exp=float(NOW + 30))), R.CLAIMS)
    yield Vector("exp is beyond exact numbers", sign(claims(exp=2**64)), R.CLAIMS)
    yield Vector("iat is a truth value", sign(claims(iat=True)), R.CLAIMS)
    yield Vector("aud is a list", sign(claims(aud=[AUDIENCE])), R.CLAIMS)
    yield Vector("aud missing", sign(claims(aud=...)), R.CLAIMS)
    yield Vector("an unknown role", sign(claims(role="root")), R.CLAIMS)
    yield Vector("role without opid", sign(claims(opid=...)), R.CLAIMS)
    yield Vector("opid without role", sign(claims(role=...)), R.CLAIMS)
    yield Vector("a process that is also a person", sign(claims(scope="roster")), R.CLAIMS)
    yield Vector("another issuer", sign(claims(iss="https://team.cloudflareaccess.com")), R.ISSUER)
    yield Vector("another audience", sign(claims(aud="tenant_service")), R.AUDIENCE)
    yield Vector("the audience and more", sign(claims(aud=f"{AUDIENCE} ")), R.AUDIENCE)


def _ill_timed() -> Iterator[Vector]:
    token, end = sign(claims()), NOW + MAX_LIFETIME_SECONDS
    yield Vector("exp is past, within the allowance", token, OK, now=end + CLOCK_SKEW_SECONDS - 1)
    yield Vector("exp is past", token, R.EXPIRED, now=end + CLOCK_SKEW_SECONDS)
    yield Vector("iat is in the future, within the allowance", token, OK, now=NOW - CLOCK_SKEW_SECONDS)
    yield Vector("iat is in the future", token, R.NOT_YET_VALID, now=NOW - CLOCK_SKEW_SECONDS - 1)
    yield Vector("a life of 31 seconds", sign(claims(exp=NOW + 31)), R.LIFETIME)
    yield Vector("a life of no time", sign(claims(exp=NOW)), R.LIFETIME)
    yield Vector("exp before iat", sign(claims(iat=NOW + 2, exp=NOW + 1)), R.LIFETIME)


def _misdirected() -> Iterator[Vector]:
    write = sign(bound("POST", "/orders?draft=1"))
    half, other_half = claims(htp=target_digest("/orders")), claims(htm="POST")
    yield Vector("a token for reading on POST", sign(claims()), R.BINDING, "POST")
    yield Vector("a token for reading on an unknown method", sign(claims()), R.BINDING, "PROPFIND")
    yield Vector("a token for reading on get in small letters", sign(claims()), R.BINDING, "get")
    yield Vector("htm is another method", write, R.BINDING, "PUT", "/orders?draft=1")
    yield Vector("htp is another path", write, R.BINDING, "POST", "/order?draft=1")
    yield Vector("htp is another query", write, R.BINDING, "POST", "/orders?draft=2")
    yield Vector("htp without its query", write, R.BINDING, "POST", "/orders")
    yield Vector("htm missing", sign(half), R.BINDING, "POST", "/orders")
    yield Vector("htp missing", sign(other_half), R.BINDING, "POST", "/orders")
    yield Vector("htm alone on GET", sign(claims(htm="GET")), R.BINDING)
    yield Vector("a token for writing used to read", write, R.BINDING, "GET", "/orders?draft=1")
    yield Vector("a write, sent twice", write, R.REPLAYED, "POST", "/orders?draft=1", uses=2)
    upgrade = sign(bound("GET", "/socket?room=1"))
    yield Vector("a websocket upgrade, sent twice", upgrade, R.REPLAYED, "GET", "/socket?room=1", uses=2)
    yield Vector("a delegation sent as identity", sign(claims(azp=DELEGATE)), R.DELEGATION)
    yield Vector("an empty delegate", sign(claims(azp="")), R.DELEGATION)


def _delegated() -> Iterator[Vector]:
    reads = sign(claims(azp=DELEGATE))
    writes = sign(bound("POST", "/manage/orders", azp=DELEGATE))
    safe = sign(bound("GET", "/socket", azp=DELEGATE))
    cases = (
        Vector("a delegation to read, used again", reads, OK, uses=2),
        Vector("a delegation to write, on any path", writes, OK, "DELETE", "/orders/1"),
        Vector("a delegation to write may read, and often", writes, OK, uses=2),
        Vector("a delegation to write, used twice", writes, R.REPLAYED, "DELETE", "/orders/1", uses=2),
        Vector("a delegation to read used to write", reads, R.BINDING, "POST", "/orders"),
        Vector("a delegation of a GET used to write", safe, R.BINDING, "POST", "/orders"),
        Vector("an identity sent as delegation", sign(claims()), R.DELEGATION),
        Vector("a delegation for another service", sign(claims(azp="tenant_service")), R.DELEGATION),
    )
    for case in cases:
        yield Vector(**{**asdict(case), "header": "delegation"})
