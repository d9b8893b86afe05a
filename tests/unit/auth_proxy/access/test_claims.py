"""Proves `auth_proxy.access.claims`."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auth_proxy.access.claims import (
    AccessClaims,
    AccessIdentity,
    parse_claims,
    require_person,
)
from auth_proxy.refusals import Reason, Refusal

BOTH_TYPES = frozenset({"app", "org"})
SUB = "7335d417-61da-459d-899c-0a01c76a2f94"

PERSON: dict[str, object] = {
    "aud": ["aud-1"],
    "email": "ada@example.com",
    "exp": 1_767_330_000,
    "iat": 1_767_320_000,
    "nbf": 1_767_320_000,
    "iss": "https://team.cloudflareaccess.com",
    "type": "app",
    "identity_nonce": "6ei69kawdKzMIAPF",
    "sub": SUB,
    "country": "US",
    "custom": {"groups": ["a"], "ratio": 0.5},
}
SERVICE: dict[str, object] = {
    "type": "app",
    "aud": ["aud-1"],
    "exp": 1_767_330_000,
    "iss": "https://team.cloudflareaccess.com",
    "common_name": "e367826f93b8d71185e03fe518aff3b4.access",
    "iat": 1_767_320_000,
    "sub": "",
}


def parse(claims: dict[str, object]) -> AccessClaims:
    return parse_claims(json.dumps(claims).encode(), key_id="k1")


def test_a_persons_token_is_typed() -> None:
    """Every claim of Cloudflare's documented identity token has its one type (access-facts 1.2)."""
    assert parse(PERSON) == AccessClaims(
        issuer="https://team.cloudflareaccess.com",
        audiences=("aud-1",),
        subject=SUB,
        email="ada@example.com",
        token_type="app",
        common_name=None,
        issued_at=1_767_320_000,
        expires_at=1_767_330_000,
        not_before=1_767_320_000,
        country="US",
        identity_nonce="6ei69kawdKzMIAPF",
        key_id="k1",
    )


def test_a_service_token_is_typed() -> None:
    """A service token parses too: it is require_person that turns it away."""
    claims = parse(SERVICE)

    assert (claims.email, claims.subject, claims.not_before) == (None, "", None)
    assert claims.common_name == SERVICE["common_name"]


@pytest.mark.parametrize(
    "aud, audiences", [("aud-1", ("aud-1",)), (["aud-1"], ("aud-1",)), (["x", "aud-1"], ("x", "aud-1"))]
)
def test_an_audience_is_a_string_or_a_list(aud: object, audiences: tuple[str, ...]) -> None:
    """Documents say list, real tokens of 2019 and 2020 had a string: both are read (access-facts 1.1)."""
    assert parse(PERSON | {"aud": aud}).audiences == audiences


TIMES: list[object] = [
    *(None, True, False, "1767330000", "4_102_444_800", "\u0661", 1767330000.0, 1e300, -1, [1], {}, ""),
    *(1_767_330_000_000, 253_402_300_800, 2**63, 10**23),
]

TEXTS: list[object] = [None, 7, True, ["a@example.com"], {"a": 1}]
WRONG_VALUES: dict[str, list[object]] = {
    **dict.fromkeys(("exp", "iat", "nbf"), TIMES),
    "iss": ["", None, 1, True, ["https://team.cloudflareaccess.com"], {"a": 1}],
    "aud": ["", None, 7, True, {}, [], [""], ["a", 1], ["a", None], [["a"]], [f"a{n}" for n in range(65)]],
    "sub": [None, 7, ["a"], {}, True, " ", "a b", "a\n", "a\x00", "\u00e9", "x" * 256, "x" * 10_240],
    **dict.fromkeys(("email", "type", "common_name", "jti"), TEXTS),
    **dict.fromkeys(("country", "identity_nonce"), TEXTS[1:]),
}


@pytest.mark.parametrize(
    "name, value",
    [
        pytest.param(name, value, id=f"{name}={value!r}".replace("\\", "_"))
        for name, values in WRONG_VALUES.items()
        for value in values
    ],
)
def test_a_claim_of_a_wrong_type_is_refused(name: str, value: object) -> None:
    """Strings, floats, bools, lists and milliseconds in place of what they should be (attacks.md 2)."""
    with pytest.raises(Refusal) as caught:
        parse(PERSON | {name: value})

    assert caught.value.reason is Reason.TOKEN_CLAIMS
    assert caught.value.detail.startswith(name)


@pytest.mark.parametrize("name", ["iss", "aud", "iat", "exp"])
def test_a_required_claim_must_be_there(name: str) -> None:
    """Issuer, audience, issue and expiry are never assumed."""
    with pytest.raises(Refusal) as caught:
        parse({key: value for key, value in PERSON.items() if key != name})

    assert caught.value.reason is Reason.TOKEN_CLAIMS


@pytest.mark.parametrize("name", ["email", "type", "sub", "nbf", "country", "identity_nonce", "custom"])
def test_other_claims_may_be_absent(name: str) -> None:
    """No claim of one identity provider is required (R-159); what a person needs is asked for later."""
    claims = parse({key: value for key, value in PERSON.items() if key != name})

    assert claims.issuer == PERSON["iss"]


