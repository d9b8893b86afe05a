"""The system page (P-24): the queues and workflows of both services, and what may be done to them.

Whoever may see them may not always change them: each form asks for its own permission, and for a reason.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from aiohttp import web

from admin_service.panel.context import (
    PanelServices,
    both,
    operator_frame,
    page,
    see_other,
    usable_delegation,
)
from admin_service.panel.pages.operator_forms import (
    SHOWN_WITH_THE_FORM,
    given_reason,
    new_form,
    read_model,
    read_own_form,
    refused_form,
    require_form_token,
)
from admin_service.panel.views.operator_forms import FormState
from admin_service.panel.views.parts import Notice, page_url
from admin_service.panel.views.system import (
    QUEUES_PATH,
    SYSTEM_PATH,
    WORKFLOWS_PATH,
    DeadLetterRow,
    QueueRow,
    SystemStepView,
    SystemView,
    WorkflowRow,
)
from admin_service.system.answers import DeadLetter, Queue, Workflow
from admin_service.system.models import Merged, Wish
from service_kit.errors import NotFoundError, ProblemError, UnavailableError
from service_kit.identity.model import Permission
from service_kit.system.schemas import ReasonBody
from service_kit.web.api import Call

DONE: Final = "done"
_UNITS: Final = ((86400, "d"), (3600, "h"), (60, "min"))
_REFUSALS: Final = (*SHOWN_WITH_THE_FORM, NotFoundError, UnavailableError)
AWAY: Final = Notice(
    "danger",
    "The tenant service does not answer",
    "Its queues and workflows are missing from this page. Nothing was lost; load the page again in a moment.",
)
_MESSAGES: Final = {
    "retry": Notice(
        "success", "The message will be tried again", "Within seconds, from the first attempt on."
    ),
    "run": Notice(
        "success", "The workflow will run now", "Load the page again in a moment to see how it ended."
    ),
}


async def show_system(services: PanelServices, call: Call) -> web.Response:
    """Everything on one page."""
    queues, workflows = await both(_queues(services, call), _workflows(services, call))
    return await _show(services, call, SYSTEM_PATH, queues, workflows)


async def show_queues(services: PanelServices, call: Call) -> web.Response:
    return await _show(services, call, QUEUES_PATH, await _queues(services, call), None)


async def show_workflows(services: PanelServices, call: Call) -> web.Response:
    return await _show(services, call, WORKFLOWS_PATH, None, await _workflows(services, call))


async def _queues(services: PanelServices, call: Call) -> Merged[Queue]:
    return await services.system.queues(call, usable_delegation(call.request))


async def _workflows(services: PanelServices, call: Call) -> Merged[Workflow]:
    return await services.system.workflows(call, usable_delegation(call.request))


async def _show(
    services: PanelServices,
    call: Call,
    path: str,
    queues: Merged[Queue] | None,
    workflows: Merged[Workflow] | None,
) -> web.Response:
    is_away = any(merged is not None and merged.unavailable for merged in (queues, workflows))
    done = _MESSAGES.get(call.request.query.get(DONE, ""))
    view = SystemView(
        path=path,
        queues=tuple(map(_queue_row, queues.rows)) if queues is not None else None,
        workflows=tuple(map(_workflow_row, workflows.rows)) if workflows is not None else None,
        may_manage=call.actor.may(Permission.MANAGE_GLOBAL_ADMINS),
        notices=((done,) if done else ()) + ((AWAY,) if is_away else ()),
    )
    return page(services, await operator_frame(services, call), view)


Do = Callable[[PanelServices, Call, Wish], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class SystemStep:
    """One thing to do, behind a page that asks first; showing it changes nothing."""

    name: str
    heading: str
    button: str
    explanation: str
    do: Do

    async def show(self, services: PanelServices, call: Call) -> web.Response:
        return await self._page(services, call, new_form(services, call, self._form))

    async def submit(self, services: PanelServices, call: Call) -> web.Response:
        """Do it, once: the form's own key makes a second click harmless."""
        form = await read_own_form(services, call)
        try:
            require_form_token(services, call, form, self._form)
            body = read_model(ReasonBody, {"reason": given_reason(form)})
            await self.do(services, call, Wish(call, body.reason, form.idempotency_key))
        except _REFUSALS as error:
            state = refused_form(services, call, self._form, error, form=form, controls=("reason",))
            return await self._page(services, call, state, typed=form.fields.get("reason", ""), error=error)
        return see_other(page_url(SYSTEM_PATH, {DONE: self.name}))

    @property
    def _form(self) -> str:
        return f"system-{self.name}"

    async def _page(
        self,
        services: PanelServices,
        call: Call,
        state: FormState,
        *,
        typed: str = "",
        error: ProblemError | None = None,
    ) -> web.Response:
        view = SystemStepView(
            heading=self.heading,
            name=call.request.match_info.get("id", call.path("name")),
            explanation=self.explanation,
            button=self.button,
            action=call.request.path,
            form=state,
            reason=typed,
        )
        frame = await operator_frame(services, call)
        if error is None:
            return page(services, frame, view)
        return page(services, frame, view, status=error.status, headers=error.headers)


async def _retry(services: PanelServices, call: Call, wish: Wish) -> None:
    delegation = usable_delegation(call.request)
    await services.system.retry(wish, delegation, call.path("name"), call.path("id"))


async def _run(services: PanelServices, call: Call, wish: Wish) -> None:
    await services.system.run(wish, usable_delegation(call.request), call.path("name"))


RETRY: Final = SystemStep(
    "retry",
    "Try a message again",
    "Try again",
    "It is sent again, from the first attempt on. If it went out before and only the answer was lost, "
    "the person gets it twice.",
    _retry,
)
RUN: Final = SystemStep(
    "run",
    "Run a workflow now",
    "Run now",
    "One replica begins it within seconds. If it runs already, it runs once more afterwards.",
    _run,
)


def _queue_row(queue: Queue) -> QueueRow:
    return QueueRow(
        name=queue.name,
        ready=queue.ready,
        in_flight=queue.in_flight,
        retrying=queue.retrying,
        dead=queue.dead,
        oldest=_length(queue.oldest_age_seconds) if queue.oldest_age_seconds is not None else "",
        next_attempt_at=queue.next_attempt_at,
        last_error=queue.last_error,
        dead_letters=tuple(_dead_letter_row(queue.name, letter) for letter in queue.dead_letters),
    )


def _dead_letter_row(queue: str, letter: DeadLetter) -> DeadLetterRow:
    return DeadLetterRow(
        queue=queue,
        id=letter.id,
        kind=letter.kind,
        organization_id=letter.organization_id,
        attempts=letter.attempts,
        last_error=letter.last_error,
        died_at=letter.died_at,
        can_be_retried=letter.can_be_retried,
    )


def _workflow_row(workflow: Workflow) -> WorkflowRow:
    last = workflow.last_run
    return WorkflowRow(
        name=workflow.name,
        schedule=workflow.schedule,
        status=last.status if last else None,
        started_at=last.started_at if last else None,
        duration=f"{last.duration_ms / 1000:.1f} s" if last else "",
        processed=last.processed if last else 0,
        error=last.error if last else None,
        failures=workflow.failures,
        next_run_at=workflow.next_run_at,
        lease_owner=workflow.lease_owner,
    )


def _length(seconds: int) -> str:
    """`45 s`, `12 min`, `5 h`, `2 d`."""
    for unit, name in _UNITS:
        if seconds >= 2 * unit:
            return f"{seconds // unit} {name}"
    return f"{seconds} s"
