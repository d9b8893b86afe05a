"""Every behaviour of jwks_server_attacks.json played to the running sidecar (attacks.md section 4).

Each asks the same: do people with good tokens get in at once, does nobody else, and how many fetches
did it cost (R-044, R-046, R-047)?
"""

import asyncio
import functools
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from pathlib import Path

import pytest

from auth_proxy.access.errors import RefreshOutcome
from auth_proxy.access.jwk_set import require_fit
from auth_proxy.cli import EXIT_CONFIGURATION, main
from auth_proxy.refusals import Reason
from deploy.demo.issuer import SigningKey
from tests.fakes import jwks_server
from tests.fakes.jwks_misbehaviour import MISBEHAVIOUR
from tests.fakes.jwks_server import JwksServer
from tests.fixtures.attacked import request
from tests.fixtures.authority import TODAY, YEAR, Authority
from tests.fixtures.forgery import roca_key
from tests.fixtures.key_server import FLOOR_SECONDS, KeyDrill, key_drill
from tests.fixtures.sidecar import AUD, HOST
from tests.fixtures.stopwatch import Stopwatch
from tests.fixtures.token_corpus import lines_of
from tests.fixtures.unfit_keys import UNFIT
from tests.fixtures.websockets import gauge, until

STALL_SECONDS = 1.0
"""Longest answer to a person while the key server misbehaves; a stall would be five seconds."""
CORPUS = Path(__file__).parent / "corpora" / "jwks_server_attacks.json"
COVERED: dict[str, str] = {}
"""Each case of the corpus, and the test that plays it."""

Start = Callable[..., AbstractAsyncContextManager[KeyDrill]]


def plays(test: str, *cases: str) -> None:
    COVERED.update(dict.fromkeys(cases, test))


@pytest.fixture(scope="module")
def forger() -> SigningKey:
    """A key that the team never publishes by itself."""
    return SigningKey.generate()


@pytest.fixture(scope="module")
def next_key() -> SigningKey:
    """The key that the team signs with after a rotation."""
    return SigningKey.generate()


@pytest.fixture
def start(access_key: SigningKey, forger: SigningKey, tmp_path: Path) -> Start:
    """Starts a sidecar of its own for a drill."""
    return functools.partial(key_drill, access_key, forger, tmp_path)


@pytest.fixture
async def drill(start: Start) -> AsyncIterator[KeyDrill]:
    """A sidecar that has its team's keys."""
    async with start() as running:
        yield running


@pytest.fixture
async def quick_drill(start: Start) -> AsyncIterator[KeyDrill]:
    """One whose fetches have two seconds, where a server that stalls is waited for."""
    async with start(fetch_seconds=2.0) as running:
        yield running


# --- answers that must replace nothing ---------------------------------------------------------------


for behaviour in MISBEHAVIOUR.values():
    plays("test_a_misbehaving_server_changes_nothing_for_people", behaviour[0])


def _outcomes(drill: KeyDrill, outcome: RefreshOutcome) -> float:
    labels = {"outcome": outcome.value}
    return drill.sidecar.registry.get_sample_value("auth_proxy_key_refreshes_total", labels) or 0


@pytest.mark.parametrize("name", MISBEHAVIOUR)
async def test_a_misbehaving_server_changes_nothing_for_people(quick_drill: KeyDrill, name: str) -> None:
    """R-044, R-046: keys are kept, nobody waits for the fetch, and an unknown key is a named 503."""
    drill, (_, answer, outcome) = quick_drill, MISBEHAVIOUR[name]
    await drill.must_pass()
    drill.server.answer = answer
    drill.clock.advance(600)
    drill.forget()
    before = drill.refused()
    stranger = asyncio.create_task(drill.sidecar.send(request(drill.unknown())))

    seconds = await drill.people_while(stranger)

    assert stranger.result().status == 503
    assert json.loads(stranger.result().body)["code"] == "KEYS_UNAVAILABLE"
    assert drill.refused() == before | {"keys_unavailable": before["keys_unavailable"] + 1}
    assert len(drill.sidecar.upstream.received) == len(seconds)
    assert max(seconds) < STALL_SECONDS
    assert _outcomes(drill, outcome) == 1
    # aiohttp repeats a GET once when the server hangs up before the first byte: still one fetch of ours.
    assert drill.fetches == (3 if answer is jwks_server.hang_up else 2)
    assert await drill.is_ready()
    await drill.must_pass()


