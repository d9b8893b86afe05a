"""The lock beside a SQLite file."""

from pathlib import Path

import pytest

from service_kit.db.process_lock import DatabaseInUseError, sole_process


def test_a_sqlite_file_has_one_process(tmp_path: Path) -> None:
    """A second taker is refused with the file's name; after the first let go the next succeeds."""
    url = f"sqlite:///{tmp_path}/data/tenant.db"

    with (
        sole_process(url),
        pytest.raises(DatabaseInUseError, match=r"tenant\.db is served by another process"),
        sole_process(url),
    ):
        pass
    with sole_process(url):
        assert (tmp_path / "data" / "tenant.db.lock").stat().st_mode & 0o077 == 0


def test_another_file_is_another_lock(tmp_path: Path) -> None:
    """Two databases may be served side by side."""
    with sole_process(f"sqlite:///{tmp_path}/a.db"), sole_process(f"sqlite:///{tmp_path}/b.db"):
        assert {path.name for path in tmp_path.iterdir()} == {"a.db.lock", "b.db.lock"}


def test_postgresql_is_shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Several processes may serve one PostgreSQL database, and no lock file is made."""
    monkeypatch.chdir(tmp_path)

    with sole_process("postgresql://db/tenants"), sole_process("postgresql://db/tenants"):
        assert list(tmp_path.iterdir()) == []
