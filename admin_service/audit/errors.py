"""Refusals of the audit log.

ProblemError
├── ForbiddenError
│   └── AdminEventsForbiddenError    asking for `admin.*` without the right to (R-080)
├── UnprocessableError
│   ├── ExportRangeTooWideError      more than a year in one export
│   └── ExportRangeEmptyError        an end that is not after its beginning
├── RateLimitedError
│   └── ExportBusyError              too many exports run already
├── NotFoundError
│   └── AuditEventNotFoundError      unknown, or hidden from this role: the same answer
└── UnavailableError
    └── AuditSourceUnavailableError  a part of the log cannot be read now

None of them tells whether a hidden row exists.
"""

from service_kit.errors import (
    ForbiddenError,
    NotFoundError,
    RateLimitedError,
    UnavailableError,
    UnprocessableError,
)


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


class ExportRangeTooWideError(UnprocessableError):
    def __init__(self) -> None:
        super().__init__("EXPORT_RANGE_TOO_WIDE", "An export holds at most one year: choose from and to")


class ExportRangeEmptyError(UnprocessableError):
    def __init__(self) -> None:
        super().__init__("EXPORT_RANGE_EMPTY", "The range of the export ends before it begins")


class ExportBusyError(RateLimitedError):
    def __init__(self) -> None:
        super().__init__(
            "EXPORT_BUSY",
            "Too many exports run already: wait until one of them has ended",
            headers={"Retry-After": "30"},
        )
