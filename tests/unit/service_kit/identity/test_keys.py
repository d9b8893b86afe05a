"""Key files that cannot be used are refused by name, and no key of another kind gets into the set."""

import json
import os
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from service_kit.identity.keys import (
    PUBLISH_BEFORE_USE,
    KeyFileError,
    SigningKey,
    active_key,
    load_signing_keys,
    new_signing_key,
    parse_public_jwks,
    public_jwks,
    thumbprint,
)
from tests.fakes.clock import START
from tests.fixtures.identities import new_key


def key_made(at: datetime) -> SigningKey:
    private = Ed25519PrivateKey.generate()
    return SigningKey(thumbprint(private.public_key()), private, at)


def jwk(**changes: Any) -> dict[str, Any]:
    """A public key of ours as JWK; a change to `...` leaves the member out."""
    (entry,) = json.loads(json.dumps(public_jwks([new_key()])))["keys"]
    return {name: value for name, value in {**entry, **changes}.items() if value is not ...}


def document(*entries: object) -> bytes:
    return json.dumps({"keys": entries}).encode()


def test_a_new_key_file_is_for_its_owner_alone_and_loads(tmp_path: Path) -> None:
    """The file has mode 0600, its folder 0700, and the printed kid is the loaded one."""
    path = tmp_path / "keys" / "identity.pem"
    kid = new_signing_key(path)

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    (key,) = load_signing_keys(path)
    assert key.kid == kid == thumbprint(key.private.public_key())


def test_a_key_file_is_never_overwritten(tmp_path: Path) -> None:
    """A second `keys new` on the same path keeps the first key."""
    path = tmp_path / "identity.pem"
    kid = new_signing_key(path)

    with pytest.raises(FileExistsError):
        new_signing_key(path)
    assert load_signing_keys(path)[0].kid == kid


def test_a_folder_holds_keys_oldest_first(tmp_path: Path) -> None:
    """The newest key is the last; files that are no PEM are not looked at."""
    for name, age in (("b", 300), ("a", 200), ("c", 100)):
        new_signing_key(tmp_path / f"{name}.pem")
        moment = START.timestamp() - age
        os.utime(tmp_path / f"{name}.pem", (moment, moment))
    (tmp_path / "README").write_text("not a key")
    by_name = {name: load_signing_keys(tmp_path / f"{name}.pem")[0].kid for name in "abc"}

    assert [key.kid for key in load_signing_keys(tmp_path)] == [by_name[name] for name in "bac"]


def _rsa_pem() -> bytes:
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _encrypted_pem() -> bytes:
    private = Ed25519PrivateKey.generate()
    return private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"word"))


def _public_pem() -> bytes:
    public = Ed25519PrivateKey.generate().public_key()
    return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


@pytest.mark.parametrize(
    "content",
    [b"", b"SECRET-TEXT", b"-----BEGIN PRIVATE KEY-----\nSECRET\n-----END PRIVATE KEY-----\n"],
    ids=["empty", "text", "broken PEM"],
)
@pytest.mark.parametrize("in_folder", [False, True])
def test_a_file_that_is_no_key_is_named_and_not_quoted(
    tmp_path: Path, content: bytes, *, in_folder: bool
) -> None:
    """One bad file refuses the whole folder; the error holds its path and nothing of its content."""
    if in_folder:
        new_signing_key(tmp_path / "a.pem")
    path = tmp_path / "b.pem"
    path.write_bytes(content)

    with pytest.raises(KeyFileError) as refused:
        load_signing_keys(tmp_path if in_folder else path)
    assert str(path) in str(refused.value)
    assert "SECRET" not in str(refused.value)


@pytest.mark.parametrize("make", [_rsa_pem, _encrypted_pem, _public_pem], ids=["RSA", "encrypted", "public"])
def test_a_key_of_another_kind_is_refused(tmp_path: Path, make: Any) -> None:
    """Only an unencrypted Ed25519 private key signs identities."""
    path = tmp_path / "key.pem"
    path.write_bytes(make())

    with pytest.raises(KeyFileError, match="key"):
        load_signing_keys(path)


def test_a_missing_file_and_an_empty_folder_are_refused(tmp_path: Path) -> None:
    """No key at all is an error at start, not at the first request."""
    with pytest.raises(KeyFileError, match="cannot be read"):
        load_signing_keys(tmp_path / "none.pem")
    with pytest.raises(KeyFileError, match=r"no \*\.pem file"):
        load_signing_keys(tmp_path)


