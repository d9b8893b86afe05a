"""Forms of the tenants' pages: proven to be ours, and bound to who was given them."""

from aiohttp import web

from service_kit.errors import ForbiddenError
from service_kit.web.forms import CSRF_FIELD, Form, read_form, require_own_origin
from tenant_service.public.registry import Visit


def token_for(visit: Visit, form: str) -> str:
    """The hidden token of a form that this visitor is shown."""
    return visit.plane.tokens.issue(_subject(visit), form)


async def proven_form(visit: Visit, form: str) -> Form:
    """The form, after all three proofs. Raises ForbiddenError, and what `read_form` raises."""
    require_own_origin(visit.request, {visit.plane.origin(visit.visitor)})
    given = await read_form(visit.request)
    if not visit.plane.tokens.is_valid(given.fields.get(CSRF_FIELD, ""), _subject(visit), form):
        raise ForbiddenError("FORM_EXPIRED", "This form is too old: go back, load the page again and retry")
    return given


def see_other(path: str) -> web.Response:
    """Where a browser goes after a form, so that "reload" sends nothing again."""
    return web.Response(status=303, headers={"Location": path, "Cache-Control": "no-store"})


def _subject(visit: Visit) -> str:
    if visit.signed_in is not None:
        return visit.signed_in.session_id
    return f"nobody at {visit.visitor.tenant.id}"
