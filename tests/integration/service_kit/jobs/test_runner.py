"""Jobs: one replica runs each, when it is due, for as long as it may, and what became of it is kept."""

import asyncio
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pytest

from service_kit.errors import UnavailableError
from service_kit.jobs.job import Job
from service_kit.jobs.leases import Ended, Lease
from service_kit.jobs.overview import JobOverview
from service_kit.jobs.runner import JobRunner, _next
from service_kit.jobs.tables import RunStatus
from service_kit.jobs.tending import KEEP_DEAD, KEEP_DONE, KEEP_RUNS, Tending
from tests.fakes.clock import START
from tests.integration.service_kit.jobs.post_office import SECRET, TABLES, PostOffice

MINUTE = timedelta(minutes=1)


@dataclass
class Work:
    """Counts its runs; `does` are the numbers that it reports, `raises` what it raises first."""

    does: list[int] = field(default_factory=list)
    raises: list[Exception] = field(default_factory=list)
    runs: int = 0
    gate: asyncio.Event | None = None

    async def __call__(self, _limit: int) -> int:
        self.runs += 1
        if self.gate is not None:
            await self.gate.wait()
        if self.raises:
            raise self.raises.pop(0)
        return self.does.pop(0) if self.does else 0


def job(work: Work, **more: float) -> Job:
    return Job("expire", MINUTE, work, limit=10, most_seconds=more.get("most_seconds", 60.0))


async def look(*runners: JobRunner) -> None:
    """Every runner looks at the same time, and what they begin ends."""
    await asyncio.gather(*(runner.look() for runner in runners))
    await asyncio.gather(*(runner.idle() for runner in runners))


async def announced(office: PostOffice, *works: Job, owner: str = "one") -> JobRunner:
    runner = office.runner(*works, owner=owner)
    await runner.announce()
    return runner


async def ask_for(office: PostOffice, name: str = "expire") -> None:
    async with office.database.write() as session:
        await JobOverview(TABLES).ask_for(session, name, "adm_1", office.clock.now())


async def test_one_replica_runs_a_job(office: PostOffice) -> None:
    """However many look at the same moment, one takes the lease (G-14)."""
    work = Work()
    runners = [await announced(office, job(work), owner=f"r{n}") for n in range(4)]
    for expected in (1, 2, 3):
        await look(*runners)
        await look(*runners)

        assert work.runs == expected
        office.clock.advance(60)


async def test_a_job_runs_when_its_time_comes(office: PostOffice) -> None:
    """Not before its interval is over, on the injected clock; at once when it did as much as it may."""
    work = Work(does=[0, 10, 3])
    runner = await announced(office, job(work))
    await look(runner)
    office.clock.advance(59)
    await look(runner)
    before = work.runs
    office.clock.advance(1)
    await look(runner)
    await look(runner)
    await look(runner)

    assert (before, work.runs) == (1, 3)


async def test_runs_that_did_nothing_leave_no_history(office: PostOffice) -> None:
    """A job that looks every few seconds would fill the table; what it did is kept."""
    runner = await announced(office, job(Work(does=[0, 4, 0])))
    for _ in range(3):
        await look(runner)
        office.clock.advance(60)
    row = await office.row("jobs")

    assert [(run["status"], run["processed"]) for run in await office.rows("job_runs")] == [("ok", 4)]
    assert (row["last_status"], row["last_processed"], row["failures"]) == ("ok", 0, 0)
    assert row["last_success_at"] is not None


async def test_a_failure_is_kept_without_its_text(office: PostOffice) -> None:
    """Only the kind of an exception or its code is kept: its text may hold the secret."""
    work = Work(raises=[RuntimeError(SECRET), UnavailableError("TENANT_SERVICE_UNAVAILABLE", SECRET)])
    runner = await announced(office, job(work))
    await look(runner)
    office.clock.advance(60)
    await look(runner)
    failing = await office.row("jobs")
    office.clock.advance(60)
    await look(runner)
    runs = await office.rows("job_runs")

    assert [run["error"] for run in runs] == ["RuntimeError", "TENANT_SERVICE_UNAVAILABLE", None]
    assert [run["status"] for run in runs] == ["failed", "failed", "ok"]
    assert failing["failures"] == 2
    assert (await office.row("jobs"))["failures"] == 0
    assert SECRET not in str(runs)


