"""The states of a tenant and the ways between them (data-model 2.7); pure: values in, values out.

            suspend ──▶            delete ──▶
    active            suspended               deleted ──purge (30 days)──▶ purged
            ◀── restore            ◀── undelete

A tenant that was suspended when it was deleted is suspended again after its return: whoever undoes a
deletion has not thereby judged the suspension. Nothing leads out of a purged tenant.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from tenant_service.tenants.errors import TenantDeletedError, TenantPurgedError
from tenant_service.tenants.models import Organization, TenantStatus

GRACE: Final = timedelta(days=30)
"""How long a deleted tenant can come back (G-11)."""

PURGED_NAME: Final = "Deleted tenant"


@dataclass(frozen=True, slots=True)
class Step:
    """Who takes a step, when and why."""

    by: str
    at: datetime
    reason: str = ""


def suspended(tenant: Organization, step: Step) -> Organization:
    """The tenant, suspended; the same value when it is already. Raises TenantDeletedError."""
    living(tenant)
    if tenant.status is TenantStatus.SUSPENDED:
        return tenant
    return _moved(
        replace(
            tenant,
            status=TenantStatus.SUSPENDED,
            suspended_at=step.at,
            suspended_by=step.by,
            suspension_reason=step.reason or None,
        ),
        step,
    )


def restored(tenant: Organization, step: Step) -> Organization:
    """The suspended tenant, active; the same value when it is already. Raises TenantDeletedError."""
    living(tenant)
    if tenant.status is TenantStatus.ACTIVE:
        return tenant
    return _moved(
        replace(
            tenant,
            status=TenantStatus.ACTIVE,
            suspended_at=None,
            suspended_by=None,
            suspension_reason=None,
        ),
        step,
    )


def deleted(tenant: Organization, step: Step) -> Organization:
    """The tenant, deleted and to be purged after the time of grace; the same value when it is already."""
    if tenant.status is TenantStatus.DELETED:
        return tenant
    return _moved(
        replace(
            tenant,
            status=TenantStatus.DELETED,
            deleted_at=step.at,
            deleted_by=step.by,
            deletion_reason=step.reason or None,
            purge_after=step.at + GRACE,
        ),
        step,
    )


def undeleted(tenant: Organization, step: Step) -> Organization:
    """The deleted tenant as it was before. Raises TenantPurgedError once its time of grace is over.

    The clock decides, not the purge job: a late job opens no door.
    """
    if tenant.purged_at is not None or tenant.purge_after is None or step.at >= tenant.purge_after:
        raise TenantPurgedError
    was = TenantStatus.ACTIVE if tenant.suspended_at is None else TenantStatus.SUSPENDED
    return _moved(
        replace(
            tenant,
            status=was,
            deleted_at=None,
            deleted_by=None,
            deletion_reason=None,
            purge_after=None,
        ),
        step,
    )


def purged(tenant: Organization, step: Step) -> Organization:
    """The deleted tenant without what it said of people: id, slug, times and operators stay."""
    return _moved(
        replace(
            tenant,
            name=PURGED_NAME,
            primary_email="",
            suspension_reason=None,
            deletion_reason=None,
            purged_at=step.at,
        ),
        step,
    )


def living(tenant: Organization) -> Organization:
    """The tenant itself. Raises TenantDeletedError."""
    if tenant.status is TenantStatus.DELETED:
        raise TenantDeletedError
    return tenant


def _moved(tenant: Organization, step: Step) -> Organization:
    return replace(tenant, updated_at=step.at, version=tenant.version + 1)
