"""One running gate per test module, and a look at its log after each test."""

import logging
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from deploy.demo.issuer import SigningKey
from tests.fixtures.witnessed import Witnessed, secrets_of, witnessed


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running_gate(
    access_key: SigningKey, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Witnessed]:
    """The gate of a whole module; tests ask for `gate`."""
    async with witnessed(access_key, tmp_path_factory.mktemp("gate")) as running:
        yield running


@pytest.fixture
def gate(
    running_gate: Witnessed, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> Iterator[Witnessed]:
    """The module's gate with nothing arrived yet; whatever it logs must hold no token and no traceback."""
    running_gate.forget()
    caplog.set_level(logging.INFO)
    yield running_gate
    said = "".join(capfd.readouterr()) + caplog.text
    assert [part for part in secrets_of(running_gate.tokens.values()) if part in said] == []
    assert "Traceback" not in said
    assert "gate_failed" not in said
