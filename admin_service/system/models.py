"""Queues and workflows of both services as one list, each under a name that says whose it is.

`tenant.mail` is the queue `mail` of the tenant service: names are unique over both, so that an address
names one of them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Generic, TypeVar

from admin_service.caller import Caller

T = TypeVar("T")


class Owner(StrEnum):
    """The service whose queue or workflow it is."""

    ADMIN = "admin"
    TENANT = "tenant"


@dataclass(frozen=True, slots=True)
class FullName:
    """`tenant.mail`, in its two parts."""

    owner: Owner
    local: str


@dataclass(frozen=True, slots=True)
class Wish:
    """Who wants something done, and why; with a `key` it is done once."""

    caller: Caller
    reason: str
    key: str | None = None


@dataclass(frozen=True, slots=True)
class Merged(Generic[T]):
    """What both services have; `unavailable` names one that did not answer."""

    rows: tuple[T, ...]
    unavailable: tuple[Owner, ...] = ()


_OWNERS: Final[Mapping[str, Owner]] = {owner.value: owner for owner in Owner}


def read_name(name: str) -> FullName | None:
    """The parts of a full name; None when it names nothing of ours."""
    owner, _dot, local = name.partition(".")
    is_plain = local.isascii() and local.replace("_", "").isalnum()
    return FullName(_OWNERS[owner], local) if owner in _OWNERS and is_plain else None
