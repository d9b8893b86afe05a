"""The command line: `admin-service` with `run`, `migrate`, `seed-admin`, `break-glass`, `backup`, `audit`.

Exit status 2 means that the settings or arguments are wrong, 3 that somebody is there already who can do
this in the panel, 1 that the command could not do its work, or that the audit log is broken.
"""

import argparse
import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

from prometheus_client import CollectorRegistry
from pydantic import ValidationError

from admin_service.app import MIGRATIONS, ServiceKeys, Services, build_services, create_app
from admin_service.operators.break_glass import BrokenGlass, Way
from admin_service.operators.errors import (
    AlreadySeededError,
    OperatorExistsError,
    SuperAdminsLeftError,
)
from admin_service.operators.models import IssuedEnrollment, NewOperator
from admin_service.operators.schemas import BreakGlassArguments, NewOperatorBody
from admin_service.settings import AdminSettings, DatabaseSettings
from admin_service.tables import AUDIT
from admin_service.tenant_api import TenantApi
from service_kit.audit.backing_up import Keeper
from service_kit.audit.backup_command import add_backup_arguments, run_backup, run_restore
from service_kit.audit.erase_command import WrongArgumentsError, add_erase_arguments, erase, refused
from service_kit.audit.erasing import Basis
from service_kit.audit.telling import add_audit_arguments, tell, verify, verify_offline
from service_kit.clock import SystemClock
from service_kit.db.backup import BackupError
from service_kit.db.migrations import DatabaseNewerError, migrate
from service_kit.db.process_lock import DatabaseInUseError, sole_process
from service_kit.db.session import Database
from service_kit.errors import UnavailableError
from service_kit.identity.keys import KeyFileError
from service_kit.identity.model import Role
from service_kit.settings import ServiceSettings, SettingsError, load_settings
from service_kit.telemetry.logging import configure_logging, get_logger
from service_kit.web.serving import PortInUseError, Site, run_service, serving

_FAULTS: Final = (
    BackupError,
    DatabaseNewerError,
    DatabaseInUseError,
    PortInUseError,
    UnavailableError,
    OperatorExistsError,
    KeyFileError,
)
_FAILED, _WRONG, _SOMEBODY_THERE = 1, 2, 3

