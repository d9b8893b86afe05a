"""What oversight reads of operators' sessions: how many there are, and nothing of what is in them."""

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import func, select

from admin_service.sessions.models import OPERATOR_SESSIONS
from service_kit.db.session import ReadSession

_T = OPERATOR_SESSIONS.c


class SessionCountRepository:
    """Counts; it reads no row of a session."""

    async def live(
        self, session: ReadSession, operator_ids: Collection[str], now: datetime
    ) -> dict[str, int]:
        """How many sessions of each operator count now; who has none is not in it.

        A session that was renewed is one chain of rows, and counts once.
        """
        if not operator_ids:
            return {}
        query = (
            select(_T.admin_id, func.count(_T.chain_id.distinct()).label("live"))
            .where(_T.admin_id.in_(operator_ids), _T.revoked_at.is_(None), _T.expires_at > now)
            .group_by(_T.admin_id)
        )
        return {row["admin_id"]: int(row["live"]) for row in await session.rows(query)}
