"""Every statement of a claim: the conditional update that has one winner, and the count of failed tries."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, func, insert, or_, select, update

from admin_service.enrollment.models import ENROLLMENT_ATTEMPTS, Claimant
from admin_service.operators.models import GLOBAL_ADMINS, Operator
from admin_service.operators.repository import select_operators, to_operator
from service_kit.db.session import ReadSession, WriteSession

_T = GLOBAL_ADMINS.c
_A = ENROLLMENT_ATTEMPTS.c


@dataclass(frozen=True, slots=True)
class Candidates:
    """What a claim may touch: the row that the token names, and the row that the person has already."""

    by_token: Operator | None
    by_sub: Operator | None


class EnrollmentRepository:
    """The enrollment columns of the operators' table, and the failed tries."""

    async def one_at_a_time(self, session: WriteSession, sub: str) -> None:
        """Claims of one person wait for each other, or ten at a time would each count no try before it.

        SQLite has one writer anyway.
        """
        if session.dialect == "postgresql":
            await session.scalar(select(func.pg_advisory_xact_lock(func.hashtextextended(sub, 0))))

    async def tries_since(self, session: WriteSession, sub: str, since: datetime) -> Sequence[datetime]:
        """When the person failed within the window, the oldest first; older tries are forgotten here."""
        await session.execute(
            delete(ENROLLMENT_ATTEMPTS).where(_A.access_sub == sub, _A.attempted_at <= since)
        )
        query = select(_A.attempted_at).where(_A.access_sub == sub).order_by(_A.attempted_at)
        return [row["attempted_at"] for row in await session.rows(query)]

    async def add_try(self, session: WriteSession, attempt_id: str, sub: str, at: datetime) -> None:
        row = {"id": attempt_id, "access_sub": sub, "attempted_at": at}
        await session.execute(insert(ENROLLMENT_ATTEMPTS).values(**row))

    async def forget_tries(self, session: WriteSession, sub: str) -> None:
        await session.execute(delete(ENROLLMENT_ATTEMPTS).where(_A.access_sub == sub))

    async def candidates(self, session: WriteSession, digest: str, sub: str) -> Candidates:
        """Found by the digest of the token and by `sub`, never by e-mail address (R-060)."""
        wanted = or_(_T.enrollment_token_hash == digest, _T.cf_access_sub == sub)
        by_token = by_sub = None
        for row in await session.rows(select_operators().where(wanted)):
            operator = to_operator(row)
            if operator.access_sub == sub:
                by_sub = operator
            else:
                by_token = operator
        return Candidates(by_token, by_sub)

    async def has_claimed(self, session: ReadSession, sub: str) -> bool:
        """Whether an active operator's row is bound to `sub`."""
        wanted = select(_T.id).where(_T.cf_access_sub == sub, _T.deactivated_at.is_(None))
        return bool(await session.rows(wanted))

    async def claim(
        self, session: WriteSession, operator_id: str, claimant: Claimant, digest: str, now: datetime
    ) -> bool:
        """Whether this claim won (R-062). Every condition stands in the statement: nothing can slip between.

        A loser of a race waits for the winner's commit, and then finds the row taken.
        """
        touched = await session.execute(
            update(GLOBAL_ADMINS)
            .where(
                _T.id == operator_id,
                _T.cf_access_sub.is_(None),
                _T.enrollment_token_hash == digest,
                _T.enrollment_token_expires_at > now,
                _T.email == claimant.email,
                _T.deactivated_at.is_(None),
            )
            .values(
                cf_access_sub=claimant.sub,
                enrollment_token_hash=None,
                enrollment_token_expires_at=None,
                last_active_at=now,
                updated_at=now,
                version=_T.version + 1,
            )
        )
        return touched == 1
