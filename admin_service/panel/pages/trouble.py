"""What the pages say when the tenant service is away; one wording for all of them."""

from typing import Final

from admin_service.panel.views.parts import Notice

TENANTS_AWAY: Final = Notice(
    "danger",
    "The tenant service does not answer",
    "What it holds is missing from this page: tenants, and their part of the audit log. "
    "Nothing was lost; load the page again in a moment.",
)
