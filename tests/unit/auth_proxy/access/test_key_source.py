"""Proves `auth_proxy.access.key_source` against a server that misbehaves (attacks.md 4)."""

import asyncio
import gzip
import json
import tracemalloc
import zlib
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from auth_proxy.access.errors import KeyRefreshError, RefreshOutcome
from auth_proxy.access.key_source import FetchLimits, HttpKeySource, certs_url
from tests.fakes import jwks_server
from tests.fakes.clock import START, FrozenClock
from tests.fakes.jwks_server import JwksServer
from tests.fixtures.stopwatch import Stopwatch

CONTENT = json.dumps({"keys": []}).encode()


def source_of(server: JwksServer, *, seconds: float = 5.0, max_bytes: int = 1_048_576) -> HttpKeySource:
    return HttpKeySource(
        server.url,
        clock=FrozenClock(),
        limits=FetchLimits(total_seconds=seconds, max_bytes=max_bytes),
        insecure_allow_loopback_http=True,
    )


async def failure(source: HttpKeySource) -> KeyRefreshError:
    with pytest.raises(KeyRefreshError) as caught:
        await source.read()
    return caught.value


GOOD_ANSWERS = {
    "plain": jwks_server.body(CONTENT),
    "text_plain": jwks_server.body(CONTENT, headers={"Content-Type": "text/plain; charset=utf-16"}),
    "http_1_0_without_a_length": jwks_server.close_delimited(CONTENT),
    "set_cookie": jwks_server.body(CONTENT, headers={"Set-Cookie": "CF_Authorization=x; Path=/"}),
    "no_store": jwks_server.body(CONTENT, headers={"Cache-Control": "no-store"}),
    "gzip_unasked": jwks_server.gzipped(CONTENT),
    "explicit_identity": jwks_server.body(CONTENT, headers={"Content-Encoding": "identity"}),
}


@pytest.mark.parametrize("answer", GOOD_ANSWERS.values(), ids=GOOD_ANSWERS.keys())
async def test_a_good_answer_is_read_as_it_is(answer: jwks_server.Answer) -> None:
    """The bytes of the document come out, whatever the headers around them."""
    async with JwksServer(answer) as server:
        assert await source_of(server).read() == CONTENT


async def test_the_request_is_a_plain_get(clock: FrozenClock) -> None:
    """GET of the certs path, uncompressed, without any cookie an earlier answer set."""
    async with JwksServer(jwks_server.body(CONTENT, headers={"Set-Cookie": "a=b"})) as server:
        source = source_of(server)
        await source.read()
        await source.read()

    assert server.requests[0].startswith("GET /cdn-cgi/access/certs HTTP/1.1\r\n")
    assert all("Accept-Encoding: identity\r\n" in request for request in server.requests)
    assert not any("cookie" in request.lower() for request in server.requests)


