"""The one refusal of everything that cannot be recorded (R-102, R-121): nothing was done, nothing is shown.

It tells nothing of the cause: that is for the log, and there without a value of the row.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from service_kit.db.session import is_away
from service_kit.errors import InternalError
from service_kit.telemetry.logging import get_logger

AUDIT_WRITE_FAILED: Final = "AUDIT_WRITE_FAILED"

_log = get_logger(__name__)


class AuditWriteFailedError(InternalError):
    """The transaction that asked for the row ends with this, and is undone."""

    def __init__(self) -> None:
        super().__init__(
            AUDIT_WRITE_FAILED, "It could not be recorded in the audit log, so nothing was done or shown"
        )


@contextmanager
def recording(event: str) -> Iterator[None]:
    """Around the writing of a row. A database that is away stays what it is, so that it is tried again.

    Raises AuditWriteFailedError for a row that the database refuses.
    """
    try:
        yield
    except SQLAlchemyError as error:
        if is_away(error):
            raise
        cause = type(error.orig if isinstance(error, DBAPIError) else error).__name__
        _log.error("audit_write_failed", audit_event=event, cause=cause)
        raise AuditWriteFailedError from error
