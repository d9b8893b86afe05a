"""The paced load, against a server that is slow on purpose."""

import socket
import threading
import time
from collections.abc import Iterator
from itertools import islice
from statistics import median

import pytest

from benchmarks.paced import rotation, waits

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
REFUSAL = b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n"


TRIES = 3


def _serve(server: socket.socket) -> None:
    for _ in range(TRIES):
        _serve_one(server.accept()[0])


def _serve_one(connection: socket.socket) -> None:
    with connection:
        number = 0
        while b"\r\n\r\n" in (received := connection.recv(4096)):
            assert received.startswith(b"GET ")
            if number == 5:
                time.sleep(0.2)
            connection.sendall(REFUSAL if number == 8 else ANSWER)
            number += 1


@pytest.fixture
def stalling_port() -> Iterator[int]:
    """Answers at once, but the sixth request after 200 ms; refuses the ninth."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=_serve, args=(server,), daemon=True)
        thread.start()
        yield server.getsockname()[1]
        thread.join(5)


def test_a_stall_is_seen_by_all_that_had_to_wait(stalling_port: int) -> None:
    """At 100 a second a stall of 200 ms delays about twenty requests, and each tells of it (no omission)."""
    requests = rotation("GET / {token} {ray}\r\n\r\n", ["a"], 1)
    medians = []
    for _ in range(TRIES):
        found, wrong = waits(stalling_port, requests, 40, 100)
        medians.append(median(found))

        assert wrong == 1
        # The stall, and what is left of it for each that was due in it; more where the machine stood still.
        for late in range(20):
            assert found[5 + late] >= 200_000 - late * 10_000 - 1_000
    assert min(medians) < 200_000


def test_the_rotation_numbers_every_request() -> None:
    """Tokens come in turn, and no Cf-Ray comes twice."""
    sent = list(islice(rotation("{token} {ray}", ["a", "b"], 16), 3))

    assert sent == [b"a 0000000000000010", b"b 0000000000000011", b"a 0000000000000012"]
