"""What key files and key sets say to people and to other programs, word for word."""

import json
import time
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from service_kit.identity.keys import (
    KeyFileError,
    key_file_name,
    load_signing_keys,
    new_signing_key,
    parse_public_jwks,
    public_jwks,
)
from tests.fixtures.identities import new_key


def test_a_public_key_is_published_with_its_purpose() -> None:
    """RFC 8037: a reader sees key type, curve, algorithm and use, and nothing else (R-005)."""
    (entry,) = json.loads(json.dumps(public_jwks([key := new_key()])))["keys"]

    assert {name: value for name, value in entry.items() if name != "x"} == {
        "kty": "OKP",
        "crv": "Ed25519",
        "kid": key.kid,
        "alg": "EdDSA",
        "use": "sig",
    }
    assert len(entry["x"]) == 43


def _document(*entries: object) -> bytes:
    return json.dumps({"keys": entries}).encode()


def test_each_unusable_key_set_says_why() -> None:
    """The text is the log line's: it names the fault and quotes nothing."""
    (entry,) = json.loads(json.dumps(public_jwks([new_key()])))["keys"]
    texts = {
        b"secret": "not a JWK set",
        _document(entry, entry): "the JWK set names a kid twice",
        _document(): "the JWK set holds no usable Ed25519 key",
    }

    for document, text in texts.items():
        with pytest.raises(KeyFileError) as refused:
            parse_public_jwks(document)
        assert str(refused.value) == text


def test_a_new_key_makes_the_folders_above_it(tmp_path: Path) -> None:
    """A first start finds no folder at all."""
    path = tmp_path / "data" / "keys" / "identity.pem"

    assert new_signing_key(path) == load_signing_keys(path)[0].kid


def test_a_key_files_name_tells_its_age_in_utc(monkeypatch: pytest.MonkeyPatch) -> None:
    """A moment has one name wherever the machine stands."""
    moment = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    elsewhere = moment.astimezone(timezone(timedelta(hours=9)))
    named = key_file_name(moment)
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        assert {key_file_name(moment), key_file_name(elsewhere)} == {named}
    finally:
        monkeypatch.undo()
        time.tzset()
    assert "0304" in named.replace(":", "")


def test_a_key_set_has_at_most_64_kib() -> None:
    """Whoever answers at the URL cannot make a service read without end: to the byte."""
    largest = _document(*json.loads(json.dumps(public_jwks([new_key()])))["keys"]).ljust(64 * 1024)

    assert len(parse_public_jwks(largest)) == 1
    with pytest.raises(KeyFileError):
        parse_public_jwks(largest + b" ")
