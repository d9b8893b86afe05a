"""Values that several pages share: choices, form errors, notices, pagers and links.

Nothing here knows a page, a request or a permission.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal
from urllib.parse import quote, urlencode

Tone = Literal["neutral", "info", "success", "warning", "danger"]

EXACT_COUNT_LIMIT = 10_000


@dataclass(frozen=True, slots=True)
class Link:
    """A place to go next, in the words of the place."""

    label: str
    href: str


@dataclass(frozen=True, slots=True)
class Author:
    """Who did something: rows keep an id, people know each other by name.

    Without a name no operator has that id.
    """

    id: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class Choice:
    """One chip of a filter: a link to the same list with this value chosen."""

    label: str
    href: str
    selected: bool = False


@dataclass(frozen=True, slots=True)
class Undo:
    """The inverse step, ready to be sent until its time is over; no reason where none is asked."""

    label: str
    action: str
    csrf_token: str = field(repr=False)
    idempotency_key: str
    until: datetime
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Notice:
    """A calm banner above the content: something is missing, old or finished."""

    tone: Tone
    title: str
    text: str = ""
    link: Link | None = None
    undo: Undo | None = None


@dataclass(frozen=True, slots=True)
class FieldError:
    """One wrong field of a form: the name of its control, and what to do about it."""

    field: str
    message: str


@dataclass(frozen=True, slots=True)
class Pager:
    """Keyset paging: only neighbours exist, never page numbers."""

    newer: str | None = None
    older: str | None = None

    @property
    def needed(self) -> bool:
        return self.newer is not None or self.older is not None


def page_url(path: str, parameters: Mapping[str, str | None]) -> str:
    """The address of one state of a page; empty parameters are left out: one state, one address."""
    given = {name: value for name, value in parameters.items() if value}
    return f"{path}?{urlencode(given)}" if given else path


def path_segment(value: str) -> str:
    """An id or a slug as one path segment, whatever it holds."""
    return quote(value, safe="")


def choices(
    path: str,
    parameters: Mapping[str, str | None],
    name: str,
    options: Iterable[tuple[str | None, str]],
) -> tuple[Choice, ...]:
    """Chips for one parameter of a page; every other parameter of the page is kept."""
    chosen = parameters.get(name) or None
    return tuple(
        Choice(label, page_url(path, {**parameters, name: value}), selected=(value or None) == chosen)
        for value, label in options
    )


def messages_by_field(errors: Iterable[FieldError]) -> dict[str, str]:
    """The first message of each field, for the line under its control."""
    found: dict[str, str] = {}
    for error in errors:
        found.setdefault(error.field, error.message)
    return found


def count_text(count: int, noun: str, plural: str | None = None) -> str:
    """`1 tenant`, `8,214 tenants`, `about 12,000 tenants`.

    Above 10,000 a count is approximate (http-api 3.0), so the text must not look exact.
    """
    word = noun if count == 1 else (plural or f"{noun}s")
    if count <= EXACT_COUNT_LIMIT:
        return f"{count:,} {word}"
    return f"about {round(count, -3):,} {word}"
