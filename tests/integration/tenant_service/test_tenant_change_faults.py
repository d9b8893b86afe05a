"""Every change of a tenant, made to fail: what it was before is what it is, in every table (issue 6)."""

import itertools
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass

import pytest
from structlog.testing import capture_logs

from tests.integration.tenant_service.faults import FaultyWrites
from tests.integration.tenant_service.lives import ask, bring_to, everything, lively_tenant
from tests.integration.tenant_service.tenant_process import TenantProcess, tenant_process

pytestmark = pytest.mark.usefixtures("no_job_by_itself")


@dataclass(frozen=True)
class Change:
    """One request that changes something; `{…}` in its path is filled in from the tenant's own rows."""

    method: str
    path: str
    body: Mapping[str, object] | None = None
    state: str = "active"
    version: int | None = None

    @property
    def slug(self) -> str:
        """A tenant of its own for each change."""
        word = f"{self.method}-{self.state}{self.path}".lower()
        return "".join(c if c.isalpha() else "-" for c in word if c.isalpha() or c in "-/").rstrip("-")


REASON = {"reason": "because"}
CHANGES = (
    Change("PATCH", "", {"name": "Other"}, version=1),
    Change("POST", "/suspend", {**REASON, "notifyOwner": True}),
    Change("POST", "/restore", REASON, state="suspended"),
    Change("DELETE", "", REASON),
    Change("POST", "/restore", REASON, state="deleted"),
    Change("POST", "/sessions/revoke", REASON),
    Change("POST", "/invitations", {"email": "bob@example.com", "role": "admin"}),
    Change("POST", "/invitations/{invitation}/resend"),
    Change("DELETE", "/invitations/{invitation}"),
    Change("DELETE", "/connected-accounts/{account}", REASON),
    Change("PUT", "/feature-flags/new_inbox", {"enabled": True}, version=0),
)
REFUSE_AUDIT_ROWS = {
    "sqlite": (
        """CREATE TRIGGER refuse BEFORE INSERT ON audit_events WHEN NEW.scope = 'tenant'
           BEGIN SELECT RAISE(ABORT, 'refused'); END""",
        "DROP TRIGGER refuse",
    ),
    "postgresql": (
        "ALTER TABLE audit_events ADD CONSTRAINT refuse CHECK (scope <> 'tenant') NOT VALID",
        "ALTER TABLE audit_events DROP CONSTRAINT refuse",
    ),
}


@pytest.fixture(autouse=True)
def unrendered() -> Iterator[None]:
    """Some hundred faults are logged with their traces: drawing those for a terminal takes minutes."""
    with capture_logs():
        yield


@pytest.fixture
async def process(no_job_by_itself: None, database_url: str) -> AsyncIterator[TenantProcess]:
    """A service that knows a flag, on each kind of database."""
    async with tenant_process(database_url, FEATURE_FLAGS="new_inbox") as running:
        yield running


async def ready(process: TenantProcess, change: Change) -> str:
    """The path of the change on a tenant that is in the right state for it."""
    tenant_id = await lively_tenant(process, change.slug)
    await bring_to(process, tenant_id, change.state)
    names = {
        word: next(
            (str(row["id"]) for row in await process.rows(table) if row["organization_id"] == tenant_id), ""
        )
        for word, table in (("invitation", "invitations"), ("account", "connected_accounts"))
    }
    return f"/{tenant_id}{change.path.format(**names)}"


async def make(process: TenantProcess, change: Change, path: str) -> int:
    key = "k" if change.method == "POST" else None
    said = await ask(process, change.method, path, change.body, key=key, version=change.version)
    return said.status


async def test_without_its_audit_rows_no_change_is_made(process: TenantProcess) -> None:
    """R-102, issue 6: a refused second audit row undoes the change, its letter and its key; 500, no trace."""
    refuse, allow = REFUSE_AUDIT_ROWS[process.database.dialect]
    paths = [await ready(process, change) for change in CHANGES]
    await process.sql(refuse)
    before = await everything(process)
    for change, path in zip(CHANGES, paths, strict=True):
        assert await make(process, change, path) == 500, change
        assert await everything(process) == before, change
    await process.sql(allow)

    made = {await make(process, change, path) for change, path in zip(CHANGES, paths, strict=True)}
    assert made == {200, 201, 204}


async def test_a_fault_after_any_statement_changes_nothing(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Issue 6: before or after, never between: each single write of each change is made to fail."""
    async with tenant_process(sqlite_url, FEATURE_FLAGS="new_inbox") as process:
        await _fault_by_fault(process, monkeypatch)


async def _fault_by_fault(process: TenantProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    for change in CHANGES:
        path = await ready(process, change)
        before, number = await everything(process), 0
        for number in itertools.count(1):
            with monkeypatch.context() as patch:
                FaultyWrites(number).install(patch)
                if await make(process, change, path) != 500:
                    break
            assert await everything(process) == before, f"{change} after statement {number}"

        assert number > 5, change
        assert await everything(process) != before, change
