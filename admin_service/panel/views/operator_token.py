"""The page that shows an enrollment token, this once (P-20, R-068, R-069).

It is rendered as the answer to the POST that issued the token, and nowhere else.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import ClassVar

from admin_service.panel.views.operators import OPERATORS_PATH, OperatorRow


@dataclass(frozen=True, slots=True)
class OperatorTokenView:
    """The token, what to do with it, and the message to send without it.

    `panel_url` is the address that the message names; the token must never travel with it (R-069).
    """

    template: ClassVar[str] = "operator_token.html"
    section: ClassVar[str] = "operators"

    operator: OperatorRow
    role_label: str
    happened: str
    token: str = field(repr=False)
    expires_at: datetime
    expires_text: str
    panel_url: str

    @property
    def title(self) -> tuple[str, ...]:
        return ("Enrollment token", "Operators")

    @property
    def parents(self) -> tuple[tuple[str, str], ...]:
        return (("Operators", OPERATORS_PATH), (self.operator.name, self.operator.href))

    @property
    def message(self) -> str:
        """What may be sent by mail or chat: everything but the token."""
        return (
            f"Hello {self.operator.name},\n\n"
            f"you can enroll as an operator of our back office, with the role {self.role_label}.\n"
            f"Open {self.panel_url}/enrollment and sign in as {self.operator.email}.\n"
            "The page asks for an enrollment token. I will give it to you another way, by phone or in "
            f"person; it is valid until {self.expires_text}.\n"
            "If somebody sends you a token together with this address, do not use it, and tell me."
        )
