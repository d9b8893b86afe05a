"""The detail of an operator and the endpoints of their sessions: thin, and without a rule of their own."""

from dataclasses import dataclass
from typing import Final

from admin_service.delegation import delegation_of
from admin_service.operators.named import named_operator
from admin_service.oversight.schemas import ListedSessionsModel, OperatorDetailModel
from admin_service.oversight.service import OversightService, Sessions
from service_kit.identity.model import Permission
from service_kit.web.api import Audience, Call, Endpoint, Reply, require_access
from service_kit.web.versions import etag

_OPERATOR: Final = "/api/admin/global-admins/{id}"
_MANAGE: Final = Permission.MANAGE_GLOBAL_ADMINS
_REFUSED: Final = ("PERMISSION_DENIED", "OPERATOR_NOT_FOUND", "ENROLLMENT_REQUIRED", "ACCOUNT_DEACTIVATED")


@dataclass(frozen=True, slots=True)
class _Handlers:
    oversight: OversightService
    sessions: Sessions

    async def detail(self, call: Call) -> Reply:
        seen = await self.oversight.overview(call, named_operator(call), delegation_of(call.request))
        return Reply(OperatorDetailModel.of_overview(seen), headers=etag(seen.operator.version))

    async def list_sessions(self, call: Call) -> ListedSessionsModel:
        _require_own_or_manager(call)
        return ListedSessionsModel.of(await self.sessions.list_of(call, named_operator(call)))

    async def end_sessions(self, call: Call) -> Reply:
        _require_own_or_manager(call)
        await self.sessions.end_all_of(call, named_operator(call))
        return Reply(None, status=204)

    async def end_session(self, call: Call) -> Reply:
        _require_own_or_manager(call)
        await self.sessions.end_one(call, named_operator(call), call.path("sid"))
        return Reply(None, status=204)


def endpoints(oversight: OversightService, sessions: Sessions) -> tuple[Endpoint, ...]:
    """What can be seen of one operator; anybody sees and ends their own sessions."""
    handle = _Handlers(oversight, sessions)
    return (
        Endpoint(
            "GET",
            _OPERATOR,
            _MANAGE,
            handle.detail,
            "One operator with their live sessions and last actions; ETag is the version.",
            returns=OperatorDetailModel,
            errors=_REFUSED,
        ),
        Endpoint(
            "GET",
            f"{_OPERATOR}/sessions",
            Audience.OPERATOR,
            handle.list_sessions,
            "The live sessions of an operator: one's own, or anybody's for who manages operators.",
            returns=ListedSessionsModel,
            errors=_REFUSED,
        ),
        Endpoint(
            "DELETE",
            f"{_OPERATOR}/sessions",
            Audience.OPERATOR,
            handle.end_sessions,
            "End every session of an operator: one's own, or anybody's for who manages operators.",
            status=204,
            errors=_REFUSED,
        ),
        Endpoint(
            "DELETE",
            _OPERATOR + "/sessions/{sid}",
            Audience.OPERATOR,
            handle.end_session,
            "End one session of an operator: one's own, or anybody's for who manages operators.",
            status=204,
            errors=("SESSION_NOT_FOUND", *_REFUSED),
        ),
    )


def _require_own_or_manager(call: Call) -> None:
    """A refusal here names who may; the service asks again, under the rows' locks."""
    if call.path("id") != call.actor.operator_id:
        require_access(call.actor, _MANAGE)
