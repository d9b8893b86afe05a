"""Refusals about sessions.

ProblemError
└── NotAuthenticatedError
    └── SessionInvalidError   unknown, expired, revoked, somebody else's, or no token: one answer
"""

from service_kit.errors import NotAuthenticatedError


class SessionInvalidError(NotAuthenticatedError):
    def __init__(self) -> None:
        super().__init__("SESSION_INVALID", "Invalid session")
