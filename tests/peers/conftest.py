"""One proxy for all tests of a module: starting one costs more than asking it."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from deploy.demo.issuer import SigningKey
from tests.fixtures.forward_auth import Proxied, proxied


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(
    peer_name: str, access_key: SigningKey, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Proxied]:
    """The proxy that the module names."""
    async with proxied(peer_name, access_key, tmp_path_factory.mktemp(peer_name)) as under_test:
        yield under_test


@pytest.fixture
def proxy(shared: Proxied) -> Proxied:
    """The same proxy, with nothing of other tests at its upstream."""
    shared.clear()
    return shared


def pytest_configure(config: pytest.Config) -> None:
    """The marker of everything in this folder."""
    config.addinivalue_line("markers", "peers: asks a real nginx, Envoy, Caddy or Traefik")
