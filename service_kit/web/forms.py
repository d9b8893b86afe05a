"""Reading forms of HTML pages, and the three proofs that a form is ours: Origin, fetch metadata, token.

It refuses before it reads: a foreign Origin is turned away with its body unread. It judges no
field's meaning; the service that owns the data does.
"""

import base64
import binascii
import hashlib
import hmac
import json
import re
import secrets
import unicodedata
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import parse_qsl

from aiohttp import web

from service_kit.clock import Clock
from service_kit.errors import BadRequestError, ForbiddenError, PayloadTooLargeError, UnsupportedMediaError
from service_kit.web.api import read_in_time

MOST_FORM_BYTES: Final = 64 * 1024
MOST_FIELDS: Final = 50
TOKEN_SECONDS: Final = 12 * 60 * 60
CSRF_FIELD: Final = "csrf_token"
IDEMPOTENCY_FIELD: Final = "idempotency_key"

_FORM_TYPE: Final = "application/x-www-form-urlencoded"
_TOKEN: Final = re.compile(r"(?P<expiry>[0-9]{1,12})\.(?P<mac>[A-Za-z0-9_-]{43})")
_IDEMPOTENCY_KEY: Final = re.compile(r"[A-Za-z0-9_-]{16,64}")


@dataclass(frozen=True, slots=True)
class Form:
    """The fields of one submitted form; each name stands once."""

    fields: Mapping[str, str] = field(default_factory=dict)

    def text(self, name: str) -> str:
        """What was typed, without the spaces around it; empty when the field is absent."""
        return self.fields.get(name, "").strip()

    @property
    def idempotency_key(self) -> str:
        """The hidden key that makes a second submit harmless. Raises BadRequestError when it is not ours."""
        key = self.fields.get(IDEMPOTENCY_FIELD, "")
        if not _IDEMPOTENCY_KEY.fullmatch(key):
            raise _malformed("the form's key is missing")
        return key


def new_idempotency_key() -> str:
    """A key for one form; nobody guesses another operator's."""
    return secrets.token_urlsafe(24)


def require_own_origin(request: web.Request, origins: Collection[str]) -> None:
    """Raise ForbiddenError `ORIGIN_REJECTED` unless the browser says that our own page sent this.

    The sidecar has checked it already (R-097); a route-table mistake there must open nothing here.
    """
    given = request.headers.getall("Origin", [])
    if len(given) != 1 or given[0] not in origins:
        raise _foreign()
    # Absent in browsers that do not send it; "none" is a typed address, which is never a POST.
    if request.headers.getall("Sec-Fetch-Site", ["same-origin"]) != ["same-origin"]:
        raise _foreign()


async def read_form(request: web.Request) -> Form:
    """The form of this request.

    Refuses other media types, more than 64 KiB, a field given twice (two readers might pick different
    ones) and control characters. Raises the ProblemError that says which.
    """
    if request.content_type != _FORM_TYPE:
        raise UnsupportedMediaError("UNSUPPORTED_MEDIA_TYPE", f"Send {_FORM_TYPE}")
    if (request.content_length or 0) > MOST_FORM_BYTES:
        raise _too_large()
    raw = await read_in_time(request)
    if len(raw) > MOST_FORM_BYTES:
        raise _too_large()
    return Form(_fields(raw))


def _fields(raw: bytes) -> dict[str, str]:
    try:
        pairs = parse_qsl(
            raw.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=MOST_FIELDS
        )
    except ValueError:  # too many fields, or bytes that are not UTF-8
        raise _malformed("the form cannot be read") from None
    fields: dict[str, str] = {}
    for name, value in pairs:
        if name in fields:
            raise _malformed("a field is given more than once")
        if any(map(_is_control, name + value)):
            raise _malformed("a field holds a control character")
        fields[name] = value
    return fields


def _is_control(character: str) -> bool:
    # A tab can be pasted into any text field by accident: the owner of the data names that field.
    return character != "\t" and unicodedata.category(character) in {"Cc", "Cs"}


class FormTokens:
    """Tokens that tie a form to the person it was made for (http-api 3.0, CSRF).

    A token says who, which form and until when, under a key that only this service's replicas know.
    """

    def __init__(self, key: bytes, clock: Clock) -> None:
        self._key = key
        self._clock = clock

    def issue(self, subject: str, form: str) -> str:
        """A token for twelve hours."""
        expiry = int(self._clock.now().timestamp()) + TOKEN_SECONDS
        mac = self._mac(subject, form, expiry)
        return f"{expiry}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"

    def is_valid(self, token: str, subject: str, form: str) -> bool:
        """Whether the token was issued for exactly this person and form, and is not too old."""
        parts = _TOKEN.fullmatch(token)
        if parts is None:
            return False
        expiry = int(parts["expiry"])
        given = _decoded(parts["mac"])
        return hmac.compare_digest(given, self._mac(subject, form, expiry)) and expiry > self._now()

    def _mac(self, subject: str, form: str, expiry: int) -> bytes:
        # JSON keeps the three apart: no subject can end where a form's name begins.
        covered = json.dumps([subject, form, expiry], separators=(",", ":")).encode()
        return hmac.new(self._key, covered, hashlib.sha256).digest()

    def _now(self) -> float:
        return self._clock.now().timestamp()


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text + "=", altchars=b"-_", validate=True)
    except binascii.Error:
        return b""


def _foreign() -> ForbiddenError:
    return ForbiddenError("ORIGIN_REJECTED", "The request did not come from this site")


def _too_large() -> PayloadTooLargeError:
    return PayloadTooLargeError("BODY_TOO_LARGE", "The body is larger than 64 KiB")


def _malformed(what: str) -> BadRequestError:
    return BadRequestError("FORM_INVALID", f"The form is not valid: {what}")
