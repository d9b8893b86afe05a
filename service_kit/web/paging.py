"""Keyset cursors: opaque, bound to the filters they were made for, and not to be forged.

There is no OFFSET anywhere: a page far back costs what the first one costs.
"""

import base64
import binascii
import hashlib
import hmac
import json
from datetime import datetime
from typing import Final

from service_kit.db.keyset import Position
from service_kit.errors import BadRequestError

_MAC_BYTES: Final = 16


class CursorCodec:
    """Writes and reads cursors with a key that only the service knows."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def encode(self, position: Position, filters: object) -> str:
        direction = "b" if position.backward else "f"
        payload = json.dumps(
            [position.at.isoformat(), position.id, direction], separators=(",", ":")
        ).encode()
        return base64.urlsafe_b64encode(self._mac(payload, filters) + payload).rstrip(b"=").decode()

    def decode(self, cursor: str, filters: object) -> Position:
        """Raises BadRequestError `INVALID_CURSOR` for a cursor of other filters, or no cursor of ours."""
        try:
            raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
            mac, payload = raw[:_MAC_BYTES], raw[_MAC_BYTES:]
            if not hmac.compare_digest(mac, self._mac(payload, filters)):
                raise _invalid()
            at, row_id, direction = json.loads(payload)
            return Position(datetime.fromisoformat(at), row_id, backward=direction == "b")
        except (ValueError, binascii.Error) as error:
            raise _invalid() from error

    def _mac(self, payload: bytes, filters: object) -> bytes:
        bound = json.dumps(filters, sort_keys=True, default=str).encode()
        digest = hashlib.sha256(bound).digest()
        return hmac.new(self._key, digest + payload, hashlib.sha256).digest()[:_MAC_BYTES]


def _invalid() -> BadRequestError:
    return BadRequestError("INVALID_CURSOR", "The cursor does not belong to this list")
