"""Queues and workflows on a page (P-24), and the form that changes one of them; no body of a message."""

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, Final

from admin_service.panel.views.operator_forms import FormState
from admin_service.panel.views.parts import Choice, Notice, path_segment

SYSTEM_PATH: Final = "/manage/system"
QUEUES_PATH: Final = f"{SYSTEM_PATH}/queues"
WORKFLOWS_PATH: Final = f"{SYSTEM_PATH}/workflows"

_STATUS_LOOKS: Final = {"ok": "success", "failed": "failure", "timed_out": "failure", "abandoned": "failure"}


@dataclass(frozen=True, slots=True)
class DeadLetterRow:
    """A message that was given up."""

    queue: str
    id: str
    kind: str
    organization_id: str | None
    attempts: int
    last_error: str
    died_at: datetime
    can_be_retried: bool

    @property
    def href(self) -> str:
        return f"{QUEUES_PATH}/{path_segment(self.queue)}/messages/{path_segment(self.id)}/retry"

    @property
    def tenant_href(self) -> str:
        return f"/manage/tenants/{path_segment(self.organization_id or '')}"


@dataclass(frozen=True, slots=True)
class QueueRow:
    name: str
    ready: int
    in_flight: int
    retrying: int
    dead: int
    oldest: str
    next_attempt_at: datetime | None
    last_error: str | None
    dead_letters: tuple[DeadLetterRow, ...] = ()


@dataclass(frozen=True, slots=True)
class WorkflowRow:
    """`status` is None before the first run."""

    name: str
    schedule: str
    status: str | None
    started_at: datetime | None
    duration: str
    processed: int
    error: str | None
    failures: int
    next_run_at: datetime
    lease_owner: str | None

    @property
    def href(self) -> str:
        return f"{WORKFLOWS_PATH}/{path_segment(self.name)}/run"

    @property
    def look(self) -> str:
        return _STATUS_LOOKS.get(self.status or "", "pending")


@dataclass(frozen=True, slots=True)
class SystemView:
    """`queues` and `workflows` are None where the page does not show them."""

    template: ClassVar[str] = "system_list.html"
    section: ClassVar[str] = "system"

    path: str
    queues: tuple[QueueRow, ...] | None
    workflows: tuple[WorkflowRow, ...] | None
    may_manage: bool
    notices: tuple[Notice, ...] = ()

    @property
    def title(self) -> tuple[str, ...]:
        return ("System",)

    @property
    def dead_letters(self) -> tuple[DeadLetterRow, ...]:
        return tuple(letter for queue in self.queues or () for letter in queue.dead_letters)

    @property
    def parts_to_choose(self) -> tuple[Choice, ...]:
        places = ((SYSTEM_PATH, "Everything"), (QUEUES_PATH, "Queues"), (WORKFLOWS_PATH, "Workflows"))
        return tuple(Choice(label, path, selected=path == self.path) for path, label in places)


@dataclass(frozen=True, slots=True)
class SystemStepView:
    """Retry a message, or run a workflow: what happens, and why it is wanted."""

    template: ClassVar[str] = "system_step.html"
    section: ClassVar[str] = "system"

    heading: str
    name: str
    explanation: str
    button: str
    action: str
    form: FormState
    reason: str = ""

    @property
    def title(self) -> tuple[str, ...]:
        return (f"Error: {self.heading}" if self.form.is_refused else self.heading, "System")

    @property
    def parents(self) -> tuple[tuple[str, str], ...]:
        return (("System", SYSTEM_PATH),)
