"""What the sidecar knows of operators, whatever the source: a feed or one role for all.

A source that is not sure refuses: it never answers from a list that may be out of date.
"""

from dataclasses import dataclass
from typing import NamedTuple, Protocol

from auth_proxy.forwarding import Headers
from auth_proxy.refusals import Reason
from service_kit.identity.model import Role


class OperatorEntry(NamedTuple):
    """One enrolled operator."""

    id: str
    sub: str
    email: str
    name: str
    role: Role
    active: bool


class Roster(Protocol):
    """The list of operators at this moment."""

    @property
    def version(self) -> int:
        """Grows with every change of the list."""
        ...

    def find(self, sub: str, email: str) -> OperatorEntry | None:
        """The operator bound to the subject; the address is never a key (R-060).

        Raises Refusal(ROSTER_UNAVAILABLE) when the list may be out of date.
        """
        ...

    def binds_email(self, email: str) -> bool:
        """Whether an operator with this address is bound to some subject: for subject continuity."""
        ...


class Enrollment(Protocol):
    """Claims an operator's row with a one-time token."""

    async def claim(self, sub: str, email: str, token: str, origin: Headers) -> OperatorEntry:
        """The operator that is now bound to the subject; `origin` goes into its audit row.

        Raises Refusal.
        """
        ...


class Activity(Protocol):
    """Notes that an operator was here; never fails and never waits (R-065)."""

    def seen(self, operator_id: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Denied:
    """One refused request, as the audit log should know of it. `sub` is empty when nobody is proven."""

    reason: Reason
    sub: str
    email: str
    operator_id: str
    route: str
    ip: str
    user_agent: str
    request_id: str


class Denials(Protocol):
    """Notes refusals that belong into the audit log; never fails and never waits."""

    def note(self, denied: Denied) -> None: ...
