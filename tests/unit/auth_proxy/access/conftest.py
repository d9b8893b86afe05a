"""Real RSA keys, made once: a key costs a tenth of a second."""

import pytest

from deploy.demo.issuer import AccessIssuer, SigningKey
from tests.fakes.clock import FrozenClock

TEAM = "https://team.cloudflareaccess.com"


@pytest.fixture(scope="session")
def first_key() -> SigningKey:
    return SigningKey.generate()


@pytest.fixture(scope="session")
def second_key() -> SigningKey:
    return SigningKey.generate()


@pytest.fixture(scope="session")
def foreign_key() -> SigningKey:
    """A key that the team never publishes."""
    return SigningKey.generate()


@pytest.fixture
def clock() -> FrozenClock:
    return FrozenClock()


@pytest.fixture
def issuer(clock: FrozenClock, first_key: SigningKey) -> AccessIssuer:
    return AccessIssuer(TEAM, clock, keys=[first_key])
