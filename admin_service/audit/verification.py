"""Verifying the audit log of both services as one: each proves its own part, nothing is copied.

It answers for the whole or not at all: half a proof would be read as a proof.
"""

import asyncio
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from admin_service.audit.errors import AuditSourceUnavailableError
from admin_service.audit.models import AuditSource
from admin_service.audit.service import Reader
from admin_service.tenant_answers import Anchors, AuditProof
from service_kit.audit.proving import Anchored, AuditProver, Proof
from service_kit.audit.verifying import Stretch, printable
from service_kit.errors import UnavailableError


class TenantProof(Protocol):
    """The tenant service, asked to verify its own log in the operator's name."""

    async def audit_proof(self, delegation: str, wanted: Stretch) -> AuditProof:
        """Raises UnavailableError when it does not answer in time."""
        ...


@dataclass(frozen=True, slots=True)
class FoundBreak:
    """Where a chain of one of the services is not what it was."""

    source: AuditSource
    chain: str
    seq: int
    row_id: str
    differs: str
    column: str


@dataclass(frozen=True, slots=True)
class FoundAnchors:
    """Signed checkpoints of one service that were held against its chains."""

    source: AuditSource
    state: str
    checked: int
    newest_at: datetime | None

    @classmethod
    def of(cls, source: AuditSource, anchors: Anchored | Anchors) -> "FoundAnchors":
        return cls(source, str(anchors.state), anchors.checked, anchors.newest_at)


@dataclass(frozen=True, slots=True)
class Verification:
    """The proof of both services' logs, the admin service's break before the tenant service's."""

    ok: bool
    checked: int
    first_break: FoundBreak | None
    checkpoints: tuple[FoundAnchors, ...]
    witness: tuple[FoundAnchors, ...]


class AuditVerification:
    """The merged proof. A verification reads the whole log: a second one waits for the first."""

    def __init__(self, own: AuditProver, tenant: TenantProof) -> None:
        self._own = own
        self._tenant = tenant
        self._one_at_a_time = asyncio.Lock()

    async def verify(self, reader: Reader, wanted: Stretch) -> Verification:
        """Raises AuditSourceUnavailableError when the tenant service's part cannot be proven now."""
        if reader.delegation is None:
            raise AuditSourceUnavailableError
        async with self._one_at_a_time:
            own = await self._own.prove(wanted)
            try:
                theirs = await self._tenant.audit_proof(reader.delegation, wanted)
            except UnavailableError as error:
                raise AuditSourceUnavailableError from error
        return _merged(own, theirs)


def _merged(own: Proof, theirs: AuditProof) -> Verification:
    found: dict[AuditSource, dict[str, Any]] = {}
    if own.breaks:
        found[AuditSource.ADMIN] = printable(own.breaks[0])
    if theirs.first_break is not None:
        found[AuditSource.TENANT] = theirs.first_break.model_dump()
    first = next((FoundBreak(source, **details) for source, details in found.items()), None)
    both = ((AuditSource.ADMIN, own), (AuditSource.TENANT, theirs))
    return Verification(
        ok=own.ok and theirs.ok,
        checked=own.verified.checked + theirs.checked,
        first_break=first,
        checkpoints=tuple(FoundAnchors.of(source, proof.checkpoints) for source, proof in both),
        witness=tuple(FoundAnchors.of(source, proof.witness) for source, proof in both),
    )