@pytest.mark.parametrize("name", MISBEHAVIOUR)
async def test_a_server_that_misbehaves_from_the_start_lets_nobody_in(start: Start, name: str) -> None:
    """R-044, R-046: closed, not ready, a named 503; when the server behaves, open without a restart."""
    async with start(answer=MISBEHAVIOUR[name][1]) as drill:
        token = drill.forge.token()
        (await drill.present(token)).must_be_refused(Reason.KEYS_UNAVAILABLE, secret=token)
        assert not await drill.is_ready()

        drill.publish()
        drill.clock.advance(3600)

        await drill.must_pass()
        assert await drill.is_ready()


plays("test_an_endpoint_that_is_down_at_the_start", "connect refused at start")


async def test_an_endpoint_that_is_down_at_the_start(start: Start) -> None:
    """R-044, R-046: 503 and not ready; the sidecar comes back by itself, before any token asks for a key."""
    async with JwksServer() as server:
        await server.refuse()
        async with start(server=_Late(server), answer=jwks_server.hang) as drill:
            token = drill.forge.token()
            (await drill.present(token)).must_be_refused(Reason.KEYS_UNAVAILABLE, secret=token)
            assert not await drill.is_ready()

            await server.listen()
            drill.server = server
            drill.publish()
            drill.clock.advance(2)
            async with asyncio.timeout(20):
                while not await drill.is_ready():
                    await asyncio.sleep(0.02)

            await drill.must_pass()
            assert len(server.requests) == 1


class _Late(JwksServer):
    """A server whose port is known but shut while the sidecar starts."""

    def __init__(self, server: JwksServer) -> None:
        super().__init__()
        self._port = server._port

    async def listen(self) -> None:
        pass


plays("test_an_endpoint_that_goes_down_later", "connect refused after a good fetch")


async def test_an_endpoint_that_goes_down_later(drill: KeyDrill) -> None:
    """R-044: kept keys serve for a day; at the hard age all closes, and no restart is needed afterwards."""
    old = drill.forge.token()
    await drill.must_let_pass(old)
    await drill.server.refuse()
    drill.clock.advance(86_399)
    await drill.must_pass()
    assert await drill.is_ready()

    drill.clock.advance(1)

    for token in (drill.forge.token(), drill.forge.token()):
        (await drill.present(token)).must_be_refused(Reason.KEYS_UNAVAILABLE, secret=token)
    assert not await drill.is_ready()
    await drill.server.listen()
    drill.clock.advance(60)
    await drill.must_pass()
    # The token from before the pause is judged anew: it lives for a day, and the day is over.
    (await drill.present(old)).must_be_refused(Reason.TOKEN_EXPIRED, secret=old)


plays("test_a_silent_endpoint_delays_nobody_who_is_known", "hangs forever (SYN ok, no bytes)")


async def test_a_silent_endpoint_delays_nobody_who_is_known(start: Start) -> None:
    """R-044, R-046: the sidecar's own limit of five seconds ends the fetch; only who caused it waits."""
    async with start(fetch_seconds=None) as drill:
        drill.server.answer = jwks_server.hang
        started = Stopwatch()
        stranger = asyncio.create_task(drill.sidecar.send(request(drill.unknown())))
        seconds = await drill.people_while(stranger)
        waited, awake = started.seconds, started.awake

        assert stranger.result().status == 503
        assert waited > 4.5
        assert awake < 6 + STALL_SECONDS
        assert sorted(seconds)[int(len(seconds) * 0.99)] < STALL_SECONDS
        assert drill.refused()["keys_unavailable"] == 1
        assert drill.fetches == 2


plays("test_retry_after_is_respected", "429 Retry-After: 3600")


