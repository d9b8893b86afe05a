"""The job that proves the ledger and raises the alarm: a CRITICAL audit row and a metric (data-model 2.4)."""

from collections import defaultdict
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Gauge

from service_kit.audit.events import SYSTEM, AuditEntry, Outcome
from service_kit.db.session import Database
from tenant_service.billing.credits.verifying import LedgerVerifier, Mismatch, Verified
from tenant_service.billing_events import PROJECTION_MISMATCH
from tenant_service.recording import Recorder

_MOST_NAMED = 20


class LedgerMetrics:
    """What an SRE is woken by."""

    def __init__(self, registry: CollectorRegistry, namespace: str) -> None:
        self.mismatched = Gauge(
            "ledger_mismatched_accounts",
            "Tenants whose totals were not what the ledger says, at the last proof.",
            namespace=namespace,
            registry=registry,
        )
        self.proven = Gauge(
            "ledger_proven_postings",
            "Postings that the last proof of the ledger read.",
            namespace=namespace,
            registry=registry,
        )


@dataclass(frozen=True, slots=True)
class LedgerWatch:
    """Runs the proof and tells of what it finds; it mends nothing."""

    database: Database
    verifier: LedgerVerifier
    recorder: Recorder
    metrics: LedgerMetrics

    async def prove(self) -> Verified:
        """Prove the whole ledger; one audit row for each tenant that does not add up."""
        verified = await self.verifier.verify()
        by_tenant: defaultdict[str, list[Mismatch]] = defaultdict(list)
        for mismatch in verified.mismatches:
            by_tenant[mismatch.organization_id].append(mismatch)
        for organization_id, found in by_tenant.items():
            async with self.database.write() as session:
                await self.recorder.record(session, _entry(organization_id, found))
        self.metrics.mismatched.set(len(by_tenant))
        self.metrics.proven.set(verified.postings)
        return verified


def _entry(organization_id: str, found: list[Mismatch]) -> AuditEntry:
    named = [
        {"what": mismatch.what, "ledger": mismatch.ledger, "stored": mismatch.stored}
        for mismatch in found[:_MOST_NAMED]
    ]
    return AuditEntry(
        event=PROJECTION_MISMATCH,
        actor=SYSTEM,
        resource_id=organization_id,
        organization_id=organization_id,
        outcome=Outcome.FAILURE,
        details={"count": len(found), "mismatches": named},
    )
