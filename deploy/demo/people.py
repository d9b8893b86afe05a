"""The cast of the demo: who a developer can be at the stand-in edge, and what to expect as each.

Nobody here is real: every address ends in example.com (RFC 2606), and no role is granted by this module.
`role_hint` tells sample data which row to make; only the operator directory decides what a person may do.
"""

from dataclasses import dataclass
from uuid import NAMESPACE_URL, uuid5


def subject_of(email: str) -> str:
    """The `sub` that the stand-in edge gives to an address: the same at every start."""
    return str(uuid5(NAMESPACE_URL, f"mailto:{email}"))


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who can sign in at the identity provider behind Access."""

    key: str
    name: str
    email: str
    sub: str
    role_hint: str | None
    description: str

    @classmethod
    def with_email(
        cls, email: str, *, name: str = "", role_hint: str | None = None, description: str = ""
    ) -> "Person":
        """A person with the `sub` that belongs to the address; for the cast, and for whom a test invents."""
        key = email.partition("@")[0]
        return cls(key, name or key.title(), email, subject_of(email), role_hint, description)


@dataclass(frozen=True, slots=True)
class TokenKind:
    """A token that authenticates no person; choosing it shows how the sidecar refuses it."""

    key: str
    name: str
    description: str


ADA = Person.with_email(
    "ada@example.com",
    name="Ada Quill",
    role_hint="super_admin",
    description="May do everything: create and delete tenants, grant credits, manage operators.",
)
SAMIR = Person.with_email(
    "samir@example.com",
    name="Samir Holt",
    role_hint="support",
    description="Works with tenants and invitations, but deletes none and sees no operator events.",
)
ROSA = Person.with_email(
    "rosa@example.com",
    name="Rosa Lind",
    role_hint="read_only",
    description="Looks at tenants and the audit log; every change is refused.",
)
IRMA = Person.with_email(
    "irma@example.com",
    name="Irma Falk",
    role_hint="security",
    description="Reads every audit event, also those of operators; changes nothing, sees no tenants.",
)
NOEL = Person.with_email(
    "noel@example.com",
    name="Noel Outis",
    description="Passes Access but is no operator: is asked for an enrollment token.",
)

SERVICE_TOKEN = TokenKind(
    "service-token",
    "A service token",
    "Valid credentials of a machine: the sidecar refuses it, because it is no person.",
)
EXPIRED_TOKEN = TokenKind(
    "expired-token",
    "An expired token",
    "Ada’s token, an hour too old: the edge lets it through, so that the sidecar must refuse it.",
)

CAST: tuple[Person, ...] = (ADA, SAMIR, ROSA, IRMA, NOEL)
TOKEN_KINDS: tuple[TokenKind, ...] = (SERVICE_TOKEN, EXPIRED_TOKEN)
