"""Whatever the bytes: a token is refused with Refusal, or its claims are typed, ours and current.

The first byte chooses: the token as it is; its payload, signed by the team's key; or its header. So the
claims are fuzzed behind a signature that holds, as another application of the team could make them.
"""

import base64
import json
from collections.abc import Coroutine, Iterator
from typing import Any

from auth_proxy.access.claims import AccessClaims, parse_claims, require_person
from auth_proxy.access.compact_jws import parse_compact
from auth_proxy.access.key_set import StaticKeySet
from auth_proxy.access.verifier import AccessVerifier, VerifierPolicy
from auth_proxy.refusals import Refusal
from deploy.demo.issuer import AccessIssuer, SigningKey
from deploy.demo.people import Person
from service_kit.strict_json import StrictJsonError, parse_object
from tests.fakes.clock import FrozenClock

TEAM = "https://team.cloudflareaccess.com"
AUD = "a" * 64
TYPES = frozenset({"app", "org"})
CLOCK = FrozenClock()
KEY = SigningKey.generate()
VERIFIER = AccessVerifier(VerifierPolicy(TEAM), StaticKeySet({KEY.kid: KEY.private.public_key()}), CLOCK)
_PLAIN, _SIGNED, _JSON, _HEADER = range(4)
_KINDS = {_PLAIN: b"\x00", _SIGNED: b"\x01", _JSON: b"\x02", _HEADER: b"\x03"}
CLAIM_VALUES = (
    "null", "true", "-1", "1e400", "1.0", '""', '"5"', "[]", "{}", '["a"]', "1e300", "4102444800000", "NaN",
    '"\\ud800"', '"a@b@c"', '"\\u0000"', '"\\u212aelvin@example.com"', "9" * 400, "[" * 20 + "]" * 20,
)  # fmt: skip


def seeds() -> Iterator[bytes]:
    token = AccessIssuer(TEAM, CLOCK, keys=(KEY,)).mint(Person.with_email("ada@example.com"), audience=AUD)
    header, payload, _ = token.split(".")
    claims = base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))
    yield _KINDS[_PLAIN] + token.encode()
    yield _KINDS[_HEADER] + base64.urlsafe_b64decode(header + "=" * (-len(header) % 4))
    for kind in (_KINDS[_SIGNED], _KINDS[_JSON]):
        yield kind + claims
        yield kind + claims.decode().encode("utf-16")
        yield kind + b"\xef\xbb\xbf" + claims
        for name in json.loads(claims):
            for value in CLAIM_VALUES:
                yield kind + claims[:-1] + f',"{name}":{value}}}'.encode()
                members = {key: item for key, item in json.loads(claims).items() if key != name}
                yield kind + json.dumps(members).encode()[:-1] + f',"{name}":{value}}}'.encode()
    for name in ("crit", "b64", "zip", "jwk", "jku", "x5u", "x5c", "cty", "typ", "alg", "kid"):
        for value in ('"x"', "null", '["b64"]', '"RS256"', '"none"', '"../k"'):
            yield _KINDS[_HEADER] + f'{{"alg":"RS256","kid":"{KEY.kid}","{name}":{value}}}'.encode()


def one_input(data: bytes) -> None:
    kind, rest = (data[0] % 4, data[1:]) if data else (_PLAIN, b"")
    _judge_parts(rest)
    try:
        claims = _finished(VERIFIER.verify(_token(kind, rest), audiences=frozenset({AUD})))
    except Refusal:
        return
    judge(claims)


def _token(kind: int, rest: bytes) -> str:
    if kind in {_SIGNED, _JSON}:
        return _signed(json.dumps({"alg": "RS256", "kid": KEY.kid}).encode(), rest)
    if kind == _HEADER:
        return _signed(rest, b"{}")
    return rest.decode("utf-8", "surrogateescape")


def _signed(header: bytes, payload: bytes) -> str:
    message = b".".join(base64.urlsafe_b64encode(part).rstrip(b"=") for part in (header, payload))
    return f"{message.decode()}.{base64.urlsafe_b64encode(KEY.sign(message)).rstrip(b'=').decode()}"


def _judge_parts(rest: bytes) -> None:
    """Each reader alone raises what it says it raises, and nothing else."""
    for step in (
        lambda: parse_compact(rest.decode("latin-1")),
        lambda: parse_claims(rest, key_id="k"),
        lambda: parse_object(rest, max_bytes=16_384),
    ):
        try:
            step()
        except (Refusal, StrictJsonError):
            continue


def judge(claims: AccessClaims) -> None:
    """Raises AssertionError for claims that should not have been believed."""
    now = CLOCK.now().timestamp()
    assert claims.issuer == TEAM
    assert AUD in claims.audiences
    assert all(type(item) is str for item in claims.audiences)
    times = (claims.issued_at, claims.expires_at, claims.not_before or 0)
    assert all(type(item) is int for item in times)
    assert claims.expires_at + 60 > now >= max(claims.issued_at, claims.not_before or 0) - 60
    assert claims.expires_at - claims.issued_at <= 31 * 86_400 + 60
    try:
        person = require_person(claims, accepted_types=TYPES)
    except Refusal:
        return
    assert claims.common_name is None
    assert claims.token_type in TYPES
    assert person.sub
    assert person.email.count("@") == 1
    assert person.email.isascii()
    assert person.email == person.email.strip().lower()
    assert not any(ord(character) < 0x21 for character in person.email)


def _finished(verifying: Coroutine[Any, Any, AccessClaims]) -> AccessClaims:
    """The result of a coroutine that waits for nothing: a static key set never does."""
    try:
        verifying.send(None)
    except StopIteration as stopped:
        result: AccessClaims = stopped.value
        return result
    verifying.close()
    raise AssertionError("it waited")
