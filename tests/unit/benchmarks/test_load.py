"""What wrk really sends, read by a server that writes it down."""

import asyncio
import re
import shutil
from pathlib import Path

import pytest

from benchmarks.given import head
from benchmarks.wrk import Load, Told, begin

pytestmark = [
    pytest.mark.stack,
    pytest.mark.skipif(shutil.which("wrk") is None, reason="needs wrk"),
]
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


async def _recorded(load: Load, first_number: int) -> tuple[list[bytes], Told]:
    heads: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                heads.append(await reader.readuntil(b"\r\n\r\n"))
                writer.write(ANSWER)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        running = begin(port, load, seconds=1, first_number=first_number, cores=[])
        told = await asyncio.to_thread(running.told)
    return heads, told


def _load(folder: Path, *tokens: str, pause_ms: int = 20) -> Load:
    (folder / "head").write_text(head("/1k"), encoding="ascii", newline="")
    (folder / "tokens").write_text("\n".join(tokens) + "\n", encoding="ascii")
    return Load(folder / "head", folder / "tokens", connections=4, pause_ms=pause_ms)


def _values(heads: list[bytes], name: str) -> list[bytes]:
    return [
        value for text in heads for value in re.findall(rb"^%b: (\S+)\r$" % name.encode(), text, re.MULTILINE)
    ]


async def test_tokens_rotate_and_every_ray_is_new(tmp_path: Path) -> None:
    """All tokens are sent in turn, unchanged, and no Cf-Ray twice; what wrk tells is what arrived."""
    heads, told = await _recorded(_load(tmp_path, "one", "two", "three"), 500)

    rays = _values(heads, "Cf-Ray")
    assert set(_values(heads, "Cf-Access-Jwt-Assertion")) == {b"one", b"two", b"three"}
    assert len(set(rays)) == len(rays) == len(heads)
    assert min(rays) > b"00000000000001f4-FRA"
    assert told.requests <= len(heads) <= told.requests + 4
    assert told.errors == told.refused == 0


async def test_each_bad_token_is_another_one(tmp_path: Path) -> None:
    """A mark in a token becomes a number of its own, whatever the number of tokens."""
    heads, _told = await _recorded(_load(tmp_path, "a.b.left{nonce}right"), 0)

    tokens = _values(heads, "Cf-Access-Jwt-Assertion")
    assert len(set(tokens)) == len(tokens) > 1
    assert all(re.fullmatch(rb"a\.b\.left[0-9a-f]{8}right", token) for token in tokens)


async def test_a_pause_bounds_the_load(tmp_path: Path) -> None:
    """Four connections that rest 100 ms after each answer send forty requests a second at most."""
    _heads, told = await _recorded(_load(tmp_path, "one", pause_ms=100), 0)

    assert 0 < told.requests <= 40 * max(told.seconds, 1) + 8
