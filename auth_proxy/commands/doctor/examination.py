"""Doctor's round: every check at once, each with a bound, none stopping another.

Its list is the whole of what `doctor` looks at, in the order of the report.
"""

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from auth_proxy.commands.doctor.application import look_at_audiences, look_at_token, look_at_token_types
from auth_proxy.commands.doctor.capacity import look_at_descriptors, look_at_workers
from auth_proxy.commands.doctor.exposure import (
    look_at_development,
    look_at_listeners,
    look_at_panel_origin,
    look_at_trusted_proxies,
)
from auth_proxy.commands.doctor.operators import look_at_roster
from auth_proxy.commands.doctor.patient import Check, Patient
from auth_proxy.commands.doctor.running import look_at_running_sidecar
from auth_proxy.commands.doctor.signing import look_at_key_files, look_at_services
from auth_proxy.commands.doctor.team import look_at_team
from auth_proxy.commands.doctor.upstreams import look_at_upstreams
from auth_proxy.commands.report import Finding, Report, Verdict, fault, fine
from auth_proxy.settings import load_proxy_settings
from service_kit.clock import Clock
from service_kit.settings import SettingsError

CHECK_SECONDS: Final = 5.0
CHECKS: Final[tuple[tuple[str, Check], ...]] = (
    ("team", look_at_team),
    ("audience", look_at_audiences),
    ("token types", look_at_token_types),
    ("token", look_at_token),
    ("listener", look_at_listeners),
    ("trusted proxies", look_at_trusted_proxies),
    ("development gate", look_at_development),
    ("panel origin", look_at_panel_origin),
    ("file descriptors", look_at_descriptors),
    ("workers", look_at_workers),
    ("signing keys", look_at_key_files),
    ("services", look_at_services),
    ("roster", look_at_roster),
    ("upstreams", look_at_upstreams),
    ("running sidecar", look_at_running_sidecar),
)

_CONFIGURATION: Final = 2


async def examine(
    environ: Mapping[str, str],
    clock: Clock,
    token: str | None = None,
    *,
    checks: Sequence[tuple[str, Check]] = CHECKS,
) -> Report:
    """Every finding; status 1 when one is a fault, 2 when the settings cannot be read at all."""
    try:
        settings = load_proxy_settings(environ)
    except SettingsError as error:
        findings = [
            fault("settings", str(problem), "correct the variable; docs/settings.md has them all")
            for problem in error.problems
        ]
        return _report(findings, broken=_CONFIGURATION)
    patient = Patient(settings, clock, token)
    rounds = await asyncio.gather(*(_bounded(name, check, patient) for name, check in checks))
    loaded = fine("settings", "valid; auth-proxy check shows them")
    return _report([loaded, *(finding for findings in rounds for finding in findings)], broken=1)


async def _bounded(name: str, check: Check, patient: Patient) -> Iterable[Finding]:
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            return await check(patient)
    except TimeoutError:
        seen = f"no result within {CHECK_SECONDS:.0f} s"
        return [fault(name, seen, "look whether the addresses of this part answer at all")]
    except Exception as error:  # noqa: BLE001 - one broken check must not hide what the others found
        return [
            fault(name, f"the check failed itself ({type(error).__name__})", "report this: it is a defect")
        ]


def _report(findings: list[Finding], *, broken: int) -> Report:
    counts = {verdict: sum(finding.verdict is verdict for finding in findings) for verdict in Verdict}
    summary = {verdict.value: counts[verdict] for verdict in Verdict}
    return Report(
        tuple(_lines(findings, summary)),
        {"findings": [finding.document() for finding in findings], "summary": summary},
        status=broken if counts[Verdict.FAIL] else 0,
    )


def _lines(findings: list[Finding], summary: dict[str, int]) -> Iterator[str]:
    for finding in findings:
        yield from finding.lines()
    yield ""
    yield ", ".join(f"{count} {verdict}" for verdict, count in summary.items())
