"""A fault at any statement of a change leaves the database as it was (data-model 2.6)."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import pytest
from sqlalchemy import Executable

from admin_service.denials.models import DenialReport
from admin_service.enrollment.errors import EnrollmentRefusedError
from admin_service.enrollment.models import Claimant
from admin_service.operators.models import NewOperator
from service_kit.db.session import Parameters, WriteSession
from service_kit.identity.model import Role
from tests.integration.admin_service.admin_process import ORIGIN, AdminProcess, asker
from tests.integration.admin_service.denials import denial

TABLES = (
    "global_admins",
    "super_admin_guard",
    "roster_version",
    "enrollment_attempts",
    "operator_sessions",
    "audit_events",
    "audit_pii",
    "audit_chain_heads",
)
HELD = "axs_held"
WANTED = NewOperator("new@example.com", "New", Role.SUPPORT)


class PulledPlugError(Exception):
    """The process died here."""


async def everything(process: AdminProcess) -> Mapping[str, Sequence[Mapping[str, Any]]]:
    return {table: await process.rows(table) for table in TABLES}


async def create(process: AdminProcess) -> None:
    await process.services.operators.create(asker(), WANTED)


async def deactivate(process: AdminProcess) -> None:
    await process.services.operators.deactivate(asker(), "adm_b")


async def claim(process: AdminProcess) -> None:
    await process.services.enrollment.claim(Claimant("sub-new", "p@example.com"), "enr_p", ORIGIN)


async def fail_to_claim(process: AdminProcess) -> None:
    with pytest.raises(EnrollmentRefusedError):
        await process.services.enrollment.claim(Claimant("sub-new", "p@example.com"), "enr_x", ORIGIN)


async def deactivate_with_a_session(process: AdminProcess) -> None:
    await process.services.operators.deactivate(asker(), "adm_c")


async def mint(process: AdminProcess) -> None:
    await process.services.sessions.exchange(asker(operator_id="adm_b"))


async def sign_out(process: AdminProcess) -> None:
    await process.services.sessions.end(asker(operator_id="adm_c"), [HELD])


async def report_denials(process: AdminProcess) -> None:
    await process.services.denials.record(DenialReport((denial(), denial(sub="")), dropped=1))


CHANGES = [
    create,
    deactivate,
    claim,
    fail_to_claim,
    deactivate_with_a_session,
    mint,
    sign_out,
    report_denials,
]


@pytest.mark.parametrize("change", CHANGES)
async def test_a_fault_between_any_two_statements_leaves_no_trace(
    process: AdminProcess, change: Callable[[AdminProcess], Awaitable[None]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cut off before each statement in turn, nothing is half done; then it works, with its audit rows."""
    await process.add()
    await process.add(operator_id="adm_b")
    await process.add_pending("adm_p", "enr_p")
    await process.add(operator_id="adm_c")
    await process.hold("adm_c", HELD)
    before = await everything(process)
    execute, left = WriteSession.execute, 0

    async def cut_off(
        session: WriteSession, statement: Executable, parameters: Parameters | None = None
    ) -> int:
        nonlocal left
        left -= 1
        if left < 0:
            raise PulledPlugError
        return await execute(session, statement, parameters)

    monkeypatch.setattr(WriteSession, "execute", cut_off)
    faults = 0
    while True:
        left = faults
        try:
            await change(process)
        except PulledPlugError:
            faults += 1
            assert await everything(process) == before
        else:
            break

    assert faults >= 5  # at least the change itself, and four statements of its audit row
    assert len((await everything(process))["audit_events"]) > len(before["audit_events"])


async def test_a_fault_tells_no_sidecar(process: AdminProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is announced that was not committed."""
    announced: list[bool] = []
    monkeypatch.setattr(process.services.operators, "_roster_changed", lambda: announced.append(True))
    await process.add()

    async def no_audit(*_arguments: object) -> None:
        raise PulledPlugError

    with monkeypatch.context() as patched:
        patched.setattr(process.services.operators._recorder, "record", no_audit)
        with pytest.raises(PulledPlugError):
            await create(process)
    assert announced == []

    await create(process)
    assert announced == [True]
