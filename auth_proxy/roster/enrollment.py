"""Claiming an operator's row at the admin service with a one-time token (R-061).

The token goes to the admin service and nowhere else; every failed claim is the same refusal.
"""

from typing import Final

import aiohttp
from pydantic import BaseModel, ConfigDict, ValidationError

from auth_proxy.forwarding import Headers
from auth_proxy.refusals import Reason, Refusal
from auth_proxy.roster.admin_link import AdminLink
from auth_proxy.roster.feed import FeedRoster
from auth_proxy.roster.source import OperatorEntry
from service_kit.identity.model import Role
from service_kit.identity.signing import SigningError

CLAIM_TARGET: Final = "/internal/v1/enrollments/claim"
_MOST_TOKEN: Final = 200


class _Claimed(BaseModel):
    model_config = ConfigDict(extra="ignore")

    id: str
    email: str
    name: str
    role: Role
    version: int


class FeedEnrollment:
    """Claims through the admin service, and lets the roster know at once."""

    def __init__(self, link: AdminLink, roster: FeedRoster) -> None:
        self._link = link
        self._roster = roster

    async def claim(self, sub: str, email: str, token: str, origin: Headers) -> OperatorEntry:
        """Raises Refusal: ENROLLMENT_FAILED, ENROLLMENT_LIMITED, ROSTER_UNAVAILABLE or CANNOT_VOUCH."""
        if len(token) > _MOST_TOKEN:
            raise Refusal(Reason.ENROLLMENT_FAILED, "too long to be a token")
        try:
            body = {"sub": sub, "email": email, "token": token}
            async with self._link.request("POST", CLAIM_TARGET, json=body, headers=dict(origin)) as response:
                status, answer = response.status, await response.read()
        except SigningError as error:
            raise Refusal(Reason.CANNOT_VOUCH) from error
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise Refusal(Reason.ROSTER_UNAVAILABLE, "the claim got no answer") from error
        known = self._roster.learn(*_claimed(status, answer, sub))
        if known is None:
            raise Refusal(Reason.ENROLLMENT_FAILED, "the operator is gone again")
        return known


def _claimed(status: int, answer: bytes, sub: str) -> tuple[OperatorEntry, int]:
    """The operator, and the roster version from which on the feed tells of it."""
    match status:
        case 200:
            return _read(answer, sub)
        case 403:
            raise Refusal(Reason.ENROLLMENT_FAILED)
        case 429:
            raise Refusal(Reason.ENROLLMENT_LIMITED)
        case _:
            raise Refusal(Reason.ROSTER_UNAVAILABLE, f"the claim was answered with {status}")


def _read(answer: bytes, sub: str) -> tuple[OperatorEntry, int]:
    try:
        claimed = _Claimed.model_validate_json(answer)
    except ValidationError as error:
        raise Refusal(Reason.ROSTER_UNAVAILABLE, "the claim's answer is no operator") from error
    entry = OperatorEntry(claimed.id, sub, claimed.email, claimed.name, claimed.role, active=True)
    return entry, claimed.version
