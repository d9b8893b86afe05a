"""The tables of the outbox and of the jobs, the same shape in every service; they hold no rule.

ready ──claimed──▶ in_flight ──sent──▶ done
  ▲                   │  ▲
retried by            │  └──claimed again── retrying ◀──it may work later──┐
an operator           └──────────────────────────────────────────────────▶┘
  │                   └──never, or too often──▶ dead
  └───────────────────────────────────────────────┘
"""

from enum import StrEnum
from typing import Final

from sqlalchemy import CheckConstraint, Column, ForeignKey, Index, MetaData, Table, Text, text
from sqlalchemy.schema import SchemaItem

from service_kit.db.columns import BigInt, UtcDateTime, one_of

_HAS_DEDUPE_KEY: Final = text("dedupe_key IS NOT NULL")


class MessageState(StrEnum):
    READY = "ready"
    IN_FLIGHT = "in_flight"
    RETRYING = "retrying"
    DEAD = "dead"
    DONE = "done"


class RunStatus(StrEnum):
    """How a run of a job ended."""

    OK = "ok"
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    STOPPED = "stopped"
    """The process was told to stop."""
    ABANDONED = "abandoned"
    """The process is gone, and its lease ran out."""


class JobTables:
    """A service's own outbox, jobs and their history."""

    def __init__(self, metadata: MetaData) -> None:
        self.outbox = Table("outbox", metadata, *_outbox(), sqlite_strict=True)
        self.jobs = Table("jobs", metadata, *_jobs(), sqlite_strict=True)
        self.runs = Table("job_runs", metadata, *_runs(), sqlite_strict=True)


def _outbox() -> tuple[SchemaItem, ...]:
    return (
        Column("id", Text, primary_key=True),
        Column("queue", Text, nullable=False),
        Column("kind", Text, nullable=False),
        Column("organization_id", Text, nullable=True),
        Column("dedupe_key", Text, nullable=True),
        Column("sealed_payload", Text, nullable=True),
        Column("state", Text, nullable=False),
        Column("attempts", BigInt, nullable=False),
        Column("next_attempt_at", UtcDateTime, nullable=False),
        Column("useless_after", UtcDateTime, nullable=True),
        Column("lease_owner", Text, nullable=True),
        Column("lease_until", UtcDateTime, nullable=True),
        Column("last_error", Text, nullable=True),
        Column("created_at", UtcDateTime, nullable=False),
        Column("updated_at", UtcDateTime, nullable=False),
        Column("finished_at", UtcDateTime, nullable=True),
        one_of("state", MessageState),
        CheckConstraint("(state = 'in_flight') = (lease_until IS NOT NULL)", name="leased_in_flight"),
        CheckConstraint("(lease_owner IS NULL) = (lease_until IS NULL)", name="lease_is_whole"),
        CheckConstraint("state <> 'done' OR sealed_payload IS NULL", name="done_keeps_no_payload"),
        CheckConstraint("(state IN ('dead', 'done')) = (finished_at IS NOT NULL)", name="finished_since"),
        Index("ix_outbox_due", "state", "next_attempt_at"),
        Index("ix_outbox_finished", "finished_at"),
        Index(
            "uq_outbox_dedupe_key",
            "queue",
            "dedupe_key",
            unique=True,
            sqlite_where=_HAS_DEDUPE_KEY,
            postgresql_where=_HAS_DEDUPE_KEY,
        ),
    )


def _jobs() -> tuple[SchemaItem, ...]:
    return (
        Column("name", Text, primary_key=True),
        Column("every_seconds", BigInt, nullable=False),
        Column("next_run_at", UtcDateTime, nullable=False),
        Column("requested_by", Text, nullable=True),
        Column("lease_owner", Text, nullable=True),
        Column("lease_until", UtcDateTime, nullable=True),
        Column("started_at", UtcDateTime, nullable=True),
        Column("last_started_at", UtcDateTime, nullable=True),
        Column("last_duration_ms", BigInt, nullable=True),
        Column("last_status", Text, nullable=True),
        Column("last_processed", BigInt, nullable=True),
        Column("last_error", Text, nullable=True),
        Column("last_success_at", UtcDateTime, nullable=True),
        Column("failures", BigInt, nullable=False),
        Column("created_at", UtcDateTime, nullable=False),
        Column("updated_at", UtcDateTime, nullable=False),
        one_of("last_status", RunStatus),
        CheckConstraint("every_seconds > 0", name="every_seconds"),
        CheckConstraint("(lease_owner IS NULL) = (lease_until IS NULL)", name="lease_is_whole"),
        CheckConstraint("(lease_until IS NULL) = (started_at IS NULL)", name="running_since"),
        Index("ix_jobs_due", "next_run_at"),
    )


def _runs() -> tuple[SchemaItem, ...]:
    return (
        Column("id", Text, primary_key=True),
        Column("job_name", Text, ForeignKey("jobs.name"), nullable=False),
        Column("lease_owner", Text, nullable=False),
        Column("requested_by", Text, nullable=True),
        Column("started_at", UtcDateTime, nullable=False),
        Column("finished_at", UtcDateTime, nullable=False),
        Column("status", Text, nullable=False),
        Column("processed", BigInt, nullable=False),
        Column("error", Text, nullable=True),
        one_of("status", RunStatus),
        Index("ix_job_runs_job", "job_name", "started_at"),
        Index("ix_job_runs_finished", "finished_at"),
    )
