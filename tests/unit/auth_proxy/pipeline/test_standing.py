"""Whether what was granted would be granted again: asked for as long as a websocket or stream is open."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest

from auth_proxy.pipeline.authorize import Standing
from auth_proxy.pipeline.exchange import Grant
from auth_proxy.refusals import Reason, Refusal
from auth_proxy.roster.open import OpenRoster
from auth_proxy.roster.source import OperatorEntry
from auth_proxy.routes import Requirement, Route
from service_kit.identity.model import Permission, Role
from tests.fakes.clock import FrozenClock
from tests.unit.auth_proxy.pipeline.values import ANY_ROUTE, grant, operator

LEEWAY = 60
SUPPORT = operator(Role.SUPPORT)


@dataclass
class OneRow:
    """A roster of at most one operator."""

    entry: OperatorEntry | None
    is_fresh: bool = True
    version: int = 1

    def find(self, sub: str, email: str) -> OperatorEntry | None:  # noqa: ARG002 - the Roster protocol
        if not self.is_fresh:
            raise Refusal(Reason.ROSTER_UNAVAILABLE)
        return self.entry if self.entry is not None and self.entry.sub == sub else None

    def binds_email(self, email: str) -> bool:  # noqa: ARG002 - the Roster protocol
        return False


def lasting(clock: FrozenClock, given: Grant, seconds: float = 3600) -> Grant:
    """The grant, with a token that is valid for so long from now."""
    expires_at = int(clock.now().timestamp() + seconds)
    return given._replace(person=given.person._replace(expires_at=expires_at))


def as_granted(given: Grant) -> Route:
    """The routes are those of the grant."""
    return given.route


def verdict(
    roster: OneRow | OpenRoster, given: Grant, route_now: Callable[[Grant], Route] = as_granted
) -> Reason | None:
    clock = FrozenClock()
    return Standing(roster, clock, LEEWAY, route_now).still_stands(lasting(clock, given))


def test_the_roster_is_asked_for_subject_and_address() -> None:
    """R-060, R-064: the same two as at the door, so that an address bound to another subject ends it too."""

    class Pairs(OneRow):
        def find(self, sub: str, email: str) -> OperatorEntry | None:
            return super().find(sub, email) if email == "ada@example.com" else None

    assert verdict(Pairs(SUPPORT), grant(operator=SUPPORT)) is None


MANY = replace(ANY_ROUTE, requirement=frozenset({Role.SUPPORT, Role.SECURITY}))
PERMITTED = replace(ANY_ROUTE, requirement=Permission.TENANT_LIST)
PERSON = replace(ANY_ROUTE, requirement=Requirement.PERSON)


@pytest.mark.parametrize(
    "roster, given, reason",
    [
        (OneRow(SUPPORT), grant(operator=SUPPORT), None),
        (OneRow(SUPPORT), grant(operator=SUPPORT, route=PERMITTED), None),
        (OneRow(SUPPORT._replace(name="Another")), grant(operator=SUPPORT), None),
        (OneRow(operator(active=False)), grant(operator=SUPPORT), Reason.OPERATOR_DEACTIVATED),
        (OneRow(operator(active=False)), grant(operator=SUPPORT, route=PERSON), Reason.OPERATOR_DEACTIVATED),
        (OneRow(None), grant(operator=SUPPORT), Reason.ENROLLMENT_REQUIRED),
        (OneRow(None), grant(operator=SUPPORT, route=PERSON), Reason.ENROLLMENT_REQUIRED),
        (OneRow(operator(sub="sub-other")), grant(operator=SUPPORT), Reason.ENROLLMENT_REQUIRED),
        (OneRow(operator(Role.SECURITY)), grant(operator=SUPPORT, route=PERMITTED), Reason.PERMISSION_DENIED),
        (OneRow(operator(Role.SECURITY)), grant(operator=SUPPORT, route=MANY), Reason.PERMISSION_DENIED),
        (OneRow(operator(Role.SUPER_ADMIN)), grant(operator=SUPPORT), Reason.PERMISSION_DENIED),
        (OneRow(SUPPORT, is_fresh=False), grant(operator=SUPPORT), Reason.ROSTER_UNAVAILABLE),
        (OneRow(None), grant(route=PERSON), None),
        (OneRow(SUPPORT), grant(route=PERSON), None),
        (OpenRoster(Role.SUPPORT), grant(operator=SUPPORT), None),
    ],
    ids=[
        "as it was",
        "the permission is still there",
        "only the name changed",
        "deactivated",
        "deactivated, on a route for persons",
        "removed",
        "removed, on a route for persons",
        "the subject is another",
        "the permission went with the role",
        "another role that the route takes too",
        "a greater role",
        "the roster is stale",
        "a person who never was an operator",
        "a person who has become one",
        "an open roster",
    ],
)
def test_a_grant_stands_as_long_as_it_would_be_given(
    roster: OneRow | OpenRoster, given: Grant, reason: Reason | None
) -> None:
    """R-064: the same questions as at the door, and the role that was vouched for must still be true."""
    assert verdict(roster, given) is reason


@pytest.mark.parametrize("seconds, stands", [(1, True), (-59, True), (-60, False), (-3600, False)])
def test_a_token_ends_with_its_leeway(seconds: int, stands: bool) -> None:
    """The same second in which a new request would be refused."""
    clock = FrozenClock()
    standing = Standing(OneRow(SUPPORT), clock, LEEWAY, as_granted)

    found = standing.still_stands(lasting(clock, grant(operator=SUPPORT), seconds))
    assert found is (None if stands else Reason.TOKEN_EXPIRED)


def upgraded(given: Grant) -> Grant:
    screened = given.person.screened._replace(upgrade="websocket")
    return given._replace(person=given.person._replace(screened=screened))


SOCKET = replace(ANY_ROUTE, websocket=True)


@pytest.mark.parametrize(
    "given, now, reason",
    [
        (grant(operator=SUPPORT), PERMITTED, None),
        (grant(operator=SUPPORT), replace(PERMITTED, requirement=Permission.TENANT_DELETE), "permission"),
        (grant(operator=SUPPORT), replace(MANY, requirement=frozenset({Role.SECURITY})), "permission"),
        (grant(route=PERSON), ANY_ROUTE, "enrollment"),
        (upgraded(grant(operator=SUPPORT, route=SOCKET)), SOCKET, None),
        (upgraded(grant(operator=SUPPORT, route=SOCKET)), ANY_ROUTE, "upgrade"),
        (grant(operator=SUPPORT, route=SOCKET), ANY_ROUTE, None),
    ],
    ids=[
        "another permission that the role has",
        "a permission that the role lacks",
        "roles that are others",
        "no operator, where one is asked for now",
        "a websocket stays one",
        "websockets are not taken any more",
        "a download needs no websockets",
    ],
)
def test_the_routes_of_this_moment_decide(given: Grant, now: Route, reason: str | None) -> None:
    """R-064: what the changed route file would refuse does not stay open."""
    roster = OneRow(given.operator)
    found = verdict(roster, given, lambda _given: now)

    assert found is {
        None: None,
        "permission": Reason.PERMISSION_DENIED,
        "enrollment": Reason.ENROLLMENT_REQUIRED,
        "upgrade": Reason.UPGRADE_NOT_ALLOWED,
    }.get(reason)


@pytest.mark.parametrize("reason", [Reason.ROUTE_NOT_FOUND, Reason.TOKEN_AUDIENCE])
def test_without_a_route_nothing_stands(reason: Reason) -> None:
    """R-003: a route that was taken out of the file serves nobody, whoever is connected."""

    def gone(_given: Grant) -> Route:
        raise Refusal(reason)

    assert verdict(OneRow(SUPPORT), grant(operator=SUPPORT), gone) is reason
