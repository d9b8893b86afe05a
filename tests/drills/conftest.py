"""What the drills share: their marker."""

import pytest


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "drill: breaks something on purpose, and watches what is lost")