async def test_a_job_that_fails_is_run_less_and_less_often(sqlite_office: PostOffice) -> None:
    """The wait doubles up to a quarter of an hour, and never falls below the interval."""
    work = Work(raises=[RuntimeError()] * 4)
    runner = await announced(sqlite_office, Job("expire", timedelta(seconds=5), work))
    waits = []
    for _ in range(4):
        await look(runner)
        next_run = datetime.fromisoformat((await sqlite_office.row("jobs"))["next_run_at"])
        waits.append((next_run - sqlite_office.clock.now()).total_seconds())
        sqlite_office.clock.advance(waits[-1] - 1)
        await look(runner)
        sqlite_office.clock.advance(1)

    assert work.runs == 4
    assert waits == [5, 10, 20, 40]
    lease = Lease(runner._jobs["expire"], START, START, None, failures=30)
    assert _next(lease.job, lease, Ended(RunStatus.FAILED, START, 1)) == START + timedelta(minutes=15)


async def test_a_run_that_takes_too_long_is_cut_off(office: PostOffice) -> None:
    """The bound of a run ends it before its lease ends."""
    work = Work(gate=asyncio.Event())
    runner = await announced(office, job(work, most_seconds=0.05))
    await look(runner)
    run = await office.row("job_runs")

    assert (run["status"], run["error"]) == ("timed_out", "TIMED_OUT")
    assert (await office.row("jobs"))["lease_owner"] is None


async def test_a_stop_gives_the_lease_back(office: PostOffice, monkeypatch: pytest.MonkeyPatch) -> None:
    """A graceful stop cuts off what does not end in time, and another replica goes on at once."""
    monkeypatch.setattr("service_kit.jobs.runner._GRACE_SECONDS", 0.05)
    work = Work(gate=asyncio.Event())
    runner = await announced(office, job(work))
    await runner.look()
    while not work.runs:
        await asyncio.sleep(0.01)
    await runner.close()
    heir = Work(does=[1])
    await look(await announced(office, job(heir), owner="heir"))

    assert heir.runs == 1
    assert {run["status"] for run in await office.rows("job_runs")} == {"stopped", "ok"}


async def test_a_replica_that_died_is_replaced_when_its_lease_ends(office: PostOffice) -> None:
    """Nobody runs the job before; then one does, and the run that was abandoned is written down."""
    dead = Work(gate=asyncio.Event())
    dying = await announced(office, job(dead), owner="dying")
    await dying.look()
    while not dead.runs:
        await asyncio.sleep(0.01)
    heirs = [Work(does=[1]), Work(does=[1])]
    runners = [await announced(office, job(work), owner=f"h{n}") for n, work in enumerate(heirs)]
    office.clock.advance(89)
    await look(*runners)
    before = sum(work.runs for work in heirs)
    office.clock.advance(1)
    await look(*runners)
    runs = await office.rows("job_runs")
    dead.gate = None
    for task in list(dying._running.values()):  # the dead process' task must not outlive the test
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    assert (before, sum(work.runs for work in heirs)) == (0, 1)
    assert ("abandoned", "dying") in [(run["status"], run["lease_owner"]) for run in runs]
    assert (await office.row("jobs"))["last_status"] == "ok"
    assert (await office.row("jobs"))["lease_owner"] is None


async def test_an_operator_runs_it_now(office: PostOffice) -> None:
    """Asked for, it runs before its time; asked for while it runs, it runs once more; who asked is kept."""
    gate = asyncio.Event()
    gate.set()
    work = Work(gate=gate)
    runner = await announced(office, job(work))
    await look(runner)
    await ask_for(office)
    gate.clear()
    await runner.look()
    while work.runs < 2:
        await asyncio.sleep(0.01)
    await ask_for(office)
    gate.set()
    await runner.idle()
    await look(runner)
    await look(runner)

    assert work.runs == 3
    assert [run["requested_by"] for run in await office.rows("job_runs")] == ["adm_1", "adm_1"]


