"""The forms about operators (P-19…P-21): what is asked, what was typed, and why it was refused.

A form here changes nothing and holds no token; the page that shows one stands in `operator_token`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Final

from admin_service.panel.views.operator_detail import OWN_PATH, SessionLine
from admin_service.panel.views.operators import OPERATORS_PATH, OperatorRow
from admin_service.panel.views.parts import FieldError, Notice, messages_by_field

ZERO_TRUST_URL: Final = "https://one.dash.cloudflare.com/"
LEAST_REASON: Final = 10
"""A reason for a dangerous step says something (panel.md, rule 7)."""


@dataclass(frozen=True, slots=True)
class FormState:
    """What every form carries; `problem` is a refusal that is no field's fault."""

    csrf_token: str
    idempotency_key: str
    errors: tuple[FieldError, ...] = ()
    problem: Notice | None = None

    @property
    def messages(self) -> Mapping[str, str]:
        return messages_by_field(self.errors)

    @property
    def is_refused(self) -> bool:
        return bool(self.errors or self.problem)


@dataclass(frozen=True, slots=True)
class OperatorNewView:
    """P-19: provision somebody. `roles` are those that the operator at work may hand out (R-076)."""

    template: ClassVar[str] = "operator_new.html"
    section: ClassVar[str] = "operators"

    form: FormState
    roles: tuple[str, ...]
    name: str = ""
    email: str = ""
    role: str = ""

    @property
    def title(self) -> tuple[str, ...]:
        return ("Error: New operator" if self.form.is_refused else "New operator", "Operators")


@dataclass(frozen=True, slots=True)
class OperatorFormView:
    """One step about one operator; where the step does not apply, the page explains instead of asking."""

    template: ClassVar[str] = ""
    section: ClassVar[str] = "operators"

    operator: OperatorRow
    form: FormState

    @property
    def heading(self) -> str:
        """The name of the step."""
        raise NotImplementedError

    @property
    def title(self) -> tuple[str, ...]:
        words = f"{self.heading}: {self.operator.name}"
        return (f"Error: {words}" if self.form.is_refused else words, "Operators")

    @property
    def parents(self) -> tuple[tuple[str, str], ...]:
        return _parents(self.operator)

    @property
    def not_offered(self) -> Notice | None:
        """Why the step is not offered to who looks, or for this operator as they are."""
        return None


@dataclass(frozen=True, slots=True)
class OperatorRoleView(OperatorFormView):
    """Another role (R-072…R-076); `version` is the row's that this page shows."""

    template: ClassVar[str] = "operator_role.html"

    version: int
    roles: tuple[str, ...]
    role: str = ""
    reason: str = ""

    @property
    def heading(self) -> str:
        return "Change role"

    @property
    def not_offered(self) -> Notice | None:
        if self.operator.is_you:
            return OWN_ROLE
        return DEACTIVATED if self.operator.state == "deactivated" else None


@dataclass(frozen=True, slots=True)
class OperatorIssueView(OperatorFormView):
    """A new token (R-070); for somebody who is enrolled that is a rebind, with the address typed (G-09)."""

    template: ClassVar[str] = "operator_issue.html"

    confirm: str = ""

    @property
    def heading(self) -> str:
        return "Rebind" if self.rebinds else "New token"

    @property
    def rebinds(self) -> bool:
        return self.operator.state == "active"

    @property
    def not_offered(self) -> Notice | None:
        if self.operator.is_you:
            return OWN_TOKEN
        return DEACTIVATED if self.operator.state == "deactivated" else None


@dataclass(frozen=True, slots=True)
class OperatorDeactivateView(OperatorFormView):
    """P-21 (R-133): step 1 while the operator is live, step 2 once the row says no."""

    template: ClassVar[str] = "operator_deactivate.html"

    reason: str = ""
    sessions: int = 0
    zero_trust_url: str = ZERO_TRUST_URL

    @property
    def heading(self) -> str:
        return "Offboard"

    @property
    def is_second_step(self) -> bool:
        return self.operator.state == "deactivated"

    @property
    def not_offered(self) -> Notice | None:
        return OWN_DEACTIVATION if self.operator.is_you else None


@dataclass(frozen=True, slots=True)
class OperatorReactivateView(OperatorFormView):
    """Back in, bound to nobody, with the role that they had (G-04)."""

    template: ClassVar[str] = "operator_reactivate.html"

    reason: str = ""

    @property
    def heading(self) -> str:
        return "Reactivate"

    @property
    def not_offered(self) -> Notice | None:
        return None if self.operator.state == "deactivated" else NOT_DEACTIVATED


@dataclass(frozen=True, slots=True)
class SessionsEndView(OperatorFormView):
    """End one session, or all of them; `sessions` are those that would end."""

    template: ClassVar[str] = "operator_sessions_end.html"

    sessions: tuple[SessionLine, ...] = ()
    session_id: str = ""

    @property
    def heading(self) -> str:
        return "End sessions"

    @property
    def back(self) -> str:
        return self.operator.href

    @property
    def action(self) -> str:
        return f"{self.back}/sessions"

    @property
    def not_offered(self) -> Notice | None:
        return None if self.sessions else NO_SESSIONS


@dataclass(frozen=True, slots=True)
class OwnSessionsEndView(SessionsEndView):
    """The same for one's own, which is nobody's business but theirs."""

    section: ClassVar[str] = ""

    @property
    def parents(self) -> tuple[tuple[str, str], ...]:
        return (("You", OWN_PATH),)

    @property
    def back(self) -> str:
        return OWN_PATH


def _parents(operator: OperatorRow) -> tuple[tuple[str, str], ...]:
    return (("Operators", OPERATORS_PATH), (operator.name, operator.href))


OWN_ROLE: Final = Notice(
    "info",
    "Nobody changes their own role",
    "Another super admin can change yours. Nothing on this page can.",
)
OWN_TOKEN: Final = Notice(
    "info",
    "Nobody rebinds themselves here",
    "It would lock you out until you enroll again. Another super admin can rebind you; if nobody else can, "
    "there is the break-glass command on the host.",
)
OWN_DEACTIVATION: Final = Notice(
    "info",
    "Nobody deactivates themselves",
    "Ask another super admin to do it. This keeps a slip of the hand, or a stolen browser, from locking you "
    "out.",
)
DEACTIVATED: Final = Notice(
    "warning", "This operator is deactivated", "Reactivate them first; only that leads back in."
)
NOT_DEACTIVATED: Final = Notice("info", "This operator is not deactivated", "There is nothing to take back.")
NO_SESSIONS: Final = Notice(
    "info",
    "There is nothing to end",
    "The session is over already, or the operator has none. Look at the list again.",
)
