"""The proof of the audit log over both services, through the API and by the command."""

import asyncio
import io
import json
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from admin_service.audit.models import AuditSource
from admin_service.cli import main
from admin_service.tenant_answers import Anchors, AuditProof, ChainBreak
from service_kit.audit.telling import ProgressLine
from service_kit.audit.verifying import Progress, Stretch
from service_kit.identity.binding import DELEGATION_HEADER
from service_kit.identity.model import Role
from tests.integration.admin_service.admin_process import (
    AUDIT_LOG,
    OPERATORS,
    AdminProcess,
    admin_process,
)

VERIFY = f"{AUDIT_LOG}/verify"
DELEGATED = {DELEGATION_HEADER: "the.delegation.token"}
FORGE = (
    "DROP TRIGGER audit_events_no_update",
    "UPDATE audit_events SET actor_id = 'nobody' WHERE chain_seq = 2",
)


async def verify(process: AdminProcess, query: str = "", role: Role = Role.SUPER_ADMIN) -> tuple[int, object]:
    response = await process.ask("GET", VERIFY + query, role, headers=DELEGATED)
    return response.status, await response.json()


async def busy(process: AdminProcess) -> None:
    """Two rows of the admin service's own."""
    await process.add()
    body = {"email": "new@example.com", "name": "New", "role": "support"}
    assert (await process.ask("POST", OPERATORS, body=body)).status == 201


async def test_both_parts_are_proven_and_added_up(process: AdminProcess) -> None:
    """R-030: one answer for both services, each asked for the same stretch in the operator's name."""
    await busy(process)
    newest = datetime(2026, 1, 1, tzinfo=UTC)
    checked = Anchors(state="checked", checked=7, newest_at=newest)
    process.tenants.proof = process.tenants.proof.model_copy(update={"witness": checked})

    status, answer = await verify(process, "?chain=global&from=2020-01-01")

    assert status == 200
    none = {"state": "none", "checked": 0, "newestAt": None}
    assert isinstance(answer, dict)
    assert (answer["ok"], answer["checked"], answer["firstBreak"]) == (True, 3 + 2, None)
    assert answer["checkpoints"][1] == {"source": "tenant", **none}
    assert answer["witness"] == [
        {"source": "admin", "state": "not_configured", "checked": 0, "newestAt": None},
        {"source": "tenant", "state": "checked", "checked": 7, "newestAt": "2026-01-01T00:00:00Z"},
    ]
    assert process.tenants.asked_with == ["the.delegation.token"]
    assert process.tenants.asked_to_verify == [Stretch("global", datetime(2020, 1, 1, tzinfo=UTC))]


async def test_a_break_is_named_with_its_service(sqlite_process: AdminProcess) -> None:
    """R-031: the first break says whose database it is in, and which row."""
    await busy(sqlite_process)
    there = ChainBreak(chain="org_1", seq=9, row_id="", differs="chain_seq", column="")
    sqlite_process.tenants.proof = AuditProof(
        ok=False,
        checked=8,
        first_break=there,
        checkpoints=sqlite_process.tenants.proof.checkpoints,
        witness=sqlite_process.tenants.proof.witness,
    )
    _, answer = await verify(sqlite_process)
    assert isinstance(answer, dict)
    assert (answer["ok"], answer["firstBreak"]["source"], answer["firstBreak"]["seq"]) == (False, "tenant", 9)

    await sqlite_process.sql(*FORGE)
    row = next(row for row in await sqlite_process.rows("audit_events") if row["chain_seq"] == 2)
    _, answer = await verify(sqlite_process)
    assert isinstance(answer, dict)
    assert answer["firstBreak"] == {
        "source": AuditSource.ADMIN.value,
        "chain": "global",
        "seq": 2,
        "rowId": row["id"],
        "differs": "hash",
        "column": "",
    }


@pytest.mark.parametrize(
    "role, status",
    [(Role.SUPER_ADMIN, 200), (Role.SECURITY, 200), (Role.SUPPORT, 403), (Role.READ_ONLY, 403)],
)
async def test_only_who_may_export_may_verify(sqlite_process: AdminProcess, role: Role, status: int) -> None:
    """R-075, R-080: security may; support and read_only, who do not see `admin.*`, learn nothing of it."""
    await sqlite_process.add(role)

    assert (await verify(sqlite_process, role=role))[0] == status


