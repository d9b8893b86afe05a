"""What is let in as a password, and how it is proven."""

import asyncio

import pytest
from argon2 import PasswordHasher

from tenant_service.people.common_passwords import is_common
from tenant_service.people.errors import PasswordTooWeakError
from tenant_service.people.passwords import AT_ONCE, Passwords, require_strong

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

    def verify(_stored: str, _password: str) -> bool:
        nonlocal running, most
        running += 1
        most = max(most, running)
        asyncio.run(asyncio.sleep(0.01))
        running -= 1
        return True

    monkeypatch.setattr(passwords, "_verify", verify)

    assert all(await asyncio.gather(*(passwords.proves("hash", "x") for _ in range(40))))
    assert most == AT_ONCE
    passwords.close()
