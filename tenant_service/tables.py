"""Every table of the tenant service's database, in one place; it holds no connection."""

from functools import cache

from service_kit.audit.tables import AuditTables
from service_kit.db.columns import new_metadata
from service_kit.db.service_keys import service_keys_table
from service_kit.jobs.tables import JobTables
from service_kit.web.idempotency import idempotency_table
from tenant_service.accounts.models import connected_accounts_table
from tenant_service.billing.tables import BillingTables
from tenant_service.flags.models import feature_flags_table
from tenant_service.invitations.models import invitations_table
from tenant_service.people.models import PeopleTables, rate_limit_hits_table
from tenant_service.tenants.models import organizations_table, slug_tombstones_table


class Tables:
    """The schema as the code of this version wants it."""

    def __init__(self) -> None:
        self.metadata = new_metadata()
        self.organizations = organizations_table(self.metadata)
        self.slug_tombstones = slug_tombstones_table(self.metadata)
        self.invitations = invitations_table(self.metadata)
        self.connected_accounts = connected_accounts_table(self.metadata)
        self.feature_flags = feature_flags_table(self.metadata)
        self.people = PeopleTables(self.metadata)
        self.rate_limit_hits = rate_limit_hits_table(self.metadata)
        self.idempotency = idempotency_table(self.metadata)
        self.service_keys = service_keys_table(self.metadata)
        self.audit = AuditTables(self.metadata)
        self.jobs = JobTables(self.metadata)
        self.billing = BillingTables(self.metadata)


@cache
def schema() -> Tables:
    """The one description of the schema in this process.

    It never changes while the code does not. Two of them would be different tables to SQLAlchemy, which would
    compile every statement twice, and making one takes a twentieth of a second.
    """
    return Tables()
