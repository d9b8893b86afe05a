"""A fault at any statement of a change, or at its commit, leaves the database as it was (data-model 2.6)."""

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import event

from admin_service.denials.models import DenialReport
from admin_service.enrollment.errors import EnrollmentRefusedError
from admin_service.enrollment.models import Claimant
from admin_service.operators.models import NewOperator
from admin_service.roster.service import RosterHub
from service_kit.db.session import Database
from service_kit.identity.model import Role
from service_kit.web.idempotency import IdempotentRequest
from service_kit.web.once import Once
from tests.integration.admin_service.admin_process import ORIGIN, AdminProcess, admin_process, asker
from tests.integration.admin_service.denials import denial

TABLES = (
    "global_admins",
    "super_admin_guard",
    "roster_version",
    "enrollment_attempts",
    "operator_sessions",
    "operator_preferences",
    "saved_views",
    "idempotency_keys",
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
    await process.services.provisioning.create(asker(), WANTED)


async def deactivate(process: AdminProcess) -> None:
    await process.services.standing.deactivate(asker(), "adm_b")


async def claim(process: AdminProcess) -> None:
    await process.services.enrollment.claim(Claimant("sub-new", "p@example.com"), "enr_p", ORIGIN)


async def fail_to_claim(process: AdminProcess) -> None:
    with pytest.raises(EnrollmentRefusedError):
        await process.services.enrollment.claim(Claimant("sub-new", "p@example.com"), "enr_x", ORIGIN)


async def deactivate_with_a_session(process: AdminProcess) -> None:
    await process.services.standing.deactivate(asker(), "adm_c")


async def mint(process: AdminProcess) -> None:
    await process.services.sessions.exchange(asker(operator_id="adm_b"))


async def sign_out(process: AdminProcess) -> None:
    await process.services.sessions.end(asker(operator_id="adm_c"), [HELD])


async def report_denials(process: AdminProcess) -> None:
    await process.services.denials.record(DenialReport((denial(), denial(sub="")), dropped=1))


async def change_role(process: AdminProcess) -> None:
    await process.services.standing.change_role(asker(), "adm_b", Role.SECURITY, reason="moved", expected={1})


async def change_role_once(process: AdminProcess) -> None:
    request = IdempotentRequest("adm_super_admin POST /role", "key", "hash")
    once = Once(request, 200, lambda operator: {"id": operator.id})
    await process.services.standing.change_role(
        asker(), "adm_b", Role.SECURITY, reason="moved", expected={1}, once=once
    )


async def reissue(process: AdminProcess) -> None:
    await process.services.provisioning.reissue(asker(), "adm_p")


async def rebind(process: AdminProcess) -> None:
    await process.services.provisioning.reissue(asker(), "adm_c", rebind=True, confirm="c@example.com")


async def reactivate(process: AdminProcess) -> None:
    await process.services.provisioning.reactivate(asker(), "adm_gone", reason="came back")


async def break_glass(process: AdminProcess) -> None:
    await process.services.break_glass.use("c@example.com", "C", reason="locked out", locked_out=True)


async def break_glass_for_the_last(process: AdminProcess) -> None:
    await process.services.break_glass.use("last@example.com", "L", reason="locked out", locked_out=True)


async def end_sessions(process: AdminProcess) -> None:
    await process.services.sessions.end_all_of(asker(), "adm_c")


SILENT = [fail_to_claim, mint, sign_out, report_denials, end_sessions]
"""Nobody who decides about requests must know of these."""
TOLD = [
    create,
    deactivate,
    claim,
    deactivate_with_a_session,
    change_role,
    change_role_once,
    reissue,
    rebind,
    reactivate,
    break_glass,
    break_glass_for_the_last,
]
Change = Callable[[AdminProcess], Awaitable[None]]


@dataclass
class Plug:
    """Counts statements and commits; when as many as `left` have passed, the next one is the end."""

    left: int | None = None

    def on_statement(self, _connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        if not statement.startswith("BEGIN"):
            self.on_commit()

    def on_commit(self, *_rest: object) -> None:
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                raise PulledPlugError


@contextmanager
def plugged(database: Database) -> Iterator[Plug]:
    plug, engine = Plug(), database.write_engine.sync_engine
    listeners = (("before_cursor_execute", plug.on_statement), ("commit", plug.on_commit))
    for name, listener in listeners:
        event.listen(engine, name, listener)
    yield plug
    for name, listener in listeners:
        event.remove(engine, name, listener)


async def people(process: AdminProcess, change: Change) -> None:
    if change is break_glass_for_the_last:
        await process.add(operator_id="adm_last")
        await process.hold("adm_last", HELD)
        return
    await process.add()
    await process.add(operator_id="adm_b")
    await process.add_pending("adm_p", "enr_p")
    await process.add(operator_id="adm_c")
    await process.hold("adm_c", HELD)
    await process.add(Role.SUPPORT, operator_id="adm_gone", deactivated_at=process.clock.now())


@pytest.mark.parametrize("change", [*SILENT, *TOLD])
async def test_a_fault_between_any_two_statements_leaves_no_trace(
    database_url: str, change: Change, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R-062, R-064, R-079, G-01, G-09: before or after, never between; no sidecar hears of what is not.

    The plug is pulled before each statement in turn and before the commit: nothing is half done and
    nothing is announced. Then the same change works, with its audit rows and one announcement.
    """
    announced: list[bool] = []
    monkeypatch.setattr(RosterHub, "announce", lambda _hub: announced.append(True))
    async with admin_process(database_url) as process:
        await people(process, change)
        before = await everything(process)
        with plugged(process.database) as plug:
            faults = 0
            while True:
                plug.left = faults
                try:
                    await change(process)
                except PulledPlugError:
                    faults += 1
                else:
                    break
                finally:
                    plug.left = None
                assert await everything(process) == before
                assert announced == []
        after = await everything(process)

    assert faults >= 7  # the change, five statements of its audit row, and the commit
    assert len(after["audit_events"]) > len(before["audit_events"])
    assert bool(announced) is (change in TOLD)
