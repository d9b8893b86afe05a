"""Times in queries."""

from datetime import UTC, datetime

import pytest
from pydantic import TypeAdapter, ValidationError

from tenant_service.moments import UtcMoment

MOMENT: TypeAdapter[datetime] = TypeAdapter(UtcMoment)


@pytest.mark.parametrize(
    "text", ["2026-01-02", "2026-01-02T00:00:00", "2026-01-02T00:00:00Z", "2026-01-02T02:00:00+02:00"]
)
def test_a_time_is_utc_unless_it_says_otherwise(text: str) -> None:
    """A date is its first instant; a zone is turned into UTC."""
    assert MOMENT.validate_python(text) == datetime(2026, 1, 2, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "soon",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-14:00",
        "1969-12-31",
        "9" * 40,
        "2026-13-01",
    ],
)
def test_what_no_calendar_or_database_holds_is_refused(text: str) -> None:
    """The edges of the calendar are a validation error, not an overflow."""
    with pytest.raises(ValidationError):
        MOMENT.validate_python(text)
