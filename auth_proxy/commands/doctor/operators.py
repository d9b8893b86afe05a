"""Doctor's look at the roster: whether anybody can tell who is an operator.

It reads the list and claims nothing.
"""

import asyncio
from pathlib import Path

from auth_proxy.commands.doctor.patient import Patient
from auth_proxy.commands.live import SNAPSHOT_SECONDS, FeedWatch, feed_now, fresh_signer
from auth_proxy.commands.report import Finding, fault, fine, warning
from auth_proxy.roster.file import RosterFileError, load_operators
from service_kit.identity.keys import KeyFileError
from service_kit.identity.model import Role


async def look_at_roster(patient: Patient) -> list[Finding]:
    """One finding about the source of operators."""
    kind, _, detail = patient.settings.roster_source.partition(":")
    if kind == "open":
        return [_open(detail)]
    if kind == "file":
        return [await asyncio.to_thread(_file, Path(detail))]
    return [await _feed(patient)]


def _open(role: str) -> Finding:
    seen = f"open: everybody whom Access lets in is {role}"
    if role == Role.SUPER_ADMIN:
        fix = "set AUTH_PROXY_ROSTER=file:/path with one role per person, or open: with a smaller role"
        return warning("roster", seen, fix)
    return fine("roster", seen)


def _file(path: Path) -> Finding:
    try:
        operators = load_operators(path)
    except RosterFileError as error:
        return fault("roster", str(error), "correct the file; a running sidecar keeps the last good one")
    seen = f"{path}: {len(operators.by_email)} operators"
    if not operators.unpinned:
        return fine("roster", seen)
    fix = "add each person's Access sub to the entry (auth-proxy explain shows it for a token)"
    return warning("roster", f"{seen}; without a pinned sub: {', '.join(operators.unpinned)}", fix)


async def _feed(patient: Patient) -> Finding:
    try:
        signer = fresh_signer(patient.settings, patient.clock)
    except KeyFileError:
        return fault("roster", "not asked: there is no key to ask with", "see the signing keys")
    watch = FeedWatch()
    async with feed_now(patient.settings, signer, patient.clock, watch):
        url = patient.settings.admin_service
        if not watch.told.is_set():
            why = "opens the feed and says nothing" if watch.has_answered else "gives no feed"
            fix = (
                "see the finding about the admin_service; until it works nobody gets in (ROSTER_UNAVAILABLE)"
            )
            return fault("roster", f"{url}: {why} within {SNAPSHOT_SECONDS:.0f} s", fix)
        if not watch.operators:
            fix = "admin-service seed-admin --email you@example.com"
            return warning("roster", f"{url}: nobody is enrolled yet", fix)
        return fine("roster", f"{url}: {watch.operators} enrolled operators")
