"""Two replicas of the tenant service under load, one of them killed: what was acknowledged is there, once."""

import asyncio
import json
import os
import re
import signal
import sys
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiosmtpd.smtp import Envelope
from sqlalchemy import select, text, update

from service_kit.clock import SystemClock
from service_kit.db.session import Database
from service_kit.identity.keys import SigningKey, public_jwks
from service_kit.identity.signing import IdentitySigner
from tenant_service.tables import Tables, schema
from tests.fixtures.identities import Vouch, new_key
from tests.fixtures.ports import free_port
from tests.fixtures.replicas import GRANT, USE, Clients, Replica, public_id
from tests.fixtures.standalone import LOCAL, ROOT
from tests.integration.service_kit.mail.mail_server import Behaviour, mail_server

pytestmark = [pytest.mark.stack, pytest.mark.postgres, pytest.mark.timeout(120)]

LINK = re.compile(r"https://(\S+)/accept-invite/(inv_[^_\s]+)_\S+")


@dataclass
class Postman(Behaviour):
    """Takes the first letter, and does not say so until it is released."""

    holds: asyncio.Event = field(default_factory=asyncio.Event)

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's
        assert isinstance(envelope.content, bytes)
        self.received.append(envelope.content)
        if not self.holds.is_set():
            self.holds.set()
            await self.released.wait()
        return "250 OK"


