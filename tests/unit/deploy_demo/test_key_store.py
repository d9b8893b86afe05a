from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from deploy.demo.issuer import SigningKey
from deploy.demo.key_store import BadAudience, KeyStore, UnsafeKeyFile, checked_audience


def test_a_second_run_finds_the_keys_and_the_tag_of_the_first(tmp_path: Path) -> None:
    """The first run makes two keys and a tag; the next run has the same, current key first."""
    first = KeyStore(tmp_path / "demo")
    keys, audience = first.load_or_create_keys(), first.load_or_create_audience()

    again = KeyStore(tmp_path / "demo")

    assert [key.kid for key in again.load_or_create_keys()] == [key.kid for key in keys]
    assert len(keys) == 2
    assert again.load_or_create_audience() == audience == checked_audience(audience)


def test_files_are_for_the_owner_only(tmp_path: Path, signing_keys: tuple[SigningKey, SigningKey]) -> None:
    """Each file has mode 0600 and the folder 0700, and no draft is left behind."""
    store = KeyStore(tmp_path / "demo")
    store.save(signing_keys)
    store.load_or_create_audience()
    files = sorted((tmp_path / "demo").iterdir())

    assert [file.name for file in files] == ["access-key-current.pem", "access-key-previous.pem", "audience"]
    assert {file.stat().st_mode & 0o777 for file in files} == {0o600}
    assert (tmp_path / "demo").stat().st_mode & 0o777 == 0o700


def test_a_rotation_is_kept(
    tmp_path: Path, signing_keys: tuple[SigningKey, SigningKey], third_key: SigningKey
) -> None:
    """Saving after a rotation replaces both files."""
    store = KeyStore(tmp_path)
    store.save(signing_keys)

    store.save((third_key, signing_keys[0]))

    assert [key.kid for key in store.load_or_create_keys()] == [third_key.kid, signing_keys[0].kid]


def test_a_stop_in_the_middle_of_a_save_loses_no_key_that_signed(
    tmp_path: Path, signing_keys: tuple[SigningKey, SigningKey]
) -> None:
    """When only the previous key was written, both files hold the key that signs, and it is loaded once."""
    store = KeyStore(tmp_path)
    store.save(signing_keys)
    (tmp_path / "access-key-previous.pem").write_bytes((tmp_path / "access-key-current.pem").read_bytes())

    assert [key.kid for key in store.load_or_create_keys()] == [signing_keys[0].kid]


def test_a_key_that_others_can_read_is_refused(
    tmp_path: Path, signing_keys: tuple[SigningKey, SigningKey]
) -> None:
    """A key file with any right for group or others raises `UnsafeKeyFile`, which says what to do."""
    store = KeyStore(tmp_path)
    store.save(signing_keys)
    (tmp_path / "access-key-current.pem").chmod(0o640)

    with pytest.raises(UnsafeKeyFile, match="chmod 600"):
        store.load_or_create_keys()


def test_a_key_of_another_kind_is_refused(tmp_path: Path) -> None:
    """Access signs with RSA: another private key raises `UnsafeKeyFile`."""
    pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path = tmp_path / "access-key-current.pem"
    path.write_bytes(pem)
    path.chmod(0o600)

    with pytest.raises(UnsafeKeyFile, match="no RSA key"):
        KeyStore(tmp_path).load_or_create_keys()


@pytest.mark.parametrize("tag", ["", "a" * 63, "A" * 64, "a" * 64 + "\n", "g" * 64])
def test_a_tag_that_cloudflare_would_not_make_is_refused(tag: str) -> None:
    """An audience tag is exactly 64 lower-case hexadecimal digits (R-014)."""
    with pytest.raises(BadAudience):
        checked_audience(tag)
