"""Our check of a signature against PyJWT's, over every forged token of the house and what chance makes.

What our grammar lets through, both judge alike, and read the same payload; what it refuses, PyJWT may
take (padding, `jku`, an odd `typ`), and nothing that PyJWT refuses is ever taken here.
"""

import base64
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from hypothesis import given, settings
from hypothesis import strategies as st
from jwt.api_jws import PyJWS
from jwt.exceptions import PyJWTError

from auth_proxy.access.compact_jws import UnverifiedJws, parse_compact
from auth_proxy.access.signature import require_signature
from auth_proxy.refusals import Reason, Refusal
from deploy.demo.issuer import AccessIssuer, SigningKey
from service_kit.identity.model import Role
from tests.fakes.clock import FrozenClock
from tests.fixtures.forgery import SIGNATURES, Forge, part
from tests.fixtures.sidecar import AUD, person
from tests.fixtures.witnessed import Witnessed
from tests.security.forged_tokens import FORGERIES
from tests.security.test_token_attacks import CASES
from tests.unit.auth_proxy.access.test_compact_jws import ALGORITHMS, HEADERS, MALFORMED
from tests.unit.auth_proxy.access.test_verifier import TEAM, claims_of

GOOD_TYPES = ("JWT", "jwt")


@dataclass(frozen=True)
class Verdicts:
    """What each of the two says: the payload, or None for no."""

    unverified: UnverifiedJws | None
    ours: bytes | None
    theirs: bytes | None


def judged(token: str, key: RSAPublicKey) -> Verdicts:
    """Both verdicts over one token. The verifier refuses what is not ASCII before either is asked."""
    unverified, ours = None, None
    try:
        unverified = parse_compact(token)
        require_signature(unverified, key)
        ours = unverified.unverified_payload
    except Refusal as refusal:
        assert unverified is None or refusal.reason is Reason.TOKEN_SIGNATURE  # noqa: PT017 - one of two good ends
    return Verdicts(unverified, ours, _theirs(token, key))


def _theirs(token: str, key: RSAPublicKey) -> bytes | None:
    try:
        payload: bytes = PyJWS(algorithms=["RS256"]).decode_complete(token, key, algorithms=["RS256"])[
            "payload"
        ]
    except (PyJWTError, UnicodeEncodeError):
        return None
    return payload


def require_agreement(token: str, key: RSAPublicKey) -> Verdicts:
    verdicts = judged(token, key)
    if verdicts.unverified is not None:
        assert verdicts.ours == verdicts.theirs
    assert verdicts.ours is None or verdicts.ours == verdicts.theirs
    return verdicts


@dataclass(frozen=True)
class Gate:
    """As much of a running gate as the forgers of tests/security look at."""

    issuer: AccessIssuer

    @property
    def sidecar(self) -> "Gate":
        return self

    def token(self) -> str:
        return self.issuer.mint(person(Role.SUPER_ADMIN), audience=AUD)


@pytest.fixture(scope="module")
def issuer_of_module(first_key: SigningKey) -> AccessIssuer:
    return AccessIssuer(TEAM, FrozenClock(), keys=[first_key])


@pytest.fixture(scope="module")
def forge(issuer_of_module: AccessIssuer, foreign_key: SigningKey) -> Forge:
    return Forge(issuer_of_module, foreign_key, person(Role.SUPER_ADMIN), AUD)


@pytest.fixture(scope="module")
def key(first_key: SigningKey) -> RSAPublicKey:
    return first_key.private.public_key()


@pytest.fixture(scope="module")
def good(issuer_of_module: AccessIssuer) -> str:
    return issuer_of_module.mint_claims(claims_of())


def _text(token: str | bytes) -> str:
    return token if isinstance(token, str) else token.decode("latin-1")


def test_every_forged_token_of_the_attack_list_gets_one_verdict(forge: Forge, key: RSAPublicKey) -> None:
    """R-013, R-046: attacks.md 2, line by line; PyJWT may only be milder where our grammar says no."""
    verdicts = [require_agreement(_text(case.make(forge)), key) for case in CASES]

    compared = [verdict for verdict in verdicts if verdict.unverified is not None]
    assert len(compared) > 30
    assert {verdict.ours for verdict in compared} > {None}  # some are good tokens with another fault


def test_every_published_forgery_gets_one_verdict(issuer_of_module: AccessIssuer, key: RSAPublicKey) -> None:
    """R-013: the CVEs of PyJWT and the classics."""
    gate = cast("Witnessed", Gate(issuer_of_module))

    for name, make in FORGERIES.items():
        verdicts = require_agreement(make(gate), key)
        assert verdicts.ours is None or name in {"kid unknown", "kid as a path"} or "issuer" in name, name


