"""Routes and hosts of one's own, from the TOML file that AUTH_PROXY_CONFIG names.

Nothing in it can weaken the panel: its services' audiences and our own header names are not to be had,
and `panel_clashes` finds what touches its paths. Whatever is not understood is refused, with the place
where it stands.
"""

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from auth_proxy.destinations import Destination, DestinationSetting, StaticFolder
from auth_proxy.header_names import HeaderKind, kind_of, letters
from auth_proxy.routes import (
    ANY_METHOD,
    BUILT_IN,
    ON_EVERY_HOST,
    IdentityField,
    Requirement,
    Route,
    Target,
    Timeouts,
    path_segments,
)
from service_kit.identity.model import Permission, Role

# Only characters that have one spelling in a canonical path: a client may write "%3A" for ":", and the
# stricter route for "/a:b" would be passed by on the way to an upstream that reads both alike.
_PREFIX: Final = re.compile(r"/|(/[A-Za-z0-9._~-]+)+")
_HEADER_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,63}")
_OURS: Final = frozenset(Target) - {Target.FRONTEND}
# What frames or routes a request, or is a credential: an identity must not stand there.
_NO_IDENTITY_IN: Final = frozenset(
    {"host", "authorization", "cookie", "origin", "referer", "useragent", "accept", "range", "via"}
)


@dataclass(frozen=True, slots=True)
class RouteFile:
    """What one file says. `destinations` are keyed by the targets that the routes name."""

    path: Path | None = None
    routes: tuple[Route, ...] = ()
    destinations: Mapping[str, Destination] = field(default_factory=dict)
    audiences: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """The application audiences of those hosts that have their own."""

    def __str__(self) -> str:
        return "" if self.path is None else str(self.path)

    @property
    def owned_hosts(self) -> frozenset[str]:
        """Hosts with a frontend of their own at `/`: the panel's built-in routes are not served there."""
        return frozenset(route.host for route in self.routes if route.host and route.pattern == "/")

    @property
    def hosts(self) -> frozenset[str]:
        """Every host that the file names."""
        return frozenset(self.audiences) | {route.host for route in self.routes if route.host}


def _lower(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class _Host(_Table):
    audiences: tuple[Annotated[str, Field(min_length=1)], ...] = Field(min_length=1)


_Seconds = Annotated[float, Field(gt=0, le=86_400, allow_inf_nan=False, strict=True)]


class _Timeouts(_Table):
    connect: _Seconds | None = None
    response_header: _Seconds | None = None
    idle: _Seconds | None = None

    def timeouts(self) -> Timeouts:
        return Timeouts(self.connect, self.response_header, self.idle)


class _RouteTable(_Table):
    prefix: str
    target: DestinationSetting
    host: Annotated[str, BeforeValidator(_lower)] | None = None
    methods: frozenset[Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]] | None = None
    permission: Permission | Requirement | None = None
    roles: frozenset[Role] | None = Field(default=None, min_length=1)
    audience: str = Field(default=Target.FRONTEND.value, pattern=r"^[A-Za-z0-9_.:/-]{1,100}$")
    identity_headers: Mapping[str, IdentityField] = Field(default_factory=dict)
    strip_prefix: bool = False
    encoded_slashes: bool = False
    max_body: int | None = Field(default=None, gt=0)
    spa_fallback: bool = False
    websocket: bool = False
    timeouts: _Timeouts = _Timeouts()

    @model_validator(mode="after")
    def _reject_contradictions(self) -> Self:
        if not _PREFIX.fullmatch(self.prefix) or {".", ".."} & set(path_segments(self.prefix)):
            raise ValueError(
                "prefix must be a plain path such as /grafana: letters, digits and -._~, no slash at its end"
            )
        if self.permission is not None and self.roles is not None:
            raise ValueError("permission and roles exclude each other")
        if self.websocket and not self._can_upgrade():
            raise ValueError("websocket needs a server as its target, and GET among its methods")
        if self.spa_fallback and not isinstance(self.target, StaticFolder):
            raise ValueError("spa_fallback needs a folder as its target")
        if self.audience in _OURS:
            raise ValueError("audience must not be one of Sallyport's own services")
        if wrong := next(_unfit_headers(self.identity_headers), None):
            raise ValueError(f"identity_headers must not set {wrong}")
        return self

    def _can_upgrade(self) -> bool:
        return not isinstance(self.target, StaticFolder) and "GET" in (self.methods or ANY_METHOD)

    def route(self) -> Route:
        methods = frozenset[str](self.methods or ANY_METHOD)
        return Route(
            pattern=self.prefix,
            methods=methods | ({"HEAD"} if "GET" in methods else frozenset()),
            requirement=self.roles or self.permission or Requirement.OPERATOR,
            target=str(self.target),
            host=self.host,
            audience=self.audience,
            identity_headers=tuple(self.identity_headers.items()),
            strip_prefix=self.strip_prefix,
            encoded_slashes=self.encoded_slashes,
            most_body_bytes=self.max_body,
            spa_fallback=self.spa_fallback,
            websocket=self.websocket,
            timeouts=self.timeouts.timeouts(),
        )


