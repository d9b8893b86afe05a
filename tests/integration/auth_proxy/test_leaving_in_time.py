"""A sidecar that stops while something does not end by itself: cut off in time, or told to go."""

import asyncio
from pathlib import Path

import pytest

from deploy.demo.issuer import SigningKey
from service_kit.settings import Listen
from service_kit.web.serving import Site, serving
from tests.fixtures.ports import free_port
from tests.fixtures.sidecar import sidecar_under_test
from tests.fixtures.stopwatch import Stopwatch
from tests.fixtures.websockets import accept_of, closed_for, gauge, open_websocket, until, websocket_sidecar
from tests.integration.auth_proxy.scripted_upstream import request_bytes, scripted

STREAM = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\ntick\r\n"


@pytest.mark.parametrize("drain_seconds", [0, 1])
@pytest.mark.parametrize("method", ["GET", "POST"], ids=["at once", "as a task"])
@pytest.mark.parametrize("said", [b"", STREAM], ids=["no answer", "a stream"])
async def test_what_never_ends_is_cut_off_after_the_drain_time(
    access_key: SigningKey, tmp_path: Path, drain_seconds: float, method: str, said: bytes
) -> None:
    """Whoever kills waits for lame duck and drain together: twice the drain would lose the last reports."""

    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(said)
        await reader.read()

    port = free_port()
    async with (
        scripted(endless) as url,
        sidecar_under_test(access_key, tmp_path, AUTH_PROXY_UPSTREAM=url) as sidecar,
    ):
        gate = Site("gate", Listen("127.0.0.1", port), sidecar.sidecar.gate)
        request = request_bytes(
            sidecar, "/x", *(["Content-Length: 0"] if method == "POST" else []), method=method
        )
        async with asyncio.timeout(40), serving([gate], drain_seconds=drain_seconds):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(request.replace(b"Connection: close\r\n", b""))
            if said:
                await reader.readuntil(b"tick")
            await until(lambda: gauge(sidecar, "requests_in_flight") == 1)
            started = Stopwatch()
        took, waited = started.awake, started.seconds
        rest = await reader.read()
        writer.close()
        await until(lambda: gauge(sidecar, "requests_in_flight") == 0)

    assert took < drain_seconds + 0.8
    assert waited >= drain_seconds
    assert b"0\r\n\r\n" not in rest  # broken off, not ended well


async def test_a_websocket_in_its_handshake_is_told_too(access_key: SigningKey, tmp_path: Path) -> None:
    """Architecture section 9: 1001, although it became one only after the others were told."""
    asked, answers = asyncio.Event(), asyncio.Event()

    async def hesitant(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        key = next(line for line in head.split("\r\n") if line.lower().startswith("sec-websocket-key:"))
        asked.set()
        await answers.wait()
        writer.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            + f"Sec-WebSocket-Accept: {accept_of(key.split(':')[1].strip())}\r\n\r\n".encode()
        )
        await reader.read()

    async with scripted(hesitant) as url, websocket_sidecar(access_key, tmp_path, url) as sidecar:
        opening = asyncio.create_task(open_websocket(sidecar))
        await asked.wait()
        sidecar.sidecar.gate.pre_shutdown()
        answers.set()
        socket = await opening

        assert (await socket.closed())[0] == 1001
        await until(lambda: closed_for(sidecar, "shutdown") == 1)
