"""The boot exchange of seed 3: thin, and without a rule of its own."""

from typing import Final

from aiohttp import web

from admin_service.sessions.cookie import SessionCookie
from admin_service.sessions.schemas import SessionModel
from admin_service.sessions.service import SessionService
from admin_service.sessions.upstreams import SESSION_CHECK
from service_kit.web.api import Audience, Call, Endpoint, Reply

_EXCHANGE: Final = "/api/access-sso"
_TOKEN_HEADER: Final = "X-AX-Token"
_OWN_ROW: Final = ("PERMISSION_DENIED", "ENROLLMENT_REQUIRED", "ACCOUNT_DEACTIVATED")


def endpoints(sessions: SessionService, cookie: SessionCookie) -> tuple[Endpoint, ...]:
    """Begin or renew a session, end it, and ask whether a token is one."""

    async def exchange(call: Call) -> Reply:
        minted = await sessions.exchange(call, cookie.values(call.request))
        headers = {**cookie.carrying(minted.token), **minted.allowance.headers}
        return Reply(SessionModel.of(minted.live), headers=headers)

    async def end(call: Call) -> Reply:
        await sessions.end(call, cookie.values(call.request))
        return Reply(None, status=204, headers=cookie.cleared())

    async def check(call: Call) -> SessionModel:
        return SessionModel.of(await sessions.check(call.actor, _token(call.request)))

    return (
        Endpoint(
            "POST",
            _EXCHANGE,
            Audience.OPERATOR,
            exchange,
            "Exchange the proven identity for a session cookie; a repeat renews it.",
            returns=SessionModel,
            errors=("RATE_LIMITED", *_OWN_ROW),
        ),
        Endpoint(
            "DELETE",
            _EXCHANGE,
            Audience.OPERATOR,
            end,
            "End the session of the cookie and clear the cookie.",
            status=204,
            errors=_OWN_ROW,
        ),
        Endpoint(
            "GET",
            SESSION_CHECK,
            Audience.PERSON,
            check,
            "Whether X-AX-Token holds a live session of this person; every failure has one answer.",
            returns=SessionModel,
            errors=("SESSION_INVALID", *_OWN_ROW),
        ),
    )


def _token(request: web.Request) -> str:
    """The token to check; none, or more than one, is no token."""
    given = request.headers.getall(_TOKEN_HEADER, [])
    return given[0] if len(given) == 1 else ""
