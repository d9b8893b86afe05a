"""Where a route can lead: another server, or a folder of files on this machine.

It opens nothing: the transport does. A folder that is not there is refused at start.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

from pydantic import BeforeValidator

from service_kit.web.service_url import ServiceUrl

_STATIC: Final = "static:"


@dataclass(frozen=True, slots=True)
class StaticFolder:
    """A folder whose files are served, after the checks, to whom the route lets in."""

    root: Path

    def __str__(self) -> str:
        return f"{_STATIC}{self.root}"


Destination = ServiceUrl | StaticFolder


def parse_destination(value: object) -> Destination:
    """`http://host:port`, `http+unix:///path` or `static:/folder`. Raises ValueError for anything else."""
    if isinstance(value, ServiceUrl | StaticFolder):
        return value
    text = str(value)
    if not text.startswith(_STATIC):
        try:
            return ServiceUrl.parse(text)
        except ValueError as error:
            raise ValueError(f"{error}, or static:/folder") from None
    folder = Path(text.removeprefix(_STATIC))
    if not folder.is_absolute():
        raise ValueError("must name an absolute folder: static:/srv/panel")
    if not folder.is_dir():
        raise ValueError("names a folder that is not there")
    return StaticFolder(folder.resolve())


DestinationSetting = Annotated[Destination, BeforeValidator(parse_destination)]
