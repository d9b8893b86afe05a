"""Signed notes: every character counts, and only a known key of the right origin proves one."""

import base64
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from service_kit.audit.notes import Checkpoint, NoteRejectedError, is_signable, origin_of, proven, sign
from service_kit.identity.keys import SigningKey, thumbprint

AT = datetime(2026, 3, 1, 9, 0, 0, 123456, tzinfo=UTC)
ADMIN = origin_of("admin_service")
CHECKPOINT = Checkpoint(ADMIN, "global", 4711, "ab" * 32, AT)


def new_key() -> SigningKey:
    private = Ed25519PrivateKey.generate()
    return SigningKey(thumbprint(private.public_key()), private, AT)


KEY = new_key()
KEYS = {KEY.kid: KEY.private.public_key()}


def test_a_note_says_what_was_signed() -> None:
    """R-030: the checkpoint comes back as it was, with the key that signed it."""
    signed = sign(CHECKPOINT, KEY)

    assert proven(signed.note, ADMIN, KEYS) == signed
    assert (signed.checkpoint, signed.key_id) == (CHECKPOINT, KEY.kid)


def test_a_note_has_the_form_of_c2sp() -> None:
    """Origin, size, root hash and an extension line; then an Ed25519 signature over exactly that text."""
    body, line = sign(CHECKPOINT, KEY).note.split("\n\n")
    dash, name, signature = line.split()

    assert body.splitlines() == [
        "sallyport/admin_service/global",
        "4711",
        base64.b64encode(bytes.fromhex("ab" * 32)).decode(),
        "time 2026-03-01T09:00:00.123456Z",
    ]
    assert (dash, name) == ("\u2014", "sallyport/admin_service")
    KEY.private.public_key().verify(base64.b64decode(signature)[4:], f"{body}\n".encode())


def test_every_character_of_a_note_counts() -> None:
    """R-031: one character changed, doubled or removed anywhere, and the note proves nothing."""
    note = sign(CHECKPOINT, KEY).note
    for place, character in enumerate(note):
        other = {"1": "2", "A": "B", "=": "A"}.get(character, "1")
        for forged in (
            note[:place] + other + note[place + 1 :],
            note[:place] + note[place + 1 :],
            note[:place] + character + note[place:],
        ):
            with pytest.raises(NoteRejectedError):
                proven(forged, ADMIN, KEYS)
    with pytest.raises(NoteRejectedError):
        proven(note + "x", ADMIN, KEYS)


def test_a_signature_of_something_else_proves_nothing() -> None:
    """A valid signature that is moved to another checkpoint of the same key does not fit there."""
    line = sign(CHECKPOINT, KEY).note.split("\n\n")[1]
    other = Checkpoint(ADMIN, "global", 4712, "cd" * 32, AT)

    with pytest.raises(NoteRejectedError, match="does not fit"):
        proven(f"{other.body()}\n{line}", ADMIN, KEYS)


def test_another_key_or_origin_proves_nothing() -> None:
    """A stranger's key, no key at all, and the other service's own notes."""
    note = sign(CHECKPOINT, KEY).note
    stranger = new_key()
    for keys in ({}, {stranger.kid: stranger.private.public_key()}):
        with pytest.raises(NoteRejectedError, match="unknown key"):
            proven(note, ADMIN, keys)
    with pytest.raises(NoteRejectedError, match="origin"):
        proven(note, origin_of("tenant_service"), KEYS)


@pytest.mark.parametrize("chain", ["", "a/b", "a b", "a\nb", "ä", "x" * 65])
def test_a_chain_with_a_strange_name_is_not_signed(chain: str) -> None:
    """Whoever puts a chain into the database cannot have lines of a note written for them."""
    assert not is_signable(chain)
    assert is_signable("org_01KFJ8Z6R4P5QH0V3W2XN7TBDC")
