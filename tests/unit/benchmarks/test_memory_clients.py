"""The clients and the upstream of the memory rows, against each other."""

import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.memory_clients import (
    ClientError,
    ask_some,
    download,
    idle_connections,
    still_open,
    upload,
)
from benchmarks.paced import rotation
from benchmarks.process import Command, Running, StartError, serving
from tests.fixtures.ports import free_port

LENGTH = 20_000_001


@pytest.fixture(scope="module")
def upstream(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    port = free_port()
    command = Command((sys.executable, "-m", "benchmarks.bulk_upstream", str(port)), port)
    with serving(command, tmp_path_factory.mktemp("bulk") / "log") as running:
        yield running


def test_long_bodies_arrive_whole(upstream: Running) -> None:
    """Every byte is sent and every byte is read, and somebody looked while they were on their way."""
    looks: list[str] = []

    upload(upstream.port, "token", LENGTH, lambda: looks.append("up"))
    download(upstream.port, "token", LENGTH, lambda: looks.append("down"))

    assert looks.count("up") >= 2
    assert looks.count("down") >= 1


def test_idle_connections_are_asked_in_turn(upstream: Running) -> None:
    """Some at a time, and round again: none of them rests for ever, and one that was ended is an error."""
    requests = rotation("GET /1k HTTP/1.1\r\nHost: a\r\nCf-Ray: {ray}\r\n\r\n", ["t"], 1)
    with idle_connections(upstream.port, 3, requests) as connections:
        ask_some(connections, 2, 2, requests)
        assert still_open(connections) == 3
        for connection in connections:
            connection.setblocking(True)
        connections[1].close()
        ask_some(connections, 2, 2, requests)
        with pytest.raises(OSError, match="Bad file descriptor"):
            ask_some(connections, 0, 2, requests)


def test_idle_connections_are_counted_honestly(upstream: Running) -> None:
    """A connection that the other side has ended is not counted as open."""
    requests = rotation("GET /1k HTTP/1.1\r\nHost: a\r\n\r\n", ["t"], 1)
    with idle_connections(upstream.port, 5, requests) as connections:
        connections[0].shutdown(socket.SHUT_WR)
        connections[0].recv(1)
        open_now = still_open(connections)

    assert open_now == 4


def test_a_wrong_answer_is_no_measurement(upstream: Running) -> None:
    """A sidecar that refuses would need no memory at all: that must not become a figure."""
    with pytest.raises(ClientError):
        download(upstream.port, "token\r\nX: y", -1, lambda: None)


def test_a_program_that_ends_is_told_with_its_words(tmp_path: Path) -> None:
    """What it wrote last is the reason."""
    command = Command((sys.executable, "-c", "raise SystemExit('no such setting')"), free_port())

    with pytest.raises(StartError, match="no such setting"), serving(command, tmp_path / "log"):
        pass
