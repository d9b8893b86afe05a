"""Refusals of the pack endpoints.

ProblemError
├── NotFoundError            404 PACK_NOT_FOUND
├── ConflictError            409 PACK_NAME_TAKEN, PACK_LIST_CHANGED
├── BadRequestError          400 CONFIRMATION_MISMATCH
└── PreconditionFailedError  412 VERSION_CONFLICT (with the pack as it is)
"""

from service_kit.errors import (
    BadRequestError,
    ConflictError,
    FieldProblem,
    NotFoundError,
    PreconditionFailedError,
)


def pack_not_found() -> NotFoundError:
    return NotFoundError("PACK_NOT_FOUND", "No such credit pack")


def name_taken() -> ConflictError:
    message = "Another pack has this name"
    field = FieldProblem("/name", "PACK_NAME_TAKEN", message)
    return ConflictError("PACK_NAME_TAKEN", message, fields=(field,))


def list_changed() -> ConflictError:
    return ConflictError("PACK_LIST_CHANGED", "The list of packs has changed; load it again")


def confirmation_mismatch() -> BadRequestError:
    return BadRequestError("CONFIRMATION_MISMATCH", "Send confirm with the exact name of the pack")


def version_conflict(current: dict[str, object]) -> PreconditionFailedError:
    return PreconditionFailedError(
        "VERSION_CONFLICT",
        "The pack was changed meanwhile",
        headers={"ETag": f'"{current["version"]}"'},
        extra={"current": current},
    )
