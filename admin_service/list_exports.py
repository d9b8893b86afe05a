"""A list that leaves the panel as a file: who took it, and which one, recorded before its first byte.

It reads no list and sends none. A file that cannot be recorded is not made (ADR 0028).
"""

import contextlib
from collections.abc import AsyncIterator, Mapping
from typing import Any

from admin_service.audit.turns import ExportTurns
from admin_service.caller import Caller, audit_entry
from admin_service.events import LIST_EXPORTED
from service_kit.audit.events import Actor
from service_kit.audit.recorder import AuditRecorder
from service_kit.db.session import Database


class ListExports:
    """Opens exports of lists, a few at a time."""

    def __init__(self, database: Database, recorder: AuditRecorder) -> None:
        self._database = database
        self._recorder = recorder
        self._turns = ExportTurns()

    @contextlib.asynccontextmanager
    async def open(
        self, caller: Caller, name: str, details: Mapping[str, Any], personal: Mapping[str, Any]
    ) -> AsyncIterator[None]:
        """A turn, once it is recorded. `personal` is what can be erased: text that somebody searched for.

        Raises ExportBusyError, AuditWriteFailedError, UnavailableError.
        """
        entry = audit_entry(
            LIST_EXPORTED,
            Actor.of(caller.actor),
            caller.origin,
            name,
            details=details,
            details_pii=personal,
        )
        with self._turns.turn(str(caller.actor.operator_id)):
            async with self._database.write() as session:
                await self._recorder.record(session, entry)
            yield
