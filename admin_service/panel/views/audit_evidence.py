"""The evidence page (P-18): what the log holds of a period, for printing.

Does not count: it shows what it was given.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from admin_service.audit.evidence import Evidence
from admin_service.panel.views.audit import EVIDENCE_PATH
from admin_service.panel.views.parts import Choice, choices, page_url
from service_kit.audit.export_counts import EventCount

DEFAULT_PERIOD = "90d"
PERIODS: tuple[tuple[str, str], ...] = (("30d", "30 days"), ("90d", "90 days"), ("365d", "One year"))
_PRIVILEGED = ("WARNING", "CRITICAL")


@dataclass(frozen=True, slots=True)
class EvidenceView:
    """P-18. `period` is one of `PERIODS`."""

    template: ClassVar[str] = "audit_evidence.html"
    section: ClassVar[str] = "audit"

    evidence: Evidence
    period: str = DEFAULT_PERIOD

    @property
    def title(self) -> tuple[str, ...]:
        return ("Evidence", "Audit log")

    @property
    def range_choices(self) -> tuple[Choice, ...]:
        return choices(EVIDENCE_PATH, {"range": self.period}, "range", PERIODS)

    @property
    def verify_href(self) -> str:
        return page_url(EVIDENCE_PATH, {"range": self.period, "verify": "1"})

    @property
    def total(self) -> int:
        return sum(one.count for one in self.evidence.events)

    @property
    def privileged(self) -> Sequence[EventCount]:
        """What was recorded as WARNING or worse."""
        return [one for one in self.evidence.events if one.severity in _PRIVILEGED]

    @property
    def refused(self) -> Sequence[EventCount]:
        """What was denied, or failed."""
        return [one for one in self.evidence.events if one.outcome != "success"]
