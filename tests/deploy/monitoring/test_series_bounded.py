"""However strange the requests are, the number of time series stays what the code and its routes allow."""

import asyncio
import random
import string
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from aiohttp.test_utils import TestClient, TestServer, make_mocked_request
from prometheus_client.parser import text_string_to_metric_families

from auth_proxy.pipeline.exchange import RawRequest
from deploy.demo.issuer import AccessIssuer, SigningKey
from deploy.demo.people import Person
from service_kit.clock import SystemClock
from service_kit.identity.model import Role
from service_kit.telemetry.metrics import render_metrics
from tenant_service.app import AUDIENCE, create_app
from tests.fakes.clock import FrozenClock
from tests.fixtures.identities import Vouch
from tests.fixtures.sidecar import HOST, SidecarUnderTest, access_key, sidecar_under_test  # noqa: F401 - a fixture
from tests.integration.tenant_service.tenant_process import settings_for

pytestmark = pytest.mark.timeout(300)  # seconds of one core, many more on a machine that has other work

REQUESTS = 10_000
OF_A_SERVICE = 2_000
Page = Callable[[], Awaitable[bytes]]
METHODS = ("GET", "POST", "PUT", "DELETE", "PROPFIND", "LOCK", "PURGE", "SEARCH", "BREW", "get")


class NobodyReads:
    """A client's connection whose answers are thrown away."""

    transport = None
    is_held_back = False
    is_leaving = False
    over = 0

    def exchange_is_over(self, **_how: bool) -> None:
        self.over += 1


def word(chance: random.Random) -> str:
    return "".join(chance.choices(string.ascii_letters + string.digits, k=9))


def series(page: bytes) -> set[tuple[str, tuple[tuple[str, str], ...]]]:
    """Every series of a page, as Prometheus would read it."""
    return {
        (sample.name, tuple(sorted(sample.labels.items())))
        for family in text_string_to_metric_families(page.decode())
        for sample in family.samples
    }


def strange_request(chance: random.Random, number: int, tokens: list[str]) -> RawRequest:
    """A random host, path, method and header; a token that is forged, foreign or a stranger's."""
    host = HOST if number % 4 else f"{word(chance)}.example"
    dots = "/.." if number % 7 == 0 else ""
    token = chance.choice(tokens) if number % 3 else f"{word(chance)}.{word(chance)}.{word(chance)}"
    name = f"X-Internal-{word(chance)}" if number % 11 == 0 else f"X-{word(chance)}"
    headers = [("Host", host), ("Cf-Access-Jwt-Assertion", token), (name, word(chance))]
    return RawRequest(
        method=METHODS[number % len(METHODS)],
        target=f"/{word(chance)}/{word(chance)}{dots}?{word(chance)}",
        version=(1, 1),
        headers=tuple((key.encode(), value.encode()) for key, value in headers),
        peer=f"10.{number % 250}.{number // 250 % 250}.9",
    )


@pytest.fixture
async def patient(access_key: SigningKey, tmp_path: Path) -> AsyncIterator[SidecarUnderTest]:  # noqa: F811 - the fixture
    """A sidecar whose operator list does not go stale while a slow machine asks ten thousand times."""
    async with sidecar_under_test(access_key, tmp_path, ROSTER_MAX_STALENESS="60") as under_test:
        yield under_test


async def test_ten_thousand_strangers_do_not_grow_the_sidecars_page(patient: SidecarUnderTest) -> None:
    """Issue 10: random paths, hosts, methods, headers, key ids, people and reasons add no label of their own.

    The first half of them brings what the code can count; the second half brings nothing new at all.
    """
    chance = random.Random(10)
    people = [Person.with_email(f"{word(chance)}@{word(chance)}.example") for _ in range(20)]
    tokens = [patient.token(who) for who in people]
    tokens += [patient.issuer.mint(people[0], audience=word(chance)) for _ in range(5)]
    foreign = SigningKey.generate()
    tokens.append(AccessIssuer(word(chance), SystemClock(), keys=(foreign,)).mint(people[1], audience="x"))
    gate, client = patient.sidecar.gate.at_once, NobodyReads()
    assert gate is not None

    async def ask(first: int) -> set[tuple[str, tuple[tuple[str, str], ...]]]:
        for number in range(first, first + REQUESTS // 2):
            gate(strange_request(chance, number, tokens), client, True)  # type: ignore[arg-type]  # a client of our own
            if number % 100 == 0:
                await asyncio.sleep(0)  # the sidecar's own work goes on
        return series(render_metrics(patient.registry)[0])

    before = await ask(0)
    after = await ask(REQUESTS // 2)

    assert client.over == REQUESTS
    assert after == before
    assert len(after) < 1500
    for reason in ("host_unknown", "path_ambiguous", "enrollment_required", "token_malformed"):
        assert patient.refusals(reason) > 0, reason


async def test_two_thousand_strangers_do_not_grow_a_services_page(tmp_path: Path) -> None:
    """Issue 10: the same at a service, past the sidecar or through it: any operator, path and method."""
    chance, clock = random.Random(11), FrozenClock(datetime(2026, 1, 2, tzinfo=UTC))
    vouch = Vouch(clock)
    settings = settings_for(f"sqlite:///{tmp_path / 'tenant.db'}")
    apps = create_app(settings, clock=clock, public_keys=vouch.public_keys)
    apps.internal.pre_freeze()
    first = make_mocked_request("GET", "/", app=apps.internal)  # making one takes long

    async def ask(begin: int, page: Page) -> set[tuple[str, tuple[tuple[str, str], ...]]]:
        for number in range(begin, begin + OF_A_SERVICE // 2):
            path, method = f"/{word(chance)}/{word(chance)}", METHODS[number % len(METHODS)]
            proof = (
                vouch.headers(chance.choice(list(Role)), audience=AUDIENCE, operator_id=f"adm_{word(chance)}")
                if number % 2
                else {"X-Internal-Identity": word(chance)}
            )
            headers = {**proof, "Host": f"{word(chance)}.example"}
            answer = await apps.internal._handle(first.clone(method=method, rel_url=path, headers=headers))
            assert answer.status in {401, 404, 405}, answer.status
        return series(await page())

    async with TestClient(TestServer(apps.ops)) as ops:

        async def page() -> bytes:
            return await (await ops.get("/metrics")).read()

        before = await ask(0, page)
        after = await ask(OF_A_SERVICE // 2, page)

    assert {name for name, _ in after - before if not name.startswith("process_")} == set()
    assert len(after) < 500
    routes = {dict(labels)["route"] for name, labels in after if name == "tenant_service_http_requests_total"}
    assert routes == {"other"}
