"""The operator's leave to be represented at the tenant service, as the sidecar sent it along."""

from aiohttp import web

from service_kit.errors import NotAuthenticatedError
from service_kit.identity.binding import DELEGATION_HEADER


def delegation_of(request: web.Request) -> str | None:
    """The raw delegation of a request, to be passed on unread; None when the sidecar sent none.

    Raises NotAuthenticatedError for two of them: which one counts is not ours to guess.
    """
    given = request.headers.getall(DELEGATION_HEADER, [])
    if len(given) > 1:
        raise NotAuthenticatedError("INTERNAL_IDENTITY_INVALID", "Invalid internal identity")
    return given[0] if given else None
