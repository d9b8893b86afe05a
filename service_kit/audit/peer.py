"""The other service, as far as the audit log is concerned, and the paths under which it shows its notes."""

from collections.abc import Sequence
from typing import Final, Protocol

from service_kit.audit.anchors import After

CHECKPOINTS: Final = "/audit/checkpoints"
WITNESSES: Final = "/audit/witnesses"
KEYS: Final = "/audit/keys"


class Peer(Protocol):
    """The other service, as far as the audit log is concerned."""

    async def notes(self, path: str, after: After | None) -> Sequence[str]:
        """The next notes after a place. Raises UnavailableError."""
        ...