@dataclass
class House:
    """Two replicas on one database, their mail server, and a look at what the database holds."""

    replicas: Sequence[Replica]
    postman: Postman
    database: Database
    tables: Tables
    clients: Clients

    async def rows(self, query: Any) -> Sequence[Mapping[str, Any]]:
        async with self.database.read() as session:
            return [dict(row) for row in await session.rows(query)]

    async def sql(self, statement: str) -> Sequence[Mapping[str, Any]]:
        return await self.rows(text(statement))

    async def job(self) -> Mapping[str, Any]:
        (row,) = await self.sql("SELECT * FROM jobs WHERE name = 'deliver_mail'")
        return row

    async def holder(self) -> Replica:
        """The replica whose run of `deliver_mail` holds a letter at this moment."""
        await asyncio.wait_for(self.postman.holds.wait(), 30)
        owner = str((await self.job())["lease_owner"])
        return next(each for each in self.replicas if each.pid == pid_of(owner))

    async def end_leases(self, pid: int) -> None:
        """Let the leases of a process end now: nobody waits five minutes here."""
        soon = SystemClock().now() + timedelta(milliseconds=500)
        async with self.database.write() as session:
            for table in (self.tables.jobs.jobs, self.tables.jobs.outbox):
                mine = table.c.lease_owner.contains(f":{pid}:")
                await session.execute(update(table).where(mine).values(lease_until=soon))

    async def until(self, statement: str, count: int, *, seconds: float) -> None:
        """Wait until a count is right."""
        async with asyncio.timeout(seconds):
            while (await self.sql(statement))[0]["n"] != count:
                await asyncio.sleep(0.1)

    async def until_all_have_acknowledged(self) -> None:
        """Wait until each process that runs now has acknowledged a change; load must go on meanwhile."""
        async with asyncio.timeout(30):
            while not {each.pid for each in self.replicas} <= set(self.clients.answered):
                await asyncio.sleep(0.05)

    async def until_a_loss_and_a_replay(self) -> None:
        """Wait until some request got no answer, and some answer was a repeated one."""
        async with asyncio.timeout(30):
            while not (self.clients.lost and self.clients.replayed):
                await asyncio.sleep(0.05)

    async def command(self, *words: str) -> dict[str, Any]:
        """What a command of the tenant service says as JSON; it must find nothing wrong."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tenant_service", *words, "--json"),
            cwd=ROOT,
            env={**self.replicas[0].environment},
            stdout=asyncio.subprocess.PIPE,
        )
        out, _ = await process.communicate()
        assert process.returncode == 0, out.decode()
        document: dict[str, Any] = json.loads(out)
        return document


def pid_of(lease_owner: str) -> int:
    return int(lease_owner.split(":")[1])


def environment(folder: Path, url: str, smtp_port: int) -> dict[str, str]:
    """What both replicas are told; the key files are shared, as they must be on one PostgreSQL."""
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        "TENANT_DATABASE_URL": url,
        "INTERNAL_JWKS_FILE": str(folder / "sidecar.json"),
        "CREDITS_KEYS_FILE": str(folder / "runtime.json"),
        "AUDIT_SIGNING_KEY_FILE": str(folder / "audit.pem"),
        "AUDIT_PREDICATE_KEY_FILE": str(folder / "predicate.key"),
        "OUTBOX_KEY_FILE": str(folder / "outbox.key"),
        "SMTP_URL": f"smtp+insecure://{LOCAL}:{smtp_port}",
        "MAIL_FROM": "Sallyport <mail@platform.example>",
    }


def replica(number: int, shared: Mapping[str, str], folder: Path) -> Replica:
    names = ("TENANT_SERVICE_LISTEN", "TENANT_PUBLIC_LISTEN", "TENANT_SERVICE_OPS_LISTEN")
    own = {name: f"{LOCAL}:{free_port()}" for name in names}
    return Replica(number, {**shared, **own}, folder / f"replica-{number}.log")


def published_key(folder: Path, name: str) -> SigningKey:
    """A key whose public half stands in a file that the replicas read."""
    key = new_key()
    (folder / f"{name}.json").write_text(json.dumps(public_jwks([key])))
    return key


@pytest.fixture
async def house(postgres_url: str, tmp_path: Path) -> AsyncIterator[House]:
    sidecar, runtime = (published_key(tmp_path, name) for name in ("sidecar", "runtime"))
    worker = IdentitySigner(lambda: (runtime,), SystemClock(), issuer="runtime")
    postman, database = Postman(), Database.open(postgres_url)
    async with (
        mail_server(postman) as port,
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session,
    ):
        shared = environment(tmp_path, postgres_url, port)
        replicas = [replica(number, shared, tmp_path) for number in range(2)]
        try:
            # At the same time, on an empty database: both want to migrate it and to make the keys.
            await asyncio.gather(*(each.start() for each in replicas))
            clients = Clients(replicas, session, Vouch(key=sidecar), worker)
            yield House(replicas, postman, database, schema(), clients)
        finally:
            await asyncio.gather(*(each.end(signal.SIGKILL) for each in replicas if each.process))
            await database.close()


async def one_dies_and_comes_back(house: House) -> tuple[int, int]:
    """Kill the replica that delivers, let the other one take over, start it again; the pids of both."""
    victim = await house.holder()
    await house.until_all_have_acknowledged()
    survivor = next(each for each in house.replicas if each is not victim)
    dead = victim.pid
    await victim.end(signal.SIGKILL)
    house.postman.released.set()
    await asyncio.sleep(1.5)
    still = await house.job()
    assert pid_of(str(still["lease_owner"])) == dead, "a lease is nobody else's before its end"
    await house.end_leases(dead)
    await house.until(
        "SELECT count(*) AS n FROM job_runs WHERE status = 'abandoned' AND job_name = 'deliver_mail'",
        1,
        seconds=30,
    )
    await victim.start()
    return dead, survivor.pid


async def require_tenants_and_invitations(house: House) -> None:
    """Each acknowledged tenant and invitation once, and none besides."""
    made, invited = house.clients.done["create"], house.clients.done["invite"]
    organizations = await house.rows(select(house.tables.organizations))
    invitations = await house.rows(select(house.tables.invitations))
    by_answer = {(done.tenant, done.answer["orgId"]) for done in made}
    assert sorted((row["slug"], row["id"]) for row in organizations) == sorted(by_answer)
    assert len(by_answer) == len(made)
    acknowledged = [public_id(done.answer["invitationId"]) for done in (*made, *invited)]
    assert sorted(row["id"] for row in invitations) == sorted(acknowledged)


async def require_audit_pairs(house: House) -> None:
    """Each acknowledged change has one row in the platform's log and one in the tenant's, none besides."""
    rows = await house.sql("SELECT event, scope, resource_id, details FROM audit_events")
    told = Counter((row["event"], row["scope"], row["resource_id"]) for row in rows)
    wanted: Counter[tuple[str, str, str]] = Counter()
    ids = {done.tenant: done.answer["orgId"] for done in house.clients.done["create"]}
    for scope in ("global", "tenant"):
        wanted.update(("tenant.created", scope, each) for each in ids.values())
        for done in house.clients.done["invite"]:
            wanted["tenant.invitation.created", scope, public_id(done.answer["invitationId"])] += 1
        for done in house.clients.done["grant"]:
            wanted["billing.credits.granted", scope, ids[done.tenant]] += 1
    assert {
        key: count for key, count in told.items() if key[0] in {event for event, _, _ in wanted}
    } == wanted


async def require_ledger(house: House) -> None:
    """Each acknowledged grant and use is one transaction, and the balances are their sums."""
    txns = await house.sql("SELECT id, kind, organization_id FROM credit_txns")
    grants, uses = house.clients.done["grant"], house.clients.done["consume"]
    assert sorted(row["id"] for row in txns if row["kind"] == "consume") == sorted(
        done.answer["txnId"] for done in uses
    )
    held = await house.sql("SELECT id FROM credit_grants")
    assert sorted(row["id"] for row in held) == sorted(done.answer["grant"]["id"] for done in grants)
    assert len(txns) == len(grants) + len(uses)
    (sums,) = await house.sql(
        "SELECT sum(replies_granted) AS granted, sum(replies_used) AS used FROM billing_accounts"
    )
    assert (sums["granted"], sums["used"]) == (GRANT * len(grants), USE * len(uses))


def require_letters(house: House) -> None:
    """Every invitation's letter arrived, under one Message-ID with one link; the held one came twice."""
    arrived: dict[str, set[tuple[str, str]]] = defaultdict(set)
    for letter in house.postman.letters:
        body = letter.get_body(("plain",))
        assert body is not None
        found = LINK.search(body.get_content())
        assert found is not None
        arrived[found[2]].add((str(letter["Message-ID"]), found[0]))
    done = (*house.clients.done["create"], *house.clients.done["invite"])
    assert set(arrived) == {public_id(each.answer["invitationId"]) for each in done}
    assert {len(copies) for copies in arrived.values()} == {1}
    copies = Counter(str(letter["Message-ID"]) for letter in house.postman.letters)
    assert [count for count in copies.values() if count > 1] == [2]
    assert copies[str(house.postman.letters[0]["Message-ID"])] == 2


