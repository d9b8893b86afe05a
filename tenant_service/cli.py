"""The command line: `tenant-service run`, `migrate`, `backup`, `restore`, `audit verify`, `ledger verify`.

Exit status 2 means that the settings are wrong, 1 that the service could not run, or that the audit log or
the ledger of credits is broken.
"""

import argparse
import asyncio
import os
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

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
from service_kit.settings import SettingsError, load_settings
from service_kit.telemetry.logging import configure_logging
from service_kit.web.serving import PortInUseError, Site, run_service, serving
from tenant_service.app import MIGRATIONS, create_app
from tenant_service.billing.telling import add_ledger_arguments, tell_ledger, verify_ledger
from tenant_service.settings import TenantSettings
from tenant_service.tables import schema

_PUBLIC_OPTIONS = {"keepalive_timeout": 75.0}
"""A connection that rests, or dribbles a further head, is closed after that many seconds."""

_FAULTS = (
    BackupError,
    DatabaseNewerError,
    DatabaseInUseError,
    PortInUseError,
    UnavailableError,
    KeyFileError,
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status."""
    arguments = _arguments().parse_args(argv)
    if (status := verify_offline(arguments)) is not None:
        return status
    command: Callable[[TenantSettings, argparse.Namespace], int] = arguments.command
    try:
        settings = load_settings(TenantSettings, os.environ)
    except SettingsError as error:
        for problem in error.problems:
            print(problem, file=sys.stderr)
        return 2
    try:
        return command(settings, arguments)
    except _FAULTS as error:
        print(f"tenant-service: {error}", file=sys.stderr)
        return 1


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="tenant-service", description="Tenants, and what belongs to them.")
    commands = parser.add_subparsers(required=True, metavar="command")
    run = commands.add_parser("run", help="serve until SIGTERM or Ctrl-C")
    run.set_defaults(command=_run)
    upgrade = commands.add_parser("migrate", help="bring the database to this version's schema")
    upgrade.set_defaults(command=_migrate)
    add_backup_arguments(commands, backup=_backup, restore=_restore)
    audit = commands.add_parser("audit", help="prove the audit log")
    erasing = partial(add_erase_arguments, bases=(Basis.USER, Basis.ORGANIZATION), command=_audit_erase)
    add_audit_arguments(audit, erasing).set_defaults(command=_audit_verify)
    ledger = commands.add_parser("ledger", help="prove the ledger of credits")
    add_ledger_arguments(ledger).set_defaults(command=_ledger_verify)
    return parser


def _run(settings: TenantSettings, _arguments: argparse.Namespace) -> int:
    configure_logging("tenant_service")

    async def serve(stop: asyncio.Event) -> None:
        apps = create_app(settings, clock=SystemClock())
        sites = [
            Site("internal", settings.listen, apps.internal, opens_when=apps.opens_when),
            Site("public", settings.public_listen, apps.public, _PUBLIC_OPTIONS, head_seconds=15.0),
            Site("operations", settings.ops_listen, apps.ops, outlasts=True),
        ]
        apps.opening.is_awaited = True
        async with serving(sites):
            apps.opening.is_awaited = False
            await stop.wait()
            apps.departure.has_begun = True

    run_service(serve)
    return 0


def _migrate(settings: TenantSettings, _arguments: argparse.Namespace) -> int:
    url = settings.database_url.get_secret_value()

    async def upgrade() -> str:
        database = Database.open(url)
        try:
            return await migrate(database, MIGRATIONS)
        finally:
            await database.close()

    with sole_process(url):
        print(f"the database is at revision {asyncio.run(upgrade())}")
    return 0


def _backup(settings: TenantSettings, arguments: argparse.Namespace) -> int:
    return run_backup(*_kept(settings), SystemClock(), arguments)


def _restore(settings: TenantSettings, arguments: argparse.Namespace) -> int:
    return run_restore(*_kept(settings), SystemClock(), arguments)


def _kept(settings: TenantSettings) -> tuple[Keeper, dict[str, Path]]:
    """The database and its log, and the files beside them."""
    keeping = settings.audit_keeping
    keeper = Keeper(settings.database_url.get_secret_value(), schema().audit, keeping, MIGRATIONS)
    return keeper, {
        "AUDIT_SIGNING_KEY_FILE": keeping.key_file,
        "AUDIT_PREDICATE_KEY_FILE": settings.predicate_key,
        "OUTBOX_KEY_FILE": settings.outbox_key,
    }


def _audit_verify(settings: TenantSettings, arguments: argparse.Namespace) -> int:
    url = settings.database_url.get_secret_value()
    proof = asyncio.run(verify(url, schema().audit, settings.audit_keeping, chain=arguments.chain))
    return tell(proof, as_json=arguments.json)


def _audit_erase(settings: TenantSettings, arguments: argparse.Namespace) -> int:
    url = settings.database_url.get_secret_value()
    try:
        print(asyncio.run(erase(url, schema().audit, SystemClock(), arguments)))
    except WrongArgumentsError as error:
        return refused("tenant-service", error)
    return 0


def _ledger_verify(settings: TenantSettings, arguments: argparse.Namespace) -> int:
    url = settings.database_url.get_secret_value()
    return tell_ledger(asyncio.run(verify_ledger(url, schema().billing)), as_json=arguments.json)
