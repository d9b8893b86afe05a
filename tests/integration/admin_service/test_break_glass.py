"""`admin-service break-glass`: a way in when every super_admin is locked out (G-09, R-079)."""

import asyncio
import hashlib
import json
import os
import re
import shlex
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from admin_service.cli import main
from admin_service.enrollment.errors import EnrollmentRefusedError
from admin_service.enrollment.models import Claimant
from admin_service.operators.break_glass import BrokenGlass, Way
from admin_service.operators.errors import SuperAdminsLeftError
from service_kit.identity.model import Role
from tests.integration.admin_service.admin_process import ORIGIN, AdminProcess, admin_process

ADA = "ada@example.com"
OWNER = "super_admin@example.com"


async def used(process: AdminProcess, email: str, *, locked_out: bool = True) -> BrokenGlass:
    return await process.services.break_glass.use(
        email, "Ada", reason="the identity provider was replaced", locked_out=locked_out
    )


async def enroll(process: AdminProcess, done: BrokenGlass, sub: str) -> str:
    claimant = Claimant(sub, done.issued.operator.email)
    return (await process.services.enrollment.claim(claimant, done.issued.token, ORIGIN)).operator.id


async def active(process: AdminProcess) -> int:
    guard = await process.rows("super_admin_guard")
    return guard[0]["active"] if guard else 0


async def critical(process: AdminProcess) -> dict[str, Any]:
    (row,) = [row for row in await process.rows("audit_events") if row["event"] == "admin.break_glass.used"]
    return dict(row)


async def test_an_address_without_a_row_gets_one(process: AdminProcess) -> None:
    """A pending super_admin, a token that enrolls them, and a CRITICAL row of the host."""
    done = await used(process, ADA, locked_out=False)

    assert (done.way, done.before) == (Way.CREATED, None)
    assert (await process.row(done.issued.operator.id))["role"] == "super_admin"
    assert await process.events() == [
        "admin.operator.created",
        "admin.enrollment.issued",
        "admin.break_glass.used",
    ]
    row = await critical(process)
    assert (row["severity"], row["actor_type"], row["actor_id"], row["reason"]) == (
        "CRITICAL",
        "system",
        "break-glass",
        "the identity provider was replaced",
    )
    assert await enroll(process, done, "sub-ada") == done.issued.operator.id
    assert await active(process) == 1


async def test_active_super_admins_must_be_declared_locked_out(process: AdminProcess) -> None:
    """While somebody may do it in the panel, the command refuses, and writes nothing."""
    await process.add()

    with pytest.raises(SuperAdminsLeftError) as caught:
        await used(process, ADA, locked_out=False)

    assert caught.value.active == 1
    assert len(await process.rows("global_admins")) == 1
    assert await process.events() == []


async def test_the_only_super_admin_is_replaced_and_never_missing(process: AdminProcess) -> None:
    """G-09, R-079: a lost subject: the old row stands until it is deactivated, the new one enrolls anew."""
    await process.add()
    await process.hold("adm_super_admin", "axs_1")

    done = await used(process, OWNER)
    old, new = await process.row("adm_super_admin"), await process.row(done.issued.operator.id)

    assert done.way is Way.REPLACED
    assert (old["email"], old["deactivated_at"]) == ("adm_super_admin@replaced.invalid", None)
    assert (new["email"], new["role"], new["cf_access_sub"]) == (OWNER, "super_admin", None)
    assert await active(process) == 1
    assert await process.live_sessions("adm_super_admin") == []
    assert "adm_super_admin" in str((await critical(process))["details"])

    enrolled = await enroll(process, done, "sub-after-the-removal")
    assert await active(process) == 2
    gone = await process.ask(
        "POST",
        "/api/admin/global-admins/adm_super_admin/deactivate",
        operator_id=enrolled,
        sub="sub-after-the-removal",
    )
    assert gone.status == 200
    assert await active(process) == 1


