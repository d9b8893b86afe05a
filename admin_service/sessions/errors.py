"""Refusals about sessions.

ProblemError
├── NotAuthenticatedError
│   └── SessionInvalidError    unknown, expired, revoked, somebody else's, or no token: one answer
├── NotFoundError
│   └── SessionNotFoundError   the operator has no such session, or it is over
└── RateLimitedError
    └── MintingLimitedError    more sessions in a minute than a person needs
"""

from admin_service.sessions.models import Allowance
from service_kit.errors import NotAuthenticatedError, NotFoundError, RateLimitedError


class SessionInvalidError(NotAuthenticatedError):
    def __init__(self) -> None:
        super().__init__("SESSION_INVALID", "Invalid session")


class SessionNotFoundError(NotFoundError):
    def __init__(self) -> None:
        super().__init__("SESSION_NOT_FOUND", "There is no such session, or it is over")


class MintingLimitedError(RateLimitedError):
    def __init__(self, allowance: Allowance) -> None:
        super().__init__(
            "RATE_LIMITED",
            "Too many sessions were asked for; wait and try again",
            headers={"Retry-After": str(allowance.seconds), **allowance.headers},
        )
