"""Proves `auth_proxy.access.jwk_set`."""

import base64
import json

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers
from hypothesis import given
from hypothesis import strategies as st

from auth_proxy.access.errors import KeyRefreshError, RefreshOutcome
from auth_proxy.access.jwk_set import MAX_KEYS, parse_jwk_set, require_fit
from deploy.demo.issuer import AccessIssuer, SigningKey


def number(value: int) -> str:
    data = value.to_bytes(max(1, (value.bit_length() + 7) // 8), "big")
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def modulus(key: SigningKey) -> int:
    return key.private.public_key().public_numbers().n


def document(*entries: object) -> bytes:
    return json.dumps({"keys": entries}).encode()


def outcome_of(data: bytes) -> RefreshOutcome:
    with pytest.raises(KeyRefreshError) as caught:
        parse_jwk_set(data)
    return caught.value.outcome


def test_the_document_of_access_gives_both_keys(issuer: AccessIssuer, second_key: SigningKey) -> None:
    """The current and the previous key are read from `keys` (R-044)."""
    issuer.rotate(second_key)

    keys = parse_jwk_set(json.dumps(issuer.certs_document()).encode())

    assert keys == {key.kid: key.private.public_key() for key in issuer.keys}


def test_public_cert_is_never_a_key(issuer: AccessIssuer) -> None:
    """Without `keys` the certificates beside it are not used: they may be expired (mistakes 9)."""
    without_keys = {name: value for name, value in issuer.certs_document().items() if name != "keys"}

    assert outcome_of(json.dumps(without_keys).encode()) is RefreshOutcome.MALFORMED


MALFORMED = {
    "empty": b"",
    "html": b"<!doctype html><title>Sign in</title>",
    "empty_object": b"{}",
    "list": b"[]",
    "keys_null": b'{"keys":null}',
    "keys_object": b'{"keys":{"k1":{}}}',
    "truncated": b'{"keys":[{"kid":"a"',
    "invalid_utf_8": b'{"keys":[],"x":"\xff"}',
    "byte_order_mark": b'\xef\xbb\xbf{"keys":[]}',
    "utf_16": '{"keys":[]}'.encode("utf-16"),
    "nested_100000_deep": b'{"keys":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "number_of_5000_digits": b'{"keys":[],"x":' + b"9" * 5000 + b"}",
    "two_keys_members": b'{"keys":[],"keys":[]}',
    "over_a_megabyte": b'{"keys":[]}' + b" " * 1_048_576,
}


@pytest.mark.parametrize("data", MALFORMED.values(), ids=MALFORMED.keys())
def test_what_is_no_key_set_replaces_nothing(data: bytes) -> None:
    """HTML, fragments, other encodings and bombs are refused as a whole (attacks.md 4)."""
    assert outcome_of(data) is RefreshOutcome.MALFORMED


def test_an_empty_set_is_refused() -> None:
    """No key at all is an accident, not a revocation of all."""
    assert outcome_of(document()) is RefreshOutcome.NO_USABLE_KEY


def test_a_thousand_keys_are_refused(first_key: SigningKey) -> None:
    """CPU and memory are bounded: 64 keys are read, 65 are not."""
    entries = [first_key.jwk() | {"kid": f"k{n}"} for n in range(MAX_KEYS)]
    assert len(parse_jwk_set(document(*entries))) == MAX_KEYS

    assert outcome_of(document(*entries, first_key.jwk())) is RefreshOutcome.TOO_MANY_KEYS


def test_two_keys_of_one_kid_refuse_the_set(first_key: SigningKey, second_key: SigningKey) -> None:
    """Which key is meant is not ours to guess, also when both are the same (Wycheproof DuplicateKid)."""
    twin = second_key.jwk() | {"kid": first_key.kid}

    assert outcome_of(document(first_key.jwk(), twin)) is RefreshOutcome.DUPLICATE_KID
    assert outcome_of(document(first_key.jwk(), first_key.jwk())) is RefreshOutcome.DUPLICATE_KID


def test_a_mismatching_certificate_is_not_read(first_key: SigningKey) -> None:
    """The modulus wins: x5c and other strange members change nothing."""
    entry = first_key.jwk() | {"x5c": ["AAAA"], "x5t": 7, "x": None}

    assert parse_jwk_set(document(entry)) == {first_key.kid: first_key.private.public_key()}


@pytest.mark.parametrize(
    "changes, without",
    [({}, ("alg", "use")), ({"key_ops": ["verify"]}, ()), ({"key_ops": ["encrypt", "verify"]}, ("use",))],
)
def test_a_key_may_leave_its_purpose_open(
    first_key: SigningKey, changes: dict[str, object], without: tuple[str, ...]
) -> None:
    """Without alg, use and key_ops (RFC 7517: all optional) the key still verifies RS256, nothing else."""
    entry = {name: value for name, value in first_key.jwk().items() if name not in without} | changes

    assert parse_jwk_set(document(entry))


UNFIT: dict[str, dict[str, object]] = {
    "kty_oct": {"kty": "oct", "k": "c2VjcmV0"},
    "kty_ec": {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"},
    "kty_in_lower_case": {"kty": "rsa"},
    "kty_missing": {"kty": None},
    "kid_missing": {"kid": None},
    "kid_number": {"kid": 1},
    "kid_empty": {"kid": ""},
    "kid_with_a_blank": {"kid": "a b"},
    "kid_of_a_megabyte": {"kid": "k" * 1_000_000},
    "use_enc": {"use": "enc"},
    "use_list": {"use": ["sig"]},
    "key_ops_encrypt": {"key_ops": ["encrypt"]},
    "key_ops_empty": {"key_ops": []},
    "key_ops_string": {"key_ops": "verify"},
    "alg_rs512": {"alg": "RS512"},
    "alg_ps256": {"alg": "PS256"},
    "alg_hs256": {"alg": "HS256"},
    "alg_none": {"alg": "none"},
    "alg_null": {"alg": None},
    "private_d": {"d": "AQAB"},
    "private_primes": {"p": "AQAB", "q": "AQAB"},
    "symmetric_k": {"k": "AQAB"},
    "n_missing": {"n": None},
    "n_number": {"n": 12345},
    "n_empty": {"n": ""},
    "n_zero": {"n": number(0)},
    "n_even": {"n": number(2**2047)},
    "n_of_512_bits": {"n": number(2**511 + 1)},
    "n_of_1024_bits": {"n": number(2**1023 + 1)},
    "n_of_2047_bits": {"n": number(2**2046 + 1)},
    "n_of_8193_bits": {"n": number(2**8192 + 1)},
    "n_of_16384_bits": {"n": number(2**16383 + 1)},
    "n_padded": {"n": number(2**2047 + 1) + "="},
    "n_in_decimal": {"n": str(2**2047 + 1)},
    "e_missing": {"e": None},
    "e_number": {"e": 65537},
    "e_zero": {"e": number(0)},
    "e_one": {"e": number(1)},
    "e_even": {"e": number(65536)},
    "e_huge": {"e": number(2**64 + 1)},
    "e_as_large_as_n": {"e": number(2**2047 + 1)},
}


@pytest.mark.parametrize("changes", UNFIT.values(), ids=UNFIT.keys())
def test_an_unfit_key_is_ignored_and_its_neighbour_still_used(
    first_key: SigningKey, second_key: SigningKey, changes: dict[str, object]
) -> None:
    """One bad key hides no good one, also under the same kid (GHSA-w6j9-cwv2-h6wq, attacks.md 4)."""
    broken = first_key.jwk() | {"kid": second_key.kid} | changes

    assert parse_jwk_set(document(broken, second_key.jwk())) == {
        second_key.kid: second_key.private.public_key()
    }
    assert outcome_of(document(broken)) is RefreshOutcome.NO_USABLE_KEY


@pytest.mark.parametrize("entry", [None, 1, "key", [], ["kid"]])
def test_an_entry_that_is_no_object_is_ignored(first_key: SigningKey, entry: object) -> None:
    """Strange entries are not errors of the set."""
    assert list(parse_jwk_set(document(entry, first_key.jwk()))) == [first_key.kid]


@pytest.mark.parametrize("n, e", [(2**2046 + 1, 65537), (2**8192 + 1, 65537), (2**2047 + 1, 2**33 + 1)])
def test_require_fit_judges_a_ready_made_key(n: int, e: int) -> None:
    """A key that did not come from a JWK is held to the same sizes."""
    with pytest.raises(ValueError, match="too small or too large"):
        require_fit(RSAPublicNumbers(e, n).public_key())


def test_a_large_exponent_of_three_passes(first_key: SigningKey) -> None:
    """Any odd exponent from 3 up to 32 bits verifies."""
    entry = first_key.jwk() | {"e": number(3)}

    assert parse_jwk_set(document(entry))[first_key.kid].public_numbers().e == 3
    assert parse_jwk_set(document(first_key.jwk() | {"n": number(modulus(first_key))}))


@given(st.binary(max_size=200))
def test_any_bytes_are_keys_or_a_refusal(data: bytes) -> None:
    """No bytes whatever raise another error than KeyRefreshError."""
    with pytest.raises(KeyRefreshError):
        parse_jwk_set(data)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=4,
)


@given(name=st.sampled_from(["kid", "kty", "alg", "use", "e", "n", "key_ops"]), value=JSON)
def test_any_value_of_any_member_is_a_key_or_ignored(
    first_key: SigningKey, second_key: SigningKey, name: str, value: object
) -> None:
    """A strange member breaks at most its own key."""
    strange = first_key.jwk() | {name: value}

    assert second_key.kid in parse_jwk_set(document(strange, second_key.jwk()))
