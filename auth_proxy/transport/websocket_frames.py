"""Follows the frames of one direction of a websocket (RFC 6455) without taking them apart.

It keeps no payload: frames pass as they came, so fragments, pings, pongs and close codes are the
peers' own. It refuses reserved bits (nobody negotiated compression), a wrong mask, broken
fragmentation, lengths in a longer spelling than needed, and messages beyond the limit.
"""

import struct
from enum import IntEnum
from typing import Final

_CONTINUATION: Final = 0
_CLOSE: Final = 8
_DATA: Final = frozenset({1, 2})
_CONTROL: Final = frozenset({8, 9, 10})
_FIN: Final = 0x80
_RESERVED: Final = 0x70
_MASKED: Final = 0x80
_SHORT: Final = 125
_TWO_BYTES: Final = 126
_MOST_IN_TWO_BYTES: Final = 0xFFFF
_MASK_BYTES: Final = 4


class CloseCode(IntEnum):
    """What the sidecar itself says when it ends a websocket. 44xx are this product's own."""

    GOING_AWAY = 1001
    PROTOCOL_ERROR = 1002
    TOO_BIG = 1009
    TRY_AGAIN_LATER = 1013
    BAD_GATEWAY = 1014
    TOKEN_EXPIRED = 4401
    REVOKED = 4403


class FrameWalk:
    """Where in the frames of one direction the bytes stand that have passed so far."""

    def __init__(self, *, masked: bool, most_message_bytes: int) -> None:
        self._mask_bit = _MASKED if masked else 0
        self._most = most_message_bytes
        self._left = 0
        """Bytes of the current frame's payload that have not passed yet."""
        self._held = b""
        """The beginning of a frame's head; it passes when the whole of it is known to be right."""
        self._message = 0
        self._in_message = False
        self._in_close = False
        self.is_closed = False
        """A whole close frame has passed: nothing more may."""
        self._withholds_close = False
        self.is_answered = False
        """A close frame has come while it was withheld: the source has said all that it will."""
        self.violation: CloseCode | None = None

    @property
    def at_boundary(self) -> bool:
        """Whether a frame of our own could be put in here."""
        return self._left == 0

    def withhold_close(self) -> None:
        """Let no close frame pass from now on: a code of our own takes its place."""
        self._withholds_close = True

    def feed(self, data: bytes, *, one_frame: bool = False) -> bytes:
        """What of the bytes may pass; with `one_frame` only up to the end of the current frame."""
        data, self._held = self._held + data, b""
        position = 0
        while not self._is_over(one_frame=one_frame and position > 0):
            if self._left == 0:
                head = self._head_size(data, position)
                if head == 0 or not self._begin(data[position : position + head]):
                    self._held = data[position:] if self.violation is None else b""
                    break
                position += head
            step = min(self._left, len(data) - position)
            self._left -= step
            position += step
            self.is_closed = self._in_close and self._left == 0
            if position == len(data):
                break
        return data[:position]

    def _is_over(self, *, one_frame: bool) -> bool:
        return (
            self.is_closed
            or self.is_answered
            or self.violation is not None
            or (one_frame and self._left == 0)
        )

    def _head_size(self, data: bytes, position: int) -> int:
        """How long the head of the next frame is; 0 while it is not whole."""
        if len(data) - position < 2:  # noqa: PLR2004 - flags and length
            return 0
        length = data[position + 1] & 0x7F
        size = 2 + {_TWO_BYTES: 2, _TWO_BYTES + 1: 8}.get(length, 0)
        size += _MASK_BYTES if data[position + 1] & _MASKED else 0
        return size if len(data) - position >= size else 0

    def _begin(self, head: bytes) -> bool:
        length, is_shortest = _payload_length(head)
        opcode = head[0] & 0x0F
        if not is_shortest or head[0] & _RESERVED or head[1] & _MASKED != self._mask_bit:
            self.violation = CloseCode.PROTOCOL_ERROR
        elif opcode in _CONTROL:
            fits = head[0] & _FIN and length <= _SHORT and not (opcode == _CLOSE and length == 1)
            self.violation = None if fits else CloseCode.PROTOCOL_ERROR
            self._in_close = opcode == _CLOSE
            self.is_answered = self._in_close and self._withholds_close
        else:
            self._begin_data(opcode, length, is_last=bool(head[0] & _FIN))
        if self.violation is not None or self.is_answered:
            return False
        self._left = length
        return True

    def _begin_data(self, opcode: int, length: int, *, is_last: bool) -> None:
        continues = opcode == _CONTINUATION
        if (not continues and opcode not in _DATA) or continues is not self._in_message:
            self.violation = CloseCode.PROTOCOL_ERROR
            return
        self._message = length + (self._message if continues else 0)
        self._in_message = not is_last
        if self._message > self._most:
            self.violation = CloseCode.TOO_BIG


def _payload_length(head: bytes) -> tuple[int, bool]:
    """The length, and whether it is written in the shortest way."""
    short = head[1] & 0x7F
    if short <= _SHORT:
        return short, True
    if short == _TWO_BYTES:
        (length,) = struct.unpack_from("!H", head, 2)
        return length, length > _SHORT
    (length,) = struct.unpack_from("!Q", head, 2)
    return length, _MOST_IN_TWO_BYTES < length < 1 << 63


def close_frame(code: CloseCode, reason: str, *, mask: bytes = b"") -> bytes:
    """A close frame; towards an upstream it needs a mask of four bytes."""
    payload = struct.pack("!H", code) + reason.encode()[: _SHORT - 2]
    if not mask:
        return bytes((_FIN | _CLOSE, len(payload))) + payload
    masked = bytes(byte ^ mask[place % _MASK_BYTES] for place, byte in enumerate(payload))
    return bytes((_FIN | _CLOSE, _MASKED | len(payload))) + mask + masked
