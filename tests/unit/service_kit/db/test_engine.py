"""Database URLs: two kinds, our driver, and no password in an error."""

import stat
from pathlib import Path

import pytest

from service_kit.db.engine import DatabaseUrlError, open_engines, parse_database_url


@pytest.mark.parametrize(
    "text, driver, database",
    [
        ("sqlite:///data/admin.db", "sqlite+aiosqlite", "data/admin.db"),
        ("sqlite:////var/lib/admin.db", "sqlite+aiosqlite", "/var/lib/admin.db"),
        ("postgresql://user:word@host:5432/admin", "postgresql+asyncpg", "admin"),
        ("postgresql+psycopg2://host/admin", "postgresql+asyncpg", "admin"),
    ],
)
def test_a_url_gets_our_driver(text: str, driver: str, database: str) -> None:
    """architecture.md section 8: `sqlite:///…` or `postgresql://…`."""
    url = parse_database_url(text)

    assert (url.drivername, url.database) == (driver, database)
    assert "word" not in str(url)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "word",
        "mysql://user:word@host/db",
        "word://host/db",
        "sqlite://",
        "sqlite:///",
        "postgresql://user:word@host:port/db",
        "postgresql://user@host:word/db",
        "postgresql://user:x@host:word",
    ],
)
def test_everything_else_is_refused_without_being_quoted(text: str) -> None:
    """The value holds a password, and a typo is no reason to print it."""
    with pytest.raises(DatabaseUrlError) as caught:
        parse_database_url(text)

    assert "word" not in str(caught.value)


def test_a_new_database_file_is_private_and_an_old_one_keeps_its_mode(tmp_path: Path) -> None:
    """It holds personal data and keys, whichever command makes it first; an owner's choice stays."""
    old = tmp_path / "old.db"
    old.touch()
    old.chmod(0o640)
    for name in ("new.db", "old.db"):
        open_engines(parse_database_url(f"sqlite:///{tmp_path}/{name}"))

    assert stat.S_IMODE((tmp_path / "new.db").stat().st_mode) == 0o600
    assert stat.S_IMODE(old.stat().st_mode) == 0o640