@pytest.mark.parametrize("name", SIGNATURES)
def test_every_forged_signature_gets_one_verdict(forge: Forge, key: RSAPublicKey, name: str) -> None:
    """R-013: lengths, zeros, paddings, other hashes and other keys: both say no."""
    verdicts = require_agreement(forge.with_signature(SIGNATURES[name]), key)

    assert verdicts == Verdicts(verdicts.unverified, None, None)
    assert verdicts.unverified is not None


def test_headers_and_shapes_get_one_verdict(forge: Forge, key: RSAPublicKey) -> None:
    """R-013: really signed, under every header of the tables; none that PyJWT refuses passes here."""
    headers = [forge.header() | {"alg": alg} for alg in ALGORITHMS]
    headers += [forge.header() | more for more in HEADERS.values()]
    tokens = [forge.token(header) for header in headers] + list(MALFORMED.values())

    assert [require_agreement(token, key).ours for token in tokens] == [None] * len(tokens)


def test_good_tokens_get_one_verdict(forge: Forge, key: RSAPublicKey) -> None:
    """R-013: what the team signed is good for both, whatever the claims and the harmless members are."""
    headers = [forge.header(typ=kind) for kind in GOOD_TYPES]
    headers += [forge.header(without=("typ",)), forge.header(x5t="A", kid="!" * 256)]
    payloads: list[bytes] = [b"{}", b"x", b"\x00", b"\xff" * 3000]
    tokens = [forge.token(header, payload) for header in headers for payload in payloads]

    assert [require_agreement(token, key).ours for token in tokens] == payloads * len(headers)


SPELLINGS = "AQgw_-.=+/ \n"
Change = Callable[[str], str]


def _replace(position: int, text: str, *, length: int = 1) -> Change:
    def change(token: str) -> str:
        start = position % (len(token) + 1)
        return token[:start] + text + token[start + length :]

    return change


def _bits(number: int, position: int, mask: int) -> Change:
    """Other bits in a decoded part, written canonically: what only the signature can tell."""

    def change(token: str) -> str:
        parts = token.split(".")
        chosen = parts[number % len(parts)]
        try:
            data = bytearray(base64.urlsafe_b64decode(chosen + "=" * (-len(chosen) % 4)))
        except ValueError:
            return token
        if data:
            data[position % len(data)] ^= mask
        parts[number % len(parts)] = part(bytes(data))
        return ".".join(parts)

    return change


def _signature(before: bytes, after: bytes, cut: int) -> Change:
    def change(token: str) -> str:
        head, _, signature = token.rpartition(".")
        try:
            data = base64.urlsafe_b64decode(signature + "=" * (-len(signature) % 4))
        except ValueError:
            return token
        return f"{head}.{part(before + data[: len(data) - cut] + after)}"

    return change


CHANGES: st.SearchStrategy[Change] = st.one_of(
    st.builds(_replace, st.integers(0, 2000), st.text(SPELLINGS, max_size=3), length=st.integers(0, 3)),
    st.builds(_replace, st.integers(-6, -1), st.text(SPELLINGS, max_size=2), length=st.integers(0, 6)),
    st.builds(_bits, st.integers(0, 2), st.integers(0, 400), st.integers(0, 255)),
    st.builds(_signature, st.binary(max_size=2), st.binary(max_size=2), st.integers(0, 3)),
)


@settings(max_examples=500, deadline=None)
@given(changes=st.lists(CHANGES, max_size=3))
def test_a_changed_token_gets_one_verdict(good: str, key: RSAPublicKey, changes: list[Change]) -> None:
    """R-013: characters, bits, lengths, padding: both agree, and only the token itself is good."""
    token = good
    for change in changes:
        token = change(token)

    verdicts = require_agreement(token, key)
    assert (verdicts.ours is not None) == (token == good)


@settings(max_examples=200, deadline=None)
@given(
    header=st.dictionaries(
        st.sampled_from(["alg", "typ", "kid", "crit", "b64", "cty", "zip", "x"]),
        st.sampled_from(["RS256", "none", "JWT", "k", "", None, True, False, ["b64"], ["x"], [], 1]),
    ),
    payload=st.binary(max_size=40),
)
def test_any_header_that_the_team_signs_gets_one_verdict(
    forge: Forge, key: RSAPublicKey, header: dict[str, object], payload: bytes
) -> None:
    """R-013: `crit` and `b64` change what is signed or how it is read; none of them passes here."""
    token = forge.token(forge.header() | header, payload)

    verdicts = require_agreement(token, key)
    assert verdicts.ours is None or not {"crit", "b64", "cty", "zip"} & set(header)


@settings(max_examples=300, deadline=None)
@given(st.from_regex(r"[A-Za-z0-9_\-=.]{0,60}") | st.text(max_size=40))
def test_any_text_gets_one_verdict(key: RSAPublicKey, text: str) -> None:
    """R-046: neither takes it, and neither breaks."""
    assert require_agreement(text, key).ours is None
