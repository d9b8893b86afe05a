"""The command `audit erase-personal-data` of each service: whose data, how many rows, typed again to confirm.

It erases nothing without `--confirm` repeating what is to be erased, and cannot take anything back.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, time
from typing import Any, Final

from service_kit.audit.erasing import Basis, Erasure, PersonalDataEraser, Subject
from service_kit.audit.recorder import AuditRecorder
from service_kit.audit.tables import AuditTables
from service_kit.audit.telling import require_database
from service_kit.clock import Clock
from service_kit.db.session import Database
from service_kit.ids import IdFactory

WRONG: Final = 2
_HELP: Final = {
    Basis.USER: "what this user did, and what was done to them",
    Basis.OPERATOR: "what this operator did, and what was done to them",
    Basis.ORGANIZATION: "every row about this organization, of operators and of its own people",
    Basis.BEFORE: "every row older than this day (UTC), YYYY-MM-DD",
}

Command = Callable[[Any, argparse.Namespace], int] | Callable[[argparse.Namespace], int]


class WrongArgumentsError(ValueError):
    """The arguments do not say, or do not confirm, what is to be erased."""


def add_erase_arguments(actions: Any, bases: Sequence[Basis], command: Command) -> None:
    """`erase-personal-data (--user ID | … | --before DATE) --reason WHY (--confirm AGAIN | --dry-run)`."""
    erase: argparse.ArgumentParser = actions.add_parser(
        "erase-personal-data",
        help="erase names and addresses from the audit log; the rows and their chain stay",
        description="Erase personal data from rows of the audit log, for good. The rows stay and the chain "
        "still verifies; an audit row tells how many it was.",
    )
    erase.set_defaults(command=command)
    whose = erase.add_mutually_exclusive_group(required=True)
    for basis in (*bases, Basis.BEFORE):
        metavar = "DATE" if basis is Basis.BEFORE else "ID"
        whose.add_argument(f"--{basis.value}", metavar=metavar, help=_HELP[basis])
    erase.add_argument("--reason", default="", help="why; it stands in the audit log")
    erase.add_argument("--ticket", default="", help="a reference to the request; it stands there too")
    doing = erase.add_mutually_exclusive_group(required=True)
    doing.add_argument("--dry-run", action="store_true", help="only count the rows")
    doing.add_argument("--confirm", metavar="AGAIN", help="the same id or day again")


def subject_of(arguments: argparse.Namespace) -> Subject:
    """What is to be erased, confirmed where it must be. Raises WrongArgumentsError."""
    basis, value = next(
        (basis, given) for basis in Basis if (given := getattr(arguments, basis.value, None)) is not None
    )
    if not arguments.dry_run and arguments.confirm != value:
        raise WrongArgumentsError(f"--confirm must repeat {value!r}: erasing cannot be taken back")
    if not arguments.dry_run and not arguments.reason.strip():
        raise WrongArgumentsError("--reason is needed: it stands in the audit log")
    if not value.strip() or not value.isprintable():
        raise WrongArgumentsError(f"--{basis.value} is empty or no id")
    return Subject(basis, value, _day(value) if basis is Basis.BEFORE else None)


async def erase(url: str, tables: AuditTables, clock: Clock, arguments: argparse.Namespace) -> str:
    """Do it, or count; what to print. Raises WrongArgumentsError and UnavailableError."""
    subject = subject_of(arguments)
    if subject.before is not None and subject.before > clock.now():
        raise WrongArgumentsError("--before lies in the future")
    require_database(url)
    database = Database.open(url)
    try:
        eraser = PersonalDataEraser(database, tables, AuditRecorder(tables, IdFactory(clock), clock))
        if arguments.dry_run:
            return f"The personal data of {await eraser.count(subject)} rows would be erased; nothing was."
        done = await eraser.erase(subject, reason=arguments.reason, ticket_ref=arguments.ticket)
        return _told(done)
    finally:
        await database.close()


def refused(program: str, error: WrongArgumentsError) -> int:
    """The exit status of arguments that are wrong, said on standard error."""
    sys.stderr.write(f"{program}: {error}\n")
    return WRONG


def _told(done: Erasure) -> str:
    if not done.rows:
        return "There was no personal data to erase."
    said = f"The personal data of {done.rows} rows is erased. In the audit log: {', '.join(done.event_ids)}."
    if done.altered:
        said += f" Of {done.altered} of them it was NOT what the row commits to: somebody had changed it."
    return said


def _day(value: str) -> datetime:
    try:
        return datetime.combine(date.fromisoformat(value), time(), UTC)
    except ValueError:
        raise WrongArgumentsError("--before must be a day such as 2026-01-31") from None