@pytest.mark.parametrize("name", ["country", "identity_nonce"])
def test_null_locks_nobody_out_where_nothing_is_decided(name: str) -> None:
    """Claims that no decision reads may be null."""
    assert getattr(parse(PERSON | {name: None}), name) is None


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"[]",
        b"\xef\xbb\xbf{}",
        json.dumps(PERSON).encode("utf-16"),
        json.dumps(PERSON).encode()[:-1] + b',"email":"eve@example.com"}',
        json.dumps(PERSON).encode()[:-1] + b',"x":NaN}',
        json.dumps(PERSON).encode()[:-1] + b',"x":' + b"9" * 5000 + b"}",
        json.dumps(PERSON | {"x": "x" * 16_384}).encode(),
        json.dumps(PERSON | {"email": "\ud800@example.com"}).encode(),
    ],
    ids=["empty", "list", "bom", "utf16", "duplicate_email", "nan", "digits", "too_long", "lone_surrogate"],
)
def test_a_payload_with_two_readings_is_refused(payload: bytes) -> None:
    """Strict JSON comes before any claim."""
    with pytest.raises(Refusal) as caught:
        parse_claims(payload, key_id="k1")

    assert caught.value.reason is Reason.TOKEN_CLAIMS


@given(st.binary(max_size=300))
def test_any_bytes_are_claims_or_a_refusal(payload: bytes) -> None:
    """No payload whatever raises another error than Refusal."""
    try:
        parse_claims(payload, key_id="k1")
    except Refusal as refusal:
        assert refusal.reason is Reason.TOKEN_CLAIMS  # noqa: PT017 - a property: both ends are fine


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(st.sampled_from(sorted(PERSON)), JSON)
def test_any_value_of_any_claim_is_typed_or_refused(name: str, value: object) -> None:
    """What passes has the declared types, whatever was sent."""
    try:
        claims = parse(PERSON | {name: value})
    except Refusal:
        return
    assert isinstance(claims.issuer, str)
    assert isinstance(claims.subject, str)
    assert all(isinstance(audience, str) for audience in claims.audiences)
    assert {type(claims.issued_at), type(claims.expires_at)} == {int}
    assert isinstance(claims.email, str | None)


def test_a_person_is_proven_by_shape() -> None:
    """Email, sub, an accepted type and no common_name make a person (C-03), the email normalised (R-048)."""
    identity = require_person(parse(PERSON | {"email": " Ada@Example.COM "}), accepted_types=BOTH_TYPES)

    assert identity == AccessIdentity(SUB, "ada@example.com", 1_767_330_000, 1_767_320_000)


@pytest.mark.parametrize(
    "kind, accepted", [("app", BOTH_TYPES), ("org", BOTH_TYPES), ("org", frozenset({"org"}))]
)
def test_the_accepted_types_are_a_setting(kind: str, accepted: frozenset[str]) -> None:
    """Both app and org by default; org alone gives the seed's literal rule (C-03)."""
    assert require_person(parse(PERSON | {"type": kind}), accepted_types=accepted).sub == SUB


NOT_PEOPLE: dict[str, tuple[dict[str, object], Reason]] = {
    "service_token": (SERVICE, Reason.SERVICE_TOKEN),
    "service_token_of_2020": ({**SERVICE, "aud": "aud-1", "type": ""}, Reason.SERVICE_TOKEN),
    "service_token_with_email_and_sub": (PERSON | {"common_name": "x.access"}, Reason.SERVICE_TOKEN),
    "common_name_empty": (PERSON | {"common_name": ""}, Reason.SERVICE_TOKEN),
    "mtls_identity": (PERSON | {"common_name": "client.example.com"}, Reason.SERVICE_TOKEN),
    "type_unknown": (PERSON | {"type": "svc"}, Reason.TOKEN_TYPE),
    "type_empty": (PERSON | {"type": ""}, Reason.TOKEN_TYPE),
    "type_in_capitals": (PERSON | {"type": "APP"}, Reason.TOKEN_TYPE),
    "type_missing": ({k: v for k, v in PERSON.items() if k != "type"}, Reason.TOKEN_TYPE),
    "email_missing": ({k: v for k, v in PERSON.items() if k != "email"}, Reason.EMAIL_MISSING),
    "email_empty": (PERSON | {"email": ""}, Reason.EMAIL_MISSING),
    "sub_missing": ({k: v for k, v in PERSON.items() if k != "sub"}, Reason.SUB_MISSING),
    "sub_empty": (PERSON | {"sub": ""}, Reason.SUB_MISSING),
    "email_malformed": (PERSON | {"email": "ada@example.com,eve@example.com"}, Reason.EMAIL_MALFORMED),
}


@pytest.mark.parametrize("claims, reason", NOT_PEOPLE.values(), ids=NOT_PEOPLE.keys())
def test_what_is_not_a_person_has_its_own_reason(claims: dict[str, object], reason: Reason) -> None:
    """Each missing piece of a person is refused under its own name (R-038, C-03)."""
    with pytest.raises(Refusal) as caught:
        require_person(parse(claims), accepted_types=BOTH_TYPES)

    assert caught.value.reason is reason
    assert "example.com" not in str(caught.value)


def test_no_accepted_type_accepts_nobody() -> None:
    """An empty setting fails closed, also for a token without a type."""
    for claims in (parse(PERSON), replace(parse(PERSON), token_type=None)):
        with pytest.raises(Refusal) as caught:
            require_person(claims, accepted_types=frozenset())

        assert caught.value.reason is Reason.TOKEN_TYPE
