"""Letters to a tenant about its own standing; they name no operator and no reason."""

from service_kit.jobs.outbox import Message
from service_kit.mail.letter import Letter, one_line
from tenant_service.tenants.models import Organization


def suspension_message(tenant: Organization) -> Message:
    """Tells the tenant's address that it was suspended; one letter for each suspension."""
    name = one_line(tenant.name)
    letter = Letter(
        to=tenant.primary_email,
        subject=f"{name} is suspended",
        text=(
            f"{name} has been suspended, and everybody there was signed out.\n"
            "Nothing was deleted. Please answer this letter if you have questions.\n"
        ),
    )
    return letter.message(
        "tenant_suspended", organization_id=tenant.id, dedupe_key=f"{tenant.id}:{tenant.version}"
    )
