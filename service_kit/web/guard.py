"""The gate of a service: no request passes without a proven internal identity.

It answers 401 for every path, also for paths that do not exist: a stranger learns nothing here. It
believes no other header about who asks; the request id and the client's address count only because
they come from the sidecar together with a proof.
"""

import ipaddress
import secrets
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Middleware
from prometheus_client import CollectorRegistry, Counter

from service_kit.errors import NotAuthenticatedError, UnavailableError
from service_kit.identity.binding import DELEGATION_HEADER, IDENTITY_HEADER
from service_kit.identity.model import InternalIdentity
from service_kit.identity.verifying import (
    IdentityReason,
    IdentityRejectedError,
    IdentityVerifier,
    KeysNotLoadedError,
)
from service_kit.telemetry.logging import get_logger
from service_kit.web.problems import REQUEST_ID, Handler

IDENTITY: Final = web.RequestKey("identity", InternalIdentity)
REQUEST_ID_HEADER: Final = "X-Request-Id"
_MOST_REQUEST_ID: Final = 64
_KEYS_NOT_LOADED: Final = "keys_not_loaded"

_log = get_logger(__name__)


class GuardMetrics:
    """How often a service refused an identity, by reason."""

    def __init__(self, registry: CollectorRegistry, namespace: str) -> None:
        self.refused = Counter(
            "identity_refused_total",
            "Requests refused for their internal identity, by reason.",
            ["reason"],
            namespace=namespace,
            registry=registry,
        )
        for reason in (*IdentityReason, _KEYS_NOT_LOADED):  # an alert sees the first one only from 0 on
            self.refused.labels(str(reason))


def guard_middleware(
    verifier: IdentityVerifier, metrics: GuardMetrics, *, accepts_delegation: bool = False
) -> Middleware:
    """Prove who asks before anything else happens.

    With `accepts_delegation` another service may ask in an operator's name; a request that carries
    both kinds of proof is ambiguous and refused.
    """

    async def identify(request: web.Request) -> InternalIdentity:
        identities = request.headers.getall(IDENTITY_HEADER, [])
        delegations = request.headers.getall(DELEGATION_HEADER, []) if accepts_delegation else []
        if not identities and not delegations:
            raise IdentityRejectedError(IdentityReason.MISSING)
        if len(identities) + len(delegations) > 1:
            raise IdentityRejectedError(IdentityReason.DUPLICATED)
        if delegations:
            return await verifier.verify_delegation(delegations[0], method=request.method)
        return await verifier.verify(identities[0], method=request.method, target=request.raw_path)

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            request[IDENTITY] = await identify(request)
        except IdentityRejectedError as error:
            metrics.refused.labels(error.reason.value).inc()
            _log.warning("identity_refused", reason=error.reason.value, method=request.method)
            missing = error.reason is IdentityReason.MISSING
            raise NotAuthenticatedError(
                "INTERNAL_IDENTITY_REQUIRED" if missing else "INTERNAL_IDENTITY_INVALID",
                "Internal identity required" if missing else "Invalid internal identity",
            ) from None
        except KeysNotLoadedError:
            metrics.refused.labels(_KEYS_NOT_LOADED).inc()
            raise UnavailableError("IDENTITY_KEYS_UNAVAILABLE", "The identity keys are not loaded") from None
        request[REQUEST_ID] = _request_id(request)
        return await handler(request)

    return middleware


def _request_id(request: web.Request) -> str:
    given = request.headers.get(REQUEST_ID_HEADER, "")
    fits = 0 < len(given) <= _MOST_REQUEST_ID and given.isascii() and given.replace("_", "").isalnum()
    return given if fits else f"req_{secrets.token_hex(13)}"


def origin_of(request: web.Request) -> tuple[str, str]:
    """The client's address and user agent as the sidecar passed them on; for audit rows only."""
    first = request.headers.get("X-Forwarded-For", "").split(",")[0].strip()
    try:
        # A zone id may hold anything, and an address is kept in audit rows.
        ip = "" if "%" in first else str(ipaddress.ip_address(first))
    except ValueError:
        ip = ""
    # Bytes that are no UTF-8 arrive as lone surrogates, which no database and no header can hold.
    agent = request.headers.get("User-Agent", "")[:300].encode("utf-8", "replace").decode()
    return ip, agent
