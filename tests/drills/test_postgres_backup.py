"""PostgreSQL copied and brought back with the very lines of docs/backup.md, while a service writes."""

import asyncio
import itertools
import re
import shutil
import tempfile
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from textwrap import dedent

import pytest

from admin_service.app import MIGRATIONS as ADMIN_MIGRATIONS
from admin_service.tables import AUDIT
from deploy.local.postgres import make_databases, owner_url
from service_kit.audit.verifying import ChainVerifier
from service_kit.db.migrations import migrate
from service_kit.db.session import Database
from tests.drills.one_service import one_service
from tests.drills.own_postgres import OwnPostgres, own_postgres
from tests.e2e.test_replicas import (
    House,
    require_audit_pairs,
    require_ledger,
    require_tenants_and_invitations,
)
from tests.fakes.clock import FrozenClock
from tests.fixtures.replicas import Clients, Done, identity_of
from tests.fixtures.standalone import ROOT
from tests.integration.service_kit.audit.tampering import filled

pytestmark = [pytest.mark.drill, pytest.mark.stack, pytest.mark.postgres, pytest.mark.timeout(180)]

SECTION = (
    (ROOT / "docs" / "backup.md").read_text(encoding="utf-8").split("## PostgreSQL\n")[1].split("\n## ")[0]
)
DUMP, RESTORE, ARCHIVE, COPY, RECOVER, VERIFY = map(
    dedent, re.findall(r"(?:^ {4}.+\n)+", SECTION, re.MULTILINE)
)
EXAMPLE_MOMENT = "2026-03-01 11:58:00+00"
OWNERS = ("admin", "tenant")


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    """Where the owners' passwords lie, the same on each server."""
    for name in OWNERS:
        (tmp_path / f"{name}-owner.password").write_text(f"{name}-of-this-drill", encoding="utf-8")
    return tmp_path


@pytest.fixture
def backups() -> Iterator[Path]:
    """A folder that whoever runs the server may write to, where pytest's own are not."""
    folder = Path(tempfile.mkdtemp(prefix="pgb", dir="/tmp"))
    folder.chmod(0o777)
    (folder / "wal").mkdir()
    (folder / "wal").chmod(0o777)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
async def source(secrets: Path) -> AsyncIterator[OwnPostgres]:
    async with own_postgres() as server:
        make_databases(server.server.get_uri(), secrets)
        yield server


def url_of(postgres: OwnPostgres, owner: str, secrets: Path) -> str:
    return owner_url(postgres.server.get_uri(), owner, secrets)


def urls(postgres: OwnPostgres, secrets: Path) -> dict[str, str]:
    return {f"{owner.upper()}_DATABASE_URL": url_of(postgres, owner, secrets) for owner in OWNERS}


def named(done: Mapping[str, Sequence[Done]]) -> set[str]:
    """What names each change that somebody was told is done."""
    return {identity_of(kind, each.answer) for kind, changes in done.items() for each in changes}


async def held(house: House) -> set[str]:
    """What names each change in the database."""
    tables = ("organizations", "invitations", "credit_grants", "credit_txns")
    rows = await house.sql(" UNION ALL ".join(f"SELECT id FROM {table}" for table in tables))
    return {str(row["id"]) for row in rows}


async def changes(clients: Clients, more: int) -> None:
    """Wait until so many more changes were acknowledged."""
    wanted = sum(clients.answered.values()) + more
    async with asyncio.timeout(60):
        while sum(clients.answered.values()) < wanted:
            await asyncio.sleep(0.05)


async def dumped(postgres: OwnPostgres, words: str, folder: Path) -> list[str]:
    """The lines of a dump, but for the words that differ in each."""
    text = await postgres.shell(f"pg_dump {words}", folder)
    return [line for line in text.splitlines() if not re.match(r"\\(un)?restrict |SET row_security", line)]


async def schemas(postgres: OwnPostgres, folder: Path) -> list[list[str]]:
    """Tables, triggers, policies and rights of both databases."""
    return [await dumped(postgres, f"--schema-only sallyport_{owner}", folder) for owner in OWNERS]


async def require_that_owners_see_all(postgres: OwnPostgres, secrets: Path, folder: Path) -> None:
    """Row-level security leaves out nothing of what the superuser, for whom it does not hold, would dump."""
    for owner in OWNERS:
        own = await dumped(
            postgres, f"--data-only --enable-row-security '{url_of(postgres, owner, secrets)}'", folder
        )
        whole = await dumped(postgres, f"--data-only sallyport_{owner}", folder)
        assert len(whole) > 100
        assert own == whole


async def require_proven(house: House) -> None:
    assert VERIFY.count("tenant-service audit verify") == VERIFY.count("tenant-service ledger verify") == 1
    proofs = await asyncio.gather(house.command("audit", "verify"), house.command("ledger", "verify"))
    assert [proof["ok"] for proof in proofs] == [True, True]


