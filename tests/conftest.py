"""Fixtures that every test may ask for."""

from tests.fixtures.databases import (
    database_url,
    other_postgres_url,
    postgres_server,
    postgres_url,
    sqlite_url,
)
from tests.fixtures.identities import vouch
from tests.fixtures.sidecar import access_key, sidecar

__all__ = [
    "access_key",
    "database_url",
    "other_postgres_url",
    "postgres_server",
    "postgres_url",
    "sidecar",
    "sqlite_url",
    "vouch",
]
