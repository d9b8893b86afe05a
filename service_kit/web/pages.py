"""One page of a list that is ordered by time and id, newest first, and the links to its neighbours.

It runs no query: a repository hands it one row more than the page holds, so that it can tell
whether the list goes on. There is no page number anywhere (http-api 3.0).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Generic, TypeVar

from pydantic import Field
from yarl import URL

from service_kit.db.keyset import Position
from service_kit.web.paging import CursorCodec
from service_kit.web.schemas import ApiModel

MOST_ROWS: Final = 100

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Rows, newest first, and the cursors of the neighbouring pages where there are any."""

    rows: tuple[T, ...]
    next_cursor: str | None = None
    prev_cursor: str | None = None


class PageModel(ApiModel):
    """The `page` member of every list answer."""

    next_cursor: str | None = Field(description="Older rows; null on the last page.")
    prev_cursor: str | None = Field(description="Newer rows; null on the first page.")
    has_more: bool

    @classmethod
    def of(cls, page: Page[T]) -> "PageModel":
        return cls(
            next_cursor=page.next_cursor,
            prev_cursor=page.prev_cursor,
            has_more=page.next_cursor is not None,
        )


def cut(
    rows: Sequence[T],
    *,
    limit: int,
    position: Position | None,
    key: Callable[[T], tuple[datetime, str]],
    encode: Callable[[Position], str],
) -> Page[T]:
    """The page within `rows`, which hold up to `limit + 1` rows, newest first, as the query found them.

    Going back, the surplus row is the newest one; going forward it is the oldest.
    """
    backward = position is not None and position.backward
    surplus = len(rows) > limit
    kept = tuple(rows[-limit:] if backward else rows[:limit])
    if not kept:
        return Page(())
    older, newer = (backward or surplus), (surplus if backward else position is not None)
    return Page(
        kept,
        next_cursor=encode(Position(*key(kept[-1]))) if older else None,
        prev_cursor=encode(Position(*key(kept[0]), backward=True)) if newer else None,
    )


def read_cursor(codec: CursorCodec, cursor: str | None, filters: object) -> Position | None:
    """Where the page begins. Raises BadRequestError `INVALID_CURSOR`."""
    return codec.decode(cursor, filters) if cursor else None


def link_header(url: URL, page: Page[T]) -> dict[str, str]:
    """The `Link` header of a list answer (RFC 8288): the same address with the neighbour's cursor."""
    cursors = (("next", page.next_cursor), ("prev", page.prev_cursor))
    links = [f'<{url.update_query(cursor=c)}>; rel="{rel}"' for rel, c in cursors if c]
    return {"Link": ", ".join(links)} if links else {}
