"""The limit of file descriptors: raised at start, and compared by doctor with the connections allowed."""

import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from auth_proxy.commands.doctor.capacity import look_at_descriptors, look_at_workers, usable_cores
from auth_proxy.commands.doctor.patient import Patient
from auth_proxy.commands.report import Verdict
from auth_proxy.descriptors import raise_limit
from auth_proxy.settings import load_proxy_settings
from service_kit.clock import SystemClock

ROOT: Final = Path(__file__).parents[3]
SCRIPT: Final = """
import resource
from auth_proxy.descriptors import raise_limit
from service_kit.telemetry.logging import configure_logging

configure_logging("auth_proxy")
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 128))
raise_limit()
print(resource.getrlimit(resource.RLIMIT_NOFILE))
raise_limit()
"""


def test_the_soft_limit_is_raised_to_the_hard_one_and_logged_once() -> None:
    """R-097: as many connections as the system allows, not the 1024 of an old custom."""
    ran = subprocess.run(
        [sys.executable, "-c", SCRIPT], cwd=ROOT, capture_output=True, text=True, check=True, timeout=30
    )
    said = ran.stdout + ran.stderr

    assert "(128, 128)" in ran.stdout
    assert said.count("descriptor_limit_raised") == 1


def test_a_limit_that_cannot_be_raised_stops_no_start(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Some systems name a limit that they do not grant: it is told, and the sidecar starts."""

    def refuse(_which: int, _limits: tuple[int, int]) -> None:
        raise ValueError("not allowed to raise maximum limit")

    monkeypatch.setattr(resource, "getrlimit", lambda _which: (256, resource.RLIM_INFINITY))
    monkeypatch.setattr(resource, "setrlimit", refuse)
    raise_limit()

    assert "descriptor_limit_kept" in "".join(capsys.readouterr())


@pytest.fixture
def patient() -> Patient:
    settings = load_proxy_settings(
        {
            "ADMIN_HOST": "admin.example.com",
            "CF_ACCESS_TEAM_DOMAIN": "https://team.cloudflareaccess.com",
            "CF_ACCESS_AUD": "a" * 64,
            "AUTH_PROXY_UPSTREAM": "http://127.0.0.1:3000",
            "AUTH_PROXY_ROSTER": "open:read_only",
            "AUTH_PROXY_MAX_CONNECTIONS": "1000",
            "INTERNAL_SIGNING_KEY_FILE": "/none.pem",
        }
    )
    return Patient(settings, SystemClock())


@pytest.mark.parametrize(
    "hard, verdict, seen",
    [
        (999, Verdict.WARN, "the limit here is 999"),
        (1999, Verdict.WARN, "the limit here is 1999"),
        (2000, Verdict.OK, "the limit here is 2000"),
        (resource.RLIM_INFINITY, Verdict.OK, "there is no limit"),
    ],
)
async def test_doctor_compares_the_limit_with_the_connections(
    patient: Patient, monkeypatch: pytest.MonkeyPatch, hard: int, verdict: Verdict, seen: str
) -> None:
    """R-136: each connection may need two descriptors; the soft limit does not count, it is raised."""
    monkeypatch.setattr(resource, "getrlimit", lambda _which: (64, hard))
    (finding,) = await look_at_descriptors(patient)

    assert (finding.verdict, bool(finding.fix)) == (verdict, verdict is Verdict.WARN)
    assert finding.seen == f"1000 connections may need 2000, {seen}"


async def test_each_worker_has_a_limit_of_its_own(patient: Patient, monkeypatch: pytest.MonkeyPatch) -> None:
    """The connections are counted in each worker, and so are its descriptors."""
    monkeypatch.setattr(resource, "getrlimit", lambda _which: (64, 2000))
    several = Patient(patient.settings.model_copy(update={"workers": 2}), patient.clock)
    (finding,) = await look_at_descriptors(several)

    assert finding.verdict is Verdict.OK
    assert finding.seen == "each of 2 workers: 1000 connections may need 2000, the limit here is 2000"


@pytest.mark.parametrize(
    "workers, verdict, seen",
    [
        (1, Verdict.OK, "1, the process itself"),
        (4, Verdict.OK, "4 on 4 cores"),
        (5, Verdict.WARN, "5 on 4 cores"),
    ],
)
async def test_doctor_compares_the_workers_with_the_cores(
    patient: Patient, monkeypatch: pytest.MonkeyPatch, workers: int, verdict: Verdict, seen: str
) -> None:
    """More workers than cores only take turns: a warning, as it costs memory alone."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: {0, 1, 2, 3})
    several = Patient(patient.settings.model_copy(update={"workers": workers}), patient.clock)
    (finding,) = await look_at_workers(several)

    assert (finding.verdict, finding.seen, bool(finding.fix)) == (verdict, seen, verdict is Verdict.WARN)


def test_cores_are_those_that_may_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that is bound to two cores has two; where nothing binds, all that there are."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: {4, 7})
    bound = usable_cores()
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: None)

    assert (bound, usable_cores()) == (2, 1)