S = TypeVar("S", bound=ServiceSettings)


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status."""
    arguments = _arguments().parse_args(argv)
    if (status := verify_offline(arguments)) is not None:
        return status
    command: Callable[[argparse.Namespace], int] = arguments.command
    try:
        return command(arguments)
    except SettingsError as error:
        for problem in error.problems:
            print(problem, file=sys.stderr)
        return _WRONG
    except _FAULTS as error:
        print(f"admin-service: {error}", file=sys.stderr)
        return _FAILED


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="admin-service", description="Operators, their panel, and the audit log of the back office."
    )
    commands = parser.add_subparsers(required=True, metavar="command")
    run = commands.add_parser("run", help="serve until SIGTERM or Ctrl-C")
    run.set_defaults(command=_run)
    upgrade = commands.add_parser("migrate", help="bring the database to this version's schema")
    upgrade.set_defaults(command=_migrate)
    seed = commands.add_parser("seed-admin", help="create the first super_admin, once")
    seed.add_argument("--email", required=True, help="the address that Access knows the person by")
    seed.add_argument("--name", required=True, help="how the person is called")
    seed.add_argument("--json", action="store_true", help="print one JSON object, for programs")
    seed.set_defaults(command=_seed_admin)
    _break_glass_arguments(commands.add_parser("break-glass", help="a way in when everybody is locked out"))
    add_backup_arguments(commands, backup=_backup, restore=_restore)
    audit = commands.add_parser("audit", help="prove the audit log")
    erasing = partial(add_erase_arguments, bases=(Basis.OPERATOR,), command=_audit_erase)
    add_audit_arguments(audit, erasing).set_defaults(command=_audit_verify)
    return parser


def _break_glass_arguments(command: argparse.ArgumentParser) -> None:
    command.description = (
        "Make the owner of an address a super_admin who has yet to enroll, and print the token once. "
        "The audit log records it as CRITICAL."
    )
    command.set_defaults(command=_break_glass)
    command.add_argument("--email", required=True, help="the address that Access knows the person by")
    command.add_argument("--confirm", required=True, help="the same address again")
    command.add_argument("--reason", required=True, help="why; it stands in the audit log")
    command.add_argument("--name", default="", help="how the person is called, if they have no row yet")
    command.add_argument(
        "--super-admins-are-locked-out",
        action="store_true",
        help="say so when there are enrolled super_admins: the service cannot know that they cannot sign in",
    )
    command.add_argument("--json", action="store_true", help="print one JSON object, for programs")


def _settings(kind: type[S]) -> S:
    return load_settings(kind, os.environ)


def _run(_arguments: argparse.Namespace) -> int:
    settings = _settings(AdminSettings)
    configure_logging("admin_service")

    async def serve(stop: asyncio.Event) -> None:
        with sole_process(settings.database_url.get_secret_value()):
            apps = await create_app(settings, clock=SystemClock())
            sites = [
                Site("internal", settings.listen, apps.internal, opens_when=apps.opens_when),
                Site("operations", settings.ops_listen, apps.ops, outlasts=True),
            ]
            apps.opening.is_awaited = True
            async with serving(sites):
                apps.opening.is_awaited = False
                await stop.wait()
                apps.departure.has_begun = True

    run_service(serve)
    return 0


def _migrate(_arguments: argparse.Namespace) -> int:
    url = _settings(DatabaseSettings).database_url.get_secret_value()

    async def upgrade() -> str:
        database = Database.open(url)
        try:
            return await migrate(database, MIGRATIONS)
        finally:
            await database.close()

    print(f"the database is at revision {asyncio.run(upgrade())}")
    return 0


def _seed_admin(arguments: argparse.Namespace) -> int:
    url = _settings(DatabaseSettings).database_url.get_secret_value()
    try:
        person = NewOperatorBody(email=arguments.email, name=arguments.name, role=Role.SUPER_ADMIN)
    except ValidationError as error:
        return _wrong_arguments(error)
    try:
        issued = asyncio.run(_seed(url, person.wanted))
    except AlreadySeededError:
        print(
            "admin-service: there is an operator already; seeding makes the first one only. "
            "A super_admin provisions further ones in the panel or the API.",
            file=sys.stderr,
        )
        return _SOMEBODY_THERE
    print(json.dumps(_as_document(issued)) if arguments.json else _as_text(issued))
    return 0


async def _seed(url: str, wanted: NewOperator) -> IssuedEnrollment:
    async with _services(url) as services:
        return await services.provisioning.seed(wanted)


def _break_glass(arguments: argparse.Namespace) -> int:
    url = _settings(DatabaseSettings).database_url.get_secret_value()
    configure_logging("admin_service")
    try:
        given = BreakGlassArguments(
            email=arguments.email, confirm=arguments.confirm, reason=arguments.reason, name=arguments.name
        )
    except ValidationError as error:
        return _wrong_arguments(error)
    try:
        done = asyncio.run(_use_break_glass(url, given, locked_out=arguments.super_admins_are_locked_out))
    except SuperAdminsLeftError as error:
        print(
            f"admin-service: there are enrolled super_admins ({error.active}), who can do this in the panel. "
            "If none of them can sign in, say so with --super-admins-are-locked-out.",
            file=sys.stderr,
        )
        return _SOMEBODY_THERE
    _shout(done, given.reason)
    print(json.dumps(_glass_document(done)) if arguments.json else _glass_text(done))
    return 0


async def _use_break_glass(url: str, given: BreakGlassArguments, *, locked_out: bool) -> BrokenGlass:
    async with _services(url) as services:
        return await services.break_glass.use(
            given.email, given.name or given.email, reason=given.reason, locked_out=locked_out
        )


def _shout(done: BrokenGlass, reason: str) -> None:
    """The audit row is the record; this line is for whoever watches the host."""
    operator_id = done.issued.operator.id
    get_logger(__name__).critical(
        "break_glass_used", operator_id=operator_id, way=done.way.value, reason=reason
    )


def _backup(arguments: argparse.Namespace) -> int:
    return run_backup(*_kept(), SystemClock(), arguments)


def _restore(arguments: argparse.Namespace) -> int:
    return run_restore(*_kept(), SystemClock(), arguments)


def _kept() -> tuple[Keeper, dict[str, Path]]:
    """The database and its log, and the files beside them."""
    settings = _settings(DatabaseSettings)
    keeping = settings.audit_keeping
    keeper = Keeper(settings.database_url.get_secret_value(), AUDIT, keeping, MIGRATIONS)
    return keeper, {"AUDIT_SIGNING_KEY_FILE": keeping.key_file}


def _audit_verify(arguments: argparse.Namespace) -> int:
    settings = _settings(DatabaseSettings)
    url = settings.database_url.get_secret_value()
    proof = asyncio.run(verify(url, AUDIT, settings.audit_keeping, chain=arguments.chain))
    return tell(proof, as_json=arguments.json)


def _audit_erase(arguments: argparse.Namespace) -> int:
    url = _settings(DatabaseSettings).database_url.get_secret_value()
    try:
        print(asyncio.run(erase(url, AUDIT, SystemClock(), arguments)))
    except WrongArgumentsError as error:
        return refused("admin-service", error)
    return 0


@asynccontextmanager
async def _services(url: str) -> AsyncIterator[Services]:
    """The domains over the database, brought to this version's schema; the service may run beside."""
    database, clock = Database.open(url), SystemClock()
    try:
        await migrate(database, MIGRATIONS)
        no_keys, nobody = ServiceKeys(b"", b""), TenantApi(None)  # a command pages no list and asks nobody
        yield build_services(database, no_keys, clock, CollectorRegistry(), nobody)
    finally:
        await database.close()


