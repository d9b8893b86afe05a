"""A letter to one person, as it lies in the outbox; it knows no transport and no template.

Headers cannot be injected: a subject of more than one line and an address that is not plain are no letter.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Self

from service_kit.email_address import normalise_email
from service_kit.jobs.outbox import MAIL, Message

_MOST_SUBJECT: Final = 200
_MOST_TEXT: Final = 64 * 1024


class LetterRefusedError(ValueError):
    """The text cannot be a letter. It never repeats what was in it."""


@dataclass(frozen=True, slots=True)
class Letter:
    """Who gets what. Plain text always; HTML where it is given. It prints neither of them."""

    to: str
    subject: str
    text: str = field(repr=False)
    html: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        if normalise_email(self.to) != self.to:
            raise LetterRefusedError("the address is not normalised")
        if not self.subject or len(self.subject) > _MOST_SUBJECT or not self.subject.isprintable():
            raise LetterRefusedError("the subject must be one line of text")
        if max(len(self.text), len(self.html)) > _MOST_TEXT:
            raise LetterRefusedError("the letter is too long")

    def message(
        self,
        kind: str,
        *,
        organization_id: str | None = None,
        dedupe_key: str | None = None,
        useless_after: datetime | None = None,
    ) -> Message:
        """The letter as a message for `Outbox.put`."""
        payload = {"to": self.to, "subject": self.subject, "text": self.text, "html": self.html}
        return Message(MAIL, kind, payload, organization_id, dedupe_key, useless_after)

    @classmethod
    def of_payload(cls, payload: Mapping[str, Any]) -> Self:
        """Raises LetterRefusedError (a ValueError) or KeyError for what no letter was made of."""
        return cls(payload["to"], payload["subject"], payload["text"], payload.get("html", ""))


def one_line(text: str) -> str:
    """Text for a subject: every run of blanks, line breaks and unprintable characters is one blank."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())
