"""What a service needs to keep its audit log provable, from its settings: key, peer, beat and prover.

Without a peer's address and its pinned keys nothing is fetched and nothing is believed: a witness that took
its keys from the one it watches would be none.
"""

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from prometheus_client import CollectorRegistry

from service_kit.audit.alarm import Alarm, AuditMetrics
from service_kit.audit.anchors import Checkpoints, Witnesses
from service_kit.audit.beat import AuditBeat
from service_kit.audit.http_peer import HttpPeer
from service_kit.audit.patrol import Patrol
from service_kit.audit.peer import Peer
from service_kit.audit.proving import AuditProver, Proof
from service_kit.audit.publishing import Shown
from service_kit.audit.recorder import AuditRecorder
from service_kit.audit.tables import AuditTables
from service_kit.audit.verifying import ChainVerifier, Stretch
from service_kit.clock import Clock
from service_kit.db.key_files import data_folder
from service_kit.db.session import Database
from service_kit.identity.keys import (
    KeyFileError,
    SigningKey,
    load_signing_keys,
    new_signing_key,
    parse_public_jwks,
)
from service_kit.ids import IdFactory


@dataclass(frozen=True, slots=True)
class AuditKeeping:
    """How one service keeps its log: its name, its key, and the other service where one is named."""

    service: str
    other: str
    key_file: Path
    peer_url: str | None = None
    peer_keys_file: Path | None = None

    @property
    def peer(self) -> Peer | None:
        return HttpPeer(self.peer_url) if self.peer_url is not None else None

    def signing_keys(self) -> tuple[SigningKey, ...]:
        """The keys, one being made at the first start. Raises KeyFileError."""
        try:
            if not self.key_file.exists():
                with contextlib.suppress(FileExistsError):  # another replica was first
                    new_signing_key(self.key_file)
        except OSError as error:
            raise KeyFileError(f"{self.key_file}: cannot be made: {error.strerror}") from error
        return load_signing_keys(self.key_file)

    def peer_keys(self) -> Mapping[str, Ed25519PublicKey]:
        """The pinned keys of the other service. Raises KeyFileError."""
        if self.peer_keys_file is None:
            return {}
        try:
            return parse_public_jwks(self.peer_keys_file.read_bytes())
        except (OSError, KeyFileError) as error:
            raise KeyFileError(f"{self.peer_keys_file}: cannot be read as a JWK set") from error

    def prover(self, database: Database, tables: AuditTables) -> AuditProver:
        """For a command, which only reads. No key file is no key: then no signature is proven."""
        return AuditProver(database, tables, self.service, self._public_keys, self.peer)

    def watched_prover(
        self, database: Database, tables: AuditTables, clock: Clock, metrics: AuditMetrics
    ) -> AuditProver:
        """For the service: a break that it finds is recorded, once."""
        alarm = Alarm(database, tables, AuditRecorder(tables, IdFactory(clock), clock), metrics)

        async def told(wanted: Stretch, proof: Proof) -> None:
            await alarm.tell(proof.breaks)
            if wanted.is_everything:
                metrics.whole_log(broken=not proof.ok, rows=proof.verified.checked, at=clock.now())

        return AuditProver(database, tables, self.service, self._public_keys, self.peer, on_proof=told)

    def _public_keys(self) -> Mapping[str, Ed25519PublicKey]:
        keys = load_signing_keys(self.key_file) if self.key_file.exists() else ()
        return {key.kid: key.private.public_key() for key in keys}

    def beat(
        self,
        database: Database,
        tables: AuditTables,
        clock: Clock,
        shown: Shown,
        metrics: AuditMetrics | None = None,
    ) -> AuditBeat:
        """The beat, not yet begun, and its notes on the operations listener. Raises KeyFileError."""
        metrics = metrics or AuditMetrics(CollectorRegistry(), self.service)
        recorder = AuditRecorder(tables, IdFactory(clock), clock)
        alarm = Alarm(database, tables, recorder, metrics)
        checkpoints = Checkpoints(database, tables, self.service, self.signing_keys(), clock, alarm=alarm)
        shown.open(database, tables, checkpoints)
        verifier = ChainVerifier(database, tables)
        patrol = Patrol(verifier, self.prover(database, tables), alarm, clock)
        if self.peer_keys_file is None:
            return AuditBeat(checkpoints, None, None, patrol, metrics)
        witnesses = Witnesses(database, tables, self.other, self.peer_keys(), clock, recorder=recorder)
        return AuditBeat(checkpoints, witnesses, self.peer, patrol, metrics)


def default_key_file(database_url: str, service: str) -> Path:
    """In the data folder of the service."""
    return data_folder(database_url) / f"{service}-audit.pem"
