"""P-25: where a text leads. Hits by kind, and for an address the offer of the recorded search."""

from dataclasses import dataclass
from typing import ClassVar, Final

from admin_service.panel.views.parts import Notice, page_url
from admin_service.panel.views.users import USERS_PATH

SEARCH_PATH: Final = "/manage/search"


@dataclass(frozen=True, slots=True)
class Hit:
    """One place to go: its name, what tells it from others, and its state."""

    name: str
    detail: str
    href: str
    status: str = ""


@dataclass(frozen=True, slots=True)
class HitGroup:
    """Hits of one kind; `more_href` is the list of that kind with the same text."""

    label: str
    icon: str
    hits: tuple[Hit, ...]
    more_href: str = ""


@dataclass(frozen=True, slots=True)
class SearchView:
    """P-25. `kinds` names in words what this operator's search looks through."""

    template: ClassVar[str] = "search.html"
    section: ClassVar[str] = ""

    query: str
    groups: tuple[HitGroup, ...] = ()
    kinds: tuple[str, ...] = ()
    offers_person_search: bool = False
    partial: Notice | None = None

    @property
    def title(self) -> tuple[str, ...]:
        return (f"Search: {self.query}" if self.query else "Search",)

    @property
    def count(self) -> int:
        return sum(len(group.hits) for group in self.groups)

    @property
    def person_href(self) -> str:
        """The form of the recorded search with the address filled in; opening it searches nothing."""
        return page_url(USERS_PATH, {"email": self.query})
