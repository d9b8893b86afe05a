"""The rules of sessions: who gets one, how it is renewed, when it ends (R-162…R-166).

It speaks neither HTTP nor SQL. Who asks was proven before: a session is made from that proof, never
the other way round, and a token alone opens nothing here. Every change holds the lock of the
operator's own row, so that minting, renewing, signing out and deactivating never interleave.
"""

import contextlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final

from admin_service import events
from admin_service.caller import Caller, Origin, audit_entry
from admin_service.operators.errors import OperatorNotFoundError
from admin_service.operators.models import Operator, OperatorState
from admin_service.operators.own_row import operator_id_of, own_row
from admin_service.operators.repository import OperatorRepository
from admin_service.sessions.errors import (
    MintingLimitedError,
    SessionInvalidError,
    SessionNotFoundError,
)
from admin_service.sessions.models import (
    MINTS_WINDOW,
    MOST_LIVE,
    MOST_MINTS,
    SEEN_EVERY,
    Allowance,
    EndCause,
    EndReason,
    ListedSession,
    LiveSession,
    MintedSession,
    NewSession,
    StoredSession,
)
from admin_service.sessions.repository import SessionRepository
from admin_service.sessions.tokens import new_session_token, session_digest
from service_kit.audit.events import Actor
from service_kit.audit.recorder import AuditRecorder
from service_kit.clock import Clock
from service_kit.db.session import Database, WriteSession
from service_kit.errors import ForbiddenError, UnavailableError
from service_kit.identity.model import OPERATOR_PERMISSIONS, InternalIdentity, Permission
from service_kit.ids import IdFactory

_PREFIX: Final = "ops"


