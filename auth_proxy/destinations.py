"""Where a route can lead: one or several equal servers, or a folder of files on this machine.

It opens nothing: the transport does. A folder that is not there is refused, and so is a list of servers
in which one stands twice.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final
from urllib.parse import urlsplit

from pydantic import BeforeValidator

from service_kit.web.service_url import ServiceUrl

MOST_ADDRESSES: Final = 16
_STATIC: Final = "static:"
_PORTS: Final = {"http": 80, "https": 443}
_JOINT: Final = re.compile(r"\s*,\s*")


@dataclass(frozen=True, slots=True)
class StaticFolder:
    """A folder whose files are served, after the checks, to whom the route lets in."""

    root: Path

    def __str__(self) -> str:
        return f"{_STATIC}{self.root}"


@dataclass(frozen=True, slots=True)
class Servers:
    """Equal servers: whichever of them gets a request, the answer is the same.

    Raises ValueError for none, for more than sixteen, and for one that stands there twice.
    """

    addresses: tuple[ServiceUrl, ...]

    def __post_init__(self) -> None:
        if not 1 <= len(self.addresses) <= MOST_ADDRESSES:
            raise ValueError(f"must name 1 to {MOST_ADDRESSES} servers")
        places = [_place(address) for address in self.addresses]
        for number, place in enumerate(places):
            if place in places[:number]:
                raise ValueError(f"server {number + 1}: stands there twice")

    def __str__(self) -> str:
        return ", ".join(str(address) for address in self.addresses)


Destination = Servers | StaticFolder


def parse_destination(value: object) -> Destination:
    """`http://host:port`, `http+unix:///path`, a list of these, or `static:/folder`.

    Raises ValueError for anything else, with the place of a server in its list.
    """
    if isinstance(value, Servers | StaticFolder):
        return value
    if isinstance(value, list | tuple):
        return Servers(tuple(_listed(value)))
    text = str(value)
    if text.startswith(_STATIC):
        return _folder(text)
    try:
        return Servers((_server(text),))
    except ValueError as error:
        raise ValueError(f"{error}, or static:/folder") from None


def parse_upstream(value: object) -> Destination:
    """What a variable can say: the same, the list with commas between the servers. Raises ValueError."""
    if isinstance(value, str) and "," in value and not value.startswith(_STATIC):
        return parse_destination([part for part in _JOINT.split(value.strip()) if part])
    return parse_destination(value)


def _folder(text: str) -> StaticFolder:
    folder = Path(text.removeprefix(_STATIC))
    if not folder.is_absolute():
        raise ValueError("must name an absolute folder: static:/srv/panel")
    if not folder.is_dir():
        raise ValueError("names a folder that is not there")
    return StaticFolder(folder.resolve())


def _listed(values: Sequence[object]) -> Iterator[ServiceUrl]:
    for number, value in enumerate(values, start=1):
        if isinstance(value, str) and value.startswith(_STATIC):
            raise ValueError(f"server {number}: a folder stands alone, not in a list")
        try:
            yield _server(value)
        except ValueError as error:
            raise ValueError(f"server {number}: {error}") from None


def _server(value: object) -> ServiceUrl:
    address = ServiceUrl.parse(value)
    if "," in str(address):  # two lists of servers must never have one name
        raise ValueError("must be one server, without a comma")
    return address


def _place(address: ServiceUrl) -> tuple[str, int]:
    """Where the address leads: `http://A` and `http://a:80/` are one server."""
    if address.socket_path:
        return address.socket_path, 0
    parts = urlsplit(address.base)
    return str(parts.hostname), parts.port or _PORTS[parts.scheme]


DestinationSetting = Annotated[Destination, BeforeValidator(parse_destination)]
UpstreamSetting = Annotated[Destination, BeforeValidator(parse_upstream)]
