"""Writing audit rows, as the services see it; it swallows no failure."""

from typing import Protocol

from prometheus_client import CollectorRegistry

from service_kit.audit.alarm import write_failures
from service_kit.audit.events import AuditEntry
from service_kit.db.session import WriteSession


class Recorder(Protocol):
    """Writes audit rows in the caller's transaction, as its last step."""

    async def record(self, session: WriteSession, entry: AuditEntry) -> tuple[str, ...]: ...


class CountedRecorder:
    """A recorder whose failures an SRE can see."""

    def __init__(self, recorder: Recorder, registry: CollectorRegistry, namespace: str) -> None:
        self._recorder = recorder
        self._failures = write_failures(registry, namespace)

    async def record(self, session: WriteSession, entry: AuditEntry) -> tuple[str, ...]:
        try:
            return await self._recorder.record(session, entry)
        except BaseException:
            self._failures.inc()
            raise
