"""Clients that ask little and hold much: idle connections, long bodies, readers that do not read.

They measure nothing; they call `look` while they work, and whoever measures looks then.
"""

import contextlib
import http.client
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from benchmarks.given import HOST, LOCAL

Look = Callable[[], None]

_CHUNK: Final = b"x" * 262_144
_LOOK_EVERY: Final = 8 * 1024 * 1024


class ClientError(Exception):
    """The sidecar answered something else than what the measurement needs."""


@contextmanager
def idle_connections(port: int, count: int, requests: Iterator[bytes]) -> Iterator[list[socket.socket]]:
    """So many connections that have had one answer each, and wait. Raises ClientError."""
    with contextlib.ExitStack() as stack:
        opened = []
        for _ in range(count):
            connection = stack.enter_context(socket.create_connection((LOCAL, port), timeout=10))
            connection.sendall(next(requests))
            _require_ok(connection)
            opened.append(connection)
        yield opened


def ask_some(connections: Sequence[socket.socket], first: int, count: int, requests: Iterator[bytes]) -> None:
    """One request on each of so many of them, from the first on and round again. Raises ClientError."""
    for number in range(first, first + count):
        connection = connections[number % len(connections)]
        connection.sendall(next(requests))
        _require_ok(connection)


def still_open(connections: list[socket.socket]) -> int:
    """How many of them the other side has not ended."""
    return sum(_is_open(connection) for connection in connections)


def _is_open(connection: socket.socket) -> bool:
    connection.setblocking(False)  # noqa: FBT003 - the method's only argument
    try:
        return connection.recv(1) != b""
    except BlockingIOError:
        return True
    except OSError:
        return False


def upload(port: int, token: str, length: int, look: Look) -> None:
    """Send one long body. Raises ClientError."""
    with socket.create_connection((LOCAL, port), timeout=60) as connection:
        connection.sendall(_head("POST", "/sink", token, f"Content-Length: {length}"))
        for sent in range(0, length, len(_CHUNK)):
            connection.sendall(_CHUNK[: length - sent])
            if sent % _LOOK_EVERY == 0:
                look()
        _require_ok(connection)


def download(port: int, token: str, length: int, look: Look) -> None:
    """Read one long body to its end. Raises ClientError."""
    with socket.create_connection((LOCAL, port), timeout=60) as connection:
        connection.sendall(_head("GET", f"/bytes/{length}", token))
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        read = 0
        while chunk := answer.read(len(_CHUNK)):
            read += len(chunk)
            if read % _LOOK_EVERY < len(_CHUNK):
                look()
        if answer.status != http.client.OK or read != length:
            raise ClientError(f"{answer.status} and {read} of {length} bytes")


@contextmanager
def stalled_readers(port: int, token: str, count: int, length: int) -> Iterator[None]:
    """So many clients that ask for a body and read nothing of it."""
    with contextlib.ExitStack() as stack:
        for _ in range(count):
            connection = stack.enter_context(socket.create_connection((LOCAL, port), timeout=60))
            connection.sendall(_head("GET", f"/bytes/{length}", token))
        yield


def _head(method: str, path: str, token: str, *lines: str) -> bytes:
    fixed = (f"{method} {path} HTTP/1.1", f"Host: {HOST}", f"Origin: https://{HOST}")
    return "\r\n".join((*fixed, f"Cf-Access-Jwt-Assertion: {token}", *lines, "\r\n")).encode("ascii")


def _require_ok(connection: socket.socket) -> None:
    answer = http.client.HTTPResponse(connection)
    answer.begin()
    answer.read()
    if answer.status != http.client.OK:
        raise ClientError(f"an answer was {answer.status}")
