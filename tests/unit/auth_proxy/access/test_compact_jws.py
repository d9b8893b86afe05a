"""Proves `auth_proxy.access.compact_jws`."""

import base64
import json

import pytest

from auth_proxy.access.compact_jws import UnverifiedJws, parse_compact
from auth_proxy.refusals import Reason, Refusal

PAYLOAD = b'{"iss":"x"}'
GOOD_HEADER: dict[str, object] = {"alg": "RS256", "kid": "k1", "typ": "JWT"}


def part(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def token(header: dict[str, object] | bytes) -> str:
    data = header if isinstance(header, bytes) else json.dumps(header).encode()
    return f"{part(data)}.{part(PAYLOAD)}.{part(b'signature')}"


GOOD = token(GOOD_HEADER)
H, P, S = GOOD.split(".")

MALFORMED = {
    "one_part": H,
    "two_parts": f"{H}.{P}",
    "four_parts": f"{GOOD}.{S}",
    "jwe_of_five_parts": f"{H}.{P}.{S}.{S}.{S}",
    "empty_header": f".{P}.{S}",
    "empty_payload": f"{H}..{S}",
    "no_signature": f"{H}.{P}.",
    "only_dots": "..",
    "json_serialisation": json.dumps({"protected": H, "payload": P, "signature": S}),
    "bearer_prefix": f"Bearer {GOOD}",
    "leading_blank": f" {GOOD}",
    "trailing_line_break": f"{GOOD}\n",
    "tab_between": f"{H}\t.{P}.{S}",
    "padded_header": f"{H}=.{P}.{S}",
    "padded_signature": f"{GOOD}==",
    "percent_encoded_dot": GOOD.replace(".", "%2e"),
    "quoted": f'"{GOOD}"',
    "comma_list": f"{GOOD},{GOOD}",
    "stray_bits": f"{H}.{P}.YR",
    "non_ascii_letter": f"{H}.{P}.\u00e9{S}",
    "nul": f"{GOOD}\x00",
    "header_not_json": f"{part(b'x')}.{P}.{S}",
    "header_is_a_list": f"{part(b'[]')}.{P}.{S}",
    "header_with_bom": token(b'\xef\xbb\xbf{"alg":"RS256","kid":"k1"}'),
    "header_in_utf_16": token('{"alg":"RS256","kid":"k1"}'.encode("utf-16")),
    "header_with_a_high_byte": token(b'{"alg":"RS256","kid":"\xe9"}'),
    "duplicate_alg": token(b'{"alg":"none","alg":"RS256","kid":"k1"}'),
    "duplicate_kid": token(b'{"alg":"RS256","kid":"k1","kid":"k2"}'),
    "header_nested_deep": token(b'{"alg":"RS256","kid":"k1","x":' + b"[" * 1000 + b"]" * 1000 + b"}"),
    "header_of_5_kb": token(GOOD_HEADER | {"x": "x" * 5000}),
    "header_with_nan": token(b'{"alg":"RS256","kid":"k1","x":NaN}'),
}

ALGORITHMS: list[object] = [
    *("none", "None", "NONE", "nOnE", "none ", "", " ", "RS256 ", "rs256", "RS256\x00", "RS256,none"),
    *("HS256", "HS384", "HS512", "RS384", "RS512", "PS256", "PS384", "PS512", "RS1", "RSA1_5", "RSA-OAEP"),
    *("ES256", "ES256K", "ES384", "ES512", "EdDSA", "Ed25519", "dir", "A256GCM", "RS256\u200b"),
    *(None, True, 0, 256, ["RS256"], {"RS256": 1}),
]

HEADERS: dict[str, dict[str, object]] = {
    "crit_b64": {"crit": ["b64"], "b64": True},
    "crit_empty": {"crit": []},
    "crit_unknown": {"crit": ["exp"]},
    "b64_false": {"b64": False},
    "b64_true": {"b64": True},
    "zip": {"zip": "DEF"},
    "enc": {"enc": "A256GCM"},
    "embedded_jwk": {"jwk": {"kty": "RSA", "n": "AQAB", "e": "AQAB"}},
    "jku": {"jku": "https://evil.example/keys"},
    "x5u": {"x5u": "https://evil.example/cert"},
    "x5c": {"x5c": ["AAAA"]},
    "cty_nested": {"cty": "JWT"},
    "jku_null": {"jku": None},
    "typ_of_our_own_identity": {"typ": "sally+jwt"},
    "typ_access_token": {"typ": "at+jwt"},
    "typ_jose": {"typ": "JOSE"},
    "typ_empty": {"typ": ""},
    "typ_null": {"typ": None},
    "typ_number": {"typ": 1},
    "typ_list": {"typ": ["JWT"]},
    "typ_dotless_i": {"typ": "\u0131wt"},
    "kid_number": {"kid": 1},
    "kid_null": {"kid": None},
    "kid_list": {"kid": ["k1"]},
    "kid_bool": {"kid": True},
    "kid_empty": {"kid": ""},
    "kid_blank": {"kid": "k 1"},
    "kid_nul": {"kid": "k1\x00"},
    "kid_line_break": {"kid": "k1\n"},
    "kid_non_ascii": {"kid": "k\u00e9"},
    "kid_of_257": {"kid": "k" * 257},
}


def test_the_token_of_access_is_taken_apart() -> None:
    """R-013: the parts are called unverified, and what has to be signed is what they were read from."""
    assert parse_compact(GOOD) == UnverifiedJws("k1", PAYLOAD, b"signature", f"{H}.{P}".encode())


@pytest.mark.parametrize("text", MALFORMED.values(), ids=MALFORMED.keys())
def test_anything_but_three_canonical_parts_is_malformed(text: str) -> None:
    """Five parts, padding, blanks, prefixes and ambiguous headers never reach a library (attacks.md 2)."""
    with pytest.raises(Refusal) as caught:
        parse_compact(text)

    assert caught.value.reason is Reason.TOKEN_MALFORMED


@pytest.mark.parametrize("algorithm", ALGORITHMS, ids=lambda value: repr(value).replace("\\", "_"))
def test_any_algorithm_but_rs256_is_refused(algorithm: object) -> None:
    """`none` in every spelling, HMAC, PSS, elliptic curves and wrong types are refused (R-013)."""
    with pytest.raises(Refusal) as caught:
        parse_compact(token(GOOD_HEADER | {"alg": algorithm}))

    assert caught.value.reason is Reason.TOKEN_ALGORITHM


def test_a_missing_algorithm_is_refused() -> None:
    """No alg is no RS256 (R-013)."""
    with pytest.raises(Refusal) as caught:
        parse_compact(token({"kid": "k1", "typ": "JWT"}))

    assert caught.value.reason is Reason.TOKEN_ALGORITHM


@pytest.mark.parametrize("members", HEADERS.values(), ids=HEADERS.keys())
def test_a_header_that_asks_for_more_is_refused(members: dict[str, object]) -> None:
    """A token brings no key, no extension, no other type and no odd kid (attacks.md 2)."""
    with pytest.raises(Refusal) as caught:
        parse_compact(token(GOOD_HEADER | members))

    assert caught.value.reason is Reason.TOKEN_HEADER


def test_a_missing_kid_is_refused() -> None:
    """Without a kid there is no key to choose, and none is guessed."""
    with pytest.raises(Refusal) as caught:
        parse_compact(token({"alg": "RS256", "typ": "JWT"}))

    assert caught.value.reason is Reason.TOKEN_HEADER


@pytest.mark.parametrize(
    "kid", ["';DROP/**/TABLE/**/keys;--", "../../etc/passwd", "https://evil.example/k", "k" * 256]
)
def test_a_strange_kid_is_only_a_name(kid: str) -> None:
    """Injection in a kid reaches nothing: it is compared with the published names and no more."""
    assert parse_compact(token(GOOD_HEADER | {"kid": kid})).unverified_key_id == kid


@pytest.mark.parametrize(
    "header", [{"alg": "RS256", "kid": "k1"}, GOOD_HEADER | {"typ": "jwt"}, GOOD_HEADER | {"x5t": "A"}]
)
def test_harmless_headers_pass(header: dict[str, object]) -> None:
    """A typ may be absent or in another case, and an unknown member that asks for nothing is no error."""
    assert parse_compact(token(header)).unverified_payload == PAYLOAD


@pytest.mark.parametrize(
    "text",
    [GOOD[:-1] + "\u00e9", token({"alg": "secret-word"}), token({**GOOD_HEADER, "jku": "secret-word"})],
)
def test_a_refusal_quotes_no_token(text: str) -> None:
    """The detail, made for the log, holds nothing that the token says."""
    with pytest.raises(Refusal) as caught:
        parse_compact(text)

    assert "secret-word" not in str(caught.value)
    assert text not in str(caught.value)
