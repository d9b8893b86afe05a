"""Cursors of the support search: opaque, not to be forged, and worth nothing to another operator.

A cursor holds an id and a page number, never an address: it stands in addresses of pages and in logs.
"""

import base64
import binascii
import hashlib
import hmac
import json
from typing import Final

from service_kit.ids import is_id
from tenant_service.support.errors import invalid_cursor
from tenant_service.support.models import Place, Wanted

_MAC_BYTES: Final = 16


class PlaceCodec:
    """Writes and reads cursors with a key that only the service knows."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def encode(self, place: Place, wanted: Wanted, operator_id: str) -> str:
        payload = json.dumps([place.user_id, place.page_no], separators=(",", ":")).encode()
        mac = self._mac(payload, wanted, operator_id)
        return base64.urlsafe_b64encode(mac + payload).rstrip(b"=").decode()

    def decode(self, cursor: str, wanted: Wanted, operator_id: str) -> Place:
        """Raises BadRequestError `INVALID_CURSOR` unless we made it for this search of this operator."""
        try:
            raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
            mac, payload = raw[:_MAC_BYTES], raw[_MAC_BYTES:]
            if not hmac.compare_digest(mac, self._mac(payload, wanted, operator_id)):
                raise invalid_cursor()
            user_id, page_no = json.loads(payload)
        except (ValueError, binascii.Error) as error:
            raise invalid_cursor() from error
        if not is_id(user_id, "usr"):
            raise invalid_cursor()
        return Place(user_id, page_no)

    def _mac(self, payload: bytes, wanted: Wanted, operator_id: str) -> bytes:
        bound = ["support_users", operator_id, wanted.field, wanted.match, wanted.folded]
        digest = hashlib.sha256(json.dumps(bound).encode()).digest()
        return hmac.new(self._key, digest + payload, hashlib.sha256).digest()[:_MAC_BYTES]
