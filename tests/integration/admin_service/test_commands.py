"""`admin-service migrate` and `seed-admin` as a person at a shell sees them (R-077)."""

import asyncio
import hashlib
import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from sqlalchemy.engine import make_url

from admin_service.app import MIGRATIONS
from admin_service.cli import main
from service_kit.db.process_lock import DatabaseInUseError, sole_process
from tests.fixtures.databases import newest_revision

SEED = ["seed-admin", "--email", " Ada@Example.com ", "--name", "Ada Lovelace"]


@pytest.fixture
def environ(database_url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The one variable that these commands need."""
    monkeypatch.setenv("ADMIN_DATABASE_URL", database_url)
    return database_url


def rows(url: str, query: str) -> list[dict[str, Any]]:
    """What the database holds, read without our own code."""
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
            connection.row_factory = sqlite3.Row
            return [dict(row) for row in connection.execute(query)]

    async def fetch() -> list[dict[str, Any]]:
        parts = make_url(url)
        connection = await asyncpg.connect(
            host=parts.query.get("host") or parts.host,
            port=parts.port,
            user=parts.username,
            password=parts.password or None,
            database=parts.database,
        )
        try:
            return [dict(row) for row in await connection.fetch(query)]
        finally:
            await connection.close()

    return asyncio.run(fetch())


def test_seeding_makes_the_first_super_admin_once(environ: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The first call makes a pending super_admin and prints its token; the second exits 3 (R-077)."""
    assert main([*SEED, "--json"]) == 0
    seeded = json.loads(capsys.readouterr().out)

    assert main(SEED) == 3
    again = capsys.readouterr()
    operators = rows(environ, "SELECT * FROM global_admins")
    audit = rows(environ, "SELECT * FROM audit_events ORDER BY chain_seq")

    assert len(operators) == 1
    row = operators[0]
    assert (row["email"], row["name"], row["role"]) == ("ada@example.com", "Ada Lovelace", "super_admin")
    assert row["cf_access_sub"] is None
    digest = hashlib.sha256(seeded["enrollmentToken"].encode()).hexdigest()
    assert row["enrollment_token_hash"] == digest
    assert [one["event"] for one in audit] == ["admin.operator.created", "admin.enrollment.issued"]
    assert {(one["actor_type"], one["actor_id"]) for one in audit} == {("system", "system")}
    assert "enr_" not in again.out + again.err
    assert "there is an operator already" in again.err


def test_the_text_block_shows_the_token_once(environ: str, capsys: pytest.CaptureFixture[str]) -> None:
    """For a person: one block with the token on a line of its own, and nothing on standard error."""
    assert main(SEED) == 0

    shown = capsys.readouterr()
    token = next(line.strip() for line in shown.out.splitlines() if line.strip().startswith("enr_"))
    digest = hashlib.sha256(token.encode()).hexdigest()

    assert rows(environ, "SELECT enrollment_token_hash AS hash FROM global_admins") == [{"hash": digest}]
    assert shown.out.count("enr_") == 1
    assert shown.err == ""


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--email", "nobody", "--name", "Ada"], "--email"),
        (["--email", "ada@example.com", "--name", " "], "--name"),
    ],
)
def test_a_wrong_argument_is_named(
    sqlite_url: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    complaint: str,
) -> None:
    """A wrong address or name exits 2, says which, and touches no database."""
    monkeypatch.setenv("ADMIN_DATABASE_URL", sqlite_url)

    assert main(["seed-admin", *arguments]) == 2
    assert capsys.readouterr().err.startswith(complaint)
    assert not Path(sqlite_url.removeprefix("sqlite:///")).exists()


def test_migrate_says_the_revision(environ: str, capsys: pytest.CaptureFixture[str]) -> None:
    """`migrate` upgrades, says where it arrived, and may be repeated."""
    assert main(["migrate"]) == 0
    assert main(["migrate"]) == 0
    assert capsys.readouterr().out == f"the database is at revision {newest_revision(MIGRATIONS)}\n" * 2


def test_wrong_settings_are_named_together(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`run` without its settings exits 2 and names every variable, a line each."""
    for name in (
        "TENANT_SERVICE_URL",
        "INTERNAL_JWKS_URL",
        "INTERNAL_JWKS_FILE",
        "ADMIN_HOST",
        "ADMIN_ORIGIN",
    ):
        monkeypatch.delenv(name, raising=False)

    assert main(["run"]) == 2
    lines = capsys.readouterr().err.splitlines()

    assert [line.split(":")[0] for line in lines] == [
        "TENANT_SERVICE_URL",
        "INTERNAL_JWKS_FILE",
        "ADMIN_ORIGIN",
    ]


def test_a_sqlite_database_serves_one_process(sqlite_url: str) -> None:
    """A second holder of the lock is refused at once; after the first has gone it gets it."""
    with (
        sole_process(sqlite_url),
        pytest.raises(DatabaseInUseError, match="another process"),
        sole_process(sqlite_url),
    ):
        pass

    with sole_process(sqlite_url):
        pass
