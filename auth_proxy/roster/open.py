"""The roster `open:<role>`: everybody whom Access lets in is an operator with one configured role.

Seed 1's rule, for other frontends. It never serves our own panel, which needs a feed.
"""

from auth_proxy.forwarding import Headers
from auth_proxy.refusals import Reason, Refusal
from auth_proxy.roster.source import Denied, OperatorEntry
from service_kit.identity.model import Role


class OpenRoster:
    """One role for every verified person."""

    version = 1

    def __init__(self, role: Role) -> None:
        self._role = role

    def find(self, sub: str, email: str) -> OperatorEntry:
        return OperatorEntry(id=sub, sub=sub, email=email, name=email, role=self._role, active=True)

    def binds_email(self, email: str) -> bool:  # noqa: ARG002 - the Roster protocol
        return False


class NoEnrollment:
    """There is nothing to enroll in: every claim is refused."""

    async def claim(self, sub: str, email: str, token: str, origin: Headers) -> OperatorEntry:  # noqa: ARG002 - the protocol
        raise Refusal(Reason.ENROLLMENT_FAILED)


class NoActivity:
    """Nobody keeps a list of who was here."""

    def seen(self, operator_id: str) -> None:
        """Forget it."""


class NoDenials:
    """Nobody keeps an audit log: the decision log has the line."""

    def note(self, denied: Denied) -> None:
        """Forget it."""
