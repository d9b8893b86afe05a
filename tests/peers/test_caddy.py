"""Caddy with the shipped configuration, in front of a real sidecar and a recording upstream."""

import pytest

from tests.peers.behaviour import Behaviour

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.peers]


@pytest.fixture(scope="module")
def peer_name() -> str:
    """Which proxy is asked."""
    return "caddy"


class TestCaddy(Behaviour):
    """Caddy asks, obeys, and forwards what was decided on."""
