"""Two of each on one machine: the balancer, what each process is told, and the keys that are made."""

import re
import subprocess
from pathlib import Path
from typing import Final

import pytest

from deploy.local.stack import LAME_DUCK_SECONDS, Place, balancer_config, programs
from service_kit.db.key_files import secret_of_file
from service_kit.identity.keys import load_signing_keys
from tests.deploy.shipped import AUD, DEPLOY, PROCESSES, ports, required_tool

MODULES: Final = {
    "auth_proxy": "auth-proxy",
    "admin_service": "admin-service",
    "tenant_service": "tenant-service",
}
URL: Final = "postgresql://owner:secret@/database?host=/run/postgresql"


def place(offset: int = 0) -> Place:
    return Place(Path("data/local"), URL, URL, AUD, offset)


def test_haproxy_takes_the_configuration(tmp_path: Path) -> None:
    """`haproxy -c` finds nothing wrong with the shipped file, nor with its ports moved."""
    haproxy = required_tool("haproxy")
    for offset in (0, 100):
        config = tmp_path / f"{offset}.cfg"
        config.write_text(balancer_config(place(offset)), encoding="utf-8")
        done = subprocess.run([haproxy, "-c", "-f", str(config)], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("offset", [0, 300])
def test_the_balancer_asks_every_replica_where_it_listens(offset: int) -> None:
    """Each server of the file is a listener of a replica, and is checked at the same one's operations."""
    servers = re.findall(
        r"server \w+ 127\.0\.0\.1:(\d+) check(?: port (\d+))?", balancer_config(place(offset))
    )
    replicas = [set(program.ports) for program in programs(place(offset)) if program.name[-1].isdigit()]

    assert len(servers) == 10
    for port, check in servers:
        (replica,) = [found for found in replicas if int(port) in found]
        assert int(check or port) in replica
    binds = {int(port) for port in re.findall(r"bind 127\.0\.0\.1:(\d+)", balancer_config(place(offset)))}
    (balancer,) = [program for program in programs(place(offset)) if program.name == "haproxy"]
    assert binds == set(balancer.ports)


def test_a_leaving_sidecar_is_seen_before_it_stops_taking_connections() -> None:
    """Two looks of the balancer fit into the lame duck."""
    text = balancer_config(place())
    (every, fall) = re.findall(r"default-server inter (\d+)ms fall (\d+)", text)[0]

    assert int(every) * int(fall) / 1000 < LAME_DUCK_SECONDS


def test_every_process_is_told_what_it_needs() -> None:
    """Each environment is a valid configuration of its process, and names no setting that nobody has."""
    everybody = set().union(*(process.variables for process in PROCESSES.values()))
    told: dict[str, int] = {}
    for program in programs(place()):
        if program.name in {"haproxy", "edge"}:
            continue
        process = PROCESSES[MODULES[program.command[2]]]
        settings = process.load(program.environment)
        assert set(program.environment) <= everybody
        assert set(ports(settings).values()) == set(program.ports)
        told[process.name] = told.get(process.name, 0) + 1

    assert told == dict.fromkeys(PROCESSES, 2)


def test_the_made_secrets_are_what_the_processes_read(tmp_path: Path) -> None:
    """R-140: the script makes keys of the right kind for their owner alone, and overwrites none."""
    required_tool("openssl")
    folder = tmp_path / "secrets"
    made = subprocess.run([DEPLOY / "make-secrets.sh", folder], capture_output=True, text=True, check=True)
    again = subprocess.run([DEPLOY / "make-secrets.sh", folder], capture_output=True, text=True, check=False)

    keys = [load_signing_keys(folder / name) for name in ("identity", "admin-audit.pem", "tenant-audit.pem")]
    others = {secret_of_file(folder / f"tenant-{name}.key") for name in ("predicate", "outbox")}
    passwords = {path.read_text(encoding="utf-8") for path in folder.glob("*.password")}
    assert len({key.kid for found in keys for key in found}) == 3
    assert len(others) == 2
    assert len(passwords) == 3
    assert min(map(len, passwords)) >= 40
    assert all(path.stat().st_mode & 0o077 == 0 for path in [folder, *folder.rglob("*")])
    assert not any(password in made.stdout for password in passwords)
    assert again.returncode == 1
    for name in ("admin", "tenant"):
        *_, owner, password = (folder / f"{name}.pgpass").read_text(encoding="utf-8").strip().split(":")
        assert owner == f"{name}_owner"
        assert password == (folder / f"{name}-owner.password").read_text(encoding="utf-8")
