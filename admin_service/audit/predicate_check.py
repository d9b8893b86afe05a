"""Whether a recorded support search was for certain values (R-124); a yes or no, itself recorded.

The digest, its key and the row stand in the tenant service, which also judges and records; this passes
the question on in the operator's own name and keeps none of it.
"""

from typing import Annotated, Final, Literal, Protocol

from pydantic import StringConstraints

from admin_service.delegation import delegation_of
from admin_service.tenant_api import OnBehalf
from service_kit.errors import UnavailableError
from service_kit.identity.model import Permission
from service_kit.web.api import Call, Endpoint
from service_kit.web.schemas import ApiModel, PlainText

_PATH: Final = "/api/admin/audit-logs/predicate-check"

_Text = Annotated[PlainText, StringConstraints(max_length=254)]


class PredicateParams(ApiModel):
    """What is suspected to have been searched for; without `match`, as the row says it was asked."""

    email: _Text = ""
    q: _Text = ""
    match: Literal["exact", "prefix", "contains"] | None = None


class PredicateCheckBody(ApiModel):
    event_id: Annotated[PlainText, StringConstraints(max_length=64)]
    params: PredicateParams


class PredicateVerdictModel(ApiModel):
    matches: bool


class PredicateChecking(Protocol):
    """Who knows the digests."""

    async def check(self, behalf: OnBehalf, event_id: str, params: dict[str, str | None]) -> bool: ...


def endpoints(checking: PredicateChecking) -> tuple[Endpoint, ...]:
    """The one question, for roles that may read of searches at all."""

    async def check(call: Call) -> PredicateVerdictModel:
        body: PredicateCheckBody = call.body
        params = body.params.model_dump(mode="json", by_alias=True)
        return PredicateVerdictModel(matches=await checking.check(_behalf(call), body.event_id, params))

    return (
        Endpoint(
            "POST",
            _PATH,
            Permission.VIEW_ADMIN_AUDIT_EVENTS,
            check,
            "Whether a recorded support search was for these values.",
            body=PredicateCheckBody,
            returns=PredicateVerdictModel,
            errors=(
                "PERMISSION_DENIED",
                "QUERY_INVALID",
                "QUERY_TOO_BROAD",
                "AUDIT_EVENT_NOT_FOUND",
                "PREDICATE_NOT_CHECKABLE",
                "TENANT_SERVICE_UNAVAILABLE",
            ),
        ),
    )


def _behalf(call: Call) -> OnBehalf:
    """Raises UnavailableError when the sidecar gave no leave to ask in the operator's name."""
    delegation = delegation_of(call.request)
    if delegation is None:
        raise UnavailableError("TENANT_SERVICE_UNAVAILABLE", "The tenant service cannot be asked")
    return OnBehalf(delegation, call.origin)
