"""A time given in a query, as aware UTC; it refuses what a database or a calendar cannot hold."""

from datetime import UTC, datetime
from typing import Annotated, Final

from pydantic import AfterValidator

_FIRST_YEAR: Final = 1970


def _utc(value: datetime) -> datetime:
    if value.tzinfo is None:
        return _within(value.replace(tzinfo=UTC))
    try:
        return _within(value.astimezone(UTC))
    except OverflowError:  # 0001-01-01T00:00+14:00 lies before the calendar begins
        raise ValueError("must be a time after 1970") from None


def _within(value: datetime) -> datetime:
    if value.year < _FIRST_YEAR:
        raise ValueError("must be a time after 1970")
    return value


UtcMoment = Annotated[datetime, AfterValidator(_utc)]
"""A date or a time; without a zone it is UTC."""
