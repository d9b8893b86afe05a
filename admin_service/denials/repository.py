"""Counting the denials that stand in the audit log; the kit's recorder writes them."""

from datetime import datetime
from typing import Final

from sqlalchemy import case, func, select

from admin_service import events
from admin_service.denials.models import NOBODY, Written
from admin_service.tables import AUDIT
from service_kit.audit.events import ActorType
from service_kit.db.session import WriteSession

_E = AUDIT.events.c
_EVENTS: Final = (events.ACCESS_DENIED.name, events.ACCESS_SUBJECT_CHANGED.name)


class DenialRepository:
    """What the audit log holds about denials."""

    async def one_at_a_time(self, session: WriteSession) -> None:
        """Reports wait for each other, or two at a time would each count without the other's rows.

        SQLite has one writer anyway.
        """
        if session.dialect == "postgresql":
            await session.scalar(
                select(func.pg_advisory_xact_lock(func.hashtextextended("access_denials", 0)))
            )

    async def written_since(self, session: WriteSession, since: datetime) -> Written:
        """How many rows there are already; ask inside `one_at_a_time`.

        Folded rows, whose actor is the service itself, do not count: they would use up the room.
        """
        unproven = func.sum(case((_E.actor_id == NOBODY, 1), else_=0))
        query = select(func.count().label("every"), func.coalesce(unproven, 0).label("unproven")).where(
            _E.event.in_(_EVENTS), _E.occurred_at > since, _E.actor_type != ActorType.SYSTEM.value
        )
        row = await session.first(query)
        return Written(row["every"], row["unproven"]) if row is not None else Written(0, 0)
