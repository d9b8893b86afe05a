"""What a frontend asks at boot, answered by the sidecar where no admin service mints sessions.

It tells who asks and for how long the proof holds; it sets no cookie and keeps nothing (R-162, R-164).
"""

import json
from datetime import UTC, datetime

from aiohttp import web

from auth_proxy.pipeline.exchange import SignedGrant
from auth_proxy.refusal_rendering import SERVER
from auth_proxy.refusals import Reason, Refusal
from service_kit.identity.model import OPERATOR_PERMISSIONS


class BootExchange:
    """The target of `POST /api/access-sso` on a sidecar of its own."""

    async def forward(
        self, signed: SignedGrant, request: web.BaseRequest, request_id: str
    ) -> web.StreamResponse:
        """200 with the operator. Raises Refusal(INTERNAL_ERROR) for a grant without one: a wrong route."""
        operator = signed.grant.operator
        if operator is None:
            raise Refusal(Reason.INTERNAL_ERROR, "the boot exchange needs an operator")
        permissions = sorted(permission.value for permission in OPERATOR_PERMISSIONS[operator.role])
        document = {
            "operator": {
                "id": operator.id,
                "email": signed.grant.person.email,
                "name": operator.name,
                "role": operator.role.value,
                "permissions": permissions,
            },
            "expiresAt": datetime.fromtimestamp(signed.grant.person.expires_at, UTC).isoformat(),
        }
        response = web.Response(
            body=json.dumps(document, ensure_ascii=False).encode(),
            content_type="application/json",
            headers={
                "Cache-Control": "no-store",
                "X-Content-Type-Options": "nosniff",
                "X-Request-Id": request_id,
                "Server": SERVER,
            },
        )
        await response.prepare(request)
        await response.write_eof()
        return response