async def test_retry_after_is_respected(drill: KeyDrill) -> None:
    """R-047: an endpoint that asks for an hour gets an hour, whatever tokens ask for."""
    drill.server.answer = jwks_server.status("429 Too Many", headers={"Retry-After": "3600"})
    await drill.refresh()
    assert drill.fetches == 2
    drill.publish()
    for _ in range(3):
        drill.clock.advance(1100)
        (await drill.present(drill.unknown())).must_be_refused(Reason.KEYS_UNAVAILABLE)
        await drill.must_pass()
    assert drill.fetches == 2

    drill.clock.advance(300)

    await drill.present(drill.unknown())
    assert drill.fetches == 3


plays("test_no_redirect_leads_to_another_key_set", "301/302/307 to attacker JWKS")


@pytest.mark.parametrize("line", ["301 Moved", "302 Found", "307 Temporary Redirect", "308 Permanent"])
async def test_no_redirect_leads_to_another_key_set(drill: KeyDrill, line: str) -> None:
    """R-044: the attacker's server is never asked, and its key opens nothing (GHSA-9v7f-9g4p-ffgj)."""
    forger = drill.forge.forger
    async with JwksServer(jwks_server.document({"keys": [forger.jwk()]})) as attacker:
        drill.server.answer = jwks_server.redirect(line, attacker.url)
        drill.clock.advance(FLOOR_SECONDS)
        token = drill.unknown(forger.kid)
        (await drill.present(token)).must_be_refused(Reason.KEYS_UNAVAILABLE, secret=token)

        assert attacker.requests == []


# --- keys that must not count ------------------------------------------------------------------------

for unfit_key in UNFIT.values():
    plays("test_an_unfit_key_proves_nothing_and_harms_no_neighbour", unfit_key.case)


@pytest.mark.parametrize("name", UNFIT)
async def test_an_unfit_key_proves_nothing_and_harms_no_neighbour(start: Start, name: str) -> None:
    """R-013, R-044: the entry is ignored and the good key beside it serves (GHSA-w6j9-cwv2-h6wq)."""
    unfit = UNFIT[name]
    async with start() as drill:
        drill.publish(unfit.entry(drill))
        await drill.refresh()
        assert _outcomes(drill, RefreshOutcome.OK) == 2
        token = unfit.token(drill)
        (await drill.present(token)).must_be_refused(unfit.reason, secret=token)

        assert drill.sidecar.registry.get_sample_value("auth_proxy_keys") == 1
        await drill.must_pass()


plays("test_two_keys_under_one_kid_replace_nothing", "two keys same kid different n")


async def test_two_keys_under_one_kid_replace_nothing(drill: KeyDrill) -> None:
    """R-044: which of two the team means is not ours to guess; the set from before stays."""
    await drill.must_pass()
    drill.publish({**drill.forge.forger.jwk(), "kid": drill.issuer.current.kid})
    await drill.refresh()
    assert _outcomes(drill, RefreshOutcome.DUPLICATE_KID) == 1

    token = drill.forge.token(key=SigningKey(drill.issuer.current.kid, drill.forge.forger.private))
    (await drill.present(token)).must_be_refused(Reason.TOKEN_SIGNATURE, secret=token)
    await drill.must_pass()


plays("test_the_modulus_counts_and_not_the_certificate", "x5c mismatching n")


async def test_the_modulus_counts_and_not_the_certificate(drill: KeyDrill, next_key: SigningKey) -> None:
    """R-013: a certificate of another key beside `n` and `e` proves nothing."""
    foreign = drill.forge.forger.certificate("https://evil.example")["cert"]
    body = "".join(line for line in foreign.splitlines() if not line.startswith("-----"))
    drill.publish({**next_key.jwk(), "x5c": [body]})
    drill.clock.advance(FLOOR_SECONDS)
    await drill.must_let_pass(drill.forge.token(drill.forge.header(kid=next_key.kid), key=next_key))

    token = drill.forge.token(drill.forge.header(kid=next_key.kid), key=drill.forge.forger)
    (await drill.present(token)).must_be_refused(Reason.TOKEN_SIGNATURE, secret=token)


plays("test_a_roca_modulus_is_documented_as_not_detected", "ROCA modulus")