async def test_one_of_several_is_bound_anew(process: AdminProcess) -> None:
    """With another enrolled super_admin the row itself is unbound; its sessions end."""
    await process.add()
    await process.add(operator_id="adm_b")
    await process.hold("adm_super_admin", "axs_1")

    done = await used(process, OWNER)

    assert (done.way, done.issued.operator.id) == (Way.REBOUND, "adm_super_admin")
    assert await process.live_sessions("adm_super_admin") == []
    assert await process.events() == [
        "admin.session.revoked",
        "admin.enrollment.rebound",
        "admin.break_glass.used",
    ]
    assert await enroll(process, done, "sub-new") == "adm_super_admin"


async def test_another_role_is_raised(process: AdminProcess) -> None:
    """A support operator who is there becomes the way in; their own subject works again with the token."""
    await process.add()
    await process.add(Role.SUPPORT)

    done = await used(process, "support@example.com")

    assert (done.way, (await process.row("adm_support"))["role"]) == (Way.REBOUND, "super_admin")
    assert "admin.operator.role_changed" in await process.events()
    assert await enroll(process, done, "sub-support") == "adm_support"
    assert await active(process) == 2


async def test_a_pending_row_gets_a_new_token(process: AdminProcess) -> None:
    """The old token dies; a pending support operator becomes a pending super_admin."""
    await process.add_pending("adm_p", "enr_old", role=Role.SUPPORT)

    done = await used(process, "p@example.com", locked_out=False)

    assert (done.way, done.issued.operator.role) == (Way.REISSUED, Role.SUPER_ADMIN)
    with pytest.raises(EnrollmentRefusedError):
        await process.services.enrollment.claim(Claimant("sub-p", "p@example.com"), "enr_old", ORIGIN)
    assert await enroll(process, done, "sub-p") == "adm_p"


async def test_a_deactivated_person_comes_back_as_the_same_row(process: AdminProcess) -> None:
    """Their subject belongs to the old row: a new row could never be claimed with it."""
    await process.add(Role.SUPPORT, deactivated_at=process.clock.now())
    await process.add(
        operator_id="adm_older",
        email="support@example.com",
        cf_access_sub=None,
        deactivated_at=process.clock.now(),
    )

    done = await used(process, "support@example.com", locked_out=False)

    assert (done.way, done.issued.operator.id) == (Way.REACTIVATED, "adm_support")
    assert await enroll(process, done, "sub-support") == "adm_support"


async def test_a_live_row_counts_before_a_deactivated_one(process: AdminProcess) -> None:
    """Two rows of one address: the one that is live is the person."""
    await process.add(operator_id="adm_gone", email=ADA, deactivated_at=process.clock.now())
    await process.add_pending("adm_p", "enr_p", email=ADA)

    assert (await used(process, ADA)).issued.operator.id == "adm_p"


async def test_two_commands_at_once(process: AdminProcess) -> None:
    """One row for the address, one live token, and no zero (R-079)."""
    await process.add()

    results = await asyncio.gather(*(used(process, OWNER) for _ in range(4)), return_exceptions=True)
    done = [result for result in results if isinstance(result, BrokenGlass)]
    live = [
        row
        for row in await process.rows("global_admins")
        if row["email"] == OWNER and row["deactivated_at"] is None
    ]

    assert done
    assert len(live) == 1
    assert live[0]["enrollment_token_hash"] in {
        hashlib.sha256(one.issued.token.encode()).hexdigest() for one in done
    }
    assert await active(process) == 1


GIVEN = [
    "break-glass",
    "--email",
    " Ada@Example.com",
    "--confirm",
    "ada@example.com",
    "--reason",
    "locked out",
]


@pytest.fixture
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """The log of this process stays as the other tests have it."""
    monkeypatch.setattr("admin_service.cli.configure_logging", lambda _service: None)


def test_the_command_prints_the_token_once_and_shouts(database_url: str) -> None:
    """Standard output has the token, standard error one critical line without it; exit status 0."""
    program = [sys.executable, "-m", "admin_service", *GIVEN, "--json"]
    environ = {**os.environ, "ADMIN_DATABASE_URL": database_url}
    printed = subprocess.run(program, env=environ, capture_output=True, text=True, check=True)
    document = json.loads(printed.stdout)
    (line,) = [json.loads(line) for line in printed.stderr.splitlines() if "break_glass_used" in line]

    assert document["enrollmentToken"].startswith("enr_")
    assert (document["role"], document["way"], document["email"]) == ("super_admin", "created", ADA)
    assert (line["level"], line["reason"], line["operator_id"]) == ("critical", "locked out", document["id"])
    assert "enr_" not in printed.stderr