async def test_new_jobs_do_not_begin_all_at_once(sqlite_office: PostOffice) -> None:
    """After a first start they follow each other, and none later than its own interval."""
    office = sqlite_office
    runner = office.runner(
        *(Job(name, MINUTE, Work()) for name in ("a", "b")), Job("z", timedelta(seconds=1), Work())
    )
    runner._apart = timedelta(seconds=5)
    await runner.announce()
    first = [datetime.fromisoformat(row["next_run_at"]) - START for row in await office.rows("jobs")]

    assert [moment.total_seconds() for moment in first] == [5, 10, 1]


async def test_one_job_does_not_hold_up_another(sqlite_office: PostOffice) -> None:
    """Each runs in a task of its own."""
    slow, quick = Work(gate=asyncio.Event()), Work()
    runner = await announced(sqlite_office, Job("slow", MINUTE, slow), Job("quick", MINUTE, quick))
    await runner.look()
    async with asyncio.timeout(20):
        while not (slow.runs and quick.runs):
            await asyncio.sleep(0.01)
    assert slow.gate is not None
    slow.gate.set()
    await runner.idle()

    assert (await sqlite_office.rows("jobs"))[0]["last_status"] == "ok"


async def test_the_runner_begins_with_the_process_and_survives_an_outage(sqlite_office: PostOffice) -> None:
    """It announces its jobs by itself; when the database is away it looks again later."""
    office, work = sqlite_office, Work()
    async with office.database.write_engine.connect() as connection, connection.begin():
        await connection.exec_driver_sql("ALTER TABLE jobs RENAME TO away")
    runner = office.runner(job(work))
    await runner.start()
    await asyncio.sleep(0.05)
    async with office.database.write_engine.connect() as connection, connection.begin():
        await connection.exec_driver_sql("ALTER TABLE away RENAME TO jobs")
    async with asyncio.timeout(20):
        while not work.runs:
            await asyncio.sleep(0.01)
    await runner.close()

    assert work.runs == 1


async def test_what_ended_long_ago_is_forgotten(office: PostOffice) -> None:
    """Sent messages after a week, dead ones after a month, runs after a fortnight; what waits stays."""
    tending = Tending(office.database, TABLES, office.clock)
    runner = await announced(office, job(Work(does=[1])))
    await look(runner)
    await office.put()
    await office.delivery().run(1)
    await office.put(useless_after=office.clock.now() + MINUTE)
    office.clock.advance(60)
    await tending.run(100)
    await office.put()
    kept = []
    for keep in (KEEP_DONE, KEEP_RUNS, KEEP_DEAD):
        office.clock.advance(keep.total_seconds() - 61)
        await tending.run(100)
        before = (len(await office.rows()), len(await office.rows("job_runs")))
        office.clock.advance(61)
        await tending.run(100)
        kept.append((before, (len(await office.rows()), len(await office.rows("job_runs")))))
        office.clock.advance(-keep.total_seconds())

    assert kept == [((3, 1), (2, 1)), ((2, 1), (2, 0)), ((2, 0), (1, 0))]
    assert [row["state"] for row in await office.rows()] == ["ready"]


@pytest.mark.parametrize("name", ["", "Expire", "a b", "../x", "x" * 64])
def test_a_name_that_no_address_could_hold_is_no_job(name: str) -> None:
    """The name stands in the address of "run now" (R-096)."""
    with pytest.raises(ValueError, match="lower case"):
        Job(name, MINUTE, Work())


def test_a_job_without_bounds_is_no_job() -> None:
    """Each run has a limit and an end, and some time lies between two of them."""
    for wrong in ({"limit": 0}, {"most_seconds": 0.0}):
        with pytest.raises(ValueError, match="limit"):
            Job("expire", MINUTE, Work(), **wrong)
    with pytest.raises(ValueError, match="second"):
        Job("expire", timedelta(0), Work())
