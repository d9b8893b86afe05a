"""Who may do what, on every route and with every method, through the real processes (R-072…R-075, R-081).

Nothing here says what a role may do: that is computed from the registries of the sidecar and of both
services, and from OPERATOR_PERMISSIONS. A route that is added is asked by itself.
"""

import asyncio
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from admin_service import app as admin
from admin_service.settings import AdminSettings
from admin_service.tenant_api import TenantApi
from auth_proxy.routes import BUILT_IN, Requirement, Route, RouteTable, welcome_route
from deploy.demo.people import ADA, IRMA, NOEL, ROSA, SAMIR, Person
from service_kit.clock import SystemClock
from service_kit.db.session import Database
from service_kit.identity.model import OPERATOR_PERMISSIONS, Permission, Role, Scope
from service_kit.settings import load_settings
from service_kit.web.api import Access, Audience, Endpoint
from tenant_service import app as tenant
from tests.fixtures.whole_stack import Answered, Door, front_door

pytestmark = [pytest.mark.stack, pytest.mark.timeout(120)]

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
NEVER = ("PROPFIND", "QUERY", "TRACE")
"""Methods that no route has, and that the sidecar does not know."""
HAVE_BODY = {"POST", "PUT", "PATCH"}
ME = "/api/admin/me"
GRANTED = "granted"
DENIED = ("PERMISSION_DENIED", "ENROLLMENT_REQUIRED", "ACCOUNT_DEACTIVATED")
NOWHERE, ELSEWHERE = "404 ROUTE_NOT_FOUND", "405 METHOD_NOT_ALLOWED"
TABLE = RouteTable((*BUILT_IN, welcome_route()))


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody at the door: an operator with a role, or not (any more, or yet)."""

    name: str
    person: Person
    role: Role | None
    refusal: str = ""
    """What somebody who is no active operator gets where one is asked for."""
    own: str = "/global-admins/x"
    """The place of their own row, where more is allowed than at another's."""


ROLES = tuple(
    Caller(role.value, person, role)
    for role, person in zip(
        (Role.SUPER_ADMIN, Role.SUPPORT, Role.READ_ONLY, Role.SECURITY), (ADA, SAMIR, ROSA, IRMA), strict=True
    )
)
STRANGER = Caller("stranger", NOEL, None, "ENROLLMENT_REQUIRED")
PENDING = Caller("pending", Person.with_email("pending@example.com"), None, "ENROLLMENT_REQUIRED")
DEACTIVATED = Caller("deactivated", Person.with_email("former@example.com"), None, "ACCOUNT_DEACTIVATED")
CALLERS = (*ROLES, STRANGER, PENDING, DEACTIVATED)


@dataclass(frozen=True, slots=True)
class Place:
    """A path, and the endpoints of a service that are registered there."""

    path: str
    endpoints: tuple[Endpoint, ...]

    @property
    def is_internal(self) -> bool:
        """Whether it is for a process of ours alone; the sidecar leads nobody there."""
        return self.path.startswith("/internal/")

    @property
    def methods(self) -> dict[str, Access]:
        """What each method asks for; where GET is, HEAD is."""
        found = {endpoint.method: endpoint.access for endpoint in self.endpoints}
        return {**({"HEAD": found["GET"]} if "GET" in found else {}), **found}


def registry() -> tuple[Endpoint, ...]:
    """Every endpoint of both services, from the tables that make their routes."""
    environ = {
        "ADMIN_DATABASE_URL": "sqlite:////nowhere/never-opened.db",
        "ADMIN_HOST": "admin.example.com",
        "TENANT_SERVICE_URL": "http://127.0.0.1:1",
        "INTERNAL_JWKS_FILE": "never-read.json",
    }
    settings, clock = load_settings(AdminSettings, environ), SystemClock()
    keys = admin.ServiceKeys(cursor=b"", form=b"")
    database = Database.open(settings.database_url.get_secret_value())
    services = admin.build_services(database, keys, clock, CollectorRegistry(), TenantApi(None))
    panel = admin.build_panel(services, keys, settings, clock)
    return (*admin.endpoints(services, panel), *tenant.endpoints())


def places(endpoints: Iterable[Endpoint]) -> list[Place]:
    by_path: dict[str, list[Endpoint]] = {}
    for endpoint in endpoints:
        by_path.setdefault(re.sub(r"\{\w+\}", "x", endpoint.path), []).append(endpoint)
    return [Place(path, tuple(found)) for path, found in by_path.items()]


