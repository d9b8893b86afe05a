"""Faults for tests: the n-th write of a transaction fails once it was executed."""

import pytest
from sqlalchemy import Executable

from service_kit.db.session import Parameters, WriteSession


class FaultyWrites:
    """Counts the writes, and makes one of them fail."""

    def __init__(self, fails_at: int) -> None:
        self.fails_at = fails_at
        self.seen = 0

    def install(self, patch: pytest.MonkeyPatch) -> None:
        real = WriteSession.execute

        async def execute(
            session: WriteSession, statement: Executable, parameters: Parameters | None = None
        ) -> int:
            touched = await real(session, statement, parameters)
            self.seen += 1
            if self.seen == self.fails_at:
                raise OSError("the machine lost power")
            return touched

        patch.setattr(WriteSession, "execute", execute)
