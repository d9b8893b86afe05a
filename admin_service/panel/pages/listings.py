"""The lists of the panel whose look and filters can be chosen and saved, as values."""

from collections.abc import Mapping
from typing import Final

from admin_service.panel.pages.list_tools import Listing
from admin_service.panel.views.audit import AUDIT_PATH
from admin_service.panel.views.list_tools import Column
from admin_service.panel.views.operators import OPERATORS_PATH
from admin_service.panel.views.tenants import TENANTS_PATH
from admin_service.saved_views.models import ListName

TENANTS: Final = Listing(
    ListName.TENANTS,
    TENANTS_PATH,
    (
        Column("email", "Email"),
        Column("plan", "Plan"),
        Column("status", "Status"),
        Column("owner", "Owner"),
        Column("credits", "Credits left"),
        Column("created", "Created"),
    ),
    ("q", "status", "plan", "createdFrom", "createdTo", "lowBalance", "sort"),
)
OPERATORS: Final = Listing(
    ListName.OPERATORS,
    OPERATORS_PATH,
    (
        Column("role", "Role"),
        Column("state", "State"),
        Column("sessions", "Live sessions"),
        Column("active", "Last active"),
    ),
    ("q", "state", "role"),
)
AUDIT: Final = Listing(
    ListName.AUDIT,
    AUDIT_PATH,
    (
        Column("actor", "Actor"),
        Column("resource", "Resource"),
        Column("details", "Details"),
        Column("severity", "Severity"),
        Column("outcome", "Outcome"),
    ),
    (
        "event",
        "action",
        "actorEmail",
        "resourceType",
        "resourceId",
        "organizationId",
        "severity",
        "outcome",
        "from",
        "to",
        "range",
    ),
    makes_file=False,
)
LISTINGS: Final[Mapping[str, Listing]] = {one.name.value: one for one in (TENANTS, OPERATORS, AUDIT)}
