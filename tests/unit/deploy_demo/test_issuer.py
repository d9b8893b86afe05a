import json
import re
from datetime import timedelta
from typing import Any, cast

import jwt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt.utils import base64url_decode

from deploy.demo.issuer import SERVICE_CLIENT_ID, AccessIssuer, SigningKey, sign_compact
from deploy.demo.people import ADA, Person
from tests.fakes.clock import FrozenClock
from tests.unit.deploy_demo.conftest import AUDIENCE, TEAM_DOMAIN


def verified(issuer: AccessIssuer, token: str) -> dict[str, Any]:
    """What a relying party gets from PyJWT with the published keys; times are the frozen clock's."""
    published = jwt.PyJWKSet.from_dict(issuer.certs_document())
    key = published[jwt.get_unverified_header(token)["kid"]]
    options: Any = {"verify_exp": False, "verify_nbf": False, "verify_iat": False}
    return jwt.decode(
        token, key, algorithms=["RS256"], audience=AUDIENCE, issuer=TEAM_DOMAIN, options=options
    )


def claims_of(token: str) -> dict[str, Any]:
    return cast("dict[str, Any]", json.loads(base64url_decode(token.split(".")[1])))


def header_of(token: str) -> dict[str, Any]:
    return cast("dict[str, Any]", json.loads(base64url_decode(token.partition(".")[0])))


def test_a_persons_token_has_exactly_the_documented_claims(issuer: AccessIssuer, clock: FrozenClock) -> None:
    """A person's application token carries the documented claims and no other, for 24 hours (R-014)."""
    claims = verified(issuer, issuer.mint(ADA, audience=AUDIENCE))
    now = int(clock.now().timestamp())
    nonce = claims.pop("identity_nonce")

    assert claims == {
        "aud": [AUDIENCE],
        "email": "ada@example.com",
        "exp": now + 24 * 60 * 60,
        "iat": now,
        "nbf": now,
        "iss": TEAM_DOMAIN,
        "type": "app",
        "sub": ADA.sub,
        "country": "US",
    }
    assert isinstance(nonce, str)
    assert len(nonce) == 16


def test_a_tokens_header_is_cloudflares(issuer: AccessIssuer) -> None:
    """The header names RS256, the current key and the type, and nothing else."""
    assert header_of(issuer.mint(ADA, audience=AUDIENCE)) == {
        "alg": "RS256",
        "kid": issuer.current.kid,
        "typ": "JWT",
    }


def test_a_service_token_has_exactly_the_documented_claims(issuer: AccessIssuer, clock: FrozenClock) -> None:
    """A service token is of type `app`, has a `common_name`, an empty `sub` and no email (R-038)."""
    now = int(clock.now().timestamp())

    assert verified(issuer, issuer.mint_service_token(audience=AUDIENCE)) == {
        "type": "app",
        "aud": [AUDIENCE],
        "exp": now + 24 * 60 * 60,
        "iss": TEAM_DOMAIN,
        "common_name": SERVICE_CLIENT_ID,
        "iat": now,
        "sub": "",
    }
    assert re.fullmatch(r"[0-9a-f]{32}\.access", SERVICE_CLIENT_ID)


def test_claims_can_be_replaced_and_left_out(issuer: AccessIssuer) -> None:
    """Overrides replace or add claims by name; `without` leaves them out, for both kinds of token."""
    person = issuer.mint(
        ADA, audience=AUDIENCE, lifetime=timedelta(minutes=5), without={"nbf"}, type="org", extra=[1]
    )
    service = issuer.mint_service_token(
        audience=AUDIENCE, client_id="me.access", without=("type",), aud="text"
    )

    claims = claims_of(person)
    assert claims["type"] == "org"
    assert claims["extra"] == [1]
    assert claims["exp"] - claims["iat"] == 300
    assert "nbf" not in claims
    assert claims_of(service)["aud"] == "text"
    assert claims_of(service)["common_name"] == "me.access"
    assert "type" not in claims_of(service)


def test_time_comes_from_the_clock_alone(issuer: AccessIssuer, clock: FrozenClock) -> None:
    """A token minted an hour later is an hour younger."""
    first = claims_of(issuer.mint(ADA, audience=AUDIENCE))
    clock.advance(3600)

    assert claims_of(issuer.mint(ADA, audience=AUDIENCE))["iat"] - first["iat"] == 3600


def test_the_certs_document_has_cloudflares_form(issuer: AccessIssuer) -> None:
    """`keys` are two JWKs, `public_cert` the current certificate, `public_certs` both (R-044)."""
    document = cast("dict[str, Any]", issuer.certs_document())
    current, previous = issuer.keys

    assert list(document) == ["keys", "public_cert", "public_certs"]
    assert [key["kid"] for key in document["keys"]] == [current.kid, previous.kid]
    assert [set(key) for key in document["keys"]] == [{"kid", "kty", "alg", "use", "e", "n"}] * 2
    assert {(key["kty"], key["alg"], key["use"]) for key in document["keys"]} == {("RSA", "RS256", "sig")}
    assert document["public_cert"] == document["public_certs"][0]
    assert [certificate["kid"] for certificate in document["public_certs"]] == [current.kid, previous.kid]
    assert all(re.fullmatch("[0-9a-f]{64}", key["kid"]) for key in document["keys"])


