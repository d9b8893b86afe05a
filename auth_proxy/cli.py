"""The command `auth-proxy`: reads its arguments, prints the report of a command, gives the exit status.

Status 0: all is well. 1: what the command looked at is not (a fault found, a request refused). 2: the
configuration or the arguments are wrong; one line per problem, by variable name.
"""

import argparse
import asyncio
import json
import logging
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Final

from auth_proxy.access.errors import KeyRefreshError
from auth_proxy.app import run
from auth_proxy.commands import keys
from auth_proxy.commands.check import check
from auth_proxy.commands.doctor.examination import examine
from auth_proxy.commands.explain import Question, explain
from auth_proxy.commands.report import Report
from auth_proxy.descriptors import raise_limit
from auth_proxy.roster.file import RosterFileError
from auth_proxy.settings import ProxySettings, load_proxy_settings
from auth_proxy.transport.listener import PureParserError
from auth_proxy.workers.crew import Crew
from auth_proxy.workers.inherited import Inherited, inherited_from
from auth_proxy.workers.supervisor import Supervisor, WorkersFailedError
from service_kit.clock import SystemClock
from service_kit.identity.keys import PUBLISH_BEFORE_USE, KeyFileError
from service_kit.settings import SettingProblem, SettingsError
from service_kit.telemetry.logging import configure_logging
from service_kit.web.serving import PortInUseError, end_at_once, run_service

EXIT_FINDING: Final = 1
EXIT_CONFIGURATION: Final = 2
_MOST_TOKEN_BYTES: Final = 64 * 1024
_MOST_LEAD_SECONDS: Final = 3600
_EXPECTED: Final = (
    KeyFileError,
    RosterFileError,
    PortInUseError,
    PureParserError,
    FileExistsError,
)
_STDIN: Final = "-"
_TOKEN_IS_SHOWN: Final = (
    "The e-mail address, the sub and the other claims of the token are shown, because whoever runs this "
    "holds the token; the token itself, its signature and every key are not. Nothing is sent to an upstream."
)


class _UsageError(Exception):
    """An argument that cannot be used."""


def main(arguments: Sequence[str] | None = None, environ: Mapping[str, str] = os.environ) -> int:
    """The exit status of a command."""
    options = _parser().parse_args(arguments)
    try:
        if options.command == "run":
            return _run(environ)
        return _print(_report(options, environ), as_json=getattr(options, "json", False))
    except SettingsError as error:
        for problem in error.problems:
            _complain(problem)
    except keys.RotationRefusedError as error:
        _complain(error)
        return EXIT_FINDING
    except KeyRefreshError as error:
        _complain(f"--jwks: not a key set ({error.outcome.value})")
    except OSError as error:
        if options.command == "run":
            raise  # no file that a person named: a trace says more
        _complain(error if error.filename is None else f"{error.filename}: {error.strerror}")
    except WorkersFailedError as error:
        _complain(error)
        return error.status
    except (*_EXPECTED, _UsageError) as error:
        _complain(error)
    return EXIT_CONFIGURATION


def _complain(problem: object) -> None:
    print(f"auth-proxy: {problem}", file=sys.stderr)


def _print(report: Report, *, as_json: bool) -> int:
    if as_json:
        print(json.dumps(report.document, indent=2, ensure_ascii=False))
    else:
        print("\n".join(report.lines))
    return report.status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="auth-proxy", description="Proves Cloudflare Access identity in front of admin frontends."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser(
        "run",
        help="serve until stopped",
        description="Serve until stopped, in AUTH_PROXY_WORKERS processes. "
        "SIGHUP reads keys, roster and routes anew.",
    )
    checking = commands.add_parser("check", help="validate the configuration and print the effective one")
    _add_json(checking)
    _add_doctor(commands.add_parser("doctor", help="try the live parts and say the fix", description=_DOCTOR))
    _add_explain(
        commands.add_parser("explain", help="what would be decided about a request", description=_EXPLAIN)
    )
    _add_keys(commands.add_parser("keys", help="make, rotate or list the keys of the internal identity"))
    return parser


_DOCTOR: Final = (
    f"Try the live parts of the configuration, and say the fix for each that is wrong. {_TOKEN_IS_SHOWN}"
)
_EXPLAIN: Final = (
    f"Say what the sidecar would decide about one request, and why. {_TOKEN_IS_SHOWN} An enrollment token "
    "is never used up."
)


def _add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="for machines")


def _add_doctor(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--token", metavar="FILE", help="also judge a real Access token; - reads it from standard input"
    )
    _add_json(parser)


