"""The systemd units: systemd finds nothing wrong with them, and they leave a process next to nothing."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from service_kit.web.serving import DRAIN_SECONDS
from tests.deploy.shipped import DEPLOY, PROCESSES, commands, env_file, ports, required_tool

SYSTEMD: Final = DEPLOY / "systemd"
UNITS: Final = {"auth-proxy": "proxy", "admin-service": "admin", "tenant-service": "tenant"}
"""Each process with the name of its user and environment file."""
MOST_EXPOSED: Final = 1.1
CREDENTIALS: Final = "/run/credentials"


def unit_file(process: str) -> Path:
    return SYSTEMD / f"sallyport-{process.removesuffix('-service')}.service"


def directives(process: str) -> dict[str, list[str]]:
    """The values of each directive of a unit, in their order."""
    found: dict[str, list[str]] = {}
    for line in unit_file(process).read_text(encoding="utf-8").splitlines():
        name, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            found.setdefault(name, []).append(value)
    return found


def environment(process: str) -> dict[str, str]:
    """What the process would be started with: the unit's own lines over the example's."""
    own = dict(line.split("=", 1) for line in directives(process)["Environment"])
    return {**env_file(SYSTEMD / f"{UNITS[process]}.env.example"), **own}


@pytest.mark.parametrize("process", UNITS)
def test_a_unit_and_its_example_are_a_whole_configuration(process: str) -> None:
    """No variable is misspelt, none required is missing, listeners stay on loopback (R-136, R-173)."""
    given = {name: value.replace("%d", CREDENTIALS) for name, value in environment(process).items()}
    settings = PROCESSES[process].require_valid(given)

    assert ports(settings) == ports(PROCESSES[process].settings)
    assert not [name for name in given if name.endswith("_LISTEN")]


@pytest.mark.parametrize("process", UNITS)
def test_a_unit_starts_its_command_as_its_own_user(process: str) -> None:
    """It runs the installed command as a user that sysusers makes and no other unit has."""
    unit = directives(process)
    users = re.findall(r"^u (\S+)", (SYSTEMD / "sysusers.conf").read_text(encoding="utf-8"), re.MULTILINE)

    assert unit["ExecStart"] == [f"/opt/sallyport/bin/{process} run"]
    assert process in commands()
    assert unit["User"] == unit["Group"] == [f"sallyport-{UNITS[process]}"]
    assert unit["EnvironmentFile"] == [f"/etc/sallyport/{UNITS[process]}.env"]
    assert unit["User"][0] in users
    assert len(users) == len(UNITS)


@pytest.mark.parametrize("process", UNITS)
def test_every_key_is_a_credential_or_in_a_folder_that_is_made(process: str) -> None:
    """What a unit reads below %d it loads, make-secrets.sh makes it, and the sidecar's folder is private."""
    unit = directives(process)
    loaded = dict(line.split(":", 1) for line in unit.get("LoadCredential", []))
    script = (DEPLOY / "make-secrets.sh").read_text(encoding="utf-8")
    tmpfiles = (SYSTEMD / "tmpfiles.conf").read_text(encoding="utf-8")
    read = {value.removeprefix("%d/") for value in environment(process).values() if value.startswith("%d/")}

    assert read == set(loaded)
    assert all(Path(source).name in script for source in loaded.values())
    if process == "auth-proxy":
        folder = environment(process)["INTERNAL_SIGNING_KEY_FILE"]
        assert re.search(rf"^d {folder} +0700 +sallyport-proxy ", tmpfiles, re.MULTILINE)


@pytest.mark.parametrize("process", UNITS)
def test_systemd_waits_for_the_drain(process: str) -> None:
    """It kills nobody before the lame duck and the drain have ended."""
    given = environment(process)
    drain = float(given.get("AUTH_PROXY_DRAIN_SECONDS", DRAIN_SECONDS))
    duck = float(given.get("AUTH_PROXY_LAME_DUCK_SECONDS", 0))

    assert float(directives(process)["TimeoutStopSec"][0]) >= drain + duck + 5


@pytest.mark.parametrize("process", UNITS)
def test_only_the_sidecar_may_speak_to_the_world(process: str) -> None:
    """R-136: the kernel drops what a service would send to or take from another machine."""
    unit = directives(process)

    if process == "auth-proxy":
        assert "IPAddressDeny" not in unit
    else:
        assert (unit["IPAddressDeny"], unit["IPAddressAllow"]) == (["any"], ["localhost"])


def with_a_command_that_exists(process: str, folder: Path) -> Path:
    """A copy of the unit whose command is a program of this machine: systemd asks for that."""
    text = unit_file(process).read_text(encoding="utf-8")
    copy = folder / unit_file(process).name
    copy.write_text(text.replace(f"/opt/sallyport/bin/{process}", sys.executable), encoding="utf-8")
    return copy


@pytest.mark.parametrize("process", UNITS)
def test_systemd_verifies_the_unit(process: str, tmp_path: Path) -> None:
    """`systemd-analyze verify` knows every directive and every value."""
    tool = required_tool("systemd-analyze")
    unit = with_a_command_that_exists(process, tmp_path)
    done = subprocess.run(
        [tool, "verify", "--man=no", str(unit)], capture_output=True, text=True, check=False, timeout=60
    )

    about_us = [line for line in done.stderr.splitlines() if "sallyport" in line]
    assert (done.returncode, about_us) == (0, [])


@pytest.mark.parametrize("process", UNITS)
def test_systemd_judges_the_sandbox(process: str, tmp_path: Path) -> None:
    """`systemd-analyze security` finds no more exposure than the unit says of itself, and that is little."""
    tool = required_tool("systemd-analyze")
    unit = with_a_command_that_exists(process, tmp_path)
    (said,) = re.findall(
        r"^# systemd-analyze security: (\d\.\d)", unit.read_text(encoding="utf-8"), re.MULTILINE
    )
    done = subprocess.run(
        [
            tool,
            "security",
            "--offline=true",
            f"--threshold={round(MOST_EXPOSED * 10)}",
            "--no-pager",
            str(unit),
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    (found,) = re.findall(r"Overall exposure level for \S+: (\d+\.\d)", done.stdout)

    assert done.returncode == 0, done.stdout[-2000:]
    # A newer systemd asks for more than an older one: what stands in the file may only be an overstatement.
    assert float(found) <= MOST_EXPOSED
    assert float(said) <= MOST_EXPOSED
