"""Reading the roster. It writes nothing: triggers on the operators' table move the version."""

from sqlalchemy import select

from admin_service.operators.models import GLOBAL_ADMINS, ROSTER_VERSION
from admin_service.roster.models import Entry, Roster
from service_kit.db.session import ReadSession
from service_kit.identity.model import Role

_T = GLOBAL_ADMINS.c


class RosterRepository:
    """The operators' table as the sidecars need it."""

    async def version(self, session: ReadSession) -> int:
        return int(await session.scalar(select(ROSTER_VERSION.c.version).where(ROSTER_VERSION.c.id == 1)))

    async def roster(self, session: ReadSession) -> Roster:
        """The whole list. The version is read first: it may be older than the rows, never newer."""
        version = await self.version(session)
        query = select(_T.id, _T.cf_access_sub, _T.email, _T.name, _T.role, _T.deactivated_at)
        rows = await session.rows(query.where(_T.cf_access_sub.is_not(None)).order_by(_T.id))
        entries = {
            row["id"]: Entry(
                id=row["id"],
                sub=row["cf_access_sub"],
                email=row["email"],
                name=row["name"],
                role=Role(row["role"]),
                active=row["deactivated_at"] is None,
            )
            for row in rows
        }
        changed_at = await session.scalar(select(_T.updated_at).order_by(_T.updated_at.desc()).limit(1))
        return Roster(version, entries, changed_at.timestamp() if changed_at is not None else 0.0)
