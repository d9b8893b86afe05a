"""Queues and workflows over HTTP (R-095, R-096): no model here has room for the body of a message."""

from typing import Annotated

from pydantic import AwareDatetime, Field, StringConstraints

from service_kit.audit.events import Actor
from service_kit.jobs.overview import DeadLetter, JobState, QueueState
from service_kit.system.desk import Request
from service_kit.web.api import Call
from service_kit.web.idempotency import HEADER, read_key
from service_kit.web.schemas import ApiModel, PlainText

LEAST_REASON = 10
MOST_REASON = 500


class ReasonBody(ApiModel):
    """Why an operator does it; it is kept in the audit log."""

    reason: Annotated[PlainText, StringConstraints(min_length=LEAST_REASON, max_length=MOST_REASON)]


class DeadLetterModel(ApiModel):
    """A message that was given up."""

    id: str
    kind: str
    organization_id: str | None
    attempts: int
    last_error: str = Field(description="A code, such as RECIPIENT_REFUSED_550; never what a server said.")
    created_at: AwareDatetime
    died_at: AwareDatetime
    can_be_retried: bool = Field(description="Whether its body is still there.")

    @classmethod
    def of(cls, letter: DeadLetter) -> "DeadLetterModel":
        return cls(
            id=letter.id,
            kind=letter.kind,
            organization_id=letter.organization_id,
            attempts=letter.attempts,
            last_error=letter.last_error,
            created_at=letter.created_at,
            died_at=letter.died_at,
            can_be_retried=letter.can_be_retried,
        )


class QueueModel(ApiModel):
    """One queue of messages that leave the house."""

    name: str
    service: str
    ready: int
    in_flight: int
    retrying: int
    dead: int
    oldest_age_seconds: int | None = Field(description="Of what still waits; null when nothing does.")
    next_attempt_at: AwareDatetime | None
    last_error: str | None
    dead_letters: list[DeadLetterModel] = Field(description="The newest ones, at most 50.")

    @classmethod
    def of(cls, queue: QueueState, service: str) -> "QueueModel":
        return cls(
            name=queue.name,
            service=service,
            ready=queue.ready,
            in_flight=queue.in_flight,
            retrying=queue.retrying,
            dead=queue.dead,
            oldest_age_seconds=queue.oldest_age_seconds,
            next_attempt_at=queue.next_attempt_at,
            last_error=queue.last_error,
            dead_letters=[DeadLetterModel.of(letter) for letter in queue.dead_letters],
        )


class LastRunModel(ApiModel):
    started_at: AwareDatetime
    duration_ms: int
    status: str
    processed: int
    error: str | None


class WorkflowModel(ApiModel):
    """One job that runs by the clock. `leaseOwner` is set while it runs."""

    name: str
    service: str
    schedule: str
    last_run: LastRunModel | None
    last_success_at: AwareDatetime | None
    failures: int = Field(description="Runs that failed since the last good one.")
    next_run_at: AwareDatetime
    lease_owner: str | None

    @classmethod
    def of(cls, job: JobState, service: str) -> "WorkflowModel":
        last = None
        if job.last_run is not None:
            run = job.last_run
            last = LastRunModel(
                started_at=run.started_at,
                duration_ms=run.duration_ms,
                status=run.status.value,
                processed=run.processed,
                error=run.error,
            )
        return cls(
            name=job.name,
            service=service,
            schedule=job.schedule,
            last_run=last,
            last_success_at=job.last_success_at,
            failures=job.failures,
            next_run_at=job.next_run_at,
            lease_owner=job.lease_owner,
        )


class QueuesModel(ApiModel):
    """Every queue; `unavailable` names a service that did not answer, whose queues are missing."""

    data: list[QueueModel]
    unavailable: list[str] = Field(default_factory=list)


class WorkflowsModel(ApiModel):
    """Every workflow; `unavailable` as above."""

    data: list[WorkflowModel]
    unavailable: list[str] = Field(default_factory=list)


class AcceptedModel(ApiModel):
    """It will happen with the next look of a runner, within seconds."""

    name: str
    message_id: str | None = None


def request_of(call: Call) -> Request:
    """What a call with a `ReasonBody` asks for. Raises BadRequestError for a key that is none."""
    origin = call.origin
    return Request(
        actor=Actor.of(call.actor),
        reason=call.body.reason,
        request_id=origin.request_id,
        ip=origin.ip,
        user_agent=origin.user_agent,
        key=read_key(call.request.headers.getall(HEADER, [])),
    )
