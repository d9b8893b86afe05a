"""The walk over frames: what may pass, what ends it, and where a frame of our own may stand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auth_proxy.transport.websocket_frames import CloseCode, FrameWalk, close_frame
from tests.fixtures.websockets import BINARY, CLOSE, CONTINUATION, PING, TEXT, close_payload, frame

LIMIT = 1000


def walk(*, masked: bool = True, limit: int = LIMIT) -> FrameWalk:
    return FrameWalk(masked=masked, most_message_bytes=limit)


@st.composite
def conversations(draw: st.DrawFn) -> bytes:
    """Well-formed frames: messages in fragments, with pings between them."""
    sent = b""
    for parts in draw(st.lists(st.lists(st.binary(max_size=300), min_size=1, max_size=3), max_size=4)):
        for number, part in enumerate(parts):
            opcode = CONTINUATION if number else draw(st.sampled_from([TEXT, BINARY]))
            sent += frame(opcode, part, fin=number == len(parts) - 1)
            if draw(st.booleans()):
                sent += frame(PING, b"between")
    return sent


@given(conversations(), st.lists(st.integers(1, 40), min_size=1))
def test_good_frames_pass_unchanged_however_they_are_cut(sent: bytes, sizes: list[int]) -> None:
    """Bytes in any pieces: the same bytes come out, in order, and nothing is left behind."""
    follower, passed, position, turn = walk(), b"", 0, 0
    while position < len(sent):
        size = sizes[turn % len(sizes)]
        passed += follower.feed(sent[position : position + size])
        position, turn = position + size, turn + 1

    assert passed == sent
    assert follower.violation is None
    assert follower.at_boundary


@given(st.binary(max_size=200), st.lists(st.integers(1, 9), min_size=1))
def test_any_bytes_in_any_pieces_are_judged_alike(sent: bytes, sizes: list[int]) -> None:
    """No cut of the stream makes another verdict, and no more passes than was sent."""
    whole, pieces, passed = walk(), walk(), b""
    all_at_once = whole.feed(sent)
    position, turn = 0, 0
    while position < len(sent):
        passed += pieces.feed(sent[position : position + sizes[turn % len(sizes)]])
        position, turn = position + sizes[turn % len(sizes)], turn + 1

    assert passed == all_at_once == sent[: len(passed)]
    assert (pieces.violation, pieces.is_closed) == (whole.violation, whole.is_closed)


def test_nothing_of_a_bad_frame_passes() -> None:
    """What came before it does; a boundary is left, so that the other side can be told."""
    follower = walk()
    assert follower.feed(frame(TEXT, b"good") + frame(TEXT, b"bad", rsv=0x40)) == frame(TEXT, b"good")
    assert (follower.violation, follower.at_boundary) == (CloseCode.PROTOCOL_ERROR, True)
    assert follower.feed(frame(TEXT, b"more")) == b""


def test_nothing_passes_behind_a_close_frame() -> None:
    """RFC 6455 5.5.1: a peer that has closed says nothing more."""
    follower = walk()
    close = frame(CLOSE, close_payload(1000, "bye"))
    assert follower.feed(close + frame(TEXT, b"more")) == close
    assert follower.is_closed
    assert follower.feed(frame(TEXT, b"more")) == b""


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_a_close_frame_that_is_withheld_does_not_pass(size: int) -> None:
    """Everything before it does, in any pieces; a boundary is left, where a code of our own fits in."""
    follower, passed = walk(), b""
    said = frame(TEXT, b"one") + frame(PING, b"two")
    sent = said + frame(CLOSE, close_payload(1000)) + frame(TEXT, b"more")
    follower.withhold_close()
    for position in range(0, len(sent), size):
        passed += follower.feed(sent[position : position + size])

    assert passed == said
    assert (follower.is_answered, follower.is_closed, follower.at_boundary) == (True, False, True)


@pytest.mark.parametrize("masked", [True, False])
def test_each_direction_has_its_mask(masked: bool) -> None:
    """A client masks, a server does not; the other way round is no websocket."""
    good, bad = (b"\1\2\3\4", None) if masked else (None, b"\1\2\3\4")
    assert walk(masked=masked).feed(frame(TEXT, b"x", mask=good)) == frame(TEXT, b"x", mask=good)
    wrong = walk(masked=masked)
    assert wrong.feed(frame(TEXT, b"x", mask=bad)) == b""
    assert wrong.violation is CloseCode.PROTOCOL_ERROR


@pytest.mark.parametrize("fragments", [1, 2, 4])
def test_the_limit_is_the_messages_not_the_frames(fragments: int) -> None:
    """Exactly the limit passes; one byte more does not, in however many fragments."""

    def message(size: int) -> bytes:
        parts = [b"x" * (size // fragments)] * (fragments - 1)
        parts.append(b"x" * (size - sum(map(len, parts))))
        return b"".join(
            frame(CONTINUATION if number else TEXT, part, fin=number == fragments - 1)
            for number, part in enumerate(parts)
        )

    twice = walk()
    assert twice.feed(message(LIMIT) * 2) == message(LIMIT) * 2
    over = walk()
    over.feed(message(LIMIT + 1))
    assert over.violation is CloseCode.TOO_BIG


def test_a_frame_is_finished_and_not_more() -> None:
    """Before the sidecar says goodbye, only the rest of the current frame passes."""
    follower = walk()
    first, second = frame(BINARY, b"x" * 100), frame(BINARY, b"y" * 100)
    assert follower.feed(first[:50]) == first[:50]
    assert not follower.at_boundary
    assert follower.feed(first[50:] + second, one_frame=True) == first[50:]
    assert follower.at_boundary


def test_a_close_frame_of_ours_is_one() -> None:
    """Plain towards a client, masked towards an upstream, and never longer than allowed."""
    plain = close_frame(CloseCode.REVOKED, "PERMISSION_DENIED")
    masked = close_frame(CloseCode.GOING_AWAY, "", mask=b"\1\2\3\4")

    assert plain == frame(CLOSE, close_payload(4403, "PERMISSION_DENIED"), mask=None)
    assert masked == frame(CLOSE, close_payload(1001))
    assert len(close_frame(CloseCode.REVOKED, "x" * 500)) == 127
    assert walk(masked=False).feed(plain) == plain
