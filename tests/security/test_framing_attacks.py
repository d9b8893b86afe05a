"""Where a request ends, and whose answer is whose (attacks.md sections 1 and 3, "Framing")."""

import asyncio
import random

import pytest

from deploy.demo.issuer import SigningKey
from service_kit.identity.model import Role
from tests.fakes.byte_upstream import Arrival, say_the_target
from tests.fixtures.sidecar import HOST, STRANGER, person
from tests.fixtures.stopwatch import Stopwatch
from tests.fixtures.witnessed import Witnessed, folded, statuses, witnessed
from tests.security.te_gadgets import gadgets

pytestmark = pytest.mark.asyncio(loop_scope="module")

FRAMING = {"transferencoding", "contentlength", "te", "trailer", "connection"}


def smuggling(gate: Witnessed, *lines: bytes, method: str = "POST") -> tuple[bytes, bytes]:
    """A request whose body hides another one behind a last chunk; the body by its Content-Length."""
    body = b"0\r\n\r\n" + gate.head("/frontend?hidden")
    return gate.head("/frontend", *lines, method=method, close=False), body


async def test_no_gadget_hides_a_request(gate: Witnessed) -> None:
    """Each spelling of Transfer-Encoding is refused, or its request goes on framed by its length alone."""
    every = gadgets()
    assert len(every) > 1_700
    head, body = smuggling(gate, b"Content-Length: LENGTH")
    passed = 0
    for gadget in every:
        gate.forget()
        framed = head.replace(b"LENGTH\r\n\r\n", b"%d\r\n%b\r\n\r\n" % (len(body), gadget))
        answer = (await gate.sidecar.send(framed + body)).raw
        codes = statuses(answer)

        assert set(codes) <= {200, 400, 403, 408, 431}, gadget
        if codes[:1] != [200]:
            assert gate.nothing_arrived, gadget
            continue
        passed += 1
        await asyncio.sleep(0.002)
        (arrival,) = gate.arrivals
        assert (arrival.body, arrival.one("Content-Length")) == (body, str(len(body))), gadget
        framing = {folded(name) for name, _ in arrival.headers} & FRAMING
        assert framing == {"contentlength"}, gadget
    assert 0 < passed < 400  # printable bytes inside an ordinary value are no framing


