"""The command line: `admin-service run`, `migrate` and `seed-admin`.

Exit status 2 means that the settings or arguments are wrong, 3 that there is an operator already,
1 that the command could not do its work.
"""

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

from prometheus_client import CollectorRegistry
from pydantic import ValidationError

from admin_service.app import MIGRATIONS, ServiceKeys, build_services, create_app
from admin_service.operators.errors import AlreadySeededError
from admin_service.operators.models import IssuedEnrollment, NewOperator
from admin_service.operators.schemas import NewOperatorBody
from admin_service.settings import AdminSettings, DatabaseSettings
from admin_service.tenant_api import TenantApi
from service_kit.clock import SystemClock
from service_kit.db.migrations import DatabaseNewerError, migrate
from service_kit.db.process_lock import DatabaseInUseError, sole_process
from service_kit.db.session import Database
from service_kit.errors import UnavailableError
from service_kit.identity.model import Role
from service_kit.settings import ServiceSettings, SettingsError, load_settings
from service_kit.telemetry.logging import configure_logging
from service_kit.web.serving import PortInUseError, Site, run_service, serving

_FAULTS: Final = (DatabaseNewerError, DatabaseInUseError, PortInUseError, UnavailableError)
_FAILED, _WRONG, _ALREADY_SEEDED = 1, 2, 3

S = TypeVar("S", bound=ServiceSettings)


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status."""
    arguments = _arguments().parse_args(argv)
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
    return parser


def _settings(kind: type[S]) -> S:
    return load_settings(kind, os.environ)


def _run(_arguments: argparse.Namespace) -> int:
    settings = _settings(AdminSettings)
    configure_logging("admin_service")

    async def serve(stop: asyncio.Event) -> None:
        with sole_process(settings.database_url.get_secret_value()):
            apps = await create_app(settings, clock=SystemClock())
            sites = [
                Site("internal", settings.listen, apps.internal),
                Site("operations", settings.ops_listen, apps.ops),
            ]
            async with serving(sites):
                await stop.wait()

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
        for details in error.errors(include_input=False):
            field, message = details["loc"][0], details["msg"].removeprefix("Value error, ")
            print(f"--{field}: {message}", file=sys.stderr)
        return _WRONG
    try:
        issued = asyncio.run(_seed(url, person.wanted))
    except AlreadySeededError:
        print(
            "admin-service: there is an operator already; seeding makes the first one only. "
            "A super_admin provisions further ones in the panel or the API.",
            file=sys.stderr,
        )
        return _ALREADY_SEEDED
    print(json.dumps(_as_document(issued)) if arguments.json else _as_text(issued))
    return 0


async def _seed(url: str, wanted: NewOperator) -> IssuedEnrollment:
    database, clock = Database.open(url), SystemClock()
    try:
        await migrate(database, MIGRATIONS)
        no_keys, nobody = ServiceKeys(b"", b""), TenantApi(None)  # seeding pages no list and asks nobody
        services = build_services(database, no_keys, clock, CollectorRegistry(), nobody)
        return await services.operators.seed(wanted)
    finally:
        await database.close()


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