async def test_a_roca_modulus_is_documented_as_not_detected(drill: KeyDrill) -> None:
    """R-013: what the team itself publishes is believed; the code says that ROCA is not looked for."""
    weak = roca_key()
    drill.publish(weak.jwk())
    drill.clock.advance(FLOOR_SECONDS)

    await drill.must_let_pass(drill.forge.token(drill.forge.header(kid=weak.kid), key=weak))

    assert "ROCA" in (require_fit.__doc__ or "")


plays("test_one_bad_key_among_good_ones", "one bad key among good keys")


async def test_one_bad_key_among_good_ones(drill: KeyDrill, next_key: SigningKey) -> None:
    """R-044: every unfit entry at once, between two good keys, and both good keys serve."""
    unfit = [key.entry(drill) for key in UNFIT.values()]
    drill.publish(next_key.jwk(), *unfit)
    drill.clock.advance(FLOOR_SECONDS)

    await drill.must_let_pass(drill.forge.token(drill.forge.header(kid=next_key.kid), key=next_key))
    await drill.must_pass()
    assert drill.sidecar.registry.get_sample_value("auth_proxy_keys") == 2


# --- rotation and floods -----------------------------------------------------------------------------

plays("test_rotation_serves_both_keys_and_then_the_new_one", "rotation: new kid appears")
plays("test_rotation_serves_both_keys_and_then_the_new_one", "rotation: old key removed")


async def test_rotation_serves_both_keys_and_then_the_new_one(drill: KeyDrill, next_key: SigningKey) -> None:
    """R-044: one fetch for a new key, both keys in the overlap; the old one's tokens end with it."""
    old_key, old = drill.issuer.current, drill.forge.token()
    await drill.must_let_pass(old)
    drill.clock.advance(FLOOR_SECONDS)
    drill.issuer.rotate(next_key)
    drill.publish()
    await drill.must_pass()
    assert drill.fetches == 2
    await drill.must_let_pass(old)
    await drill.must_let_pass(drill.forge.token(drill.forge.header(kid=old_key.kid), key=old_key))

    drill.issuer.forget_previous()
    drill.publish()
    await drill.refresh()

    # The remembered token, and a new one by a key that leaked after its overlap.
    for token in (old, drill.forge.token(drill.forge.header(kid=old_key.kid), key=old_key)):
        (await drill.present(token)).must_be_refused(Reason.TOKEN_KEY_UNKNOWN, secret=token)
    await drill.must_pass()
    assert drill.fetches == 3


plays("test_rotation_under_continuous_requests_loses_none", "rotation storm: key set changes on every fetch")


async def test_rotation_under_continuous_requests_loses_none(start: Start, next_key: SigningKey) -> None:
    """R-044, R-047: keys change while people come; everybody is let in, each change is one fetch."""
    async with start() as drill:
        keys = [next_key, drill.forge.forger, drill.issuer.current]
        statuses: list[int] = []

        async def people() -> None:
            while len(statuses) < 4000:
                answer = await drill.sidecar.send(request(drill.forge.token()))
                statuses.append(answer.status)

        crowd = [asyncio.create_task(people()) for _ in range(8)]
        for turn in range(9):
            seen = len(statuses)
            drill.clock.advance(FLOOR_SECONDS)
            drill.issuer.rotate(keys[turn % 3])
            drill.publish()
            async with asyncio.timeout(20):
                while len(statuses) < seen + 40:
                    await asyncio.sleep(0.002)
        for task in crowd:
            task.cancel()
        await asyncio.gather(*crowd, return_exceptions=True)

        assert set(statuses) == {200}
        assert drill.fetches == 10
        assert sum(drill.refused().values()) == 0


async def test_a_rotation_during_a_fetch_loses_nobody(
    start: Start, access_key: SigningKey, next_key: SigningKey
) -> None:
    """R-044, R-047: who waited for an answer older than the rotation may still cause one fetch."""
    going = asyncio.Event()
    before = jwks_server.document({"keys": [access_key.jwk()]})

    async def late(writer: asyncio.StreamWriter) -> None:
        await going.wait()
        await before(writer)

    async with start(answer=late, fetch_seconds=60) as drill:
        async with asyncio.timeout(20):
            while drill.fetches == 0:
                await asyncio.sleep(0.005)
        drill.issuer.rotate(next_key)
        drill.publish()
        waiting = [asyncio.create_task(drill.status_of(drill.forge.token())) for _ in range(20)]
        await asyncio.sleep(0.1)
        going.set()

        assert await asyncio.gather(*waiting) == [200] * 20
        assert drill.fetches == 2


