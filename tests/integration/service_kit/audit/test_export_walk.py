"""Walking over a log for an export, on both kinds of database (R-031, R-080)."""

import io
from dataclasses import replace
from datetime import timedelta

import pytest

from service_kit.audit import export_counts
from service_kit.audit.events import Actor, ActorType
from service_kit.audit.export_counts import AuditCounts
from service_kit.audit.export_formats import NdjsonWriter
from service_kit.audit.export_manifest import ManifestMaker
from service_kit.audit.export_proof import prove_export
from service_kit.audit.export_rows import ExportWalk
from service_kit.audit.queries import AuditFilter
from service_kit.db.session import Database
from tests.fakes.clock import FrozenClock
from tests.integration.service_kit.audit.writing import ADMIN_MADE, PACK_MADE, SIGNED_IN, entry, record
from tests.integration.service_kit.db.tables import AUDIT


async def write(database: Database, clock: FrozenClock) -> None:
    """Seven rows in two chains."""
    for made in (
        entry(),
        entry(PACK_MADE, org=None, details={"prices": {"INR": 100}, "name": "Größe\u2028"}),
        entry(SIGNED_IN, details_pii={"email": "bob@example.com"}),
        entry(ADMIN_MADE, org=None),
        entry(),
    ):
        await record(database, clock, made)
        clock.advance(0.25)


async def test_every_row_proves_itself(database: Database, clock: FrozenClock) -> None:
    """R-031: what the database holds comes out as it was hashed: times, JSON, letters, personal data."""
    await write(database, clock)
    walk = ExportWalk(database, AUDIT, AuditFilter(scope=""), hide_admin_events=False)
    maker, writer = ManifestMaker({"format": "ndjson"}, unfiltered=True), NdjsonWriter()
    data = b""
    async for one in walk.rows():
        maker.add("admin", one)
        data += maker.wrote(writer.row("admin", one))
    data += writer.trailer(maker.document({"admin": walk.places}))
    proof = prove_export(io.BytesIO(data))

    assert (proof.breaks, proof.hashed, proof.erased, proof.complete) == ([], 7, 0, 2)
    assert {place.chain: place.head_seq for place in walk.places} == {"global": 4, "org_1": 3}


async def test_a_walk_hides_what_its_reader_must_not_see(database: Database, clock: FrozenClock) -> None:
    """R-080: no `admin.*` row, whatever the filter asks for, in rows and in counts."""
    await write(database, clock)
    for wanted in (AuditFilter(), AuditFilter(event="admin.*"), AuditFilter(event="admin.created")):
        walk = ExportWalk(database, AUDIT, wanted, hide_admin_events=True)
        assert not [one async for one in walk.rows() if one.row["event"].startswith("admin.")]
    since, until = clock.now() - timedelta(days=1), clock.now()
    counts = AuditCounts(AUDIT)
    async with database.read() as session:
        hidden = await counts.by_event(session, since, until, hide_admin_events=True)
        shown = await counts.by_event(session, since, until, hide_admin_events=False)
        actors = await counts.by_actor(session, since, until, hide_admin_events=False)

    assert {one.event: one.count for one in hidden} == {"tenant.suspended": 2, "billing.pack.created": 1}
    assert sum(one.count for one in shown) == 4
    assert [(one.actor_id, one.actor_email, one.count) for one in actors] == [("adm_1", "ada@example.com", 4)]


async def test_no_operator_is_left_out_of_the_counts(
    database: Database, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P-18: only of those who are no operators the busiest alone are told apart."""
    monkeypatch.setattr(export_counts, "MOST_ACTORS", 2)
    quiet = Actor(ActorType.GLOBAL_ADMIN, "adm_quiet", "support", "bob@example.com", "Bob")
    users = [Actor(ActorType.USER, f"usr_{number}", "", f"{number}@example.com", "") for number in range(4)]
    glass = Actor(ActorType.SYSTEM, "break-glass", "", "", "")
    by = [quiet, glass, *users, *users[1:], *users[2:]]
    await record(database, clock, *(replace(entry(PACK_MADE, org=None), actor=actor) for actor in by))
    async with database.read() as session:
        actors = await AuditCounts(AUDIT).by_actor(
            session, clock.now() - timedelta(days=1), clock.now() + timedelta(days=1), hide_admin_events=False
        )

    counted = [(one.actor_id, one.count) for one in actors]
    assert counted == [("usr_2", 3), ("usr_3", 3), ("adm_quiet", 1), ("break-glass", 1)]