BAD_ANSWERS = {
    "400": (jwks_server.status("400 Bad Request"), RefreshOutcome.STATUS),
    "404": (jwks_server.status("404 Not Found"), RefreshOutcome.STATUS),
    "429": (jwks_server.status("429 Too Many Requests"), RefreshOutcome.STATUS),
    "500": (jwks_server.status("500 Internal Server Error"), RefreshOutcome.STATUS),
    "503": (jwks_server.status("503 Service Unavailable"), RefreshOutcome.STATUS),
    "204": (jwks_server.raw(b"HTTP/1.1 204 No Content\r\n\r\n"), RefreshOutcome.STATUS),
    "206": (jwks_server.body(CONTENT, status="206 Partial Content"), RefreshOutcome.STATUS),
    "hung_up": (jwks_server.hang_up, RefreshOutcome.UNREACHABLE),
    "no_http": (jwks_server.raw(b"SSH-2.0-OpenSSH_9.9\r\n"), RefreshOutcome.UNREACHABLE),
    "reset_in_the_middle": (jwks_server.reset_in_the_middle(CONTENT), RefreshOutcome.UNREACHABLE),
    "giant_header": (jwks_server.body(CONTENT, headers={"X": "x" * 100_000}), RefreshOutcome.UNREACHABLE),
    "endless_body": (jwks_server.endless, RefreshOutcome.TOO_LARGE),
    "100_mb_announced": (
        jwks_server.raw(b"HTTP/1.1 200 OK\r\nContent-Length: 104857600\r\n\r\n" + b" " * 2_000_000),
        RefreshOutcome.TOO_LARGE,
    ),
    "gzip_bomb": (jwks_server.gzipped(bytes(50_000_000)), RefreshOutcome.TOO_LARGE),
    "gzip_cut_short": (
        jwks_server.body(gzip.compress(CONTENT)[:-12], headers={"Content-Encoding": "gzip"}),
        RefreshOutcome.ENCODING,
    ),
    "gzip_in_name_only": (
        jwks_server.body(CONTENT, headers={"Content-Encoding": "gzip"}),
        RefreshOutcome.ENCODING,
    ),
    "deflate": (
        jwks_server.body(zlib.compress(CONTENT), headers={"Content-Encoding": "deflate"}),
        RefreshOutcome.ENCODING,
    ),
    "brotli": (jwks_server.body(CONTENT, headers={"Content-Encoding": "br"}), RefreshOutcome.ENCODING),
}


@pytest.mark.parametrize("answer, outcome", BAD_ANSWERS.values(), ids=BAD_ANSWERS.keys())
async def test_a_bad_answer_is_named(answer: jwks_server.Answer, outcome: RefreshOutcome) -> None:
    """Statuses, cut bodies, endless bodies and bombs end quickly and with a name."""
    async with asyncio.timeout(20), JwksServer(answer) as server:
        assert (await failure(source_of(server))).outcome is outcome


@pytest.mark.parametrize(
    "line",
    ["300 Multiple Choices", "301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"],
)
async def test_a_redirect_is_not_followed(line: str) -> None:
    """Whoever answers once must not choose whose keys we trust (GHSA-9v7f-9g4p-ffgj)."""
    async with JwksServer(jwks_server.body(CONTENT)) as attacker, JwksServer() as server:
        server.answer = jwks_server.redirect(line, attacker.url)
        assert (await failure(source_of(server))).outcome is RefreshOutcome.REDIRECT

    assert attacker.requests == []


async def test_a_gzip_bomb_is_not_unpacked() -> None:
    """No more than the limit is unpacked, so that an answer cannot take the memory."""
    async with JwksServer(jwks_server.gzipped(bytes(50_000_000))) as server:
        tracemalloc.start()
        try:
            await failure(source_of(server, max_bytes=100_000))
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()

    assert peak < 5_000_000


async def test_a_status_without_a_wish_has_none() -> None:
    """Without Retry-After the pace is our own."""
    async with JwksServer(jwks_server.status("503 Service Unavailable")) as server:
        assert (await failure(source_of(server))).retry_after is None


async def test_a_refused_connection_is_named() -> None:
    """Nobody listens: unreachable, and reachable again as soon as somebody does."""
    async with JwksServer(jwks_server.body(CONTENT)) as server:
        await server.refuse()
        assert (await failure(source_of(server))).outcome is RefreshOutcome.UNREACHABLE

        await server.listen()

        assert await source_of(server).read() == CONTENT


@pytest.mark.parametrize(
    "answer", [jwks_server.hang, jwks_server.drip(b"HTTP/1.1 200 OK\r\n\r\n", pause=0.05)]
)
async def test_the_whole_fetch_has_one_deadline(answer: jwks_server.Answer) -> None:
    """Silence and one byte at a time end alike, and the event loop runs on meanwhile."""
    async with JwksServer(answer) as server:
        fetch = asyncio.create_task(failure(source_of(server, seconds=0.3)))
        started, beats = Stopwatch(), 0
        while not fetch.done():
            await asyncio.sleep(0.01)
            beats += 1
        took = started.awake

    assert fetch.result().outcome is RefreshOutcome.TIMEOUT
    assert beats > 15 * took


