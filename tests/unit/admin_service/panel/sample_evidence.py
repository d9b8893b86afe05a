"""Sample values of the evidence page, intact, broken and empty."""

from datetime import UTC, datetime, timedelta

from admin_service.audit.evidence import Evidence
from admin_service.audit.models import AuditSource
from admin_service.audit.verification import FoundAnchors, FoundBreak, Verification
from admin_service.panel.views.audit_evidence import EvidenceView
from service_kit.audit.export_counts import ActorCount, EventCount
from tests.unit.admin_service.panel.sample_page import Page
from tests.unit.admin_service.panel.sample_values import FRAME

_UNTIL = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
_SINCE = _UNTIL - timedelta(days=90)
_ANCHORS = (
    FoundAnchors(AuditSource.ADMIN, "checked", 41, _UNTIL),
    FoundAnchors(AuditSource.TENANT, "not_configured", 0, None),
)
_COUNTED = Evidence(
    _SINCE,
    _UNTIL,
    [
        EventCount("tenant.created", "NOTICE", "success", 1204),
        EventCount("admin.access.denied", "NOTICE", "denied", 20),
        EventCount("admin.break_glass.used", "CRITICAL", "success", 1),
    ],
    [
        ActorCount("global_admin", "adm_01J8Z000000000000000000000", "sam.ito@example.com", 1205),
        ActorCount("system", "system", "", 17),
    ],
    Verification(True, 41873, None, _ANCHORS, _ANCHORS),
)
_BROKEN = Evidence(
    _SINCE,
    _UNTIL,
    [],
    [],
    Verification(
        False, 7, FoundBreak(AuditSource.TENANT, "global", 8, "", "chain_seq", ""), _ANCHORS, _ANCHORS
    ),
)
EVIDENCE_PAGES = (
    Page("evidence", FRAME, EvidenceView(_COUNTED)),
    Page("evidence-broken", FRAME, EvidenceView(_BROKEN, "30d")),
    Page("evidence-unverified", FRAME, EvidenceView(Evidence(_SINCE, _UNTIL, [], []), "365d")),
)
