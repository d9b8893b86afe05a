"""Every statement about saved views; each one names whose they are."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert as postgres_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from admin_service.saved_views.models import SAVED_VIEWS, ListName, SavedView
from service_kit.db.session import ReadSession, WriteSession

_T = SAVED_VIEWS.c


class SavedViewRepository:
    """The table of saved views."""

    async def of(self, session: ReadSession, operator_id: str, name: ListName) -> Sequence[SavedView]:
        """By name, as the menu shows them."""
        wanted = (
            select(SAVED_VIEWS)
            .where(_T.admin_id == operator_id, _T.list == name.value)
            .order_by(_T.name, _T.id)
        )
        return [
            SavedView(row["id"], ListName(row["list"]), row["name"], row["query"])
            for row in await session.rows(wanted)
        ]

    async def put(self, session: WriteSession, operator_id: str, view: SavedView, now: datetime) -> None:
        """A view of the same name is replaced."""
        make = postgres_insert if session.dialect == "postgresql" else sqlite_insert
        await session.execute(
            make(SAVED_VIEWS)
            .values(
                id=view.id,
                admin_id=operator_id,
                list=view.list.value,
                name=view.name,
                query=view.query,
                created_at=now,
                updated_at=now,
            )
            .on_conflict_do_update(
                index_elements=["admin_id", "list", "name"], set_={"query": view.query, "updated_at": now}
            )
        )

    async def remove(self, session: WriteSession, operator_id: str, view_id: str) -> None:
        """Of this operator only; one that is gone, or another's, changes nothing."""
        await session.execute(delete(SAVED_VIEWS).where(_T.admin_id == operator_id, _T.id == view_id))
