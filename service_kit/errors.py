"""Errors that a caller may see: one class per kind, each with its status, code and public text.

    ProblemError
    ├── BadRequestError          400
    ├── NotAuthenticatedError    401
    ├── ForbiddenError           403
    ├── NotFoundError            404
    ├── ConflictError            409
    ├── PreconditionFailedError  412
    ├── PayloadTooLargeError     413
    ├── UnsupportedMediaError    415
    ├── UnprocessableError       422  (carries the fields that are wrong)
    ├── PreconditionRequiredError 428
    ├── RateLimitedError         429
    ├── InternalError            500
    └── UnavailableError         503

The text is written for the caller. Detail for the engineer goes to the log, never into these.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class FieldProblem:
    """One wrong field: where (JSON pointer), which rule, and what to do."""

    pointer: str
    code: str
    message: str


class ProblemError(Exception):
    """A refusal with a stable code (SCREAMING_SNAKE) and a sentence for the caller.

    `headers` are added to the answer; `extra` are further members of the problem document.
    """

    status: ClassVar[int] = 500

    def __init__(
        self,
        code: str,
        message: str,
        *,
        fields: tuple[FieldProblem, ...] = (),
        headers: Mapping[str, str] | None = None,
        extra: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.fields = fields
        self.headers = dict(headers or {})
        self.extra = dict(extra or {})


class BadRequestError(ProblemError):
    status = 400


class NotAuthenticatedError(ProblemError):
    status = 401


class ForbiddenError(ProblemError):
    status = 403


class NotFoundError(ProblemError):
    status = 404


class ConflictError(ProblemError):
    status = 409


class PreconditionFailedError(ProblemError):
    status = 412


class PayloadTooLargeError(ProblemError):
    status = 413


class UnsupportedMediaError(ProblemError):
    status = 415


class UnprocessableError(ProblemError):
    status = 422


class PreconditionRequiredError(ProblemError):
    status = 428


class RateLimitedError(ProblemError):
    status = 429


class InternalError(ProblemError):
    status = 500


class UnavailableError(ProblemError):
    """A dependency is away; the caller may try again after `retry_after` seconds."""

    status = 503

    def __init__(self, code: str, message: str, *, retry_after: int = 2) -> None:
        super().__init__(code, message, headers={"Retry-After": str(retry_after)})
