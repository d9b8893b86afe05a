"""The roster from a TOML file: for other frontends, without an admin service.

A changed file is read anew; a broken one is refused, loudly, and the list in use stays. An entry may
pin the Access subject. One that does not is bound to the first subject that proves the address, for
the life of the process: another person who is given the address later is refused (R-060).
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from auth_proxy.roster.source import OperatorEntry
from auth_proxy.watched import Watched
from service_kit.email_address import normalise_email
from service_kit.identity.model import Role


class RosterFileError(Exception):
    """The file is no roster; the text says where, and repeats no value."""


class _Operator(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    email: Annotated[str, AfterValidator(normalise_email)]
    role: Role
    sub: str | None = Field(default=None, pattern=r"^[\x21-\x7e]{1,255}$")
    name: str = Field(default="", max_length=200)
    active: bool = True

    def entry(self, sub: str) -> OperatorEntry:
        return OperatorEntry(sub, sub, self.email, self.name or self.email, self.role, self.active)


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    operators: tuple[_Operator, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _reject_doubles(self) -> Self:
        emails = [operator.email for operator in self.operators]
        subs = [operator.sub for operator in self.operators if operator.sub is not None]
        if len(set(emails)) < len(emails) or len(set(subs)) < len(subs):
            raise ValueError("an address or a sub stands there twice")
        return self


@dataclass(frozen=True, slots=True)
class FileOperators:
    """What one version of the file says."""

    by_email: Mapping[str, _Operator]
    by_sub: Mapping[str, _Operator]

    @property
    def unpinned(self) -> tuple[str, ...]:
        """The addresses without a `sub`: `check` and `doctor` name them."""
        return tuple(email for email, operator in self.by_email.items() if operator.sub is None)


def load_operators(path: Path) -> FileOperators:
    """Raises RosterFileError."""
    try:
        parsed = _File.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError) as error:
        raise RosterFileError(f"{path}: cannot be read") from error
    except ValidationError as error:
        places = "; ".join(
            f"{'.'.join(str(part) for part in details['loc'])}: {details['msg']}"
            for details in error.errors(include_input=False, include_url=False)
        )
        raise RosterFileError(f"{path}: {places}") from None
    except (ValueError, RecursionError) as error:  # also an endless number, or endless nesting
        raise RosterFileError(f"{path}: is not TOML: {error}") from None
    return FileOperators(
        by_email={operator.email: operator for operator in parsed.operators},
        by_sub={operator.sub: operator for operator in parsed.operators if operator.sub is not None},
    )


class FileRoster:
    """The operators of a file."""

    def __init__(self, watched: Watched[FileOperators]) -> None:
        self._watched = watched
        self._known = watched.value
        self._version = 1
        self._bound: dict[str, str] = {}

    @property
    def version(self) -> int:
        if self._watched.value is not self._known:
            self._known = self._watched.value
            self._version += 1
        return self._version

    def find(self, sub: str, email: str) -> OperatorEntry | None:
        operators = self._watched.value
        pinned = operators.by_sub.get(sub)
        if pinned is not None:
            # The file knows the person by another address: whoever keeps it has to say which is right.
            return pinned.entry(sub) if pinned.email == email else None
        named = operators.by_email.get(email)
        if named is None or named.sub is not None:
            return None
        return named.entry(sub) if self._bound.setdefault(email, sub) == sub else None

    def binds_email(self, email: str) -> bool:
        named = self._watched.value.by_email.get(email)
        return named is not None and (named.sub is not None or email in self._bound)
