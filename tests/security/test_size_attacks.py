"""The sections `expect`, `size` and `pre_auth_cost` of header_attacks.json: what a request may cost."""

import asyncio
import gzip
import socket

import pytest

from tests.fakes.byte_upstream import Arrival
from tests.fixtures.sidecar import HOST
from tests.fixtures.stopwatch import Stopwatch
from tests.fixtures.witnessed import Witnessed, statuses

pytestmark = pytest.mark.asyncio(loop_scope="module")


def _arrived_once(gate: Witnessed) -> Arrival:
    (arrival,) = gate.arrivals
    return arrival


EXPECT = (
    ("Expect: y 100-continue", [400]),
    ("Expect:\r\n 100-continue", [400]),
    ("Expect: 100-continue\r\nExpect: 100-continue", [400]),
    ("Expect: foo", [400]),
    ("Expect: 100-continue, foo", [400]),
    ("Expect: 100-CONTINUE", [200]),
)


@pytest.mark.parametrize("line, codes", EXPECT)
async def test_an_expectation_is_met_or_refused(gate: Witnessed, line: str, codes: list[int]) -> None:
    """Only the one expectation that HTTP defines goes further, and an upstream never sees it."""
    head = gate.head("/frontend", line, "Content-Length: 4", method="POST")
    assert await gate.judge(await gate.exchange(head + b"body")) == codes
    assert all(b"xpect" not in arrival.raw for arrival in gate.arrivals)


async def test_nobody_without_a_token_is_asked_for_a_body(gate: Witnessed) -> None:
    """R-041: 100 Continue is an answer too; it comes after the decision."""
    request = f"POST /frontend HTTP/1.1\r\nHost: {HOST}\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n"
    answer = await gate.exchange(request.encode())

    assert statuses(answer) == [403]
    assert gate.nothing_arrived


async def test_a_promised_body_that_does_not_come_takes_no_other_request(gate: Witnessed) -> None:
    """0.CL with Expect (Kettle 2025): what follows the head is the body, never a second request."""
    hidden = gate.head("/frontend?hidden")
    head = gate.head(
        "/frontend", "Expect: 100-continue", f"Content-Length: {len(hidden)}", method="POST", close=False
    )
    reader, writer = await asyncio.open_connection("127.0.0.1", gate.sidecar.port)
    writer.write(head + hidden)
    async with asyncio.timeout(20):
        while statuses(answer := await reader.read(65536))[-1:] != [200]:
            assert answer
    writer.transport.abort()

    assert _arrived_once(gate).body == hidden


SIZES = (
    (b"X: " + b"y" * 8190, {200}),
    (b"X: " + b"y" * 8191, {200}),
    (b"X: " + b"y" * 65_536, {400, 431}),
    (b"\r\n".join(b"X-%d: y" % number for number in range(200)), {431}),
    (b"\r\n".join(b"X-%d: y" % number for number in range(10_000)), {400, 431}),
    (b"Cookie: " + b"y" * 1_000_000, {400, 431}),
    (b"N" * 40_000 + b": y", {400, 431}),
    (b"Content-Length: 9223372036854775808", {400, 413}),
    (b"Content-Length: 18446744073709551616", {400, 413}),
    (b"Content-Length: 18446744073709551621", {400, 413}),
    (b"Content-Length: 1" + b"0" * 1000, {400, 413}),
    (b"Content-Length: 999999999999999999", {413}),
)


@pytest.mark.parametrize("line, codes", SIZES, ids=lambda value: repr(value)[:32])
async def test_a_size_beyond_the_limit_is_named_and_one_below_it_passes(
    gate: Witnessed, line: bytes, codes: set[int]
) -> None:
    """Every limit is a 4xx, at once, with nothing sent on."""
    (code,) = await gate.judge(await gate.exchange(gate.head("/frontend", line)))
    assert code in codes


@pytest.mark.parametrize("length, code", [(8190, 414), (65_536, 431), (8000, 200)])
async def test_a_request_line_has_an_end(gate: Witnessed, length: int, code: int) -> None:
    """8 KiB of target pass; beyond it is 414, and beyond what is read at all 431."""
    target = "/frontend?" + "y" * (length - len("/frontend?") + (3 if code == 414 else 0))
    assert await gate.judge(await gate.exchange(gate.head(target))) == [code]


async def test_a_bomb_stays_packed_and_a_million_parts_are_only_bytes(gate: Witnessed) -> None:
    """A body is no business of the gate: it is not inflated, not parsed, and arrives as it is."""
    bodies = (
        gzip.compress(b"0" * 10_000_000, mtime=0),
        b"&".join(b"a=b" for _ in range(1001)),
        b"--b\r\n\r\nx\r\n" * 10_000,
        b"[" * 100_000,
    )
    for body in bodies:
        gate.forget()
        head = gate.head("/frontend", "Content-Encoding: gzip", f"Content-Length: {len(body)}", method="POST")
        started = Stopwatch()
        await gate.judge(await gate.exchange(head + body))
        assert _arrived_once(gate).body == body
        assert started.awake < 2


async def test_tiny_chunks_cost_little(gate: Witnessed) -> None:
    """CVE-2025-69229: 100 000 chunks of one byte are one body, in reasonable time."""
    head = gate.head("/frontend", "Transfer-Encoding: chunked", method="POST")
    started = Stopwatch()
    await gate.judge(await gate.exchange(head + b"1\r\nx\r\n" * 100_000 + b"0\r\n\r\n"))

    assert _arrived_once(gate).body == b"x" * 100_000
    assert started.awake < 5


@pytest.mark.parametrize("framing", ["Content-Length: 1000000000", "Transfer-Encoding: chunked"])
async def test_a_refused_body_is_cut_after_64_kilobytes(gate: Witnessed, framing: str) -> None:
    """A gigabyte for nobody: the refusal comes at once and the connection ends under the sender's hands."""
    head = f"POST /frontend HTTP/1.1\r\nHost: {HOST}\r\n{framing}\r\n\r\n".encode()
    piece = b"ff00\r\n" + b"x" * 0xFF00 + b"\r\n" if "chunked" in framing else b"x" * 65_280
    loop = asyncio.get_running_loop()
    client = socket.create_connection(("127.0.0.1", gate.sidecar.port))
    client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65_536)
    client.setblocking(False)
    sent, started = 0, Stopwatch()
    await loop.sock_sendall(client, head)
    try:
        async with asyncio.timeout(20):
            while sent < 100_000_000:
                await loop.sock_sendall(client, piece)
                sent += len(piece)
    except ConnectionError:
        pass
    finally:
        client.close()

    assert sent < 20_000_000, "what the kernel's buffers take, and no more"
    assert started.awake < 4
    assert gate.nothing_arrived
