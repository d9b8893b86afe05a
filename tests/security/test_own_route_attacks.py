"""The hostile paths against routes of one's own, with a stricter one below a milder one (R-007, R-011)."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from deploy.demo.issuer import SigningKey
from service_kit.identity.model import Role
from tests.fixtures.sidecar import person
from tests.fixtures.witnessed import Witnessed, statuses, witnessed
from tests.security.hostile_inputs import hostile_targets, leads_to

pytestmark = pytest.mark.asyncio(loop_scope="module")

ROUTES = """
[[routes]]
prefix = "/plain"
target = "UPSTREAM"

[[routes]]
prefix = "/plain/admin"
roles = ["super_admin"]
target = "UPSTREAM"

[[routes]]
prefix = "/slashes"
encoded_slashes = true
target = "UPSTREAM"
"""
MORE = ("/{D}%2f", "/{D}%2Fx", "/{D}/%2f", "/{D}%2f..", "/{D}%2f.", "/x%2f{D}", "/%2f{D}", "{P}%2f..%2f{D}")
READER = person(Role.READ_ONLY)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running_gate(
    access_key: SigningKey, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Witnessed]:
    """The gate of this module has routes of its own."""
    async with witnessed(access_key, tmp_path_factory.mktemp("routes"), routes=ROUTES) as running:
        yield running


async def arriving(gate: Witnessed, target: str) -> list[str]:
    gate.forget()
    answer = await gate.exchange(gate.head(target, who=READER))
    assert set(statuses(answer)) <= {200, 400, 403, 404, 405, 414, 431}, target
    assert gate.upstream.garbage == []
    for arrival in gate.upstream.arrivals:
        if "%2F" not in arrival.target:  # the canonical form of all other routes
            await gate.prove(arrival)
    return [arrival.target for arrival in gate.arrivals]


def payloads(allowed: str, forbidden: str) -> list[str]:
    more = [payload.replace("{D}", forbidden).replace("{P}", allowed) for payload in MORE]
    return [*hostile_targets(allowed, forbidden), *more]


async def test_no_spelling_leads_below_a_stricter_route(gate: Witnessed) -> None:
    """R-007, R-011: what the frontend could take for the stricter path has its judge."""
    for forbidden in ("plain/admin", "plain/admin/users"):
        for target in payloads("/plain/x", forbidden):
            found = [path for path in await arriving(gate, target) if leads_to(path, forbidden, fold=False)]
            assert found == [], target


async def test_the_stricter_route_is_stricter(gate: Witnessed) -> None:
    """The control: plainly spelled, the one passes and the other does not."""
    assert await arriving(gate, "/plain/x") == ["/plain/x"]
    assert await arriving(gate, "/plain/admin") == []
    assert await arriving(gate, "/plain/admin/users") == []
    assert await arriving(gate, "/slashes/a%2fb") == ["/slashes/a%2Fb"]
    assert await arriving(gate, "/plain/a%2fb") == []


async def test_an_encoded_slash_leads_out_of_no_route(gate: Witnessed) -> None:
    """R-007, R-011: where `%2F` passes, whoever decodes it early stays below the same route."""
    for forbidden in ("plain/admin", "api/admin/global-admins"):
        for target in payloads("/slashes/x", forbidden):
            for path in await arriving(gate, target):
                assert not leads_to(path, forbidden, fold=False), target
                assert "%2F" not in path or leads_to(path, "slashes", fold=False), target


async def test_another_case_hides_no_stricter_route(gate: Witnessed) -> None:
    """R-007, R-011: `/plain/Admin` is `/plain/admin` to a frontend that does not tell case apart."""
    for target in ("/plain/Admin", "/plain/ADMIN/users", "/Plain/admin", "/PLAIN/ADMIN"):
        assert await arriving(gate, target) == [], target
