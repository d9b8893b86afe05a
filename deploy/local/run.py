"""`python -m deploy.local.run`: PostgreSQL, two sidecars, two of each service, HAProxy before them.

All on loopback, for trying what happens when one of two is killed or restarted. What ends is started again
after a second. It is no production set-up: the edge's stand-in lets you choose who you are.
"""

import argparse
import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from deploy.demo.key_store import KeyStore
from deploy.demo.processes import DemoError, refuse_taken_ports
from deploy.demo.processes import Program as DemoProgram
from deploy.demo.run import only_demo_of
from deploy.demo.sample_data import make_sample_data, seed_first_operator
from deploy.local.keeping import Keeper, say, until_answered
from deploy.local.postgres import embedded, make_databases, owner_url
from deploy.local.stack import Place, Program, balancer_config, programs

SECRETS: Final = Path(__file__).resolve().parents[1] / "make-secrets.sh"


def main(words: Sequence[str] | None = None) -> int:
    """Run until Ctrl-C. The exit status is 0 then, and 1 when it could not go on."""
    given = _arguments().parse_args(words)
    os.umask(0o077)
    data = Path(given.data)
    try:
        _require_haproxy()
        with contextlib.ExitStack() as stack:
            _hold(data, stack)
            superuser = given.postgres or stack.enter_context(embedded(data.absolute() / "pg"))
            place = _prepared(data, superuser, given.port_offset)
            asyncio.run(_run(place))
    except DemoError as error:
        sys.stderr.write(f"\n{error}\n")
        return 1
    return 0


def _hold(data: Path, stack: contextlib.ExitStack) -> None:
    """One stack for each folder."""
    try:
        stack.enter_context(only_demo_of(data))
    except DemoError:
        raise DemoError(f"another stack runs on {data}: end it, or use --data and --port-offset") from None


def _require_haproxy() -> None:
    if shutil.which("haproxy") is None:
        raise DemoError("haproxy is not installed: on Debian, apt install haproxy")


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m deploy.local.run", description="Two of each, on this machine."
    )
    parser.add_argument(
        "--data", default="data/local", help="keys, database, logs and pids (default: %(default)s)"
    )
    parser.add_argument("--port-offset", default=0, type=int, help="added to every port")
    parser.add_argument(
        "--postgres", metavar="URL", help="a superuser's URL; by default an embedded server is started"
    )
    return parser


def _prepared(data: Path, superuser: str, offset: int) -> Place:
    """Keys and databases are made on the first start, and found again on the next."""
    secrets = data / "secrets"
    if not secrets.exists():
        subprocess.run([SECRETS, secrets], check=True, stdout=subprocess.DEVNULL)  # noqa: S603 - our own script
    made = data / "databases-made"
    if not made.exists():
        make_databases(superuser, secrets)
        made.touch()
    (data / "mail").mkdir(exist_ok=True)
    place = Place(
        data=data,
        admin_database=owner_url(superuser, "admin", secrets),
        tenant_database=owner_url(superuser, "tenant", secrets),
        audience=KeyStore(data / "edge").load_or_create_audience(),
        offset=offset,
    )
    (data / "haproxy.cfg").write_text(balancer_config(place), encoding="utf-8")
    return place


async def _run(place: Place) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    everything = programs(place)
    refuse_taken_ports([DemoProgram(p.name, (), {}, p.ports, p.ready_url, "") for p in everything])
    admin = next(program for program in everything if program.name == "admin-1")
    first_token = await seed_first_operator({**os.environ, **admin.environment})
    keeper = Keeper(place.data)
    try:
        say("Starting two of each …")
        await keeper.start(everything)
        await until_answered([place.url(usual) for usual in (8080, 8081, 8082, 8083)])
        if first_token is not None:
            say("Making sample data through the front door …")
            await make_sample_data(place.origin, first_token)
        _welcome(place, everything)
        await stop.wait()
    finally:
        say("Stopping …")
        await keeper.stop()
    say("All processes have ended.")


def _welcome(place: Place, everything: Sequence[Program]) -> None:
    say("")
    for program in everything:
        pid = (place.data / f"{program.name}.pid").read_text(encoding="utf-8").strip()
        say(f"  {program.name:<12} pid {pid:<8} {', '.join(str(port) for port in program.ports)}")
    say("")
    say(f"  Open {place.origin}, or kill one of two: kill $(cat {place.data}/admin-1.pid)")
    say("  What ends is started again after a second. Ctrl-C ends it all; the data stays.")


if __name__ == "__main__":
    sys.exit(main())
