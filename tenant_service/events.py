"""The event catalogue of the tenant service (http-api 3.3): what its audit rows may say."""

from typing import Final

from service_kit.audit.events import EventType, Severity, Visibility

TENANT_CREATED: Final = EventType(
    name="tenant.created",
    action="create_tenant",
    severity=Severity.NOTICE,
    visibility=Visibility.DUAL,
    resource_type="tenant",
)
"""An operator made a tenant and invited its owner (R-102)."""

CATALOGUE: Final = (TENANT_CREATED,)
