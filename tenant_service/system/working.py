"""The jobs of the tenant service that belong to no domain: mail goes out, and what has ended is swept.

Domains bring their own: they append a `Job` to `app[JOBS]` while the application is wired.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from aiohttp import web
from sqlalchemy import Column

from service_kit.clock import Clock
from service_kit.db.session import Database
from service_kit.ids import IdFactory
from service_kit.jobs.delivering import Claims, Delivery, Sender
from service_kit.jobs.job import Job
from service_kit.jobs.job import Work as JobWork
from service_kit.jobs.outbox import MAIL, Outbox
from service_kit.jobs.runner import lease_owner
from service_kit.jobs.sealing import Seal
from service_kit.jobs.sweeping import Sweep
from service_kit.jobs.tending import Tending
from service_kit.mail.sending import MailSender
from tenant_service.settings import TenantSettings
from tenant_service.tables import Tables

QUEUES: Final = (MAIL,)
JOBS = web.AppKey("jobs", list[Job])

_KEEP_SESSIONS: Final = timedelta(days=30)
_KEEP_HITS: Final = timedelta(days=1)
"""Longer than the longest window that counts them."""


@dataclass(frozen=True, slots=True)
class Work:
    """What this service's own jobs work with."""

    settings: TenantSettings
    database: Database
    tables: Tables
    clock: Clock

    def outbox(self, ids: IdFactory) -> Outbox:
        """Where messages are put. Raises SealKeyError."""
        return Outbox(self.tables.jobs.outbox, self._seal, ids, self.clock)

    def own_jobs(self) -> tuple[Job, ...]:
        """Raises SealKeyError."""
        tables = self.tables
        return (
            Job("deliver_mail", timedelta(seconds=5), self._delivery().run, limit=50, most_seconds=300),
            Job("tend_outbox", timedelta(minutes=5), Tending(self.database, tables.jobs, self.clock).run),
            Job(
                "sweep_idempotency_keys", timedelta(minutes=10), self._sweep(tables.idempotency.c.expires_at)
            ),
            Job(
                "sweep_rate_limits", timedelta(hours=1), self._sweep(tables.rate_limit_hits.c.at, _KEEP_HITS)
            ),
            Job(
                "sweep_sessions",
                timedelta(hours=1),
                self._sweep(tables.people.sessions.c.expires_at, _KEEP_SESSIONS),
            ),
        )

    @property
    def _seal(self) -> Seal:
        return Seal.of_file(self.settings.outbox_key)

    def _delivery(self) -> Delivery:
        claims = Claims(self.tables.jobs.outbox, lease_owner())
        return Delivery(self.database, claims, self._seal, self._senders(), self.clock)

    def _senders(self) -> dict[str, Sender]:
        """Without an SMTP_URL nothing is sent: mail waits in the outbox, where operators see it."""
        url, sender = self.settings.smtp_url, self.settings.mail_from
        if url is None or sender is None:
            return {}
        return {MAIL: MailSender.of_url(url.get_secret_value(), sender)}

    def _sweep(self, moment: Column[datetime], keep: timedelta = timedelta(0)) -> JobWork:
        return Sweep(self.database, moment, self.clock, keep=keep).run
