"""The roster as values: its entries, the difference between two of them, and the lines of the feed."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from service_kit.identity.model import Role


@dataclass(frozen=True, slots=True)
class Entry:
    """One enrolled operator; `active` is False once the row is deactivated."""

    id: str
    sub: str
    email: str
    name: str
    role: Role
    active: bool

    def as_dict(self) -> dict[str, object]:
        return {
            "id": self.id,
            "sub": self.sub,
            "email": self.email,
            "name": self.name,
            "role": self.role.value,
            "active": self.active,
        }


@dataclass(frozen=True, slots=True)
class Roster:
    """Every enrolled operator at one version."""

    version: int
    entries: Mapping[str, Entry]
    changed_at: float = 0.0
    """When the row that changed last was written (Unix), by the clock of the service that wrote it."""

    def snapshot_line(self) -> bytes:
        operators = [entry.as_dict() for entry in self.entries.values()]
        return _line({"type": "snapshot", "version": self.version, "operators": operators})

    def change_line(self, before: "Roster") -> bytes:
        """What a reader of `before` must apply to hold this roster; `changedAt` is for its metrics only."""
        upserts = [
            entry.as_dict() for entry in self.entries.values() if before.entries.get(entry.id) != entry
        ]
        removed = [entry_id for entry_id in before.entries if entry_id not in self.entries]
        change = {"version": self.version, "changedAt": self.changed_at}
        return _line({"type": "change", **change, "upserts": upserts, "removed": removed})


def heartbeat_line(version: int) -> bytes:
    return _line({"type": "heartbeat", "version": version})


def _line(document: Mapping[str, object]) -> bytes:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
