"""Denials as a sidecar reports them, for tests."""

from typing import Any

from admin_service.denials.models import Denial
from tests.fakes.clock import START

SUB = "sub-stranger"


def denial(**members: Any) -> Denial:
    """A person without an operator row, refused once."""
    usual = {
        "reason": "enrollment_required",
        "sub": SUB,
        "email": "stranger@example.com",
        "operator_id": None,
        "route": "/manage",
        "count": 1,
        "first_at": START,
        "last_at": START,
        "ip": "203.0.113.9",
        "user_agent": "Firefox",
        "request_id": "req_denied",
    }
    return Denial(**{**usual, **members})


def reported(**members: Any) -> dict[str, Any]:
    """The same as JSON."""
    usual = {
        "reason": "enrollment_required",
        "sub": SUB,
        "email": "stranger@example.com",
        "operatorId": None,
        "route": "/manage",
        "count": 1,
        "firstAt": START.isoformat(),
        "lastAt": START.isoformat(),
        "ip": "203.0.113.9",
        "userAgent": "Firefox",
        "requestId": "req_denied",
    }
    return {**usual, **members}