def _add_explain(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("path", metavar="PATH", help="path and query of the request")
    parser.add_argument("--token-file", metavar="FILE", help="the Access token; - reads standard input")
    parser.add_argument("--method", default="GET")
    parser.add_argument("--host", default="", help="the Host header; the first of ADMIN_HOST by default")
    parser.add_argument(
        "--header", action="append", default=[], metavar="'NAME: VALUE'", help="one more header"
    )
    parser.add_argument(
        "--jwks", type=Path, metavar="FILE", help="judge by these keys instead of the team's: no fetch"
    )
    _add_json(parser)


def _add_keys(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True)
    new = actions.add_parser("new", help="write a new Ed25519 key file, or one more into a folder")
    new.add_argument("path", type=Path)
    rotate = actions.add_parser("rotate", help="a new key into the folder; out of it what is retired")
    rotate.add_argument("path", type=Path, metavar="FOLDER")
    rotate.add_argument("--force", action="store_true", help="also while the newest key does not sign yet")
    listing = actions.add_parser("list", help="list key ids with their state, newest last")
    listing.add_argument("path", type=Path)


def _run(environ: Mapping[str, str]) -> int:
    settings = load_proxy_settings(environ)
    inherited = inherited_from(environ)
    # Until the sidecar runs there is nothing to reload, and a reload must not end it.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    if inherited is not None:
        return _run_worker(settings, inherited)
    configure_logging("auth_proxy")
    raise_limit()
    if settings.workers > 1:
        supervisor = Supervisor(settings, environ)
        run_service(supervisor.run, again=supervisor.hurry)
    else:
        run_service(lambda stop: run(settings, stop), again=end_at_once)
    return 0


def _run_worker(settings: ProxySettings, inherited: Inherited) -> int:
    """One of several: a terminal's Ctrl-C reaches it too, but only its supervisor ends it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP, signal.SIGINT})
    configure_logging("auth_proxy", fields={"worker": inherited.number})
    crew = Crew(inherited)
    run_service(lambda stop: run(settings, stop, crew), signals=(signal.SIGTERM,))
    return 0


def _report(options: argparse.Namespace, environ: Mapping[str, str]) -> Report:
    clock = SystemClock()
    match options.command:
        case "check":
            return check(load_proxy_settings(environ), clock.now())
        case "doctor":
            token = _token(options.token)
            _only_errors()
            return asyncio.run(examine(environ, clock, token))
        case "explain":
            question = _question(options)
            settings = load_proxy_settings(environ)
            _only_errors()
            return asyncio.run(explain(settings, question, clock))
        case _:
            return _keys(options, environ)


def _only_errors() -> None:
    """The report says what the parts would have logged."""
    configure_logging("auth_proxy", level=logging.CRITICAL)


def _keys(options: argparse.Namespace, environ: Mapping[str, str]) -> Report:
    now, lead = SystemClock().now(), _lead(environ)
    match options.action:
        case "new":
            return keys.new_key(options.path, now)
        case "rotate":
            return keys.rotate(options.path, now, lead, force=options.force)
        case _:
            return keys.list_keys(options.path, now, lead)


def _lead(environ: Mapping[str, str]) -> timedelta:
    """How long a key is published before it signs, as the sidecar has it: these commands need no more."""
    given = environ.get(keys.LEAD_VARIABLE, "").strip()
    if not given:
        return PUBLISH_BEFORE_USE
    try:
        seconds = float(given)
    except ValueError:
        seconds = 0
    if not 1 <= seconds <= _MOST_LEAD_SECONDS:
        raise SettingsError([SettingProblem(keys.LEAD_VARIABLE, f"must be 1 to {_MOST_LEAD_SECONDS}")])
    return timedelta(seconds=seconds)


def _question(options: argparse.Namespace) -> Question:
    return Question(
        target=_sendable("PATH", options.path),
        method=_sendable("--method", options.method),
        host=_sendable("--host", options.host),
        headers=tuple(_header(text) for text in options.header),
        token=_token(options.token_file),
        jwks=options.jwks.read_bytes() if options.jwks else None,
    )


def _sendable(option: str, text: str) -> str:
    """The text, if it can be written as bytes: the shell may hand over what is no UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise _UsageError(f"{option}: must be text in UTF-8") from None
    return text


def _header(text: str) -> tuple[str, str]:
    name, colon, value = _sendable("--header", text).partition(":")
    if not colon or not name.strip():
        raise _UsageError("--header: must be 'Name: value'")
    return name.strip(), value.strip()


def _token(source: str | None) -> str | None:
    """The token of a file or of standard input: never an argument, which other users could read."""
    if source is None:
        return None
    if source == _STDIN:
        raw = sys.stdin.buffer.read(_MOST_TOKEN_BYTES)
    else:
        with Path(source).open("rb") as file:
            raw = file.read(_MOST_TOKEN_BYTES)
    text = raw.decode("ascii", "replace").strip()
    if not text:
        raise _UsageError("the token is empty")
    return text
