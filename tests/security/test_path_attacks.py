"""Every payload of path_bypass.json through the running sidecar, for every role (attacks.md section 3)."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from deploy.demo.people import Person
from service_kit.identity.model import Role
from tests.fakes.byte_upstream import Arrival
from tests.fixtures.sidecar import DEACTIVATED, HOST, STRANGER, person
from tests.fixtures.witnessed import Witnessed, audience_of, is_canonical, statuses
from tests.integration.admin_service.admin_process import admin_process
from tests.security.hostile_inputs import corpus, hostile_targets, leads_to, meaning

pytestmark = pytest.mark.asyncio(loop_scope="module")

PERSONS_ONLY = ("/enrollment", "/static/panel")
"""Where somebody who is no operator may go."""
EXTRA = (
    "/{D}%5c",
    "/{D}%5C..%5Cx",
    "/%2f{D}",
    "/x/%2e%2e%5c{D}",
    "/x%2f..%2f{D}",
    "/{D}%25",
    "/{D}%2",
    "/{D}%",
    "/{D}%zz",
    "/{D}%c3%28",
    "/{D}%ed%a0%80",
    "/{D}\x7f",
    "/{D}\x0b",
    "/{D}\xa0",
    "/{D}/%2e",
    "/{D}/%2E%2E/x",
    "/\u2025/{D}",
    "/%e2%80%a5/{D}",
    "HTTP://{H}:443/{D}",
    "http://{H}./{D}",
    "http://{H}\\@evil.example/{D}",
    "http://{H}%2f{D}",
    "http://{H}?/{D}",
    "http://{H}#/{D}",
    "///{H}/{D}",
    "/?/../{D}",
    "/;/../{D}",
    "/{D}?x=%",
    "/{D}?x=%00",
    "/{D}?x=\\..\\",
    "CONNECT",
)
"""Payloads beyond the list: other encodings, authorities and broken escapes."""


@dataclass(frozen=True)
class Caller:
    """Who asks, a path that they may use, and paths that they may not."""

    name: str
    who: Person
    allowed: str
    forbidden: tuple[str, ...]


CALLERS = (
    Caller(
        "super_admin",
        person(Role.SUPER_ADMIN),
        "/api/admin/tenants",
        ("internal/v1/roster/feed", "internal/v1/enrollments/claim"),
    ),
    Caller(
        "support", person(Role.SUPPORT), "/api/admin/tenants", ("api/admin/global-admins", "api/admin/system")
    ),
    Caller(
        "read_only",
        person(Role.READ_ONLY),
        "/api/admin/tenants",
        ("api/admin/audit-logs/export", "api/admin/global-admins"),
    ),
    Caller(
        "security",
        person(Role.SECURITY),
        "/api/admin/audit-logs",
        ("api/admin/tenants", "api/admin/global-admins"),
    ),
    Caller("stranger", STRANGER, "/enrollment", ("manage", "api/admin/tenants")),
    Caller("deactivated", DEACTIVATED, "/enrollment", ("manage/audit", "enrollment")),
)


def targets(caller: Caller, forbidden: str) -> list[str]:
    extra = [payload.replace("{D}", forbidden).replace("{H}", HOST) for payload in EXTRA]
    return [*hostile_targets(caller.allowed, forbidden), *extra]


def owner_of(gate: Witnessed, arrival: Arrival) -> str:
    return "admin_service" if arrival in gate.admin.arrivals else audience_of(arrival)


def ran(gate: Witnessed, forbidden: str) -> list[str]:
    """Arrivals at a service of ours that could run the handler of the forbidden path."""
    return [
        arrival.target
        for arrival in gate.arrivals
        if owner_of(gate, arrival) != "frontend" and leads_to(arrival.target, forbidden)
    ]


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("caller", CALLERS, ids=lambda caller: caller.name)
async def test_no_spelling_of_a_path_runs_what_the_caller_may_not_use(
    gate: Witnessed, caller: Caller, method: str
) -> None:
    """R-011, R-003: for each role, a stranger and a leaver, no payload reaches a forbidden handler."""
    for forbidden in caller.forbidden:
        for target in targets(caller, forbidden):
            gate.forget()
            head = gate.head(target, "Content-Length: 0", method=method, who=caller.who)
            answer = await gate.exchange(head)

            codes = await gate.judge(answer)
            assert codes, target
            assert set(codes) <= {200, 400, 403, 404, 405, 414, 431}, target
            assert ran(gate, forbidden) == [], target
            if caller.name == "deactivated":
                assert gate.nothing_arrived, target
            if caller.name == "stranger":
                paths = [arrival.path for arrival in gate.arrivals]
                assert [path for path in paths if not path.startswith(PERSONS_ONLY)] == [], target


@pytest.mark.parametrize("caller", CALLERS, ids=lambda caller: caller.name)
async def test_each_caller_may_use_the_one_path_and_not_the_other(gate: Witnessed, caller: Caller) -> None:
    """The control: without this difference, the test above would prove nothing (R-003)."""
    allowed = await gate.exchange(gate.head(caller.allowed, who=caller.who))
    assert statuses(allowed) == [403 if caller.name == "deactivated" else 200]
    gate.forget()

    for forbidden in caller.forbidden:
        answer = await gate.exchange(gate.head(f"/{forbidden}", who=caller.who))
        if caller.name == "super_admin":  # no route leads there: it is the frontend's to answer
            assert [audience_of(arrival) for arrival in gate.upstream.arrivals] == ["frontend"]
            gate.forget()
        else:
            assert statuses(answer) == [403]
        assert gate.admin.arrivals == []


LOOKALIKES = (
    "EXPORT",
    "export.",
    "export.json",
    "export%20",
    "export%23",
    "export%3F",
    "export~",
    "export*",
    "Export",
)


@pytest.mark.parametrize("last", LOOKALIKES)
async def test_no_lookalike_of_a_stricter_path_is_answered_by_the_real_service(
    tmp_path: Path, last: str
) -> None:
    """R-011: the gate judges a look-alike by a milder route; the service takes it for no stricter one."""
    async with admin_process(f"sqlite+aiosqlite:///{tmp_path / 'admin.db'}") as service:
        await service.add(Role.READ_ONLY)
        answer = await service.ask("GET", f"/api/admin/audit-logs/{last}", Role.READ_ONLY)

        assert answer.status == 404


@pytest.mark.parametrize(
    "spelling", ["/manage", "/manage/", "//manage", "/manage%2Faudit", "/manage/../manage"]
)
async def test_every_spelling_of_the_bare_panel_is_protected(gate: Witnessed, spelling: str) -> None:
    """R-011, R-039: a stranger gets the panel in no spelling, and without a token nobody does."""
    stranger = await gate.exchange(gate.head(spelling, who=STRANGER))
    nobody = await gate.exchange(
        f"GET {spelling} HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n".encode()
    )

    assert set(statuses(stranger) + statuses(nobody)) <= {400, 403}
    assert gate.nothing_arrived


@pytest.mark.parametrize(
    "sent, arrives",
    [
        ("/%61pi/admin/tenants", "/api/admin/tenants"),
        ("/api/admin/%74%65nants/org_1", "/api/admin/tenants/org_1"),
        ("/caf%c3%a9?x=%2e%2e%2f", "/caf%C3%A9?x=%2e%2e%2f"),
        ("/x?", "/x"),
        ("/x??", "/x??"),
        ("/x?a=1;b=2&%41=%zz", ""),
        ("/x?a=1;b=2&a=b", "/x?a=1;b=2&a=b"),
        (f"http://{HOST}/x?y", "/x?y"),
        (f"HTTPS://{HOST.upper()}/x", "/x"),
    ],
)
async def test_the_one_reading_of_a_target_is_the_one_that_arrives(
    gate: Witnessed, sent: str, arrives: str
) -> None:
    """R-011: percent-encoding of plain letters is undone once; the signature binds what arrived."""
    codes = await gate.judge(await gate.exchange(gate.head(sent)))

    assert codes == [200 if arrives else 400]
    assert [arrival.target for arrival in gate.arrivals] == ([arrives] if arrives else [])


async def test_the_list_is_the_whole_list() -> None:
    """Every payload is spelled out: none is left with a placeholder in it."""
    for caller in CALLERS:
        left = [target for target in targets(caller, caller.forbidden[0]) if "{" in target]
        assert left == []
    assert len(corpus("path_bypass")["payloads"]) > 100


async def test_the_careless_reader_of_this_test_is_careless() -> None:
    """A verdict that understood no trick would find every trick harmless."""
    for trick in ("/x/../manage", "/x/%2e%2e/manage", "/x/%252e%252e/manage", "/x\\..\\manage", "/MANAGE/;a"):
        assert meaning(trick) == "/manage"
        assert leads_to(trick, "manage")
    assert not is_canonical("/x/../y")
    assert not leads_to("/managed", "manage")