def test_the_deadline_is_five_seconds() -> None:
    """The default bounds are those of the specification."""
    assert FetchLimits() == FetchLimits(total_seconds=5.0, max_bytes=1_048_576)


@pytest.mark.parametrize("size, fits", [(1000, True), (1001, False)])
async def test_the_size_limit_is_exact(size: int, *, fits: bool) -> None:
    """A body of the limit is read, one byte more is not."""
    async with JwksServer(jwks_server.body(b" " * size)) as server:
        source = source_of(server, max_bytes=1000)
        if fits:
            assert len(await source.read()) == size
        else:
            assert (await failure(source)).outcome is RefreshOutcome.TOO_LARGE


@pytest.mark.parametrize(
    "value, seconds",
    [
        ("3600", 3600.0),
        (format_datetime(START + timedelta(seconds=90), usegmt=True), 90.0),
        (format_datetime(START - timedelta(seconds=90), usegmt=True), -90.0),
        (
            format_datetime(datetime(9999, 1, 1, tzinfo=UTC), usegmt=True),
            (datetime(9999, 1, 1, tzinfo=UTC) - START).total_seconds(),
        ),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("1e9", None),
        ("9" * 10, 9_999_999_999.0),
        ("9" * 11, None),
        ("\u0663", None),
    ],
)
async def test_retry_after_is_read_in_both_forms(value: str, seconds: float | None) -> None:
    """Seconds and dates are understood, anything else is no wish at all."""
    async with JwksServer(
        jwks_server.status("429 Too Many Requests", headers={"Retry-After": value})
    ) as server:
        assert (await failure(source_of(server))).retry_after == seconds


def test_the_name_of_a_team_stays_whole() -> None:
    """Only the slash at the end is taken off."""
    assert certs_url("https://TEAM-X") == "https://TEAM-X/cdn-cgi/access/certs"


@pytest.mark.parametrize(
    "team_domain", ["https://team.cloudflareaccess.com", "https://team.cloudflareaccess.com/"]
)
def test_the_certs_are_where_access_publishes_them(team_domain: str) -> None:
    """The address of the key set follows from the team domain (R-044)."""
    assert certs_url(team_domain) == "https://team.cloudflareaccess.com/cdn-cgi/access/certs"


@pytest.mark.parametrize(
    "url",
    [
        "http://team.cloudflareaccess.com/cdn-cgi/access/certs",
        "http://127.0.0.1/certs",
        "file:///etc/passwd",
        "data:application/json,{}",
        "ftp://team.cloudflareaccess.com/certs",
        "https:///certs",
        "//team.cloudflareaccess.com/certs",
        "team.cloudflareaccess.com",
        "",
        "https://user@evil.example/certs",
        "https://team.cloudflareaccess.com@evil.example/certs",
        "https://evil.example/x?.cloudflareaccess.com/cdn-cgi/access/certs",
        "https://evil.example/#.cloudflareaccess.com/cdn-cgi/access/certs",
    ],
)
def test_any_other_address_is_refused_at_start(url: str, clock: FrozenClock) -> None:
    """No plain http, no file:, no data:, no user part, no query (CVE-2026-48522)."""
    with pytest.raises(ValueError, match="key set"):
        HttpKeySource(url, clock=clock)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.10", "[::1]", "localhost"])
def test_development_may_read_plain_http_from_this_machine(host: str, clock: FrozenClock) -> None:
    """The switch with danger in its name opens loopback and nothing else."""
    assert HttpKeySource(f"http://{host}:1/certs", clock=clock, insecure_allow_loopback_http=True) is not None

    with pytest.raises(ValueError, match="https only"):
        HttpKeySource("http://team.example/certs", clock=clock, insecure_allow_loopback_http=True)
    with pytest.raises(ValueError, match="https only"):
        HttpKeySource("http://192.0.2.1/certs", clock=clock, insecure_allow_loopback_http=True)
