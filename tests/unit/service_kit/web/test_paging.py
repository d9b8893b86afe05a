"""Cursors: opaque, bound to their filters, not to be forged."""

import base64
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service_kit.db.keyset import Position
from service_kit.errors import BadRequestError
from service_kit.web.paging import CursorCodec

CODEC = CursorCodec(b"k" * 32)
AT = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
FILTERS = {"event": "tenant.*", "since": AT}
POSITION = Position(AT, "aud_01")


def refused(cursor: str, filters: object = FILTERS, codec: CursorCodec = CODEC) -> bool:
    try:
        codec.decode(cursor, filters)
    except BadRequestError as error:
        return error.code == "INVALID_CURSOR"
    return False


@pytest.mark.parametrize("backward", [True, False])
@pytest.mark.parametrize("at", [AT, AT.replace(microsecond=0), AT.astimezone(timezone(timedelta(hours=2)))])
def test_a_cursor_is_the_position_it_was_made_of(at: datetime, backward: bool) -> None:
    """To the microsecond and with its direction, in characters that stand in a URL."""
    cursor = CODEC.encode(Position(at, "aud_01", backward=backward), FILTERS)

    assert CODEC.decode(cursor, FILTERS) == Position(at, "aud_01", backward=backward)
    assert not set(cursor) & set("+/=&?# ")


def test_a_cursor_belongs_to_its_filters() -> None:
    """The order of the members is no difference; any other one is."""
    cursor = CODEC.encode(POSITION, FILTERS)

    assert not refused(cursor, {"since": AT, "event": "tenant.*"})
    for other in (
        {},
        {"event": "tenant.*"},
        {**FILTERS, "event": "admin.*"},
        {**FILTERS, "hide": False},
        None,
    ):
        assert refused(cursor, other)


def test_a_cursor_of_another_key_is_none() -> None:
    """Another service, or a guess."""
    assert refused(CursorCodec(b"x" * 32).encode(POSITION, FILTERS))


def test_no_bit_of_a_cursor_can_be_changed() -> None:
    """Direction, time and id are under the seal."""
    cursor = CODEC.encode(POSITION, FILTERS)
    raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
    for index in range(len(raw)):
        forged = raw[:index] + bytes([raw[index] ^ 1]) + raw[index + 1 :]
        assert refused(base64.urlsafe_b64encode(forged).decode())
    for length in range(len(raw)):
        assert refused(base64.urlsafe_b64encode(raw[:length]).rstrip(b"=").decode())


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=80) | st.binary(max_size=60).map(lambda raw: base64.urlsafe_b64encode(raw).decode()))
def test_no_text_is_a_cursor(text: str) -> None:
    """400 INVALID_CURSOR, never another exception."""
    assert refused(text)
