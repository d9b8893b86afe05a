"""What is let in as a password, and how it is proven."""

import asyncio
import threading
import unicodedata
from types import SimpleNamespace
from typing import Literal

import pytest
from argon2 import PasswordHasher

from tenant_service.people.common_passwords import is_common
from tenant_service.people.errors import PasswordTooWeakError
from tenant_service.people.passwords import AT_ONCE, MOST, Passwords, require_strong

COMMON = (
    "password1234",
    "Password2026!",
    "P@ssw0rd!2025",
    "p4ssw0rdp4ssw0rd",
    "qwertyuiop12",
    "1q2w3e4r5t6y",
    "123456789012",
    "abcdefghijkl",
    "aaaaaaaaaaaa",
    "abcabcabcabc",
    "iloveyou2024!",
    "LetMeIn123456",
    "admin-admin-admin",
    "Summer2026!!!",
    "correcthorsebatterystaple",
    "ＰＡＳＳＷＯＲＤ２０２４",
)
OWN = (
    "plum-Verandah-29-otter",
    "Tr0ub4dor&3-xylem",
    "grüne Gänse im Regen",
    "vkq8tz0rmwp2",
    "mitten quartz velvet",
    "密码不要太短应该很长的句子",
)


@pytest.mark.parametrize("password", COMMON)
def test_what_everybody_tries_is_common(password: str) -> None:
    """data-model 2.5: known words, years, runs of keys and repetitions are common in whatever dress."""
    assert is_common(password)


@pytest.mark.parametrize("password", OWN)
def test_ones_own_words_are_not_common(password: str) -> None:
    """A sentence, a random text, and a known word with enough of one's own beside it are let in."""
    assert not is_common(password)
    require_strong(password, ("acme", "bob"))


def test_short_names_forbid_nothing() -> None:
    """A local part of one letter stands in every password."""
    require_strong("plum-Verandah-29-otter", ("a", "pl"))

    with pytest.raises(PasswordTooWeakError):
        require_strong("plum-Verandah-29-otter", ("OTTER",))


async def test_a_password_is_proven_in_either_spelling() -> None:
    """attacks.md section 5: NFC and NFD are one password, and 72 bytes are not all that counts."""
    passwords = Passwords()
    stored = await passwords.hash("Gänse-und-Öltanker-29")

    assert await passwords.proves(stored, "Ga\u0308nse-und-O\u0308ltanker-29")
    assert not await passwords.proves(stored, "Ganse-und-Oltanker-29")
    long = await passwords.hash("q" * 72 + "-first")
    assert not await passwords.proves(long, "q" * 72 + "-other")
    assert not await passwords.proves(None, "whatever it is")
    assert not await passwords.proves("no hash at all", "whatever it is")
    passwords.close()


async def test_what_may_be_set_can_be_proven() -> None:
    """data-model 2.5: the length that counts is that of the one spelling, for who sets and who signs in."""
    accented = [letter for letter in map(chr, range(0xC0, 0x180)) if unicodedata.decomposition(letter)]
    long = "".join(accented[7 * number % len(accented)] for number in range(200))
    # U+1F82 is four code points where it is decomposed, and none is more.
    longest = "\u1f82" + "".join(accented[5 * number % len(accented)] for number in range(MOST - 1))
    passwords = Passwords()

    for normal in (long, longest, "\u1f82" * MOST):
        spelled = unicodedata.normalize("NFD", normal)
        assert len(unicodedata.normalize("NFC", spelled)) <= MOST < len(spelled)
        stored = await passwords.hash(spelled)
        assert await passwords.proves(stored, spelled)
        assert await passwords.proves(stored, normal)
        assert not await passwords.proves(stored, normal[:-1])
        assert not await passwords.proves(stored, spelled + "e")
    for spelled in (long, longest):
        require_strong(unicodedata.normalize("NFD", spelled), ())
    passwords.close()


@pytest.mark.parametrize("spelled", ["\u1f82" * (MOST + 1), "q" * (MOST + 1)])
async def test_what_is_too_long_is_neither_set_nor_proven(spelled: str) -> None:
    """data-model 2.5: a text of more characters than a password has, in either spelling."""
    decomposed, passwords = unicodedata.normalize("NFD", spelled), Passwords()

    with pytest.raises(PasswordTooWeakError) as refusal:
        require_strong(decomposed, ())
    assert refusal.value.fields[0].code == "TOO_LONG"
    assert not await passwords.proves(await passwords.hash(decomposed), decomposed)
    passwords.close()


async def test_marks_without_end_are_not_put_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """attacks.md section 5: composing takes the square of the marks on a letter; a form holds 10,000."""
    asked: list[int] = []

    def normalize(form: Literal["NFC"], text: str) -> str:
        asked.append(len(text))
        return unicodedata.normalize(form, text)

    seen = SimpleNamespace(normalize=normalize, category=unicodedata.category)
    monkeypatch.setattr("tenant_service.people.passwords.unicodedata", seen)
    passwords, endless = Passwords(), "a" + "\u0315\u0300" * 5_000

    assert not await passwords.proves(None, endless)
    with pytest.raises(PasswordTooWeakError, match="PASSWORD_TOO_WEAK"):
        require_strong(endless, ())
    assert max(asked) <= 4 * MOST + 1
    passwords.close()


async def test_a_hash_of_other_parameters_is_outdated() -> None:
    """data-model 2.5: when the parameters change, the next sign-in hashes anew."""
    passwords = Passwords()
    weak = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash("plum-Verandah-29-otter")

    assert passwords.is_outdated(weak)
    assert await passwords.proves(weak, "plum-Verandah-29-otter")
    assert not passwords.is_outdated(await passwords.hash("plum-Verandah-29-otter"))
    passwords.close()


async def test_four_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """attacks.md section 5: however many sign in together, four hashes at most are computed at a time."""
    passwords = Passwords()
    running, most = 0, 0
    together = threading.Barrier(AT_ONCE)  # forty are ten times four

    def verify(_stored: str, _password: str) -> bool:
        nonlocal running, most
        running += 1
        most = max(most, running)
        together.wait(20)
        running -= 1
        return True

    monkeypatch.setattr(passwords, "_verify", verify)

    assert all(await asyncio.gather(*(passwords.proves("hash", "x") for _ in range(40))))
    assert most == AT_ONCE
    passwords.close()
