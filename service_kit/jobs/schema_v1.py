"""The first schema of the outbox and the jobs, for the migrations of both services; it never changes."""

import sqlalchemy as sa
from alembic import op

from service_kit.db.columns import BigInt, UtcDateTime


def create_job_schema() -> None:
    _outbox()
    _jobs()
    _runs()


def _outbox() -> None:
    op.create_table(
        "outbox",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("queue", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("organization_id", sa.Text(), nullable=True),
        sa.Column("dedupe_key", sa.Text(), nullable=True),
        sa.Column("sealed_payload", sa.Text(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("attempts", BigInt, nullable=False),
        sa.Column("next_attempt_at", UtcDateTime(), nullable=False),
        sa.Column("useless_after", UtcDateTime(), nullable=True),
        sa.Column("lease_owner", sa.Text(), nullable=True),
        sa.Column("lease_until", UtcDateTime(), nullable=True),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.Column("finished_at", UtcDateTime(), nullable=True),
        sa.CheckConstraint(
            "state IN ('ready', 'in_flight', 'retrying', 'dead', 'done')", name=op.f("ck_outbox_state")
        ),
        sa.CheckConstraint(
            "(state = 'in_flight') = (lease_until IS NOT NULL)", name=op.f("ck_outbox_leased_in_flight")
        ),
        sa.CheckConstraint(
            "(lease_owner IS NULL) = (lease_until IS NULL)", name=op.f("ck_outbox_lease_is_whole")
        ),
        sa.CheckConstraint(
            "state <> 'done' OR sealed_payload IS NULL", name=op.f("ck_outbox_done_keeps_no_payload")
        ),
        sa.CheckConstraint(
            "(state IN ('dead', 'done')) = (finished_at IS NOT NULL)", name=op.f("ck_outbox_finished_since")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outbox")),
        sqlite_strict=True,
    )
    op.create_index("ix_outbox_due", "outbox", ["state", "next_attempt_at"], unique=False)
    op.create_index("ix_outbox_finished", "outbox", ["finished_at"], unique=False)
    op.create_index(
        "uq_outbox_dedupe_key",
        "outbox",
        ["queue", "dedupe_key"],
        unique=True,
        sqlite_where=sa.text("dedupe_key IS NOT NULL"),
        postgresql_where=sa.text("dedupe_key IS NOT NULL"),
    )


_STATUSES = "('ok', 'failed', 'timed_out', 'stopped', 'abandoned')"


def _jobs() -> None:
    op.create_table(
        "jobs",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("every_seconds", BigInt, nullable=False),
        sa.Column("next_run_at", UtcDateTime(), nullable=False),
        sa.Column("requested_by", sa.Text(), nullable=True),
        sa.Column("lease_owner", sa.Text(), nullable=True),
        sa.Column("lease_until", UtcDateTime(), nullable=True),
        sa.Column("started_at", UtcDateTime(), nullable=True),
        sa.Column("last_started_at", UtcDateTime(), nullable=True),
        sa.Column("last_duration_ms", BigInt, nullable=True),
        sa.Column("last_status", sa.Text(), nullable=True),
        sa.Column("last_processed", BigInt, nullable=True),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.Column("last_success_at", UtcDateTime(), nullable=True),
        sa.Column("failures", BigInt, nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.CheckConstraint(f"last_status IN {_STATUSES}", name=op.f("ck_jobs_last_status")),
        sa.CheckConstraint("every_seconds > 0", name=op.f("ck_jobs_every_seconds")),
        sa.CheckConstraint(
            "(lease_owner IS NULL) = (lease_until IS NULL)", name=op.f("ck_jobs_lease_is_whole")
        ),
        sa.CheckConstraint(
            "(lease_until IS NULL) = (started_at IS NULL)", name=op.f("ck_jobs_running_since")
        ),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_jobs")),
        sqlite_strict=True,
    )
    op.create_index("ix_jobs_due", "jobs", ["next_run_at"], unique=False)


def _runs() -> None:
    op.create_table(
        "job_runs",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("job_name", sa.Text(), nullable=False),
        sa.Column("lease_owner", sa.Text(), nullable=False),
        sa.Column("requested_by", sa.Text(), nullable=True),
        sa.Column("started_at", UtcDateTime(), nullable=False),
        sa.Column("finished_at", UtcDateTime(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("processed", BigInt, nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.CheckConstraint(f"status IN {_STATUSES}", name=op.f("ck_job_runs_status")),
        sa.ForeignKeyConstraint(["job_name"], ["jobs.name"], name=op.f("fk_job_runs_job_name_jobs")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_job_runs")),
        sqlite_strict=True,
    )
    op.create_index("ix_job_runs_finished", "job_runs", ["finished_at"], unique=False)
    op.create_index("ix_job_runs_job", "job_runs", ["job_name", "started_at"], unique=False)