def test_each_certificate_is_real_and_holds_the_key_of_its_jwk(
    issuer: AccessIssuer, clock: FrozenClock
) -> None:
    """Each PEM parses, is self-signed and valid now, and its key is the JWK's, of 2048 bits."""
    document = cast("dict[str, Any]", issuer.certs_document())
    for jwk, published in zip(document["keys"], document["public_certs"], strict=True):
        certificate = x509.load_pem_x509_certificate(published["cert"].encode())
        certificate.verify_directly_issued_by(certificate)
        public = certificate.public_key()
        assert isinstance(public, RSAPublicKey)

        numbers = public.public_numbers()
        assert public.key_size == 2048
        assert int.from_bytes(base64url_decode(jwk["n"]), "big") == numbers.n
        assert int.from_bytes(base64url_decode(jwk["e"]), "big") == numbers.e
        assert certificate.not_valid_before_utc < clock.now() < certificate.not_valid_after_utc


def test_the_certs_document_is_the_same_at_every_request(issuer: AccessIssuer) -> None:
    """Nothing in the document depends on when it is asked for."""
    assert issuer.certs_document() == issuer.certs_document()


def test_a_rotation_keeps_the_previous_key_valid(issuer: AccessIssuer, third_key: SigningKey) -> None:
    """After a rotation new tokens have a new kid, and tokens of the key before still verify (R-044)."""
    before = issuer.mint(ADA, audience=AUDIENCE)
    old_kid = issuer.current.kid

    assert issuer.rotate(third_key) is third_key
    after = issuer.mint(ADA, audience=AUDIENCE)

    assert header_of(after)["kid"] == third_key.kid != old_kid
    assert [key.kid for key in issuer.keys] == [third_key.kid, old_kid]
    assert verified(issuer, before)["email"] == verified(issuer, after)["email"] == ADA.email


def test_a_second_rotation_and_forgetting_end_a_key(issuer: AccessIssuer, third_key: SigningKey) -> None:
    """A key is gone when two rotations have passed it, or when the previous one is forgotten."""
    first, second = issuer.keys
    old = issuer.mint(ADA, audience=AUDIENCE)

    issuer.rotate(third_key)
    assert second not in issuer.keys
    issuer.forget_previous()

    assert issuer.keys == (third_key,)
    with pytest.raises(KeyError, match=first.kid):
        verified(issuer, old)


def test_an_issuer_makes_its_own_keys_when_it_is_given_none(clock: FrozenClock) -> None:
    """Without keys an issuer generates as many as it is told; it drops a trailing slash (R-043)."""
    issuer = AccessIssuer(f"{TEAM_DOMAIN}/", clock, key_count=2)

    assert len({key.kid for key in issuer.keys}) == 2
    assert verified(issuer, issuer.mint(ADA, audience=AUDIENCE))["iss"] == TEAM_DOMAIN


def test_three_keys_at_once_are_refused(
    clock: FrozenClock, signing_keys: tuple[SigningKey, SigningKey], third_key: SigningKey
) -> None:
    """Cloudflare publishes the current and the previous key; an issuer cannot have more."""
    with pytest.raises(ValueError, match="at most one previous"):
        AccessIssuer(TEAM_DOMAIN, clock, keys=(*signing_keys, third_key))


def test_hostile_claims_and_headers_are_signed_as_they_are(issuer: AccessIssuer) -> None:
    """`mint_claims` adds no claim, replaces header fields, and leaves out those given as None."""
    token = issuer.mint_claims({"only": True}, header={"typ": None, "crit": ["x"], "kid": "other"})

    assert claims_of(token) == {"only": True}
    assert header_of(token) == {"alg": "RS256", "kid": "other", "crit": ["x"]}


def test_a_token_can_be_signed_by_a_stranger(issuer: AccessIssuer, third_key: SigningKey) -> None:
    """A token of another key names that key, and fails under ours even with our kid in it (R-046)."""
    claims = {"aud": [AUDIENCE], "iss": TEAM_DOMAIN}
    honest = issuer.mint_claims(claims, key=third_key)
    lying = issuer.mint_claims(claims, key=third_key, header={"kid": issuer.current.kid})

    assert header_of(honest)["kid"] == third_key.kid
    with pytest.raises(jwt.InvalidSignatureError):
        verified(issuer, lying)


def test_a_token_can_be_hmac_signed_or_unsigned(issuer: AccessIssuer) -> None:
    """A key of bytes signs with HMAC-SHA256, for algorithm confusion; empty bytes sign nothing (R-013)."""
    claims = {"aud": AUDIENCE}
    secret = b"a public key, used as a secret, 32+ bytes long"
    confused = issuer.mint_claims(claims, header={"alg": "HS256"}, key=secret)
    unsigned = issuer.mint_claims(claims, header={"alg": "none"}, key=b"")

    assert jwt.decode(confused, secret, algorithms=["HS256"], audience=AUDIENCE) == claims
    assert unsigned.endswith(".")
    assert header_of(unsigned)["alg"] == "none"


def test_any_bytes_can_be_signed(issuer: AccessIssuer) -> None:
    """The lowest layer signs what is no JSON at all."""
    token = sign_compact(b'{"alg":"RS256","alg":"none"}', b"\xff{", issuer.current)
    header, payload, signature = token.split(".")

    assert base64url_decode(payload) == b"\xff{"
    assert b'"alg":"none"' in base64url_decode(header)
    assert len(base64url_decode(signature)) == 256


def test_anybody_can_be_invented(issuer: AccessIssuer) -> None:
    """A person made from an address alone gets the sub that belongs to the address."""
    claims = verified(issuer, issuer.mint(Person.with_email("new@example.com"), audience=AUDIENCE))

    assert claims["email"] == "new@example.com"
    assert claims["sub"] == Person.with_email("new@example.com", name="Other").sub != ADA.sub
