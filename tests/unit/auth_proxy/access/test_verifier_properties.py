"""Searches for what the tables of `test_verifier` forgot."""

import asyncio
import base64
import json

import jwt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from auth_proxy.access.claims import AccessClaims
from auth_proxy.access.key_set import StaticKeySet
from auth_proxy.access.verifier import AccessVerifier, VerifierPolicy
from auth_proxy.refusals import Refusal
from deploy.demo.issuer import SigningKey, sign_compact
from service_kit.clock import SystemClock

TEAM = "https://team.cloudflareaccess.com"
AUD = "aud-1"
CLOCK = SystemClock()  # PyJWT, the other judge, knows no other


@pytest.fixture(scope="module")
def verifier(first_key: SigningKey) -> AccessVerifier:
    return AccessVerifier(
        VerifierPolicy(TEAM), StaticKeySet({first_key.kid: first_key.private.public_key()}), CLOCK
    )


def verdict(verifier: AccessVerifier, token: str) -> AccessClaims | None:
    async def run() -> AccessClaims | None:
        try:
            return await verifier.verify(token, audiences=frozenset({AUD}))
        except Refusal as refusal:
            assert len(token) < 20 or token not in str(refusal)  # noqa: PT017 - a property: both ends are fine
            return None

    return asyncio.run(run())


def part(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=4,
)


@given(
    st.text(max_size=60)
    | st.from_regex(r"[A-Za-z0-9_\-=]{0,12}(\.[A-Za-z0-9_\-=]{0,12}){0,5}")
    | st.binary(max_size=60).map(lambda data: data.decode("latin-1"))
    | st.lists(st.binary(max_size=30), min_size=3, max_size=3).map(lambda parts: ".".join(map(part, parts)))
)
def test_any_text_is_refused_and_nothing_else_happens(verifier: AccessVerifier, text: str) -> None:
    """No text whatever raises another error than Refusal."""
    assert verdict(verifier, text) is None


@given(
    header=st.dictionaries(st.sampled_from(["alg", "typ", "kid", "crit", "x"]), JSON),
    payload=st.binary(max_size=50),
)
def test_any_header_is_refused_and_nothing_else_happens(
    verifier: AccessVerifier, header: dict[str, object], payload: bytes
) -> None:
    """Strange headers over strange payloads are refusals, never crashes."""
    token = ".".join((part(json.dumps(header).encode()), part(payload), part(b"signature")))

    assert verdict(verifier, token) is None


VALUES = {
    "iss": st.sampled_from([TEAM, f"{TEAM}/", "", None, [TEAM]]),
    "aud": st.sampled_from([AUD, [AUD], ["x", AUD], "x", [], None, {AUD: 1}, [AUD, 1]]),
    "exp": st.sampled_from([60, 3600, -50, -61, 10**9, "60", 1.5, None, True]),
    "iat": st.sampled_from([0, -60, 59, 3600, -(10**9), "0", None, 0.5]),
    "nbf": st.sampled_from([0, -60, 59, 3600, "0", None, 0.5]),
    "sub": st.sampled_from(["s", "", None, 1]),
    "jti": st.sampled_from(["j", "", None, 1]),
    "email": st.sampled_from(["a@b.c", None, 1, ["a@b.c"]]),
}
MOSTLY_GOOD = {
    "iss": TEAM, "aud": [AUD], "exp": 3600, "iat": 0, "nbf": 0, "sub": "s", "email": "a@b.c",
}  # fmt: skip


@settings(max_examples=400, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(
    changes=st.fixed_dictionaries({}, optional=VALUES),
    dropped=st.sets(st.sampled_from(sorted(VALUES)), max_size=2),
)
def test_what_we_accept_pyjwt_accepts(
    verifier: AccessVerifier, first_key: SigningKey, changes: dict[str, object], dropped: set[str]
) -> None:
    """Our rules are a subset of another implementation's: nothing passes here that it refuses."""
    now = int(CLOCK.now().timestamp())
    relative = {k: v for k, v in (MOSTLY_GOOD | changes).items() if k not in dropped}
    claims = {
        name: now + value if name in {"exp", "iat", "nbf"} and type(value) is int else value
        for name, value in relative.items()
    }
    header = {"alg": "RS256", "kid": first_key.kid, "typ": "JWT"}
    token = sign_compact(json.dumps(header).encode(), json.dumps(claims).encode(), first_key)

    ours = verdict(verifier, token)
    if ours is not None:
        theirs = jwt.decode(
            token,
            first_key.private.public_key(),
            algorithms=["RS256"],
            audience=AUD,
            issuer=TEAM,
            leeway=60,
            options={"require": ["exp", "iat", "iss", "aud"]},
        )
        assert theirs["iss"] == ours.issuer
        assert theirs["exp"] == ours.expires_at


@given(position=st.integers(0, 10_000), replacement=st.sampled_from("AQgwz019-_.=+/ \n\u00e9"))
def test_no_single_character_can_be_changed(
    verifier: AccessVerifier, first_key: SigningKey, position: int, replacement: str
) -> None:
    """A good token with any one character replaced is no token."""
    now = int(CLOCK.now().timestamp())
    claims = MOSTLY_GOOD | {"exp": now + 3600, "iat": now, "nbf": now}
    header = {"alg": "RS256", "kid": first_key.kid, "typ": "JWT"}
    token = sign_compact(json.dumps(header).encode(), json.dumps(claims).encode(), first_key)
    assert verdict(verifier, token) is not None

    position %= len(token)
    changed = token[:position] + replacement + token[position + 1 :]

    assert (verdict(verifier, changed) is None) == (changed != token)