class SessionService:
    """Everything that can be done with sessions."""

    def __init__(
        self,
        *,
        database: Database,
        sessions: SessionRepository,
        operators: OperatorRepository,
        recorder: AuditRecorder,
        ids: IdFactory,
        clock: Clock,
    ) -> None:
        self._database = database
        self._sessions = sessions
        self._operators = operators
        self._recorder = recorder
        self._ids = ids
        self._clock = clock

    async def exchange(self, caller: Caller, presented: Sequence[str] = ()) -> MintedSession:
        """A session for the operator who asks (R-163); one of their own tokens is renewed (R-166).

        A token among `presented` that is foreign, expired, unknown or revoked counts as none.
        Raises EnrollmentRequiredError, AccountDeactivatedError, MintingLimitedError.
        """
        async with self._database.write() as session:
            operator = await self._locked(session, caller.actor)
            now = self._clock.now()
            made = await self._sessions.made_since(session, operator.id, now - MINTS_WINDOW)
            if len(made) >= MOST_MINTS:
                # Nothing is written: whoever asks in a loop fills neither a table nor the audit log.
                raise MintingLimitedError(Allowance.after(made, now))
            await self._sessions.sweep(session, operator.id, now)
            live = await self._sessions.live(session, operator.id, now)
            held = await self._held(session, caller.actor, presented)
            going_on = _chain_to_go_on(held, live, now)
            if any(one.is_live(now) for one in held):
                rotated = [one for one in live if one.chain_id == going_on]
                await self._sessions.revoke(session, rotated, EndReason.ROTATED, now)
                live = [one for one in live if one.chain_id != going_on]
            too_many = live[: max(0, len(live) + 1 - MOST_LIVE)]
            await self._sessions.revoke(session, too_many, EndReason.TOO_MANY, now)
            token = new_session_token()
            new = self._new(operator, caller, token, going_on, now)
            await self._sessions.insert(session, new)
            by = Actor.of(operator.speaks(caller.actor))
            await self._record_ended(session, too_many, EndCause.TOO_MANY, by, caller.origin)
            if going_on is None:
                await self._record_minted(session, new, by, caller.origin)
        return MintedSession(LiveSession(operator, new.expires_at), token, Allowance.after([*made, now], now))

    async def end(self, caller: Caller, presented: Sequence[str]) -> None:
        """Sign out: the sessions that the tokens belong to end, if they are this operator's."""
        if not presented:
            return
        async with self._database.write() as session:
            operator = await self._locked(session, caller.actor)
            now = self._clock.now()
            chains = {one.chain_id for one in await self._held(session, caller.actor, presented)}
            live = await self._sessions.live(session, operator.id, now)
            ended = [one for one in live if one.chain_id in chains]
            by = Actor.of(operator.speaks(caller.actor))
            await self._end(session, ended, EndCause.SIGNED_OUT, by, caller.origin)

    async def list_of(self, caller: Caller, operator_id: str) -> Sequence[ListedSession]:
        """The live sessions of an operator, the one that was used last first.

        Everybody may see their own, and who manages operators anybody's. Raises
        EnrollmentRequiredError, AccountDeactivatedError, ForbiddenError `PERMISSION_DENIED`,
        OperatorNotFoundError.
        """
        async with self._database.read() as session:
            ids = {operator_id_of(caller.actor), operator_id}
            _target(caller.actor, operator_id, await self._operators.by_ids(session, ids))
            live = await self._sessions.live(session, operator_id, self._clock.now())
        by_chain = {one.chain_id: ListedSession.of(one) for one in live}  # of two tabs the newer one
        return sorted(by_chain.values(), key=lambda one: (one.last_seen_at, one.id), reverse=True)

    async def end_one(self, caller: Caller, operator_id: str, session_id: str) -> None:
        """End one session of an operator, by the id that `list_of` gave; it dies at once, in every tab.

        Raises what `list_of` raises, and SessionNotFoundError when the operator has no such live session.
        """
        async with self._database.write() as session:
            by = await self._allowed(session, caller, operator_id)
            live = await self._sessions.live(session, operator_id, self._clock.now())
            ended = [one for one in live if one.chain_id == session_id]
            if not ended:
                raise SessionNotFoundError
            await self._end(session, ended, EndCause.ENDED, by, caller.origin)

    async def end_all_of(self, caller: Caller, operator_id: str) -> int:
        """End every session of an operator, and tell how many there were; a repeat ends none.

        Raises what `list_of` raises. It locks nobody out: Access lets the person in again, and a new
        session is one boot exchange away. Whoever must not come back is deactivated.
        """
        async with self._database.write() as session:
            by = await self._allowed(session, caller, operator_id)
            live = await self._sessions.live(session, operator_id, self._clock.now())
            await self._end(session, live, EndCause.ENDED, by, caller.origin)
        return len({one.chain_id for one in live})

    async def end_all(
        self,
        session: WriteSession,
        operator_id: str,
        by: Actor,
        origin: Origin | None,
        *,
        cause: EndCause = EndCause.DEACTIVATED,
    ) -> None:
        """End every session of an operator within the caller's own transaction, under the row's lock.

        For changes that no session may outlive: deactivation, and a row that is bound anew (G-09).
        """
        live = await self._sessions.live(session, operator_id, self._clock.now())
        await self._end(session, live, cause, by, origin)

    async def check(self, identity: InternalIdentity, token: str) -> LiveSession:
        """The session behind a token, for another frontend's own API (ADR 0019).

        A person, and an upstream that shows a person's request, learn about this person's sessions only;
        a process of ours about any. Raises SessionInvalidError, the same for every reason: nobody learns
        whether a token ever existed.
        """
        now = self._clock.now()
        async with self._database.read() as session:
            found = await self._sessions.by_digest(session, session_digest(token))
            operator = await self._operators.by_id(session, found.operator_id) if found else None
        if found is None or operator is None or not _counts(found, operator, identity, now):
            raise SessionInvalidError
        await self._seen(found, now)
        return LiveSession(operator, found.expires_at)

    async def _locked(self, session: WriteSession, identity: InternalIdentity) -> Operator:
        """The operator's row, held until the commit: somebody may have deactivated it a moment ago."""
        operator_id = operator_id_of(identity)
        return own_row(identity, (await self._operators.lock(session, operator_id)).get(operator_id))

    async def _allowed(self, session: WriteSession, caller: Caller, operator_id: str) -> Actor:
        """Who acts, once both rows are held and say that they may."""
        asker = operator_id_of(caller.actor)
        rows = await self._operators.lock(session, asker, operator_id)
        _target(caller.actor, operator_id, rows)
        return Actor.of(rows[asker].speaks(caller.actor))

    async def _end(
        self,
        session: WriteSession,
        ended: Collection[StoredSession],
        cause: EndCause,
        by: Actor,
        origin: Origin | None,
    ) -> None:
        await self._sessions.revoke(session, ended, cause.reason, self._clock.now())
        await self._record_ended(session, ended, cause, by, origin)

    async def _held(
        self, session: WriteSession, identity: InternalIdentity, presented: Iterable[str]
    ) -> Sequence[StoredSession]:
        digests = [session_digest(token) for token in presented]
        return await self._sessions.presented(session, operator_id_of(identity), identity.subject, digests)

    def _new(
        self, operator: Operator, caller: Caller, token: str, chain_id: str | None, now: datetime
    ) -> NewSession:
        session_id = self._ids.new(_PREFIX)
        return NewSession(
            id=session_id,
            chain_id=chain_id or session_id,
            token_hash=session_digest(token),
            operator_id=operator.id,
            access_sub=caller.actor.subject,
            created_at=now,
            ip=caller.origin.ip,
            user_agent=caller.origin.user_agent,
        )

    async def _seen(self, found: StoredSession, now: datetime) -> None:
        if now - found.last_seen_at < SEEN_EVERY:
            return
        # A session that counts does not stop counting because its last use cannot be noted.
        with contextlib.suppress(UnavailableError):
            async with self._database.write() as session:
                await self._sessions.mark_seen(session, found.id, now)

    async def _record_minted(self, session: WriteSession, new: NewSession, by: Actor, origin: Origin) -> None:
        details = {"expires_at": new.expires_at.isoformat()}
        entry = audit_entry(events.SESSION_MINTED, by, origin, new.chain_id, details=details)
        await self._recorder.record(session, entry)

    async def _record_ended(
        self,
        session: WriteSession,
        ended: Collection[StoredSession],
        cause: EndCause,
        by: Actor,
        origin: Origin | None,
    ) -> None:
        """One row for each chain, by the name under which its beginning was recorded."""
        for chain_id, operator_id in dict.fromkeys((one.chain_id, one.operator_id) for one in ended):
            details = {"cause": cause.value, "operator_id": operator_id}
            entry = audit_entry(events.SESSION_REVOKED, by, origin, chain_id, details=details)
            await self._recorder.record(session, entry)