def routed(path: str, method: str) -> Route | None:
    found = TABLE.find("", path, method)
    return found if isinstance(found, Route) else None


def expectation(caller: Caller, place: Place, method: str, access: Access) -> str:
    """The verdict on a registered method; what is for processes of ours has no route, or not this method."""
    found = TABLE.find("", place.path, method)
    if isinstance(found, Route) and not place.is_internal:
        return verdict(caller, found, access)
    return ELSEWHERE if found and not place.is_internal else NOWHERE


def unguarded(endpoints: Iterable[Endpoint], routes: Iterable[Route]) -> list[str]:
    """Rows of either registry that ask for nothing that the matrix knows."""
    known = (*Permission, *Audience, *Scope, *Requirement)
    bare = [row.path for row in endpoints if row.access not in known]
    return bare + [row.pattern for row in routes if row.requirement not in known]


def verdict(caller: Caller, route: Route, access: Access | None) -> str:
    """What the two registries say of a request that both of them know; `access` of None asks no more."""
    needs: set[object] = {str(route.requirement), str(access or route.requirement)}
    if caller.name == DEACTIVATED.name:
        return caller.refusal
    if caller.role is None:
        return GRANTED if needs == {"identity"} else caller.refusal
    held = {str(permission) for permission in OPERATOR_PERMISSIONS[caller.role]} | {"identity", "operator"}
    return GRANTED if needs <= held else "PERMISSION_DENIED"


def given(answer: Answered) -> str:
    """What the answer means, in the words of `verdict`."""
    unproven = answer.code.startswith("INTERNAL_IDENTITY")
    if answer.status == 405 or unproven or answer.code == "ROUTE_NOT_FOUND":
        return f"{answer.status} {answer.code}"
    return answer.code if answer.code in DENIED else GRANTED


def agrees(answer: Answered, expected: str) -> bool:
    """Whether the answer is the verdict; one to a HEAD has no body, so its status must do."""
    if answer.asked.startswith("HEAD "):
        statuses = {GRANTED: range(200, 600), NOWHERE: [404], ELSEWHERE: [405]}.get(expected, [403])
        return answer.status in statuses and (expected != GRANTED or answer.status not in (403, 405))
    return given(answer) == expected


async def _people(door: Door) -> dict[str, str]:
    """The cast has enrolled; these two have a row, and must not get in with it. The ids of the cast."""
    await door.provision(ADA, PENDING.person, "super_admin")
    former = await door.provision(ADA, DEACTIVATED.person, "super_admin")
    await door.enroll(DEACTIVATED.person, former["enrollmentToken"])
    await door.must(200, "POST", f"/api/admin/global-admins/{former['id']}/deactivate", ADA, body={})
    return {one.name: (await door.must(200, "GET", ME, one.person)).json["id"] for one in ROLES}


async def _ask(door: Door, caller: Caller, method: str, path: str) -> Answered:
    # No JSON on purpose: whoever may call gets as far as the body, and changes nothing.
    body = b"{" if method in HAVE_BODY else None
    answer = await door.ask(method, path.replace("/global-admins/x", caller.own), caller.person, body=body)
    assert answer.status < 500, (caller.name, answer.asked, answer.body)
    return answer


async def _known_methods(door: Door, caller: Caller, known: Sequence[Place]) -> list[str]:
    """Every registered method of every registered path; what differs from the registries' verdict."""
    wrong = []
    for place in known:
        for method, access in place.methods.items():
            answer = await _ask(door, caller, method, place.path)
            expected = expectation(caller, place, method, access)
            if not agrees(answer, expected):
                wrong.append(f"{caller.name}: {answer.asked} should be {expected}, is {given(answer)}")
    return wrong


def _methods_there(place: Place, known: Sequence[Place]) -> set[str]:
    """Also those of a pattern that the path fits: a literal word may be somebody's id."""
    own = place.path.split("/")

    def fits(pattern: list[str]) -> bool:
        return len(pattern) == len(own) and all(
            part in ("x", mine) for part, mine in zip(pattern, own, strict=True)
        )

    return {method for other in known if fits(other.path.split("/")) for method in other.methods}


