"""Refusals that a caller may see: each kind has its own status, and says nothing that it was not given."""

import inspect

import pytest

from service_kit import errors
from service_kit.errors import ConflictError, FieldProblem, ProblemError, UnavailableError

STATUSES = {
    "BadRequestError": 400,
    "NotAuthenticatedError": 401,
    "ForbiddenError": 403,
    "NotFoundError": 404,
    "ConflictError": 409,
    "PreconditionFailedError": 412,
    "PayloadTooLargeError": 413,
    "UnsupportedMediaError": 415,
    "UnprocessableError": 422,
    "PreconditionRequiredError": 428,
    "RateLimitedError": 429,
    "InternalError": 500,
    "UnavailableError": 503,
}


def kinds() -> dict[str, type[ProblemError]]:
    found = vars(errors).values()
    return {
        kind.__name__: kind
        for kind in found
        if inspect.isclass(kind) and issubclass(kind, ProblemError) and kind is not ProblemError
    }


def test_every_kind_has_its_status() -> None:
    """The kinds and their statuses are a contract; a new kind belongs into this table."""
    assert {name: kind.status for name, kind in kinds().items()} == STATUSES


@pytest.mark.parametrize("kind", kinds().values(), ids=kinds().keys())
def test_a_refusal_carries_code_and_text(kind: type[ProblemError]) -> None:
    """The code is for programs, the text for people, and both are in the exception's own text for the log."""
    error = kind("SOME_CODE", "Some text")

    assert (error.code, error.message, error.fields, error.extra) == ("SOME_CODE", "Some text", (), {})
    assert str(error) == "SOME_CODE: Some text"


def test_unavailable_tells_when_to_come_back() -> None:
    """A 503 always carries Retry-After."""
    assert UnavailableError("X", "x").headers == {"Retry-After": "2"}
    assert UnavailableError("X", "x", retry_after=30).headers == {"Retry-After": "30"}


def test_a_refusal_keeps_its_own_copies() -> None:
    """A caller that goes on changing its dictionaries changes no refusal."""
    headers, extra = {"A": "1"}, {"b": 2}
    error = ConflictError("X", "x", fields=(FieldProblem("/a", "C", "m"),), headers=headers, extra=extra)
    headers.clear()
    extra.clear()

    assert (error.headers, error.extra) == ({"A": "1"}, {"b": 2})