def _target(identity: InternalIdentity, operator_id: str, rows: Mapping[str, Operator]) -> Operator:
    """The row whose sessions are asked for: one's own, or anybody's for who manages operators.

    Who may not ask learns nothing about which operators exist.
    """
    asker = own_row(identity, rows.get(operator_id_of(identity)))
    if asker.id != operator_id and Permission.MANAGE_GLOBAL_ADMINS not in OPERATOR_PERMISSIONS[asker.role]:
        raise ForbiddenError("PERMISSION_DENIED", "Permission denied")
    target = rows.get(operator_id)
    if target is None:
        raise OperatorNotFoundError
    return target


def _chain_to_go_on(
    held: Sequence[StoredSession], live: Sequence[StoredSession], now: datetime
) -> str | None:
    """The chain that a presented token continues; None means a fresh session.

    It goes on when the token is live, or was replaced a moment ago and its successor still is.
    """
    for one in held:
        if one.is_live(now):
            return one.chain_id
    alive = {one.chain_id for one in live}
    return next((one.chain_id for one in held if one.was_just_rotated(now) and one.chain_id in alive), None)


def _counts(found: StoredSession, operator: Operator, identity: InternalIdentity, now: datetime) -> bool:
    named = identity.operator_id in (None, operator.id)
    asked_by_its_person = identity.scope is not None or (named and identity.subject == found.access_sub)
    return (
        found.is_live(now)
        and operator.state is OperatorState.ACTIVE
        and operator.access_sub == found.access_sub
        and asked_by_its_person
    )