def test_a_key_prints_no_private_part() -> None:
    """A key in a log line or a traceback shows its kid alone."""
    key = new_key()

    assert repr(key) == f"SigningKey(kid={key.kid!r}, private=***)"


def test_a_new_key_is_published_before_it_signs() -> None:
    """For a minute the old key goes on, because readers may hold a set without the new one."""
    old, new = key_made(START - timedelta(days=1)), key_made(START)

    assert active_key((old, new), START + PUBLISH_BEFORE_USE - timedelta(seconds=1)) is old
    assert active_key((old, new), START + PUBLISH_BEFORE_USE) is new


def test_the_oldest_key_signs_when_all_are_fresh() -> None:
    """A first start does not wait a minute."""
    first, second = key_made(START), key_made(START + timedelta(seconds=1))

    assert active_key((first, second), START + timedelta(seconds=2)) is first


def test_the_published_set_is_public_and_comes_back_as_it_was() -> None:
    """What the ops listener shows can be parsed by a service and holds no private member."""
    keys = [new_key(), new_key()]
    shown = json.dumps(public_jwks(keys)).encode()
    parsed = parse_public_jwks(shown)

    assert b'"d"' not in shown
    assert set(parsed) == {key.kid for key in keys}
    for key in keys:
        assert thumbprint(parsed[key.kid]) == key.kid


def test_the_thumbprint_is_that_of_rfc_8037() -> None:
    """RFC 8037 appendix A.3: the published example."""
    rfc = {
        "kty": "OKP",
        "crv": "Ed25519",
        "kid": "any",
        "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
    }

    assert (
        thumbprint(parse_public_jwks(document(rfc))["any"]) == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
    )


@pytest.mark.parametrize(
    "entry",
    [
        jwk(d="AAAA"),
        jwk(kty="RSA"),
        jwk(crv="X25519"),
        jwk(alg="HS256"),
        jwk(use="enc"),
        jwk(kid=...),
        jwk(kid=""),
        jwk(kid=5),
        jwk(x=...),
        jwk(x=5),
        jwk(x="AAAA"),
        {},
    ],
    ids=[
        "private",
        "RSA",
        "X25519",
        "HS256",
        "enc",
        "no kid",
        "empty kid",
        "kid 5",
        "no x",
        "x 5",
        "short x",
        "{}",
    ],
)
def test_an_entry_that_is_no_public_signing_key_is_left_out(entry: dict[str, Any]) -> None:
    """It is skipped beside a good key, and alone it makes no set: an empty set replaces nothing."""
    good = jwk()

    assert list(parse_public_jwks(document(entry, good))) == [good["kid"]]
    with pytest.raises(KeyFileError, match="no usable"):
        parse_public_jwks(document(entry))


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"<html>",
        b"[]",
        b"{}",
        b"null",
        b'{"keys": null}',
        b'{"keys": 5}',
        b'{"keys": [1]}',
        b'{"keys": "text"}',
        b'{"keys": [null]}',
        b"\xff\xfe",
        b"[" * 100_000,
        document(jwk(x="é")),
        document(jwk(x="A")),
    ],
    ids=range(14),
)
def test_a_document_that_is_no_set_is_one_error(text: bytes) -> None:
    """Whatever stands at the URL, a service sees KeyFileError and keeps the keys that it has."""
    with pytest.raises(KeyFileError):
        parse_public_jwks(text[:100_000])


def test_an_empty_set_is_refused() -> None:
    """Nothing is verified with nothing."""
    with pytest.raises(KeyFileError, match="no usable"):
        parse_public_jwks(b'{"keys": []}')


def test_a_kid_that_comes_twice_is_refused() -> None:
    """Two keys under one name: nobody can say which one is meant."""
    with pytest.raises(KeyFileError, match="twice"):
        parse_public_jwks(document(jwk(kid="same"), jwk(kid="same")))


def test_a_key_file_that_vanishes_between_listing_and_reading_is_refused(tmp_path: Path) -> None:
    """A dangling link in the folder is an error by name."""
    (tmp_path / "gone.pem").symlink_to(tmp_path / "nowhere")

    with pytest.raises(KeyFileError, match=r"gone\.pem"):
        load_signing_keys(tmp_path)


def test_created_at_is_aware(tmp_path: Path) -> None:
    """The age of a key is compared with aware UTC time."""
    new_signing_key(tmp_path / "a.pem")

    assert load_signing_keys(tmp_path)[0].created_at.tzinfo is UTC
