"""P-27: the manual. Who may do what, what is recorded, what to do when, and which keys do what.

The role matrix and the event catalogue are made from the code that decides and records; only the advice is
written by hand.
"""

from dataclasses import dataclass
from typing import ClassVar, Final

from admin_service.panel.views.own_page import RoleMatrix, Shortcut, shortcuts_for
from admin_service.panel.views.parts import Link, Notice

HELP_PATH: Final = "/manage/help"


@dataclass(frozen=True, slots=True)
class EventLine:
    """One kind of event; `who_sees` in words."""

    event: str
    action: str
    severity: str
    scope: str
    service: str


@dataclass(frozen=True, slots=True)
class Advice:
    """A short runbook: when it applies, the steps, and where in the panel it happens.

    `permission` is what the place asks for; without it the link is not shown.
    """

    id: str
    title: str
    when: str
    steps: tuple[str, ...]
    link: Link | None = None
    permission: str = ""


RUNBOOKS: Final[tuple[Advice, ...]] = (
    Advice(
        "offboarding",
        "Somebody leaves",
        "An operator must not get in any more, at once.",
        (
            "Open the operator and deactivate them: every request of theirs is refused from that moment.",
            "Remove them from the Access policy; the page of step 1 leads there.",
            "Look at their last actions in the audit log.",
        ),
        Link("Operators", "/manage/operators"),
        "platform.manage_global_admins",
    ),
    Advice(
        "token",
        "An enrollment token is lost or late",
        "Somebody cannot enroll: the token was lost, ended, or is refused.",
        (
            "Issue a new token on the operator’s page; the old one dies at once.",
            "Send the token and the address of the page on two different ways.",
            "After five wrong tries a person waits fifteen minutes.",
        ),
        Link("Operators", "/manage/operators"),
        "platform.manage_global_admins",
    ),
    Advice(
        "half-accepted",
        "An invitation is half accepted",
        "The dashboard counts a partial failure: a person has an account and no place in the tenant.",
        (
            "Find the event in the audit log; it names the account and the invitation.",
            "Ask the person to open the same link again: that finishes it.",
            "If the link has ended, send the invitation again from the tenant’s invitations.",
        ),
        Link("Partial failures", "/manage/audit?event=org.invitation.partial_failure&range=all"),
        "platform.view_audit_logs_global",
    ),
    Advice(
        "dead",
        "A message was given up",
        "The dashboard counts dead messages: a letter did not go out.",
        (
            "Read the last error of the message under System.",
            "When the cause is gone, try the message again; it counts once.",
        ),
        Link("Queues", "/manage/system/queues"),
        "platform.view_system_metrics",
    ),
    Advice(
        "chain",
        "The audit chain is broken",
        "The dashboard says that a break is on record: a row was changed, or is missing.",
        (
            "Do not repair anything: the state is evidence.",
            "Verify the log on the page of the evidence, and keep the report.",
            "Compare with the checkpoints that the other service holds.",
        ),
        Link("Evidence", "/manage/audit/evidence"),
        "platform.export_audit",
    ),
    Advice(
        "away",
        "The tenant service does not answer",
        "Pages say that something is missing. What this service holds is still shown.",
        (
            "Nothing was lost: a form that was sent in between says whether it counted.",
            "Send such a form again as it is; it counts only once.",
            "Whoever runs the service finds the alert’s page in its runbooks.",
        ),
    ),
)


@dataclass(frozen=True, slots=True)
class ManualView:
    """P-27. `missing` says that the events of one service could not be asked for."""

    template: ClassVar[str] = "manual.html"
    section: ClassVar[str] = ""

    matrix: RoleMatrix
    events: tuple[EventLine, ...]
    permissions: frozenset[str] = frozenset()
    missing: Notice | None = None

    @property
    def title(self) -> tuple[str, ...]:
        return ("Help",)

    @property
    def runbooks(self) -> tuple[Advice, ...]:
        return RUNBOOKS

    def leads_to(self, advice: Advice) -> Link | None:
        """The way there, for whom it is open."""
        return advice.link if advice.permission in self.permissions else None

    @property
    def keys(self) -> tuple[Shortcut, ...]:
        return shortcuts_for(self.permissions)
