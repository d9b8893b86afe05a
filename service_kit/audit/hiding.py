"""The events that a role without `platform.view_admin_audit_events` never reads (R-080).

It decides for nobody: whoever reads asks for the reader's role and uses these words in the SQL.
"""

from typing import Any, Final

from sqlalchemy import Column, ColumnElement

from service_kit.audit.tables import ADMIN_EVENTS

HIDDEN_EVENTS: Final = (ADMIN_EVENTS, "audit.")
"""What is done to operators, and what the log says of itself: a witnessed checkpoint tells how long the
chains are that hold the former, and a broken chain names one of their rows.
"""


def is_hidden(event: str) -> bool:
    """Whether the roles that see no `admin.*` do not see this event either."""
    return event.startswith(HIDDEN_EVENTS)


def shown_only(event: Column[Any]) -> list[ColumnElement[bool]]:
    """The conditions that leave those rows out."""
    return [event.not_like(f"{prefix}%") for prefix in HIDDEN_EVENTS]