def _wrong_arguments(error: ValidationError) -> int:
    for details in error.errors(include_input=False):
        field, message = details["loc"][0], details["msg"].removeprefix("Value error, ")
        print(f"--{field}: {message}", file=sys.stderr)
    return _WRONG


def _as_document(issued: IssuedEnrollment) -> dict[str, Any]:
    operator = issued.operator
    return {
        "id": operator.id,
        "email": operator.email,
        "name": operator.name,
        "role": operator.role.value,
        "enrollmentToken": issued.token,
        "enrollmentTokenExpiresAt": issued.expires_at.isoformat(),
        "shownOnce": True,
    }


def _as_text(issued: IssuedEnrollment) -> str:
    operator = issued.operator
    return (
        f"Created the first super_admin: {operator.name} <{operator.email}>\n"
        "\n"
        "Enrollment token, shown only this once:\n"
        "\n"
        f"    {issued.token}\n"
        "\n"
        f"It works until {issued.expires_at:%Y-%m-%d %H:%M} UTC, for this address only. Sign in through\n"
        "Access, open /enrollment on the admin host and paste it there. Hand it over out of band:\n"
        "never in the same channel as the address of the panel."
    )


def _glass_document(done: BrokenGlass) -> dict[str, Any]:
    replaced = done.before.id if done.before and done.way is Way.REPLACED else None
    return {**_as_document(done.issued), "way": done.way.value, "replacedId": replaced}


def _glass_text(done: BrokenGlass) -> str:
    operator, issued = done.issued.operator, done.issued
    lines = [
        f"Break-glass: {operator.name} <{operator.email}> is a super_admin who has yet to enroll:",
        f"{operator.id}, {done.way.value}.",
        "",
        "Enrollment token, shown only this once:",
        "",
        f"    {issued.token}",
        "",
        f"It works until {issued.expires_at:%Y-%m-%d %H:%M} UTC, for this address only. Sign in through",
        "Access, open /enrollment on the admin host and paste it there.",
    ]
    if done.before is not None and done.way is Way.REPLACED:
        lines += [
            "",
            f"{done.before.id} was the last active super_admin and still counts as one, so that there is",
            "never none. Deactivate it once you are in.",
        ]
    return "\n".join(lines)