async def test_a_killed_replica_loses_and_repeats_nothing(house: House) -> None:
    """Architecture 9, R-105, G-12, G-13: two replicas, one SIGKILLed under load and restarted.

    Clients repeat what was not answered with the same key at the other one. At the end every acknowledged
    change is there exactly once, letters went out at least once, and its jobs went on in the living one.
    """
    async with house.clients.at_work():
        dead, survivor = await one_dies_and_comes_back(house)
        await asyncio.sleep(1.5)  # both have to do for a while
        await house.until_all_have_acknowledged()
        await house.until_a_loss_and_a_replay()
    letters = len(house.clients.done["create"]) + len(house.clients.done["invite"])
    await house.until("SELECT count(*) AS n FROM outbox WHERE state = 'done'", letters, seconds=30)

    await require_tenants_and_invitations(house)
    await require_audit_pairs(house)
    await require_ledger(house)
    require_letters(house)
    proofs = await asyncio.gather(house.command("audit", "verify"), house.command("ledger", "verify"))
    assert [proof["ok"] for proof in proofs] == [True, True]
    runs = await house.sql("SELECT * FROM job_runs WHERE job_name = 'deliver_mail' ORDER BY finished_at, id")
    assert (runs[0]["status"], pid_of(runs[0]["lease_owner"])) == ("abandoned", dead)
    assert (runs[1]["status"], pid_of(runs[1]["lease_owner"])) == ("ok", survivor)
    assert house.clients.lost > 0
    assert set(house.clients.answered) == {dead, *(each.pid for each in house.replicas)}
    assert house.clients.replayed > 0
    assert await asyncio.gather(*(each.end(signal.SIGTERM) for each in house.replicas)) == [0, 0]
    assert all("Traceback" not in each.log.read_text() for each in house.replicas)