AMBIGUOUS = {
    "CL.TE": (b"Content-Length: LENGTH", b"Transfer-Encoding: chunked"),
    "TE.CL": (b"Transfer-Encoding: chunked", b"Content-Length: 5"),
    "TE.TE": (b"Transfer-Encoding: chunked", b"Transfer-Encoding: identity"),
    "TE.TE equal": (b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"),
    "TE.0": (b"Transfer-Encoding: chunked", b"Content-Length: 0"),
    "two lengths": (b"Content-Length: 5", b"Content-Length: LENGTH"),
    "two equal lengths": (b"Content-Length: LENGTH", b"Content-Length: LENGTH"),
    "a list of lengths": (b"Content-Length: 5, 5",),
    "+5": (b"Content-Length: +5",),
    "-5": (b"Content-Length: -5",),
    "0x5": (b"Content-Length: 0x5",),
    "5 5": (b"Content-Length: 5 5",),
    "5.0": (b"Content-Length: 5.0",),
    "5e0": (b"Content-Length: 5e0",),
    "5_0": (b"Content-Length: 5_0",),
    "Arabic five": ("Content-Length: ٥".encode(),),
    "no digits": (b"Content-Length: ",),
    "2^64+5": (b"Content-Length: 18446744073709551621",),
    "an alias": (b"Content-Length: LENGTH", b"Content_Length: 5"),
    "an alias alone": (b"Content.Length: LENGTH",),
    "a space before the colon": (b"Content-Length : LENGTH",),
    "obs-fold": (b"X: y\r\n Content-Length: 5", b"Content-Length: LENGTH"),
    "bare CR": (b"X: y\rContent-Length: 5", b"Content-Length: LENGTH"),
    "bare LF": (b"X: y\nTransfer-Encoding: chunked", b"Content-Length: LENGTH"),
    "LF LF": (b"Content-Length: LENGTH\n\nGET /frontend?early HTTP/1.1\r\nX: y",),
    "chunked on 1.0": (b"Transfer-Encoding: chunked",),
}


@pytest.mark.parametrize("pause", [0, 0.005])
@pytest.mark.parametrize("method", ["POST", "GET"])
@pytest.mark.parametrize("name", AMBIGUOUS)
async def test_a_length_with_two_readings_is_refused(
    gate: Witnessed, name: str, method: str, pause: float
) -> None:
    """CL.TE, TE.CL, TE.TE and numbers that only some parsers read: one refusal, and the connection ends.

    With a pause the head is decided on before the parser has seen what follows it.
    """
    head, body = smuggling(gate, *AMBIGUOUS[name], method=method)
    if name == "chunked on 1.0":
        head = head.replace(b" HTTP/1.1", b" HTTP/1.0", 1)
    head = head.replace(b"LENGTH", str(len(body)).encode())
    codes = await gate.judge(await gate.exchange(head, body, pause=pause), most=2)

    assert set(codes) <= {400, 413}
    assert codes
    assert gate.nothing_arrived


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE", "OPTIONS", "POST"])
async def test_a_length_of_zero_ends_the_request(gate: Witnessed, method: str) -> None:
    """0.CL: what follows is the next request with its own decision, never a body of the first."""
    first = gate.head("/frontend?1", "Content-Length: 0", method=method, close=False)
    second = gate.head("/api/admin/global-admins", who=STRANGER)
    answer = await gate.exchange(first + second)

    assert statuses(answer) == [200, 403]
    assert [arrival.target for arrival in gate.arrivals] == ["/frontend?1"]


CHUNKS: dict[str, tuple[bytes, bytes | None]] = {
    "plain": (b"5\r\nhello\r\n0\r\n\r\n", b"hello"),
    "upper and leading zeros": (b"00005\r\nhello\r\n000\r\n\r\n", b"hello"),
    "an extension": (b"5;a=b\r\nhello\r\n0;c\r\n\r\n", b"hello"),
    "a quoted extension": (b'5;a="\\"b"\r\nhello\r\n0\r\n\r\n', b"hello"),
    "an extension with two CR": (b"5;\r\rx\r\nhello\r\n0\r\n\r\n", None),
    "an extension with LF": (b"5;a\nhello\r\n0\r\n\r\n", None),
    "an extension that ends in LF": (b"5;a\nb\r\nhello\r\n0\r\n\r\n", None),
    "an extension with NUL": (b"5;a\x00\r\nhello\r\n0\r\n\r\n", None),
    "bare LF": (b"5\nhello\n0\n\n", None),
    "bare CR": (b"5\rhello\r0\r\r", None),
    "LF after data": (b"5\r\nhello\n0\r\n\r\n", None),
    "two bytes too many": (b"5\r\nhelloXX0\r\n\r\n", None),
    "0x5": (b"0x5\r\nhello\r\n0\r\n\r\n", None),
    "+5": (b"+5\r\nhello\r\n0\r\n\r\n", None),
    "-5": (b"-5\r\nhello\r\n0\r\n\r\n", None),
    "5_0": (b"5_0\r\nhello\r\n0\r\n\r\n", None),
    "a space before": (b" 5\r\nhello\r\n0\r\n\r\n", None),
    "Arabic digit": ("٥\r\nhello\r\n0\r\n\r\n".encode(), None),
    "no digits": (b"\r\nhello\r\n0\r\n\r\n", None),
    "only an extension": (b";a\r\nhello\r\n0\r\n\r\n", None),
    "overflow 2^64": (b"10000000000000000\r\nhello\r\n0\r\n\r\n", None),
    "overflow 2^64+5": (b"10000000000000005\r\nhello\r\n0\r\n\r\n", None),
    "a trailer with a space": (b"5\r\nhello\r\n0\r\nX : y\r\n\r\n", None),
    "a trailer with NUL": (b"5\r\nhello\r\n0\r\nX: \x00\r\n\r\n", None),
}


@pytest.mark.parametrize("pause", [0, 0.01])
@pytest.mark.parametrize("name", CHUNKS)
async def test_chunks_have_one_reading(gate: Witnessed, name: str, pause: float) -> None:
    """A body arrives as the one reading of its chunks, framed anew by us, or no whole request arrives."""
    body, meant = CHUNKS[name]
    head = gate.head("/frontend", "Transfer-Encoding: chunked", method="POST")
    answer = await gate.exchange(head, body, gate.head("/frontend?hidden"), pause=pause)
    codes = await gate.judge(answer, streamed=True)

    assert codes == ([200] if meant is not None else [400])
    assert [arrival.body for arrival in gate.arrivals] == ([meant] if meant is not None else [])


async def test_a_huge_chunk_extension_costs_nothing_and_goes_nowhere(gate: Witnessed) -> None:
    """10 MB of extension: refused or read past, never passed on, and never slow."""
    head = gate.head("/frontend", "Transfer-Encoding: chunked", method="POST")
    started = Stopwatch()
    await gate.judge(
        await gate.exchange(head + b"5;" + b"x" * 10_000_000 + b"\r\nhello\r\n0\r\n\r\n"), streamed=True
    )
    assert started.awake < 3
    assert all(len(arrival.raw) < 10_000 for arrival in gate.arrivals)


async def test_a_refusal_without_a_body_leaves_the_next_request_alone(gate: Witnessed) -> None:
    """Pipelined behind a refusal: each request has its own decision and its own answer, in order."""
    refused = gate.head("/api/admin/global-admins", who=person(Role.SUPPORT), close=False)
    granted = gate.head("/frontend?2", who=person(Role.SUPPORT), close=False)
    answer = await gate.exchange(refused + granted + refused.replace(b"Host:", b"Connection: close\r\nHost:"))

    assert statuses(answer) == [403, 200, 403]
    assert [arrival.target for arrival in gate.arrivals] == ["/frontend?2"]


@pytest.mark.parametrize(
    "body", [b"Content-Length: 4\r\n\r\nbody", b"Transfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n"]
)
async def test_nothing_is_read_behind_a_refused_body(gate: Witnessed, body: bytes) -> None:
    """Pipelining after a refusal: who decides nothing about a body must not guess where it ends."""
    head = f"POST /frontend HTTP/1.1\r\nHost: {HOST}\r\n".encode()
    answer = await gate.exchange(head + body + gate.head("/frontend?hidden"))

    assert statuses(answer) == [403]
    assert gate.nothing_arrived


USERS = (person(Role.SUPER_ADMIN), person(Role.SUPPORT))


async def failing_sometimes(arrival: Arrival) -> bytes:
    """Dies without a word where the target says so; else answers with its name, after a while."""
    if "fail" in arrival.target:
        return b""
    await asyncio.sleep(random.random() / 200)  # the order of answers is not the order of questions
    return await say_the_target(arrival)


async def owners(gate: Witnessed) -> set[tuple[str, str]]:
    """Whose identity came with which target."""
    return {
        (arrival.target.partition("u=")[2][:1], (await gate.prove(arrival)).email)
        for arrival in gate.arrivals
    }


async def test_a_failed_upstream_shifts_no_answer_on_one_connection(gate: Witnessed) -> None:
    """Two users behind one edge: the second request fails, the third answer is still the third's."""
    gate.upstream.answer = failing_sometimes
    asked = [(number, number % 2) for number in range(12)]
    pieces = [
        gate.head(
            f"/frontend?{'fail' if number in {1, 6} else 'ok'}={number}&u={user}",
            who=USERS[user],
            close=number == len(asked) - 1,
        )
        for number, user in asked
    ]
    answer = await gate.exchange(b"".join(pieces))

    assert statuses(answer) == [502 if number in {1, 6} else 200 for number, _ in asked]
    bodies = [part.rpartition(b"\r\n\r\n")[2] for part in answer.split(b"HTTP/1.1 ")[1:]]
    expected = [f"/frontend?ok={number}&u={user}".encode() for number, user in asked if number not in {1, 6}]
    assert [body for body in bodies if body.startswith(b"/frontend")] == expected
    assert await owners(gate) == {("0", USERS[0].email), ("1", USERS[1].email)}


async def test_parallel_users_over_the_shared_pool_never_see_each_other(gate: Witnessed) -> None:
    """400 requests of two users on 40 connections, every tenth upstream dying: each answer is its own's."""
    gate.upstream.answer = failing_sometimes

    async def one_connection(client: int) -> None:
        user = client % 2
        names = [
            f"{'fail' if (client + turn) % 10 == 0 else 'ok'}={client}.{turn}&u={user}" for turn in range(10)
        ]
        pieces = [
            gate.head(f"/frontend?{name}", who=USERS[user], close=turn == 9)
            for turn, name in enumerate(names)
        ]
        answer = await gate.exchange(b"".join(pieces))
        assert statuses(answer) == [502 if name.startswith("fail") else 200 for name in names]
        bodies = [part.rpartition(b"\r\n\r\n")[2] for part in answer.split(b"HTTP/1.1 ")[1:]]
        told = [body.decode() for body in bodies if body.startswith(b"/frontend")]
        assert told == [f"/frontend?{name}" for name in names if name.startswith("ok")]

    await asyncio.gather(*(one_connection(client) for client in range(40)))
    assert await owners(gate) == {("0", USERS[0].email), ("1", USERS[1].email)}


async def test_an_early_answer_is_not_the_next_ones(gate: Witnessed) -> None:
    """An upstream that answers before the body came: its connection is not used for another request."""

    async def early(arrival: Arrival) -> bytes:
        return await say_the_target(arrival) * (2 if "twice" in arrival.target else 1)

    gate.upstream.answer = early
    for number in range(6):
        head = gate.head(f"/frontend?twice={number}", "Content-Length: 4", method="POST")
        answer = await gate.exchange(head + b"body")
        assert answer.endswith(f"/frontend?twice={number}".encode())


@pytest.mark.parametrize("framing", ["Content-Length: 100", "Transfer-Encoding: chunked"])
async def test_a_body_that_stops_is_a_timeout(
    access_key: SigningKey, tmp_path_factory: pytest.TempPathFactory, framing: str
) -> None:
    """A slow body ends with 408 after the idle time, in both framings, and never looks whole."""
    folder = tmp_path_factory.mktemp("slow")
    async with witnessed(access_key, folder, AUTH_PROXY_BODY_IDLE_SECONDS="0.2") as gate:
        begun = b"3\r\nabc\r\n" if "chunked" in framing else b"abc"
        started = Stopwatch()
        answer = await gate.exchange(gate.head("/frontend", framing, method="POST") + begun)

        assert await gate.judge(answer, streamed=True) == [408]
        assert started.awake < 2
        assert gate.arrivals == []
