"""A database server that cannot even be reached: one refusal, whatever the network calls it."""

import os

import pytest

from service_kit.db.session import Database
from service_kit.errors import UnavailableError


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://nobody@nowhere.invalid:5432/none",
        "postgresql://nobody@/none?host=/nowhere/run",
        "postgresql://nobody@127.0.0.1:1/none",
    ],
    ids=["no_such_host", "no_such_socket", "nobody_listens"],
)
async def test_an_unreachable_database_is_unavailable(url: str) -> None:
    """503 with Retry-After, not 500: a name that does not resolve is an outage like any other."""
    database = Database.open(url)
    try:
        with pytest.raises(UnavailableError) as read:
            await database.ping()
        with pytest.raises(UnavailableError) as written:
            async with database.write():
                pytest.fail("must not run")
    finally:
        await database.close()

    for caught in (read, written):
        assert caught.value.headers == {"Retry-After": "2"}
        assert isinstance(caught.value.__cause__, Exception)


async def test_a_database_without_a_route_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    """No route to the host has no class of its own among the operating system's errors."""
    database = Database.open("postgresql://nobody@127.0.0.1:1/none")

    async def no_route(*_given: object, **_named: object) -> None:
        raise OSError(113, os.strerror(113))

    monkeypatch.setattr("asyncpg.connect", no_route)
    with pytest.raises(UnavailableError):
        await database.ping()
    await database.close()
