"""The jobs of the admin service: what has ended is swept. A domain that has work adds its job here."""

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Column

from admin_service.enrollment.models import ENROLLMENT_ATTEMPTS
from admin_service.sessions.models import OPERATOR_SESSIONS
from admin_service.tables import IDEMPOTENCY, JOBS
from service_kit.clock import Clock
from service_kit.db.session import Database
from service_kit.jobs.job import Job, Work
from service_kit.jobs.sweeping import Sweep
from service_kit.jobs.tending import Tending

_KEEP_SESSIONS: Final = timedelta(days=30)
_KEEP_ATTEMPTS: Final = timedelta(days=1)
"""Longer than the window that counts them."""


def jobs_of(database: Database, clock: Clock) -> tuple[Job, ...]:
    """Every job of this service."""

    def sweep(moment: Column[datetime], keep: timedelta = timedelta(0)) -> Work:
        return Sweep(database, moment, clock, keep=keep).run

    return (
        Job("tend_outbox", timedelta(minutes=5), Tending(database, JOBS, clock).run),
        Job("sweep_idempotency_keys", timedelta(minutes=10), sweep(IDEMPOTENCY.c.expires_at)),
        Job("sweep_sessions", timedelta(hours=1), sweep(OPERATOR_SESSIONS.c.expires_at, _KEEP_SESSIONS)),
        Job(
            "sweep_enrollment_attempts",
            timedelta(hours=1),
            sweep(ENROLLMENT_ATTEMPTS.c.attempted_at, _KEEP_ATTEMPTS),
        ),
    )