async def require_that_it_serves(house: House) -> None:
    """What was brought back is proven, takes new changes, and is proven with them."""
    await require_proven(house)
    was, answered = await held(house), named(house.clients.done)
    house.clients.numbers = itertools.count(1_000)  # keys that nobody has used
    for change in (house.clients.create, house.clients.grant, house.clients.consume):
        await change()
    new = named(house.clients.done) - answered
    assert len(new) == 3
    assert not new & was
    await require_proven(house)


async def require_the_admin_log(url: str, rows: int) -> None:
    database = Database.open(url)
    verified = await ChainVerifier(database, AUDIT).verify()
    await database.close()
    assert (verified.ok, verified.checked) == (True, rows)


async def test_dumps_of_live_databases_are_whole_on_another_server(
    source: OwnPostgres, secrets: Path, backups: Path
) -> None:
    """Issue 10, R-006: each owner dumps its own under load; the other server has every row, rule and right.

    What was acknowledged before is there, also to a client that repeats it; logs and ledger are proven.
    """
    admin = Database.open(url_of(source, "admin", secrets))
    await migrate(admin, ADMIN_MIGRATIONS)
    await filled(admin, FrozenClock())
    rows = (await ChainVerifier(admin, AUDIT).verify()).checked
    await admin.close()
    async with one_service(url_of(source, "tenant", secrets), secrets) as house:
        async with house.clients.at_work():
            await changes(house.clients, 20)
            before = named(house.clients.done)
            await source.shell(DUMP, backups, urls(source, secrets))
            await changes(house.clients, 10)
        after = named(house.clients.done)
    await require_that_owners_see_all(source, secrets, backups)

    async with own_postgres() as other:
        make_databases(other.server.get_uri(), secrets)
        await other.shell(RESTORE, backups, urls(other, secrets))
        same = await schemas(source, backups) == await schemas(other, backups)
        await require_the_admin_log(url_of(other, "admin", secrets), rows)
        async with one_service(url_of(other, "tenant", secrets), secrets) as restored:
            have = await held(restored)
            await restored.clients.create()  # the very first change again, with its key
            again = named(restored.clients.done), restored.clients.replayed
            await require_that_it_serves(restored)
    print(f"\n{len(before)} changes acknowledged before the dump, {len(before - have)} of them lost")

    assert same
    assert rows > 0
    assert before <= have
    assert after - have, "it was no dump of a database that is written"
    assert again[0] <= before
    assert again[1] == 1


async def test_a_mistake_is_undone_by_going_back_to_the_moment_before(secrets: Path, backups: Path) -> None:
    """Issue 10: from a copy taken under load, and the archive: all until the moment, and nothing after."""

    def placed(text: str) -> str:
        return text.replace("/var/backups", str(backups))

    async with own_postgres(placed(ARCHIVE).splitlines()) as source:
        make_databases(source.server.get_uri(), secrets)
        async with one_service(url_of(source, "tenant", secrets), secrets) as house:
            async with house.clients.at_work():
                await changes(house.clients, 10)
                await source.shell(placed(COPY), backups)
                await changes(house.clients, 20)
            good = defaultdict(list, {kind: [*done] for kind, done in house.clients.done.items()})
            ((moment,),) = [row.values() for row in await house.sql("SELECT clock_timestamp()")]
            await asyncio.sleep(0.2)
            await house.clients.create()
            await house.clients.grant()
            bad = named(house.clients.done) - named(good)
            await archived(source, house)

    base = backups / "base"
    with (base / "postgresql.auto.conf").open("a", encoding="utf-8") as settings:
        settings.write(placed(RECOVER).replace(EXAMPLE_MOMENT, str(moment)))
    (base / "recovery.signal").touch()
    async with (
        own_postgres(data=base) as other,
        one_service(url_of(other, "tenant", secrets), secrets) as restored,
    ):
        have = await held(restored)
        house.clients.done = good
        seen = replace(restored, clients=house.clients)
        await require_tenants_and_invitations(seen)
        await require_audit_pairs(seen)
        await require_ledger(seen)
        await require_that_it_serves(restored)
    kept = named(good)
    print(f"\n{len(kept)} changes until the moment, {len(kept - have)} of them lost; {len(bad)} undone")

    assert kept <= have
    assert len(bad) == 2
    assert not bad & have
    assert EXAMPLE_MOMENT in RECOVER


async def archived(source: OwnPostgres, house: House) -> None:
    """Wait until the archive has everything that was written so far."""
    ((file,),) = [
        row.values() for row in await house.sql("SELECT pg_walfile_name(pg_current_wal_insert_lsn())")
    ]
    await source.administer("SELECT pg_switch_wal()")
    await house.until(
        f"SELECT count(*) AS n FROM pg_stat_archiver WHERE last_archived_wal >= '{file}'", 1, seconds=30
    )
