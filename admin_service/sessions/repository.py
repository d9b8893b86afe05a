"""Every statement about operators' sessions; none of them reads a digest back."""

from collections.abc import Collection, Sequence
from datetime import datetime

from sqlalchemy import RowMapping, and_, delete, insert, or_, select, update

from admin_service.sessions.models import (
    MOST_SWEPT,
    OPERATOR_SESSIONS,
    REVOKED_KEPT,
    EndReason,
    NewSession,
    StoredSession,
)
from service_kit.db.session import ReadSession, WriteSession

_T = OPERATOR_SESSIONS.c
_COLUMNS = (
    _T.id,
    _T.chain_id,
    _T.admin_id,
    _T.access_sub,
    _T.created_at,
    _T.expires_at,
    _T.last_seen_at,
    _T.ip,
    _T.user_agent,
    _T.revoked_at,
    _T.revoked_reason,
)


class SessionRepository:
    """The sessions' table. Whoever writes holds the lock of the operator's own row."""

    async def by_digest(self, session: ReadSession, digest: str) -> StoredSession | None:
        row = await session.first(select(*_COLUMNS).where(_T.token_hash == digest))
        return _to_session(row) if row is not None else None

    async def presented(
        self, session: ReadSession, operator_id: str, access_sub: str, digests: Collection[str]
    ) -> Sequence[StoredSession]:
        """Which of the tokens are this operator's, with this sub, live or not; the newest first."""
        if not digests:
            return ()
        query = select(*_COLUMNS).where(
            _T.token_hash.in_(digests), _T.admin_id == operator_id, _T.access_sub == access_sub
        )
        rows = await session.rows(query.order_by(_T.created_at.desc(), _T.id.desc()))
        return [_to_session(row) for row in rows]

    async def live(self, session: ReadSession, operator_id: str, now: datetime) -> Sequence[StoredSession]:
        """The operator's sessions that count, the oldest first."""
        query = select(*_COLUMNS).where(
            _T.admin_id == operator_id, _T.revoked_at.is_(None), _T.expires_at > now
        )
        return [_to_session(row) for row in await session.rows(query.order_by(_T.created_at, _T.id))]

    async def made_since(self, session: ReadSession, operator_id: str, since: datetime) -> Sequence[datetime]:
        """When the operator minted or renewed, the oldest first; it holds for every replica (R-163)."""
        query = select(_T.created_at).where(_T.admin_id == operator_id, _T.created_at > since)
        return [row["created_at"] for row in await session.rows(query.order_by(_T.created_at))]

    async def insert(self, session: WriteSession, new: NewSession) -> None:
        await session.execute(
            insert(OPERATOR_SESSIONS).values(
                id=new.id,
                chain_id=new.chain_id,
                token_hash=new.token_hash,
                admin_id=new.operator_id,
                access_sub=new.access_sub,
                created_at=new.created_at,
                expires_at=new.expires_at,
                last_seen_at=new.created_at,
                ip=new.ip,
                user_agent=new.user_agent,
            )
        )

    async def revoke(
        self, session: WriteSession, ended: Collection[StoredSession], reason: EndReason, now: datetime
    ) -> None:
        """End them; one that is over already keeps its reason."""
        if not ended:
            return
        await session.execute(
            update(OPERATOR_SESSIONS)
            .where(_T.id.in_([one.id for one in ended]), _T.revoked_at.is_(None))
            .values(revoked_at=now, revoked_reason=reason.value)
        )

    async def mark_seen(self, session: WriteSession, session_id: str, at: datetime) -> None:
        """Move `last_seen_at` forward, never back."""
        await session.execute(
            update(OPERATOR_SESSIONS).where(_T.id == session_id, _T.last_seen_at < at).values(last_seen_at=at)
        )

    async def sweep(self, session: WriteSession, operator_id: str, now: datetime) -> None:
        """Delete a bounded number of rows that serve nothing any more.

        Those are anybody's expired ones, and this operator's revoked ones. Rows that another
        transaction holds are left to it, so nobody waits.
        """
        over = or_(
            _T.expires_at <= now, and_(_T.admin_id == operator_id, _T.revoked_at <= now - REVOKED_KEPT)
        )
        some = select(_T.id).where(over).limit(MOST_SWEPT).with_for_update(skip_locked=True)
        await session.execute(delete(OPERATOR_SESSIONS).where(_T.id.in_(some)))


def _to_session(row: RowMapping) -> StoredSession:
    reason = row["revoked_reason"]
    return StoredSession(
        id=row["id"],
        chain_id=row["chain_id"],
        operator_id=row["admin_id"],
        access_sub=row["access_sub"],
        created_at=row["created_at"],
        expires_at=row["expires_at"],
        last_seen_at=row["last_seen_at"],
        ip=row["ip"],
        user_agent=row["user_agent"],
        revoked_at=row["revoked_at"],
        revoked_reason=EndReason(reason) if reason is not None else None,
    )
