"""Settings from environment variables: read once, validated together, reported by variable name.

An empty variable is an unset one. Two names for one setting may not disagree. A value is never
repeated in an error, because a value may be a secret.
"""

import ipaddress
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final, Self, TypeVar

from pydantic import AliasChoices, BeforeValidator, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict


@dataclass(frozen=True, slots=True)
class SettingProblem:
    """One wrong setting: the variable and what is wrong with it."""

    variable: str
    message: str

    def __str__(self) -> str:
        return f"{self.variable}: {self.message}"


class SettingsError(Exception):
    """Every problem of a configuration at once."""

    def __init__(self, problems: list[SettingProblem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = tuple(problems)


class ServiceSettings(BaseSettings):
    """The base of each service's settings: frozen, and fed only by `load_settings`."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - pydantic-settings' signature
        init_settings: PydanticBaseSettingsSource,
        *_sources: PydanticBaseSettingsSource,
        **_named: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        # The environment arrives as an argument, so that a test needs no process-wide state.
        return (init_settings,)


S = TypeVar("S", bound=ServiceSettings)


def load_settings(kind: type[S], environ: Mapping[str, str]) -> S:
    """The settings of a service from its environment. Raises SettingsError with all problems."""
    given = {name: value.strip() for name, value in environ.items() if value.strip()}
    problems = list(_conflicts(kind, given))
    values = {}
    for names in variables(kind).values():
        chosen = next((name for name in names if name in given), None)
        if chosen is not None:
            values[names[0]] = given[chosen]
    return _validated(kind, values, problems)


def renewed(settings: S, changes: Mapping[str, object]) -> S:
    """The same settings with other values for some variables, validated as a whole once more.

    Raises SettingsError with all problems. What was left to its default is left to it again.
    """
    kind = type(settings)
    given = {
        names[0]: getattr(settings, field)
        for field, names in variables(kind).items()
        if field in settings.model_fields_set
    }
    return _validated(kind, {**given, **changes}, [])


def _validated(kind: type[S], values: Mapping[str, object], problems: list[SettingProblem]) -> S:
    try:
        settings = kind.model_validate(values)
    except ValidationError as error:
        problems += [_problem(kind, details) for details in error.errors(include_input=False)]
        raise SettingsError(problems) from None
    if problems:
        raise SettingsError(problems)
    return settings


def variables(kind: type[ServiceSettings]) -> dict[str, tuple[str, ...]]:
    """For each field the variables that set it, the canonical name first."""
    return {field: _names(field, info) for field, info in kind.model_fields.items()}


def _names(field: str, info: FieldInfo) -> tuple[str, ...]:
    alias = info.validation_alias
    if isinstance(alias, AliasChoices):
        return tuple(str(choice) for choice in alias.choices)
    return (str(alias),) if alias else (field.upper(),)


def _conflicts(kind: type[ServiceSettings], given: Mapping[str, str]) -> Iterator[SettingProblem]:
    for names in variables(kind).values():
        if len({given[name] for name in names if name in given}) > 1:
            yield SettingProblem(" / ".join(names), "are set to different values; set one of them")


def _problem(kind: type[ServiceSettings], details: Any) -> SettingProblem:
    location = details["loc"][0] if details["loc"] else "configuration"
    # A default that is wrong is reported under the field's own name, a given value under its variable.
    known = {name: names[0] for field, names in variables(kind).items() for name in (field, *names)}
    variable = known.get(str(location), str(location))
    if details["type"] == "missing":
        return SettingProblem(variable, "is required")
    return SettingProblem(variable, str(details["msg"]).removeprefix("Value error, "))


_HIGHEST_PORT: Final = 65535
# Without its brackets `::1` would be the host `:` and the port 1.
_HOST_PORT: Final = re.compile(r"(?:\[(?P<ipv6>[0-9A-Fa-f:.]+)\]|(?P<host>[^\s:\[\]]+)):(?P<port>[0-9]{1,5})")


@dataclass(frozen=True, slots=True)
class Listen:
    """Where a listener binds: an address and port, or a unix socket."""

    host: str = ""
    port: int = 0
    path: str = ""

    @classmethod
    def parse(cls, value: object) -> Self:
        """`127.0.0.1:8080`, `[::1]:8080` or `unix:/run/sallyport.sock`. Raises ValueError."""
        if isinstance(value, cls):
            return value
        text = str(value)
        if text.startswith("unix:/"):
            return cls(path=text.removeprefix("unix:"))
        found = _HOST_PORT.fullmatch(text)
        if found is None or int(found["port"]) > _HIGHEST_PORT:
            raise ValueError("must be host:port, [ipv6]:port or unix:/path")
        return cls(host=found["ipv6"] or found["host"], port=int(found["port"]))

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach the listener. A name that is not an address is not trusted."""
        if self.path or self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    def __str__(self) -> str:
        if self.path:
            return f"unix:{self.path}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def _split(value: object) -> object:
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


ListenAddress = Annotated[Listen, BeforeValidator(Listen.parse)]
CommaList = Annotated[tuple[str, ...], BeforeValidator(_split)]