async def test_half_a_proof_is_none(sqlite_process: AdminProcess) -> None:
    """When the tenant service is away, or the sidecar sent no delegation, the answer is 503."""
    await sqlite_process.add()
    sqlite_process.tenants.away = True
    away, answer = await verify(sqlite_process)
    undelegated = await sqlite_process.ask("GET", VERIFY)

    assert isinstance(answer, dict)
    assert (away, undelegated.status, answer["code"]) == (503, 503, "AUDIT_SOURCE_UNAVAILABLE")


@pytest.mark.parametrize("query", ["?seq=1", "?from=yesterday", "?chain=a&chain=b", "?chain=a%00"])
async def test_a_wrong_query_is_refused(sqlite_process: AdminProcess, query: str) -> None:
    """Unknown, malformed and doubled parameters are 400, nothing is guessed."""
    await sqlite_process.add()

    assert (await verify(sqlite_process, query))[0] == 400


@pytest.fixture
def settings(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    for name in ("AUDIT_SIGNING_KEY_FILE", "AUDIT_PEER_URL", "AUDIT_PEER_KEYS_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ADMIN_DATABASE_URL", sqlite_url)
    return sqlite_url


SEED = ["seed-admin", "--email", "ada@example.com", "--name", "Ada"]


def test_the_command_proves_the_log(settings: str, capsys: pytest.CaptureFixture[str]) -> None:
    """`admin-service audit verify` exits with 0 and says what could not be held against anything."""
    assert settings
    assert main(SEED) == 0
    capsys.readouterr()

    assert main(["audit", "verify"]) == 0
    shown = capsys.readouterr()
    assert shown.out.splitlines() == [
        "2 rows in 1 chains verified.",
        "Personal data: of 0 rows erased.",
        "Checkpoints: there is none yet.",
        "Witness: no other service is named (AUDIT_PEER_URL): a rewritten log may look whole.",
        "The audit log is as it was written.",
    ]
    assert shown.err == ""  # nobody watches: no progress
    assert main(["audit", "verify", "--json", "--chain", "org_1"]) == 0
    assert json.loads(capsys.readouterr().out)["checked"] == 0


async def _forge(url: str) -> None:
    async with admin_process(url) as process:
        await process.sql(*FORGE)


async def test_the_command_names_a_break(settings: str, capsys: pytest.CaptureFixture[str]) -> None:
    """R-031: exit status 1, the row named, in text and in JSON; the key of the running service is used."""
    await asyncio.to_thread(main, SEED)
    await _forge(settings)
    capsys.readouterr()

    assert await asyncio.to_thread(main, ["audit", "verify"]) == 1
    text = capsys.readouterr().out
    assert await asyncio.to_thread(main, ["audit", "verify", "--json"]) == 1
    document = json.loads(capsys.readouterr().out)
    found = document["firstBreak"]

    assert (found["chain"], found["seq"], found["differs"]) == ("global", 2, "hash")
    assert f"BREAK  'global' 2: '{found['rowId']}': hash\n" in text
    assert text.endswith("The audit log is BROKEN.\n")
    assert document["ok"] is False


def test_a_database_that_is_not_there_is_no_whole_log(
    settings: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A mistyped path makes no empty database that would be proven."""
    assert main(["audit", "verify"]) == 1
    assert "no database at that path" in capsys.readouterr().err
    assert not Path(settings.removeprefix("sqlite:///")).exists()


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_sees_the_progress() -> None:
    """One line, written over, and gone at the end; a hostile chain name moves no cursor."""
    terminal, pipe = _Terminal(), io.StringIO()
    for stream in (terminal, pipe):
        line = ProgressLine(stream, 24000)
        line.show(Progress("glo\x1b[2Jb\udcffal", 12000))
        time.sleep(0.15)  # the bar is drawn ten times a second at most
        line.show(Progress("glo\x1b[2Jb\udcffal", 24000))
        line.clear()

    assert "24000/24000" in terminal.getvalue()
    assert "'glo\\x1b[2Jb\\\\udcffal'" in terminal.getvalue()
    assert "\x1b[2J" not in terminal.getvalue()
    assert terminal.getvalue().endswith("\r")
    assert pipe.getvalue() == ""
