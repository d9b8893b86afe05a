"""The evidence page (P-18): what the log holds of a period, for printing.

Does not count: it shows what it was given.
"""

from dataclasses import dataclass
from typing import ClassVar

from admin_service.audit.evidence import Evidence
from admin_service.panel.views.audit import EVIDENCE_PATH, PACK_PATH, Stamp
from admin_service.panel.views.parts import Choice, choices, page_url

DEFAULT_PERIOD = "90d"
PERIODS: tuple[tuple[str, str], ...] = (("30d", "30 days"), ("90d", "90 days"), ("365d", "One year"))


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
    def pack_href(self) -> str:
        return page_url(PACK_PATH, {"range": self.period})

    @property
    def stamp(self) -> Stamp:
        """What a printed page says of itself: what it covers, how much, and whether it was verified."""
        proof = self.evidence.verification
        told = (("Period", dict(PERIODS)[self.period]), ("Recorded actions", f"{self.evidence.total:,}"))
        if proof is None:
            return Stamp(told, "Not verified: this page was printed without a verification", "warning")
        if proof.ok:
            return Stamp(told, f"Verified: {proof.checked:,} rows are as they were written", "success")
        return Stamp(told, "NOT INTACT: the log was changed, see Verification", "danger")
