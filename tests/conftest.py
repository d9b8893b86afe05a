"""Fixtures that every test may ask for."""

from tests.fixtures.databases import database_url, postgres_server, postgres_url, sqlite_url
from tests.fixtures.identities import vouch

__all__ = ["database_url", "postgres_server", "postgres_url", "sqlite_url", "vouch"]
