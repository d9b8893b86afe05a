"""Erasing personal data: it goes, the chain stays, an audit row tells, and nothing else is let through."""

import argparse
from datetime import timedelta

import pytest
from sqlalchemy import text

from service_kit.audit import erasing
from service_kit.audit.chain import digest_of
from service_kit.audit.erase_command import WrongArgumentsError, add_erase_arguments, erase
from service_kit.audit.erasing import Basis, PersonalDataEraser, Subject
from service_kit.audit.queries import AuditFilter, AuditQueries
from service_kit.audit.recorder import AuditRecorder
from service_kit.audit.verifying import Break, ChainVerifier, Differs
from service_kit.db.session import Database
from service_kit.ids import IdFactory
from tests.fakes.clock import FrozenClock
from tests.integration.service_kit.audit.tampering import attack, filled, unlock
from tests.integration.service_kit.audit.writing import PACK_MADE, SIGNED_IN, chains, entry, record
from tests.integration.service_kit.db.tables import AUDIT

ORG_1 = Subject(Basis.ORGANIZATION, "org_1")


def eraser(database: Database, clock: FrozenClock) -> PersonalDataEraser:
    return PersonalDataEraser(database, AUDIT, AuditRecorder(AUDIT, IdFactory(clock), clock))


async def people(database: Database) -> set[str]:
    async with database.read() as session:
        return {row["event_id"] for row in await session.rows(text("SELECT event_id FROM audit_pii"))}


async def test_an_organizations_data_goes_and_the_log_still_verifies(
    database: Database, clock: FrozenClock
) -> None:
    """Both rows of each action lose their person; one row tells how many, and names nobody."""
    await filled(database, clock, pairs=3)
    kept = await record(database, clock, entry(SIGNED_IN, org="org_2"), entry(PACK_MADE, org=None))
    assert await eraser(database, clock).count(ORG_1) == 6

    done = await eraser(database, clock).erase(ORG_1, reason="they asked", ticket_ref="T-9")

    verified = await ChainVerifier(database, AUDIT).verify()
    assert (done.rows, verified.ok, verified.erased) == (6, True, 6)
    assert await people(database) == {row for rows in kept for row in rows} | set(done.event_ids)
    told = (await chains(database))["global"][-1]
    assert (told["id"], told["event"], told["reason"]) == (
        done.event_ids[0],
        "audit.personal_data.erased",
        "they asked",
    )
    assert (told["details"]["basis"], told["details"]["rows"], told["resource_id"]) == (
        "organization",
        6,
        "org_1",
    )
    assert "ada@" not in str(told).lower()
    assert await eraser(database, clock).count(ORG_1) == 0


async def test_a_person_is_erased_as_the_one_who_acts_and_the_one_acted_upon(
    database: Database, clock: FrozenClock
) -> None:
    """`--user`: rows of what they did and of what was done to them, in large batches."""
    await record(
        database,
        clock,
        entry(PACK_MADE, org=None, resource_id="usr_1", details_pii={"name": "Zoë"}),
        entry(PACK_MADE, org=None),
    )
    assert await eraser(database, clock).count(Subject(Basis.USER, "usr_1")) == 1
    assert await eraser(database, clock).count(Subject(Basis.OPERATOR, "adm_1")) == 2


