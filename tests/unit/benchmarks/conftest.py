"""Fixtures of the tests that measure for a second."""

import pytest

from tests.fixtures.ports import free_port


@pytest.fixture
def patient_contenders(monkeypatch: pytest.MonkeyPatch) -> None:
    """A contender may start slowly beside other tests, and nobody takes the ports that it was given."""
    monkeypatch.setattr("benchmarks.proof._START_SECONDS", 40.0)
    for module in ("session", "contenders.sidecar", "contenders.nginx_auth"):
        monkeypatch.setattr(f"benchmarks.{module}.free_port", free_port)
