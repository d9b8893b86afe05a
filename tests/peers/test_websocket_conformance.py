"""The relay of websockets, judged by a third party: the Autobahn cases, driven by kosoku.

An echo server is asked directly and through a sidecar; what it passes alone has to pass behind one.
"""

from collections.abc import Mapping
from pathlib import Path

import pytest

from deploy.demo.issuer import SigningKey
from tests.fixtures.websockets import websocket_sidecar
from tests.peers.websocket_suite import (
    MOST_MESSAGE_BYTES,
    Verdict,
    echo_server,
    installed_suite,
    introduced,
    verdicts,
)

pytestmark = [pytest.mark.peers, pytest.mark.timeout(120)]

COMPRESSION = ("12.*", "13.*")
"""Left out of the comparison: permessage-deflate, which the relay negotiates with neither side."""
LEAST_CASES = 300
"""As many have to be run and, but for a few of the echo server's own faults, passed."""
LEAST_PASSED = 295


@pytest.fixture
def limit() -> dict[str, str]:
    """The environment of a sidecar that takes the suite's longest message."""
    return {"AUTH_PROXY_WEBSOCKET_MAX_MESSAGE": str(MOST_MESSAGE_BYTES)}


async def test_the_relay_passes_what_a_direct_connection_passes(
    access_key: SigningKey, tmp_path: Path, limit: Mapping[str, str]
) -> None:
    """R-007: frames, fragments, pings, UTF-8, close codes, reserved bits and sizes get the same verdict."""
    suite = installed_suite()
    async with (
        echo_server() as upstream,
        websocket_sidecar(access_key, tmp_path, f"http://127.0.0.1:{upstream}", **limit) as sidecar,
        introduced(sidecar) as relayed,
    ):
        alone = await verdicts(suite, upstream, without=COMPRESSION)
        behind = await verdicts(suite, relayed, without=COMPRESSION)
        # The suite's patience is a second: what a busy machine spoiled is asked again, a defect fails twice.
        if again := _worse(alone, behind):
            behind |= await verdicts(suite, relayed, only=again)

    assert len(alone) >= LEAST_CASES
    assert sum(verdict.has_passed for verdict in alone.values()) >= LEAST_PASSED
    assert behind.keys() == alone.keys()
    assert _worse(alone, behind) == {}


@pytest.mark.filterwarnings(
    # The suite's own cases of compression leave their files of test data open.
    "ignore:Exception ignored in. <_io.FileIO:pytest.PytestUnraisableExceptionWarning"
)
async def test_compression_is_declined_and_nothing_breaks(
    access_key: SigningKey, tmp_path: Path, limit: Mapping[str, str]
) -> None:
    """Where client and server would compress, the relay lets neither; the websocket still ends cleanly."""
    suite, some = installed_suite(), ("12.1.1", "13.1.1", "13.7.1")
    async with (
        echo_server(compress=True) as upstream,
        websocket_sidecar(access_key, tmp_path, f"http://127.0.0.1:{upstream}", **limit) as sidecar,
        introduced(sidecar) as relayed,
    ):
        alone = await verdicts(suite, upstream, only=some)
        behind = await verdicts(suite, relayed, only=some)

    assert {verdict.behavior for verdict in alone.values()} == {"OK"}
    assert behind.keys() == set(some)
    assert {(verdict.behavior, verdict.closing) for verdict in behind.values()} == {("UNIMPLEMENTED", "OK")}


def _worse(alone: Mapping[str, Verdict], behind: Mapping[str, Verdict]) -> dict[str, Verdict]:
    """What passes alone, and behind a sidecar not, or less strictly."""
    return {
        case: found
        for case, found in behind.items()
        if (alone[case].has_passed and not found.has_passed) or alone[case].behavior == "OK" != found.behavior
    }
