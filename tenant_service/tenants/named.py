"""The tenant that a request names, by id or by slug."""

from service_kit.db.session import ReadSession
from service_kit.ids import is_id
from tenant_service.tenants.errors import TenantNotFoundError
from tenant_service.tenants.models import Organization
from tenant_service.tenants.repository import TenantRepository
from tenant_service.tenants.slugs import broken_rule


async def named_tenant(
    tenants: TenantRepository, session: ReadSession, reference: str, *, hold: bool = False
) -> Organization:
    """The tenant; with `hold` its row stays locked until the commit. Raises TenantNotFoundError.

    A slug names a living tenant; a deleted one is found by its id.
    """
    # Only what has the shape of an id or slug reaches the database: PostgreSQL has no NUL in text.
    tenant = None
    if is_id(reference, "org"):
        tenant = await tenants.by_id(session, reference, hold=hold)
    elif broken_rule(reference, frozenset()) is None:
        tenant = await tenants.by_slug(session, reference, hold=hold)
    if tenant is None:
        raise TenantNotFoundError
    return tenant
