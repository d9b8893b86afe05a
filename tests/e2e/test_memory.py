"""Memory of the real process while long bodies pass: the guard of what `make bench` measures."""

import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from benchmarks import bulk_upstream
from benchmarks.contenders import sidecar
from benchmarks.given import given
from benchmarks.machine import resident_bytes
from benchmarks.memory_clients import Look, download, stalled_readers, upload
from benchmarks.process import Command, Running, serving
from tests.fixtures.ports import free_port

pytestmark = [pytest.mark.stack, pytest.mark.timeout(120)]

LENGTH = 10**9
MOST_GROWTH = 20_000_000
STALLED, STALLED_LENGTH = 20, 100_000_000


@dataclass(frozen=True, slots=True)
class Relaying:
    """A sidecar in a process of its own, in front of an upstream that takes and gives any length."""

    process: Running
    token: str

    def growth(self, send: Callable[[int, str, int, Look], None], length: int) -> int:
        """The most memory that it ever had more than before, seen every eight megabytes."""
        before = resident_bytes(self.process.pids)
        seen = [before]
        send(self.process.port, self.token, length, lambda: seen.append(resident_bytes(self.process.pids)))
        seen.append(resident_bytes(self.process.pids))
        return max(seen) - before


@pytest.fixture(scope="module")
def relaying(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Relaying]:
    folder, port = tmp_path_factory.mktemp("memory"), free_port()
    upstream = Command((sys.executable, "-m", bulk_upstream.__name__, str(port)), port)
    with serving(upstream, folder / "upstream.log"), given(folder, port) as work:
        command = sidecar.command(work, folder, free_port(), AUTH_PROXY_MAX_BODY=str(2 * LENGTH))
        with serving(command, folder / "sidecar.log") as process:
            yield Relaying(process, work.tokens.read_text(encoding="ascii").split()[0])


@pytest.mark.parametrize("send", [download, upload])
def test_a_long_body_passes_and_stays_nowhere(
    relaying: Relaying, send: Callable[[int, str, int, Look], None]
) -> None:
    """R-007: 1 GB through the sidecar, either way, costs less than 20 MB of its memory."""
    relaying.growth(send, LENGTH // 100)  # what the first body needs is no growth

    assert relaying.growth(send, LENGTH) < MOST_GROWTH


def test_readers_that_do_not_read_hold_the_upstream_back(relaying: Relaying) -> None:
    """R-007: what nobody reads is not taken from the upstream: 2 GB that wait cost less than 20 MB."""

    def stall(port: int, token: str, length: int, look: Look) -> None:
        with stalled_readers(port, token, STALLED, length):
            for _ in range(20):
                time.sleep(0.1)
                look()

    relaying.growth(download, LENGTH // 100)

    assert relaying.growth(stall, STALLED_LENGTH) < MOST_GROWTH