plays("test_a_thousand_at_once_with_a_new_key_are_one_fetch", "1,000 concurrent requests with new kid")


async def test_a_thousand_at_once_with_a_new_key_are_one_fetch(start: Start, next_key: SigningKey) -> None:
    """R-044, R-047: all of them wait for the same flight, and all of them are let in."""
    going = asyncio.Event()
    async with start(fetch_seconds=60) as drill:  # one loop serves the endpoint and all who wait for it
        drill.clock.advance(FLOOR_SECONDS)
        drill.issuer.rotate(next_key)
        document = jwks_server.document(drill.issuer.certs_document())

        async def late(writer: asyncio.StreamWriter) -> None:
            await going.wait()
            await document(writer)

        drill.server.answer = late
        tokens = [drill.forge.token() for _ in range(1000)]
        waiting = [asyncio.create_task(drill.status_of(token)) for token in tokens]
        await until(lambda: gauge(drill.sidecar, "connections") == 1000, 60)
        going.set()

        assert await asyncio.gather(*waiting) == [200] * 1000
        assert drill.fetches == 2
        assert len(drill.sidecar.upstream.received) == 1000


plays(
    "test_ten_thousand_unknown_kids_are_one_fetch_and_delay_nobody",
    "10,000 requests each with a distinct unknown kid",
    "unknown-kid flood while real rotation happens",
)


@pytest.mark.timeout(180)
async def test_ten_thousand_unknown_kids_are_one_fetch_and_delay_nobody(
    drill: KeyDrill, next_key: SigningKey
) -> None:
    """R-047: one fetch per floor whatever the flood (CVE-2026-48524), and a rotation is seen at the next."""
    drill.clock.advance(FLOOR_SECONDS)
    drill.forget()
    flood = asyncio.create_task(drill.flood([f"invented-{number}" for number in range(10_000)]))
    seconds = await drill.people_while(flood)

    assert flood.result() == [403] * 10_000
    assert drill.refused()["token_key_unknown"] == 10_000
    assert drill.fetches == 2
    assert sorted(seconds)[int(len(seconds) * 0.99)] < STALL_SECONDS
    assert len(drill.sidecar.upstream.received) == len(seconds)
    drill.issuer.rotate(next_key)
    drill.publish()
    for step, fetches in ((FLOOR_SECONDS - 1, 2), (1, 3)):
        drill.clock.advance(step)
        await drill.flood([f"later-{step}-{number}" for number in range(100)])
        assert drill.fetches == fetches
    await drill.must_pass()
    assert drill.fetches == 3


async def test_a_key_set_that_differs_each_time_is_fetched_no_more_often(drill: KeyDrill) -> None:
    """R-047: a storm of new kids, one set for each fetch, is bounded by the floor and by one flight."""
    fetched = 0

    async def another(writer: asyncio.StreamWriter) -> None:
        nonlocal fetched
        fetched += 1
        entry = {**drill.forge.forger.jwk(), "kid": f"storm-{fetched}"}
        await jwks_server.document({"keys": [entry, drill.issuer.current.jwk()]})(writer)

    drill.server.answer = another
    for turn in range(1, 4):
        drill.clock.advance(FLOOR_SECONDS)
        statuses = await drill.flood([f"storm-{number + 100}" for number in range(300)])
        assert statuses == [403] * 300
        assert fetched == turn
    await drill.must_pass()


# --- what the answer says besides keys, and time -----------------------------------------------------

plays(
    "test_the_sidecars_own_bounds_hold_whatever_the_answer_says",
    "Cache-Control: no-store / max-age=10^9",
    "Set-Cookie / giant headers on JWKS response",
)


