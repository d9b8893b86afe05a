"""The sidecar under measure: every check, the metrics and the decision log on, as in production.

Its only difference is APP_ENV=development, because the team of the run publishes its keys over plain HTTP.
"""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from benchmarks.contenders.contender import Contender
from benchmarks.given import AUDIENCE, HOST, LOCAL, TOKENS, Given, email_of
from benchmarks.process import Command, free_port
from deploy.demo.people import subject_of
from service_kit.identity.keys import new_signing_key

OPS_PORT_FILE: Final = "ops-port"


def environment(given: Given, folder: Path, port: int, **changes: str) -> Mapping[str, str]:
    """The settings of the sidecar; `changes` are further or other variables."""
    identity = folder / "identity.pem"
    if not identity.exists():
        new_signing_key(identity)
    ops = free_port()
    (folder / OPS_PORT_FILE).write_text(str(ops), encoding="ascii")
    return {
        "APP_ENV": "development",
        "ADMIN_HOST": HOST,
        "CF_ACCESS_TEAM_DOMAIN": given.team,
        "CF_ACCESS_AUD": AUDIENCE,
        "AUTH_PROXY_LISTEN": f"{LOCAL}:{port}",
        "AUTH_PROXY_OPS_LISTEN": f"{LOCAL}:{ops}",
        "AUTH_PROXY_UPSTREAM": f"http://{LOCAL}:{given.upstream}",
        "AUTH_PROXY_ROSTER": f"file:{_roster(folder)}",
        "AUTH_PROXY_TRUSTED_PROXIES": f"{LOCAL}/32",
        "INTERNAL_SIGNING_KEY_FILE": str(identity),
        **changes,
    }


def command(given: Given, folder: Path, port: int, **changes: str) -> Command:
    words = (sys.executable, "-m", "auth_proxy", "run")
    return Command(words, port, environment(given, folder, port, **changes))


def ops_port(folder: Path) -> int:
    """Where the sidecar of this folder shows its metrics."""
    return int((folder / OPS_PORT_FILE).read_text(encoding="ascii"))


def _roster(folder: Path) -> Path:
    """A file of as many operators as there are tokens."""
    path = folder / "operators.toml"
    emails = (email_of(number) for number in range(TOKENS))
    path.write_text(
        "\n".join(
            f'[[operators]]\nemail = "{email}"\nsub = "{subject_of(email)}"\nrole = "support"\n'
            for email in emails
        ),
        encoding="utf-8",
    )
    return path


SIDECAR: Final = Contender(
    name="sidecar",
    title="Sallyport",
    program=Path(sys.executable).name,
    install="make run",
    version=(sys.executable, "-c", "from importlib.metadata import version; print(version('aiohttp'))"),
    command=command,
)
