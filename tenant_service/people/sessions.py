"""The sessions of tenants' people: a random token in a cookie, its digest in the table (data-model 2.5).

A session counts in one tenant only. It ends after a week, after a day of rest, when it is revoked, when
its person leaves the tenant, and when their password is changed anywhere. It commits nothing.
"""

import hashlib
import re
import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import and_, or_

from service_kit.ids import IdFactory
from tenant_service.people.models import Member, MemberRole, PeopleTables, User
from tenant_service.people.scope import TenantRead, TenantWrite
from tenant_service.people.visitor import SignedIn, Visitor

LIFETIME: Final = timedelta(days=7)
REST: Final = timedelta(days=1)
SEEN_EVERY: Final = timedelta(minutes=5)
"""How exact `last_seen_at` is: a write for every request would cost more than it tells."""

_TOKEN: Final = re.compile(r"[A-Za-z0-9_-]{43}")
_USER: Final = tuple(User.__dataclass_fields__)
_MEMBER: Final = tuple(Member.__dataclass_fields__)


@dataclass(frozen=True, slots=True)
class NewSession:
    """A session just opened. It prints without its token, which is shown once and never stored."""

    id: str
    token: str = field(repr=False)


class SessionRepository:
    """Sessions of one tenant at a time."""

    def __init__(self, tables: PeopleTables, ids: IdFactory) -> None:
        self._tables = tables
        self._ids = ids

    async def open(self, at: TenantWrite, visitor: Visitor, user_id: str, now: datetime) -> NewSession:
        """A new session of this user in this tenant."""
        made = NewSession(self._ids.new("ses"), secrets.token_urlsafe(32))
        values = {
            "id": made.id,
            "token_hash": _digest(made.token),
            "user_id": user_id,
            "created_at": now,
            "expires_at": now + LIFETIME,
            "last_seen_at": now,
            "ip": visitor.ip,
            "user_agent": visitor.user_agent,
        }
        await at.session.execute(at.scope.insert(self._tables.sessions, values))
        return made

    async def proven(self, at: TenantRead, visitor: Visitor, token: str, now: datetime) -> SignedIn | None:
        """Whom a token proves in this tenant now."""
        if not _TOKEN.fullmatch(token):
            return None
        tables = self._tables
        sessions, users, members = tables.sessions.c, tables.users.c, tables.members.c
        credentials = tables.credentials.c
        user_columns = [users[name].label(f"user_{name}") for name in _USER]
        member_columns = [members[name].label(f"member_{name}") for name in _MEMBER]
        here = and_(members.user_id == users.id, members.organization_id == sessions.organization_id)
        query = (
            at.scope.select(
                tables.sessions,
                sessions.id,
                sessions.expires_at,
                sessions.last_seen_at,
                *user_columns,
                *member_columns,
            )
            .join(tables.users, users.id == sessions.user_id)
            .join(tables.members, here)
            .outerjoin(tables.credentials, credentials.user_id == users.id)
            .where(
                sessions.token_hash == _digest(token),
                sessions.revoked_at.is_(None),
                sessions.expires_at > now,
                sessions.last_seen_at > now - REST,
                users.disabled_at.is_(None),
                # A password that was changed in another tenant ends the sessions here too, and no scope
                # had to be left for it.
                or_(credentials.changed_at.is_(None), credentials.changed_at <= sessions.created_at),
            )
        )
        row = await at.session.first(query)
        if row is None:
            return None
        member = {name: row[f"member_{name}"] for name in _MEMBER}
        return SignedIn(
            visitor=visitor,
            session_id=row["id"],
            expires_at=row["expires_at"],
            last_seen_at=row["last_seen_at"],
            user=User(**{name: row[f"user_{name}"] for name in _USER}),
            member=Member(**{**member, "role": MemberRole(member["role"])}),
        )

    async def seen(self, at: TenantWrite, session_id: str, now: datetime) -> None:
        sessions = self._tables.sessions
        await at.session.execute(
            at.scope.update(sessions).where(sessions.c.id == session_id).values(last_seen_at=now)
        )

    async def revoke(self, at: TenantWrite, session_id: str, now: datetime) -> bool:
        """End one session; False when it had ended."""
        columns = self._tables.sessions.c
        ending = at.scope.update(self._tables.sessions).where(
            columns.id == session_id, columns.revoked_at.is_(None)
        )
        return await at.session.execute(ending.values(revoked_at=now)) == 1

    async def revoke_of(self, at: TenantWrite, user_id: str, now: datetime, *, keep: str = "") -> int:
        """End a user's sessions in this tenant, but for the one to keep; how many were ended."""
        columns = self._tables.sessions.c
        ending = at.scope.update(self._tables.sessions).where(
            columns.user_id == user_id, columns.revoked_at.is_(None), columns.id != keep
        )
        return await at.session.execute(ending.values(revoked_at=now))


def _digest(token: str) -> str:
    """A fast hash is right for 256 random bits (data-model 2.5)."""
    return hashlib.sha256(token.encode()).hexdigest()
