"""Refusals of the audit log.

ProblemError
├── ForbiddenError
│   └── AdminEventsForbiddenError    asking for `admin.*` without the right to (R-080)
├── NotFoundError
│   └── AuditEventNotFoundError      unknown, or hidden from this role: the same answer
└── UnavailableError
    └── AuditSourceUnavailableError  a part of the log cannot be read now

None of them tells whether a hidden row exists.
"""

from service_kit.errors import ForbiddenError, NotFoundError, UnavailableError


class AdminEventsForbiddenError(ForbiddenError):
    def __init__(self) -> None:
        super().__init__("ADMIN_EVENTS_FORBIDDEN", "Your role cannot read admin events")


class AuditEventNotFoundError(NotFoundError):
    def __init__(self) -> None:
        super().__init__("AUDIT_EVENT_NOT_FOUND", "There is no such audit event")


class AuditSourceUnavailableError(UnavailableError):
    def __init__(self) -> None:
        super().__init__(
            "AUDIT_SOURCE_UNAVAILABLE", "The tenant service's part of the audit log cannot be read now"
        )
