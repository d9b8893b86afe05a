"""Refusals of a claim.

ProblemError
├── ForbiddenError
│   └── EnrollmentRefusedError   the one answer for every failed claim: no oracle (R-061)
└── RateLimitedError
    └── EnrollmentLimitedError   five failed tries in a quarter of an hour (G-18)

Neither says why: the reason stands in the audit log.
"""

from service_kit.errors import ForbiddenError, RateLimitedError


class EnrollmentRefusedError(ForbiddenError):
    def __init__(self) -> None:
        super().__init__("ENROLLMENT_REQUIRED", "Not authorized")


class EnrollmentLimitedError(RateLimitedError):
    def __init__(self, retry_after: int) -> None:
        super().__init__(
            "ENROLLMENT_LIMITED",
            "Too many failed tries; wait and try again",
            headers={"Retry-After": str(retry_after)},
        )
