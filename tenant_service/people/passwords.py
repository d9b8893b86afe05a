"""Passwords of tenants' people: what is let in as one, and argon2id off the event loop.

No hash and no password leaves this module in a text: errors name the rule, never the value. At most four
hashes are computed at once, so that many sign-ins take 76 MiB and not 19 MiB each (data-model 2.5).
"""

import asyncio
import secrets
import unicodedata
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from argon2 import PasswordHasher, Type
from argon2.exceptions import Argon2Error, InvalidHashError

from service_kit.errors import UnavailableError
from tenant_service.people.common_passwords import is_common
from tenant_service.people.errors import PasswordTooWeakError

LEAST: Final = 12
MOST: Final = 256
AT_ONCE: Final = 4
_MOST_WAITING: Final = 200
_MOST_SPELLED: Final = 4 * MOST
_LEAST_NAME: Final = 3
"""A shorter name stands in too many good passwords by chance."""

T = TypeVar("T")


def require_strong(password: str, names: Iterable[str], *, pointer: str = "/password") -> None:
    """Raise PasswordTooWeakError unless the password may be somebody's; `names` must not stand in it."""
    normal = _composed(password)
    if len(normal) < LEAST:
        raise PasswordTooWeakError("TOO_SHORT", f"Use at least {LEAST} characters", pointer=pointer)
    if len(normal) > MOST:
        raise PasswordTooWeakError("TOO_LONG", f"Use at most {MOST} characters", pointer=pointer)
    if any(unicodedata.category(each) in {"Cc", "Cs"} for each in normal):
        raise PasswordTooWeakError("CONTROL_CHARACTER", "Use no control characters", pointer=pointer)
    folded = normal.casefold()
    if any(len(name) >= _LEAST_NAME and name.casefold() in folded for name in names):
        message = "Do not use your address or the account's name in it"
        raise PasswordTooWeakError("CONTAINS_NAME", message, pointer=pointer)
    if is_common(normal):
        raise PasswordTooWeakError("COMMON", "This is one that many people use", pointer=pointer)


class Passwords:
    """Hashes and proves passwords."""

    def __init__(self) -> None:
        self._hasher = PasswordHasher(
            time_cost=2, memory_cost=19456, parallelism=1, hash_len=32, salt_len=16, type=Type.ID
        )
        self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="argon2")
        self._room = asyncio.Semaphore(AT_ONCE)
        self._waiting = 0
        self._dummy = self._hasher.hash(secrets.token_bytes(32))

    async def hash(self, password: str) -> str:
        """A fresh hash in PHC form."""
        return await self._off_loop(lambda: self._hasher.hash(_bytes(password)))

    async def proves(self, stored: str | None, password: str) -> bool:
        """Whether the password is the one that was hashed.

        Without a hash the same work is done on one that nothing fits, so that the time tells nobody
        whether an account exists. A password longer than any can be fits nothing either; the length is
        that of the spelling which was hashed, as in `require_strong`.
        """
        normal = _composed(password)
        fits = await self._off_loop(lambda: self._verify(stored or self._dummy, normal[: MOST + 1]))
        return fits and stored is not None and len(normal) <= MOST

    def is_outdated(self, stored: str) -> bool:
        """Whether the hash was made with other parameters than today's."""
        return self._hasher.check_needs_rehash(stored)

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _verify(self, stored: str, password: str) -> bool:
        try:
            return self._hasher.verify(stored, _bytes(password))
        except (Argon2Error, InvalidHashError):
            return False

    async def _off_loop(self, work: Callable[[], T]) -> T:
        if self._waiting >= _MOST_WAITING:
            raise UnavailableError("BUSY", "Too many people sign in at once: try again shortly")
        self._waiting += 1
        try:
            async with self._room:
                return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        finally:
            self._waiting -= 1


def _composed(password: str) -> str:
    """The spelling whose length counts; of a password that is too long, enough of it to be too long.

    One character is at most four in any other spelling. To compose takes the square of the marks on one
    letter, and a page's form brings 10,000 of them.
    """
    return unicodedata.normalize("NFC", password[: _MOST_SPELLED + 1])


def _bytes(password: str) -> bytes:
    """One spelling of each password (RFC 8265): a keyboard that composes letters types the same one."""
    return unicodedata.normalize("NFC", password).encode("utf-8", "surrogatepass")
