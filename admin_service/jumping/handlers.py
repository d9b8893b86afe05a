"""The endpoint of the jump search: thin, and without a rule of its own."""

from admin_service.delegation import delegation_of
from admin_service.jumping.finding import Asking, JumpSearch
from admin_service.jumping.schemas import JumpQuery, JumpResults
from admin_service.tenant_api import OnBehalf
from service_kit.web.api import Audience, Call, Endpoint


def endpoints(search: JumpSearch) -> tuple[Endpoint, ...]:
    """`GET /api/admin/search`: any operator asks, and finds what their role sees."""

    async def find(call: Call) -> JumpResults:
        query: JumpQuery = call.query
        delegation = delegation_of(call.request)
        behalf = OnBehalf(delegation, call.origin) if delegation is not None else None
        return JumpResults.of(await search.find(Asking(call.actor, query.q, behalf)))

    return (
        Endpoint(
            "GET",
            "/api/admin/search",
            Audience.OPERATOR,
            find,
            "Ids, slugs, tenants, packs and operators by what somebody typed; never a tenant's people.",
            query=JumpQuery,
            returns=JumpResults,
            errors=("PERMISSION_DENIED", "QUERY_INVALID"),
        ),
    )
