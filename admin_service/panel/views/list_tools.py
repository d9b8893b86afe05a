"""What stands above a list: its columns and density, its saved views, its address and its file.

All of it is state of the address; it decides nothing about what the list holds.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlencode

from admin_service.panel.views.parts import Notice, page_url, path_segment

HIDE: Final = "hide"
DENSITY: Final = "density"
DENSITIES: Final = ("comfortable", "compact")
VIEWS_PATH: Final = "/manage/views"


@dataclass(frozen=True, slots=True)
class Column:
    """A column that may be hidden; the first one of each list always stands."""

    name: str
    label: str


@dataclass(frozen=True, slots=True)
class ViewLink:
    """One saved view; `is_on` is the one that the page shows."""

    id: str
    name: str
    href: str
    is_on: bool = False

    @property
    def delete_path(self) -> str:
        return f"{VIEWS_PATH}/{path_segment(self.id)}/delete"


@dataclass(frozen=True, slots=True)
class ListTools:
    """`kept` is what the address says of the list itself, without the place in it.

    `csrf_token` is empty where nothing is saved, `csv_href` where no file is made.
    """

    list: str
    path: str
    kept: Mapping[str, str]
    columns: tuple[Column, ...] = ()
    hidden: frozenset[str] = frozenset()
    density: str = ""
    address: str = ""
    csv_href: str = ""
    views: tuple[ViewLink, ...] = ()
    csrf_token: str = field(default="", repr=False)
    notice: Notice | None = None
    densities: tuple[str, ...] = field(default=DENSITIES)

    def shows(self, column: str) -> bool:
        return column not in self.hidden

    @property
    def looks(self) -> dict[str, str]:
        """The display in the words of the address, columns in their own order: one state, one address."""
        hidden = ".".join(column.name for column in self.columns if column.name in self.hidden)
        return {HIDE: hidden, DENSITY: self.density}

    @property
    def query(self) -> str:
        """What a saved view keeps."""
        return urlencode({name: value for name, value in {**self.kept, **self.looks}.items() if value})

    @property
    def plain_href(self) -> str:
        """The same list with every column."""
        return page_url(self.path, self.kept)

    @property
    def hidden_inputs(self) -> tuple[tuple[str, str], ...]:
        return tuple((name, value) for name, value in self.kept.items() if value)
