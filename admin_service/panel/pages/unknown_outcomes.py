"""While nobody knows whether a form counted: which refusals say so, in which words, and the key that stays.

A lost answer says nothing about the change behind it, and a database that goes away says no more: the COMMIT
may have reached it. So the form comes back with the key that it was sent with, and a repeat finds what was
done. A new key would do it twice.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from admin_service.panel.forms import Form, new_idempotency_key
from admin_service.panel.views.parts import Notice
from service_kit.errors import BadRequestError, ProblemError

_NO_ANSWER: Final = Notice(
    "warning",
    "Nobody knows yet whether this was done",
    "The tenant service did not answer. Send the form again as it is: it counts only once.",
)
UNKNOWN_NOTICES: Final[Mapping[str, Notice]] = {
    "TENANT_SERVICE_UNAVAILABLE": _NO_ANSWER,
    "DATABASE_UNAVAILABLE": replace(
        _NO_ANSWER, text="The database did not answer. Send the form again as it is: it counts only once."
    ),
    "IDEMPOTENCY_IN_PROGRESS": Notice(
        "info", "The same form is being worked on right now", "Wait a moment and send it again."
    ),
}
"""By code: every refusal after which the change may have been done all the same."""

_IS_USED: Final = "IDEMPOTENCY_KEY_REUSED"


def is_unknown(error: ProblemError | None) -> bool:
    """Whether what was asked for may have been done, or may still be."""
    return error is not None and error.code in UNKNOWN_NOTICES


def next_key(form: Form, error: ProblemError) -> str:
    """The key of the form that comes back: the same, unless it stands for another change already.

    A refused request leaves its key free. Also a wrong field keeps it: the form may have been sent before, by
    somebody who does not know yet whether that counted.
    """
    if error.code == _IS_USED:
        return new_idempotency_key()
    try:
        return form.idempotency_key
    except BadRequestError:  # a form without a key of ours was never done
        return new_idempotency_key()
