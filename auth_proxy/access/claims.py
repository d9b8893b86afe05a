"""Turns a token's payload into typed claims, and typed claims into a person.

It checks shape only: signature, issuer, audience and time are `verifier`'s. A person is proven by
shape (C-03), never by `type` alone: Cloudflare signs `type: app` for people and for service tokens.
"""

import re
from dataclasses import dataclass
from typing import Final, NamedTuple

from auth_proxy.refusals import Reason, Refusal
from service_kit.email_address import normalise_email
from service_kit.strict_json import StrictJsonError, parse_object

_MAX_PAYLOAD_BYTES: Final = 16_384
_MAX_AUDIENCES: Final = 64
_MAX_SECONDS: Final = 253_402_300_799  # the last second of the year 9999: milliseconds do not fit
_SUBJECT: Final = re.compile(r"[\x21-\x7e]{0,255}")


@dataclass(frozen=True, slots=True)
class AccessClaims:
    """What a signature proves once it is verified, typed; not yet a person."""

    issuer: str
    audiences: tuple[str, ...]
    subject: str
    email: str | None
    token_type: str | None
    common_name: str | None
    issued_at: int
    expires_at: int
    not_before: int | None
    country: str | None
    identity_nonce: str | None
    key_id: str


class AccessIdentity(NamedTuple):
    """A person, proven by shape (C-03); `issued_at` is not the time of login."""

    sub: str
    email: str
    expires_at: int
    issued_at: int


def parse_claims(payload: bytes, *, key_id: str) -> AccessClaims:
    """The claims in the payload, each of its one type.

    Raises Refusal(TOKEN_CLAIMS) and nothing else; the detail names the claim, never its value.
    """
    try:
        members = parse_object(payload, max_bytes=_MAX_PAYLOAD_BYTES)
    except StrictJsonError as error:
        raise Refusal(Reason.TOKEN_CLAIMS, f"payload: {error}") from None
    _optional_text(members, "jti")  # unused, but what we accept every JWT library must accept
    return AccessClaims(
        issuer=_text(members, "iss"),
        audiences=_audiences(members),
        subject=_subject(members),
        email=_optional_text(members, "email"),
        token_type=_optional_text(members, "type"),
        common_name=_optional_text(members, "common_name"),
        issued_at=_seconds(members, "iat"),
        expires_at=_seconds(members, "exp"),
        # Cloudflare's service tokens carry no nbf: it may be absent, but never wrong.
        not_before=_seconds(members, "nbf") if "nbf" in members else None,
        country=_informative_text(members, "country"),
        identity_nonce=_informative_text(members, "identity_nonce"),
        key_id=key_id,
    )


def require_person(claims: AccessClaims, *, accepted_types: frozenset[str]) -> AccessIdentity:
    """The person behind verified claims (R-015, R-038, C-03).

    Raises Refusal: SERVICE_TOKEN, TOKEN_TYPE, EMAIL_MISSING, SUB_MISSING or EMAIL_MALFORMED.
    """
    if claims.common_name is not None:
        # Even with an email beside it: a client id names a machine.
        raise Refusal(Reason.SERVICE_TOKEN, "common_name is present")
    if claims.token_type not in accepted_types:
        raise Refusal(Reason.TOKEN_TYPE, "type is missing or not accepted")
    if not claims.email:
        raise Refusal(Reason.EMAIL_MISSING)
    if not claims.subject:
        raise Refusal(Reason.SUB_MISSING)
    try:
        email = normalise_email(claims.email)
    except ValueError as error:
        raise Refusal(Reason.EMAIL_MALFORMED, str(error)) from None
    return AccessIdentity(claims.subject, email, claims.expires_at, claims.issued_at)


def _text(members: dict[str, object], name: str) -> str:
    value = members.get(name)
    if not isinstance(value, str) or not value:
        raise _wrong(name)
    return value


def _optional_text(members: dict[str, object], name: str) -> str | None:
    value = members.get(name, "")
    if not isinstance(value, str):
        raise _wrong(name)
    return value if name in members else None


def _informative_text(members: dict[str, object], name: str) -> str | None:
    # No decision reads these; null must not lock anybody out.
    return None if members.get(name) is None else _optional_text(members, name)


def _subject(members: dict[str, object]) -> str:
    # An absent or empty sub is a service token's shape; require_person names that refusal.
    value = members.get("sub", "")
    if not isinstance(value, str) or _SUBJECT.fullmatch(value) is None:
        raise _wrong("sub")
    return value


def _audiences(members: dict[str, object]) -> tuple[str, ...]:
    # Documented as a list; real service tokens were seen with a plain string.
    value = members.get("aud")
    entries = [value] if isinstance(value, str) else value
    if not isinstance(entries, list) or not 0 < len(entries) <= _MAX_AUDIENCES:
        raise _wrong("aud")
    audiences = tuple(entry for entry in entries if isinstance(entry, str) and entry)
    if len(audiences) != len(entries):
        raise _wrong("aud")
    return audiences


def _seconds(members: dict[str, object], name: str) -> int:
    value = members.get(name)
    # bool is an int in Python; 1.7e9 and "1700000000" are times only to a careless reader.
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= _MAX_SECONDS:
        raise _wrong(name)
    return value


def _wrong(name: str) -> Refusal:
    return Refusal(Reason.TOKEN_CLAIMS, f"{name} is missing or of a wrong type")