async def test_what_is_older_than_a_day_goes_in_several_batches(
    database: Database, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`--before`: each batch is one transaction with a row of its own; newer data stays."""
    monkeypatch.setattr(erasing, "AT_ONCE", 2)
    await record(database, clock, *[entry(PACK_MADE, org=None)] * 5)
    clock.advance(timedelta(days=2).total_seconds())
    [(newer,)] = await record(database, clock, entry(PACK_MADE, org=None))

    done = await eraser(database, clock).erase(
        Subject(Basis.BEFORE, "day", clock.now() - timedelta(days=1)), reason="expired"
    )

    assert (done.rows, len(done.event_ids)) == (5, 3)
    assert await people(database) == {newer, *done.event_ids}
    assert (await ChainVerifier(database, AUDIT).verify()).ok


async def test_an_erased_row_stays_in_the_list_without_its_person(
    database: Database, clock: FrozenClock
) -> None:
    """R-030: the row is shown with everything but the person; the filter by address finds it no more."""
    await filled(database, clock, pairs=1)
    await eraser(database, clock).erase(ORG_1, reason="they asked")
    queries = AuditQueries(AUDIT)
    async with database.read() as session:
        rows = await queries.page(
            session, AuditFilter(event="tenant.*"), hide_admin_events=True, position=None, limit=9
        )
        by_person = await queries.page(
            session,
            AuditFilter(actor_email="ada@example.com", scope=""),
            hide_admin_events=False,
            position=None,
            limit=9,
        )

    assert [(row["actor_email"], row["actor_name"], row["details"]) for row in rows] == [
        (None, None, {"n": 0, "who": "Zoë"})
    ]
    assert by_person == []


async def test_only_what_an_erasure_names_can_be_deleted(database: Database, clock: FrozenClock) -> None:
    """Neither deletion, change nor return of personal data passes, nor an erasure that nobody told of."""
    ids = await filled(database, clock, pairs=2)
    await record(database, clock, entry(PACK_MADE, org=None, resource_id="usr_9"))
    done = await eraser(database, clock).erase(Subject(Basis.USER, "usr_9"), reason="they asked")
    one, erasure = ids[0][0], done.event_ids[0]
    copy = "salt, actor_email, actor_name, ip, user_agent, details_pii, shelf, occurred_at FROM audit_pii"
    for statement in (
        f"DELETE FROM audit_pii WHERE event_id = '{one}'",
        "DELETE FROM audit_pii",
        "UPDATE audit_pii SET actor_email = 'x'",
        f"UPDATE audit_pii SET actor_email = '' WHERE event_id = '{one}'",
        f"INSERT INTO audit_erasures VALUES ('{one}', '{ids[1][0]}')",
        f"INSERT INTO audit_pii SELECT (SELECT event_id FROM audit_erasures LIMIT 1), {copy} LIMIT 1",
        f"UPDATE audit_erasures SET event_id = '{one}'",
        "DELETE FROM audit_erasures",
    ):
        with pytest.raises(Exception, match=r"append-only"):
            await attack(database, statement)

    assert erasure in await people(database)
    assert (await ChainVerifier(database, AUDIT).verify()).ok


async def test_an_erasure_that_names_more_than_it_told_is_found(
    database: Database, clock: FrozenClock
) -> None:
    """Whoever adds a row to an honest erasure by raw SQL contradicts the count and digest in the chain."""
    ids = await filled(database, clock, pairs=2)
    await record(database, clock, entry(PACK_MADE, org=None, resource_id="usr_9"))
    done = await eraser(database, clock).erase(Subject(Basis.USER, "usr_9"), reason="they asked")
    one, erasure = ids[0][0], done.event_ids[0]
    await attack(
        database,
        f"INSERT INTO audit_erasures VALUES ('{one}', '{erasure}')",
        f"DELETE FROM audit_pii WHERE event_id = '{one}'",
    )

    assert (await ChainVerifier(database, AUDIT).verify()).breaks == (
        Break("global", 4, erasure, Differs.PERSON, "audit_erasures"),
    )
    await unlock(database)
    await attack(database, f"UPDATE audit_erasures SET erasure_id = '{one}' WHERE event_id = '{one}'")
    assert (
        Break("", 0, one, Differs.PERSON, "erasure_id")
        in (await ChainVerifier(database, AUDIT).verify()).breaks
    )


async def test_an_erasure_hides_no_tampering(database: Database, clock: FrozenClock) -> None:
    """R-031: data that somebody had changed is counted and named in the row that tells of its erasure."""
    ids = await filled(database, clock, pairs=2)
    one, other = ids[0][0], ids[1][1]
    await unlock(database)
    await attack(
        database,
        f"UPDATE audit_pii SET actor_email = 'mallory@example.com' WHERE event_id = '{one}'",
        f"UPDATE audit_pii SET salt = 'another' WHERE event_id = '{other}'",
    )

    done = await eraser(database, clock).erase(ORG_1, reason="they asked")

    told = (await chains(database))["global"][-1]["details"]
    assert (done.rows, done.altered) == (4, 2)
    assert (told["rows"], told["altered"], told["alteredRows"]) == (4, 2, sorted([one, other]))


_NOBODY = ("--user", "usr_x", "--confirm", "usr_x", "--reason", "why")


def arguments(*given: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_erase_arguments(parser.add_subparsers(), (Basis.USER, Basis.ORGANIZATION), lambda _: 0)
    return parser.parse_args(["erase-personal-data", *given])


async def test_the_command_counts_first_and_wants_the_name_again(
    database_url: str, database: Database, clock: FrozenClock
) -> None:
    """`--dry-run` changes nothing; without the id again in `--confirm`, or a reason, nothing happens."""
    await filled(database, clock, pairs=2)

    async def run(*given: str) -> str:
        return await erase(database_url, AUDIT, clock, arguments(*given))

    assert "4 rows would be erased; nothing was" in await run("--organization", "org_1", "--dry-run")
    for wrong in (
        ("--organization", "org_1", "--confirm", "org_2", "--reason", "why"),
        ("--organization", "org_1", "--confirm", "org_1"),
        ("--before", "soon", "--confirm", "soon", "--reason", "why"),
        ("--before", "2999-01-01", "--confirm", "2999-01-01", "--reason", "why"),
        ("--user", " ", "--confirm", " ", "--reason", "why"),
    ):
        with pytest.raises(WrongArgumentsError):
            await run(*wrong)
    assert len(await people(database)) == 4
    said = await run("--organization", "org_1", "--confirm", "org_1", "--reason", "they asked")
    assert "of 4 rows is erased" in said
    assert "no personal data to erase" in await run(*_NOBODY)


def test_a_digest_depends_on_every_id_and_not_on_their_order() -> None:
    """What an audit row says of an erasure fits one set of rows only."""
    assert digest_of(["a", "b"]) == digest_of(["b", "a"]) != digest_of(["a"]) != digest_of(["a", "c"])
