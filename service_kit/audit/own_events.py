"""What a service records about its own audit log; both services have these events in their catalogues.

None of them is written for each beat: a witness row needs a chain that has grown, a break is told once.
"""

from typing import Final

from service_kit.audit.events import EventType, Severity, Visibility
from service_kit.audit.guards import ERASED_EVENT

WITNESSED: Final = EventType(
    "audit.checkpoint.witnessed", "witness_checkpoint", Severity.INFO, Visibility.GLOBAL, "audit_checkpoint"
)
"""The other service's chains have grown: its signed checkpoints are kept here (data-model 2.6)."""

BROKEN: Final = EventType(
    "audit.chain.broken", "find_broken_chain", Severity.CRITICAL, Visibility.GLOBAL, "audit_chain"
)
"""A verification found a break that none had found before."""

ERASED: Final = EventType(
    ERASED_EVENT, "erase_personal_data", Severity.WARNING, Visibility.GLOBAL, "personal_data"
)
"""Personal data was erased from rows of this log; which ones, `audit_erasures` tells."""

RESTORED: Final = EventType(
    "audit.database.restored", "restore_database", Severity.CRITICAL, Visibility.GLOBAL, "database"
)
"""A backup was put in the place of the database: what had happened since it was made is not in this log."""

OWN_EVENTS: Final = (WITNESSED, BROKEN, ERASED, RESTORED)