@pytest.mark.parametrize("cache", ["no-store", "max-age=1000000000, immutable", "max-age=0"])
async def test_the_sidecars_own_bounds_hold_whatever_the_answer_says(drill: KeyDrill, cache: str) -> None:
    """R-044: no header makes the set older or younger than it is, and no cookie comes back."""
    content = json.dumps(drill.issuer.certs_document()).encode()
    headers = {"Cache-Control": cache, "Set-Cookie": "session=stolen; Path=/", "Age": "999999"}
    drill.server.answer = jwks_server.body(content, headers=headers)
    await drill.refresh()
    for _ in range(20):
        await drill.must_pass()
    assert drill.fetches == 2
    await drill.refresh()
    assert drill.fetches == 3
    assert "cookie" not in drill.server.requests[-1].lower()
    await drill.server.refuse()

    drill.clock.advance(86_400)

    (await drill.present(drill.forge.token())).must_be_refused(Reason.KEYS_UNAVAILABLE)


plays("test_an_answer_that_ends_with_its_connection_is_read", "HTTP/1.0, no Content-Length, close-delimited")


async def test_an_answer_that_ends_with_its_connection_is_read(start: Start, access_key: SigningKey) -> None:
    """R-044: an old middlebox in front of the endpoint is no outage."""
    document = jwks_server.close_delimited(json.dumps({"keys": [access_key.jwk()]}).encode())
    async with start(answer=document) as drill:
        await drill.must_pass()


plays("test_a_clock_that_is_set_moves_tokens_and_not_keys", "clock jumps +1 day / -1 day (faketime)")


@pytest.mark.parametrize("days, reason", [(2, Reason.TOKEN_EXPIRED), (-1, Reason.TOKEN_NOT_YET_VALID)])
async def test_a_clock_that_is_set_moves_tokens_and_not_keys(
    drill: KeyDrill, days: int, reason: Reason
) -> None:
    """R-044, R-045: keys age by monotonic time; tokens are judged by the wall clock, remembered ones too."""
    old = drill.forge.token()
    await drill.must_let_pass(old)

    drill.clock.jump(timedelta(days=days).total_seconds())

    (await drill.present(old)).must_be_refused(reason, secret=old)
    assert await drill.is_ready()
    assert drill.sidecar.registry.get_sample_value("auth_proxy_key_age_seconds") == 0
    assert drill.fetches == 1


plays("test_the_endpoint_may_move_to_another_address", "JWKS host resolves to new IP")


