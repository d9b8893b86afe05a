"""What the tenant service says of its queues and workflows, read tolerantly."""

from datetime import datetime

from admin_service.tenant_answers import Answer


class DeadLetter(Answer):
    """A message that was given up; its body stays where it is."""

    id: str
    kind: str
    organization_id: str | None
    attempts: int
    last_error: str
    created_at: datetime
    died_at: datetime
    can_be_retried: bool


class Queue(Answer):
    name: str
    service: str
    ready: int
    in_flight: int
    retrying: int
    dead: int
    oldest_age_seconds: int | None
    next_attempt_at: datetime | None
    last_error: str | None
    dead_letters: tuple[DeadLetter, ...]


class LastRun(Answer):
    started_at: datetime
    duration_ms: int
    status: str
    processed: int
    error: str | None


class Workflow(Answer):
    name: str
    service: str
    schedule: str
    last_run: LastRun | None
    last_success_at: datetime | None
    failures: int
    next_run_at: datetime
    lease_owner: str | None


class Queues(Answer):
    data: tuple[Queue, ...]


class Workflows(Answer):
    data: tuple[Workflow, ...]


class Accepted(Answer):
    name: str