@pytest.mark.usefixtures("quiet")
def test_the_text_says_what_to_do(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """A second use replaces the token; with enrolled super_admins it exits 3 until that is declared."""
    path = sqlite_url.removeprefix("sqlite:///")
    monkeypatch.setenv("ADMIN_DATABASE_URL", sqlite_url)
    assert main(GIVEN) == 0
    shown = capfd.readouterr().out
    assert shown.count("enr_") == 1
    assert "/enrollment" in shown
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(
            "UPDATE global_admins SET cf_access_sub = 'sub-ada', enrollment_token_hash = NULL,"
            " enrollment_token_expires_at = NULL"
        )

    assert main(GIVEN) == 3
    refused = capfd.readouterr()
    assert "--super-admins-are-locked-out" in refused.err
    assert "enr_" not in refused.out + refused.err

    assert main([*GIVEN, "--super-admins-are-locked-out"]) == 0
    assert "Deactivate it once you are in" in capfd.readouterr().out


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"--confirm": "ada@example.org"}, "--confirm: must repeat --email"),
        ({"--reason": " "}, "--reason"),
        ({"--email": "ada"}, "--email"),
    ],
)
def test_a_wrong_argument_is_named(
    sqlite_url: str,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    change: dict[str, str],
    complaint: str,
) -> None:
    """Exit status 2, the argument by name, and no database touched."""
    monkeypatch.setenv("ADMIN_DATABASE_URL", sqlite_url)
    given = {"--email": ADA, "--confirm": ADA, "--reason": "locked out", **change}

    assert main(["break-glass", *(word for pair in given.items() for word in pair)]) == 2
    assert complaint in capfd.readouterr().err


@pytest.mark.usefixtures("quiet")
async def test_it_works_beside_the_running_service(database_url: str) -> None:
    """The service runs on the same database; its next answer knows the new row."""
    async with admin_process(database_url) as process:
        await process.add()
        program = ["break-glass", "--email", ADA, "--confirm", ADA, "--reason", "x"]
        with pytest.MonkeyPatch.context() as patched:
            patched.setenv("ADMIN_DATABASE_URL", database_url)
            status = await asyncio.to_thread(main, [*program, "--super-admins-are-locked-out"])
        listed = await (await process.ask("GET", "/api/admin/global-admins")).json()

    assert status == 0
    assert ADA in {row["email"] for row in listed["data"]}


@pytest.mark.usefixtures("quiet")
def test_the_page_tells_the_command(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """docs/commands.md has every option and every way, and its example is what the command prints."""
    page = (Path(__file__).parents[3] / "docs" / "commands.md").read_text(encoding="utf-8")
    ((told, output),) = re.findall(
        r"```console\n\$ admin-service (break-glass [^\n]+)\n(.*?)```", page, re.DOTALL
    )
    monkeypatch.setenv("ADMIN_DATABASE_URL", sqlite_url)
    with pytest.raises(SystemExit):
        main(["break-glass", "--help"])
    options = set(re.findall(r"--[a-z-]+", capfd.readouterr().out)) - {"--help"}
    assert main(["seed-admin", "--email", ADA, "--name", "Ada Lovelace"]) == 0
    with closing(sqlite3.connect(sqlite_url.removeprefix("sqlite:///"))) as connection, connection:
        connection.execute(
            "UPDATE global_admins SET cf_access_sub = 'sub-ada', enrollment_token_hash = NULL,"
            " enrollment_token_expires_at = NULL"
        )
    capfd.readouterr()

    assert main(shlex.split(told)) == 0
    assert shape(capfd.readouterr().out) == shape(output)
    assert all(option in page for option in options)
    assert all(f"| `{way.value}` |" in page for way in Way)


def shape(text: str) -> list[str]:
    for pattern, name in (
        (r"adm_\w{26}", "ID"),
        (r"enr_\S+", "TOKEN"),
        (r"\d{4}-\d\d-\d\d \d\d:\d\d", "TIME"),
    ):
        text = re.sub(pattern, name, text)
    lines = text.strip().splitlines()
    return [line for line in lines if "break_glass_used" not in line]  # the log of this process
