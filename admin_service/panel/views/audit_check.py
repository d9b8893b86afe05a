"""The question of P-17: what is suspected, how it would have been asked, and the answer.

It holds no digest: nobody who reads the page could try values against it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from admin_service.panel.views.parts import FieldError, Notice, messages_by_field


@dataclass(frozen=True, slots=True)
class PredicateCheckView:
    """`how` is one of `hows`; what was typed is kept exactly."""

    csrf_token: str = field(repr=False)
    text: str = field(default="", repr=False)
    how: str = ""
    hows: Sequence[tuple[str, str]] = ()
    verdict: Notice | None = None
    errors: tuple[FieldError, ...] = ()

    @property
    def messages(self) -> dict[str, str]:
        return messages_by_field(self.errors)
