"""The command `auth-proxy`: run the sidecar, check a configuration, make a signing key.

A wrong configuration ends with status 2 and one line per problem, by variable name.
"""

import argparse
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from auth_proxy.app import run
from auth_proxy.settings import ProxySettings, load_proxy_settings
from auth_proxy.transport.listener import PureParserError
from service_kit.clock import SystemClock
from service_kit.identity.keys import KeyFileError, load_signing_keys, new_signing_key
from service_kit.settings import SettingsError, variables
from service_kit.telemetry.logging import configure_logging
from service_kit.web.serving import PortInUseError, run_service

EXIT_CONFIGURATION = 2


def main(arguments: Sequence[str] | None = None, environ: Mapping[str, str] = os.environ) -> int:
    """The exit status of a command."""
    options = _parser().parse_args(arguments)
    try:
        match options.command:
            case "run":
                return _run(environ)
            case "check":
                return _check(environ)
            case _:
                return _keys(options)
    except SettingsError as error:
        for problem in error.problems:
            print(f"auth-proxy: {problem}", file=sys.stderr)
    except (KeyFileError, PortInUseError, PureParserError, FileExistsError) as error:
        print(f"auth-proxy: {error}", file=sys.stderr)
    return EXIT_CONFIGURATION


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="auth-proxy", description="Proves Cloudflare Access identity in front of admin frontends."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("run", help="serve until stopped")
    commands.add_parser("check", help="validate the configuration and print the effective one")
    keys = commands.add_parser("keys", help="make or list the keys of the internal identity")
    actions = keys.add_subparsers(dest="action", required=True)
    new = actions.add_parser("new", help="write a new Ed25519 key file, or one more into a folder")
    new.add_argument("path", type=Path)
    listing = actions.add_parser("list", help="list key ids, newest last")
    listing.add_argument("path", type=Path)
    return parser


def _run(environ: Mapping[str, str]) -> int:
    settings = load_proxy_settings(environ)
    configure_logging("auth_proxy")
    run_service(lambda stop: run(settings, stop))
    return 0


def _check(environ: Mapping[str, str]) -> int:
    settings = load_proxy_settings(environ)
    load_signing_keys(settings.signing_key_file)
    effective = {names[0]: _shown(settings, field) for field, names in variables(ProxySettings).items()}
    effective["CF_ACCESS_TEAM_DOMAIN"] = settings.issuer_url
    effective["AUTH_PROXY_ROSTER"] = settings.roster_source
    print(json.dumps(effective, indent=2))
    return 0


def _shown(settings: ProxySettings, field: str) -> object:
    value = getattr(settings, field)
    if value is None or isinstance(value, bool | int | float):
        return value
    return ",".join(str(part) for part in value) if isinstance(value, tuple) else str(value)


def _keys(options: argparse.Namespace) -> int:
    path: Path = options.path
    if options.action == "list":
        for key in load_signing_keys(path):
            print(f"{key.kid}  {key.created_at:%Y-%m-%dT%H:%M:%SZ}")
        return 0
    target = path / f"{SystemClock().now():%Y%m%dT%H%M%SZ}.pem" if path.is_dir() else path
    print(f"{new_signing_key(target)}  {target}")
    return 0
