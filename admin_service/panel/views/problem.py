"""The page of a refusal or a failure (P-29 and rule 12): what happened, what changed, what to do next.

Never shows a cause from the inside: texts are fixed here, the request id leads to the log.
"""

from dataclasses import dataclass
from typing import ClassVar

from admin_service.panel.views.parts import Link

TO_DASHBOARD = Link("Go to the dashboard", "/manage")
TO_TENANTS = Link("All tenants", "/manage/tenants")
SIGN_OUT = Link("Sign out", "/cdn-cgi/access/logout")
NOTHING_CHANGED = "Nothing was changed."


@dataclass(frozen=True, slots=True)
class ProblemView:
    """One answer that is not a success. The request id stands in the frame."""

    template: ClassVar[str] = "problem.html"
    section: ClassVar[str] = ""

    status: int
    heading: str
    text: str
    changed: str = NOTHING_CHANGED
    code: str | None = None
    needed_permission: str | None = None
    held_by: tuple[str, ...] = ()
    next_steps: tuple[Link, ...] = (TO_DASHBOARD,)

    @property
    def title(self) -> tuple[str, ...]:
        return (self.heading,)


def permission_denied(permission: str, held_by: tuple[str, ...]) -> ProblemView:
    """403 that names the needed permission and the roles that have it (panel.md, rule 4)."""
    return ProblemView(
        status=403,
        code="PERMISSION_DENIED",
        heading="Your role cannot do this",
        text="The page needs a permission that your role does not have.",
        needed_permission=permission,
        held_by=held_by,
    )


def account_deactivated() -> ProblemView:
    return ProblemView(
        status=403,
        code="ACCOUNT_DEACTIVATED",
        heading="Your account is deactivated",
        text="Access still knows you, but the back office no longer lets you in. "
        "A super admin can reactivate the account.",
        next_steps=(SIGN_OUT,),
    )


def not_found(what: str = "page", *, back: Link = TO_DASHBOARD) -> ProblemView:
    """404; the same for what never existed and for what this operator must not know of."""
    return ProblemView(
        status=404,
        code="NOT_FOUND",
        heading=f"This {what} does not exist",
        text="The address may be mistyped, or what it named is gone.",
        next_steps=(back,),
    )


def conflict(text: str, *, code: str, back: Link) -> ProblemView:
    return ProblemView(
        status=409,
        code=code,
        heading="Somebody was faster",
        text=text,
        next_steps=(back,),
    )


def form_expired(back: Link) -> ProblemView:
    """403 for a missing, old or foreign CSRF token."""
    return ProblemView(
        status=403,
        code="CSRF_REJECTED",
        heading="This form is no longer valid",
        text="It was open for too long, or it was sent from another page. Open it again and repeat the step.",
        next_steps=(back,),
    )


def internal() -> ProblemView:
    return ProblemView(
        status=500,
        code="INTERNAL",
        heading="Something went wrong on our side",
        text="The error was recorded with the request id below.",
        changed="A step that fails is taken back as a whole, so nothing is half done. "
        "Look at the page again before you repeat it.",
    )


def tenant_service_away() -> ProblemView:
    return ProblemView(
        status=503,
        code="UPSTREAM_UNAVAILABLE",
        heading="The tenant service is away",
        text="Tenants and their audit log cannot be read or changed right now. "
        "Operators and the dashboard still work. Try again in a moment.",
        changed="If you sent a form, nobody knows yet whether it was done. It may be sent again: "
        "it carries a key that lets it count only once.",
    )


def outcome_unknown(look: tuple[Link, ...]) -> ProblemView:
    """503 to a form whose database went away: perhaps before the change, perhaps after it was kept."""
    return ProblemView(
        status=503,
        code="DATABASE_UNAVAILABLE",
        heading="Nobody knows yet whether this was done",
        text="The database did not answer. Wait a moment, then look whether the change is there.",
        changed="It is not known: what the form asked for, or nothing. "
        "If you send the same form again, it counts only once.",
        next_steps=look,
    )
