"""A key source without a network: it answers what a test says, when a test says."""

import asyncio
import json

from auth_proxy.access.errors import RefreshOutcome
from deploy.demo.issuer import SigningKey


def jwk_document(*keys: SigningKey) -> bytes:
    return json.dumps({"keys": [key.jwk() for key in keys]}).encode()


class FakeKeySource:
    """Answers `answer` (or raises it) to each read; while `open_gate` is clear, reads wait."""

    def __init__(self, answer: bytes | Exception = b"") -> None:
        self.answer = answer
        self.reads = 0
        self.open_gate = asyncio.Event()
        self.open_gate.set()

    def publish(self, *keys: SigningKey) -> None:
        self.answer = jwk_document(*keys)

    async def read(self) -> bytes:
        self.reads += 1
        await self.open_gate.wait()
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


class RecordingObserver:
    """Keeps what a `KeySetObserver` is told."""

    def __init__(self) -> None:
        self.outcomes: list[RefreshOutcome] = []
        self.unknown_kids = 0

    def refresh(self, outcome: RefreshOutcome) -> None:
        self.outcomes.append(outcome)

    def unknown_kid(self) -> None:
        self.unknown_kids += 1