class _File(_Table):
    hosts: Mapping[str, _Host] = Field(default_factory=dict)
    routes: tuple[_RouteTable, ...] = ()


def load_route_file(value: object) -> RouteFile:
    """The file at a path. Raises ValueError with every problem and where it stands."""
    if isinstance(value, RouteFile):
        return value
    path = Path(str(value))
    try:
        parsed = _File.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError("cannot be read") from error
    except ValidationError as error:
        raise ValueError("; ".join(_problems(error))) from None
    except (ValueError, RecursionError) as error:  # also an endless number, or endless nesting
        raise ValueError(f"is not TOML: {error}") from None
    tables = parsed.routes
    found = RouteFile(
        path=path,
        routes=tuple(table.route() for table in tables),
        destinations={str(table.target): table.target for table in tables},
        audiences={host.lower(): frozenset(entry.audiences) for host, entry in parsed.hosts.items()},
    )
    if len(found.audiences) < len(parsed.hosts):
        raise ValueError("hosts: one host stands there twice")
    if clashes := list(_clashes(found)):
        raise ValueError("; ".join(clashes))
    return found


RouteFileSetting = Annotated[RouteFile, BeforeValidator(load_route_file)]


def _problems(error: ValidationError) -> Iterator[str]:
    for details in error.errors(include_input=False, include_url=False):
        place = ".".join(str(part) for part in details["loc"])
        yield f"{place}: {str(details['msg']).removeprefix('Value error, ')}"


def _unfit_headers(names: Mapping[str, object]) -> Iterator[str]:
    seen: set[str] = set()
    for name in names:
        folded = letters(name)
        free = kind_of(folded) in (HeaderKind.ORDINARY, HeaderKind.IDENTITY)
        content = folded.startswith(("content", "if", "sec", "access"))
        fits = _HEADER_NAME.fullmatch(name) and free and not content and folded not in _NO_IDENTITY_IN
        if not fits or folded in seen:
            yield name
        seen.add(folded)


def _clashes(found: RouteFile) -> Iterator[str]:
    """What is wrong between routes: two for one place, or one that opens another."""
    places = [(route.host, route.pattern.lower()) for route in found.routes]
    for route in found.routes:
        if places.count((route.host, route.pattern.lower())) > 1:
            yield f"two routes for {route.name}"
        if route.encoded_slashes and any(_is_below(other, route) for other in found.routes):
            yield f"{route.name}: encoded_slashes where another route shares the prefix"


def panel_clashes(found: RouteFile) -> Iterator[str]:
    """What would open or hide a path of the panel, on a sidecar that serves it."""
    for route in found.routes:
        is_owned = route.host in found.owned_hosts
        if any(_is_below(route, built_in) for built_in in (ON_EVERY_HOST if is_owned else BUILT_IN)):
            yield f"{route.name}: is a path of the panel"
        if route.encoded_slashes and not is_owned and any(_is_below(other, route) for other in BUILT_IN):
            yield f"{route.name}: encoded_slashes beside the panel; give the frontend a host of its own"


def _is_below(other: Route, route: Route) -> bool:
    """Whether the other route's paths lie below this one's, on a host that both serve."""
    if other is route or (other.host and route.host and other.host != route.host):
        return False
    # In another case too: a frontend that ignores case takes them for one place.
    lowered = [segment.lower() for segment in route.segments]
    return [segment.lower() for segment in other.segments[: len(lowered)]] == lowered