async def _unknown_methods(door: Door, caller: Caller, known: Sequence[Place]) -> list[str]:
    """Every other method: 405 with Allow for who may go everywhere, and nothing but a no for the rest."""
    wrong = []
    for place in known:
        if place.is_internal:
            continue
        for method in {*METHODS, *NEVER} - _methods_there(place, known):
            answer = await _ask(door, caller, method, place.path)
            fine = answer.status == 405 and (answer.header("Allow") or method in NEVER)
            if not (fine or (caller.role is not Role.SUPER_ADMIN and answer.status == 403)):
                wrong.append(f"{caller.name}: {answer.asked} is {answer.status} {answer.code}")
    return wrong


async def _planned_routes(door: Door, caller: Caller) -> list[str]:
    """Every row of the sidecar's own table, whether or not a service answers there yet."""
    wrong = []
    for route in BUILT_IN:
        path = route.pattern.replace("*", "x")
        for method in route.methods & {"GET", "POST", "PATCH", "PUT", "DELETE"}:
            expected = verdict(caller, route, None)
            answer = await _ask(door, caller, method, path)
            if expected != GRANTED and given(answer) != expected:
                wrong.append(f"{caller.name}: {answer.asked} should be {expected}, is {given(answer)}")
            if expected == GRANTED and (given(answer) == NOWHERE or answer.code in DENIED):
                wrong.append(f"{caller.name}: {answer.asked} should lead somewhere, is {given(answer)}")
    return wrong


async def test_every_caller_gets_what_the_registries_say(tmp_path: Path) -> None:
    """R-039, R-063, R-064, R-072, R-073, R-074, R-075: the verdict of the registries, for every caller.

    Four roles, a stranger, a pending and a deactivated operator; every path of both services, every method.
    """
    known = places(registry())
    async with front_door(tmp_path) as door:
        ids = await _people(door)
        checks = [
            check
            for one in CALLERS
            for caller in [replace(one, own=f"/global-admins/{ids.get(one.name, 'x')}")]
            for check in (
                _known_methods(door, caller, known),
                _unknown_methods(door, caller, known),
                _planned_routes(door, caller),
            )
        ]
        wrong = [line for lines in await asyncio.gather(*checks) for line in lines]
        asked = len(door.answers)

    print(f"\n{asked} requests, {len(known)} paths, {len(CALLERS)} callers")
    assert not wrong, "\n".join(wrong)
    assert asked > len(known) * len(CALLERS) * len(METHODS)


def test_no_route_is_without_a_permission() -> None:
    """R-081: every row of the three registries asks for a permission, an operator, a person or a process."""
    assert unguarded(registry(), BUILT_IN) == []


def test_a_route_without_a_permission_would_be_found() -> None:
    """R-081: the check above is one that can fail."""
    (some, *_), (route, *_) = registry(), BUILT_IN
    bare = Endpoint(some.method, "/api/admin/bare", None, some.handler, "")  # type: ignore[arg-type] # the defect
    open_to_all = Route("/bare", route.methods, None, route.target)  # type: ignore[arg-type] # the defect

    assert unguarded([some, bare], [route, open_to_all]) == ["/api/admin/bare", "/bare"]


def test_the_sidecar_and_the_service_ask_for_the_same() -> None:
    """R-081: an API endpoint's permission is its route's too; only pages are finer than their prefix.

    What is for processes of ours, or for a service in an operator's name, has no route at all.
    """
    different = []
    for endpoint in registry():
        route = routed(re.sub(r"\{\w+\}", "x", endpoint.path), endpoint.method)
        is_internal = endpoint.path.startswith("/internal/")
        asked = route.requirement if route is not None else None
        finer = not isinstance(endpoint.access, Permission) or endpoint.page
        same = asked is None if is_internal else finer or asked is endpoint.access
        if not same or (isinstance(endpoint.access, Scope) and not is_internal):
            different.append(f"{endpoint.method} {endpoint.path}: {asked} before, {endpoint.access} behind")

    assert different == []


def test_the_verdict_is_the_matrix() -> None:
    """R-074, R-075, R-081: the computed verdicts are neither all yes nor all no, and differ by role."""
    (create,) = [route for route in BUILT_IN if route.requirement is Permission.TENANT_CREATE]
    (logs,) = [route for route in BUILT_IN if route.pattern == "/api/admin/audit-logs"]

    assert [verdict(caller, create, None) for caller in CALLERS] == [
        GRANTED,
        GRANTED,
        "PERMISSION_DENIED",
        "PERMISSION_DENIED",
        "ENROLLMENT_REQUIRED",
        "ENROLLMENT_REQUIRED",
        "ACCOUNT_DEACTIVATED",
    ]
    assert [verdict(caller, logs, None) for caller in ROLES] == [GRANTED] * 4