async def test_the_endpoint_may_move_to_another_address(
    start: Start, next_key: SigningKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R-044: the name is looked up for each fetch; no address outlives its time."""
    loop, place = asyncio.get_running_loop(), ["127.0.0.1"]
    look_up = loop.getaddrinfo

    async def resolve(_host: object, port: object, **kwargs: object) -> object:
        return await look_up(place[0], port, **kwargs)  # type: ignore[arg-type]  # passed on as it came

    monkeypatch.setattr(loop, "getaddrinfo", resolve)
    async with start(domain=lambda server: server.team_domain.replace("127.0.0.1", "localhost")) as drill:
        await drill.must_pass()
        await drill.server.refuse()
        port = int(drill.server.team_domain.rpartition(":")[2])
        moved = await asyncio.start_server(drill.server._serve, "127.0.0.2", port)
        place[0] = "127.0.0.2"
        drill.issuer.rotate(next_key)
        drill.publish()
        drill.clock.advance(FLOOR_SECONDS)

        await drill.must_pass()

        moved.close()


# --- certificates and configuration ------------------------------------------------------------------

plays("test_a_bad_certificate_is_no_key_server", "TLS: expired / self-signed / wrong host cert")


@pytest.mark.parametrize(
    "host, until, trusted",
    [
        ("localhost", TODAY + YEAR, True),
        ("localhost", TODAY - timedelta(days=1), True),
        ("other.example", TODAY + YEAR, True),
        ("localhost", TODAY + YEAR, False),
    ],
    ids=["good", "expired", "another host's", "of an unknown authority"],
)
async def test_a_bad_certificate_is_no_key_server(
    start: Start, tmp_path: Path, host: str, *, until: object, trusted: bool, request: pytest.FixtureRequest
) -> None:
    """R-044, R-046: without a good certificate nothing is fetched, and nobody is let in."""
    authority = Authority.found()
    tls = authority.server_context(tmp_path, host=host, until=until)  # type: ignore[arg-type]  # a table's date
    source = {"session_factory": authority.trusting_session} if trusted else {}
    is_good = request.node.callspec.id == "good"
    async with start(
        server=JwksServer(tls=tls), answer=None if is_good else jwks_server.hang, **source
    ) as drill:
        if is_good:
            await drill.must_pass()
            return
        drill.publish()
        token = drill.forge.token()
        (await drill.present(token)).must_be_refused(Reason.KEYS_UNAVAILABLE, secret=token)

        assert drill.server.requests == []
        assert not await drill.is_ready()


plays("test_an_unsafe_address_of_the_keys_ends_the_start", "http:// JWKS URL in config")
plays("test_an_unsafe_address_of_the_keys_ends_the_start", "file:// or data: in config")
plays(
    "test_an_unsafe_address_of_the_keys_ends_the_start", "team name 'evil.com/x?' or 'a.b' or 'a@b' in config"
)

UNSAFE_ADDRESSES = (
    {"CF_ACCESS_TEAM_DOMAIN": "http://team.cloudflareaccess.com"},
    {"CF_ACCESS_TEAM_DOMAIN": "http://127.0.0.1:1"},
    {"CF_ACCESS_TEAM_DOMAIN": "http://team.cloudflareaccess.com", "APP_ENV": "development"},
    {"CF_ACCESS_TEAM_DOMAIN": "file:///etc/passwd"},
    {"CF_ACCESS_TEAM_DOMAIN": "data:application/json,{}"},
    {"CF_ACCESS_TEAM_DOMAIN": "ftp://team.cloudflareaccess.com"},
    {"CF_ACCESS_TEAM_DOMAIN": "https://evil.example/x?"},
    {"CF_ACCESS_TEAM_DOMAIN": "https://team.cloudflareaccess.com@evil.example"},
    {"CF_ACCESS_TEAM_DOMAIN": "https://team.cloudflareaccess.com/keys"},
    {"CF_ACCESS_TEAM_DOMAIN": "evil.com/x?"},
    {"CF_ACCESS_TEAM_DOMAIN": "a@b"},
    {"CF_ACCESS_TEAM": "evil.com/x?"},
    {"CF_ACCESS_TEAM": "a.b"},
    {"CF_ACCESS_TEAM": "a@b"},
    {"CF_ACCESS_TEAM": "a#b"},
    {"CF_ACCESS_TEAM": "a%2fb"},
)


@pytest.mark.parametrize("unsafe", UNSAFE_ADDRESSES, ids=lambda unsafe: " ".join(unsafe.values()))
def test_an_unsafe_address_of_the_keys_ends_the_start(
    unsafe: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """R-043, R-044: the process ends with status 2 and names the variable, before anything listens."""
    environ = {
        "ADMIN_HOST": HOST,
        "CF_ACCESS_AUD": AUD,
        "AUTH_PROXY_UPSTREAM": "http://127.0.0.1:1",
        "AUTH_PROXY_ROSTER": "open:read_only",
        "INTERNAL_SIGNING_KEY_FILE": str(tmp_path / "missing.pem"),
        **unsafe,
    }

    assert main(["run"], environ) == EXIT_CONFIGURATION
    assert "CF_ACCESS_TEAM" in capsys.readouterr().err


# --- the lists ---------------------------------------------------------------------------------------


def test_each_behaviour_of_the_corpus_is_played() -> None:
    """attacks.md section 4: each of the 52 behaviours has a test, and no test claims another (R-044)."""
    listed = [name for name, _ in json.loads(CORPUS.read_text(encoding="utf-8"))["cases"]]

    assert len(listed) == len(set(listed)) == 52
    assert set(COVERED) == set(listed)
    assert {name for name in COVERED.values() if not callable(globals().get(name))} == set()


def test_the_overlap_of_an_expired_key_is_played_here() -> None:
    """attacks.md section 2: a key within and beyond its overlap is the rotation test's (R-044)."""
    assert lines_of("test_key_server_attacks") == {"an expired key within and beyond its overlap"}
