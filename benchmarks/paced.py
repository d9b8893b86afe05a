"""A load of one connection and a steady pace: what one request waits when nobody else asks.

    python -m benchmarks.paced PORT HEAD TOKENS REQUESTS PER_SECOND FIRST_NUMBER

A request is due at its own time, whatever became of the one before. Its wait counts from the moment
it was due if the connection was still busy then, so that a slow answer cannot hide the requests that
had to wait behind it; and from the moment it was sent if this tool itself woke up late.
"""

import http.client
import json
import socket
import statistics
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.given import LOCAL


def waits(port: int, requests: Iterator[bytes], count: int, per_second: float) -> tuple[list[float], int]:
    """The wait of each request in microseconds, and how many were not answered with 200."""
    found: list[float] = []
    wrong = 0
    with socket.create_connection((LOCAL, port), timeout=10) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        start = time.perf_counter()
        for number in range(count):
            due = start + number / per_second
            begun = _begin(due)
            connection.sendall(next(requests))
            wrong += _status(connection) != http.client.OK
            found.append((time.perf_counter() - begun) * 1e6)
    return found, wrong


def _begin(due: float) -> float:
    early = due - time.perf_counter()
    if early <= 0:
        return due  # the answer before was late: this one has waited since then
    time.sleep(early)
    return time.perf_counter()


def _status(connection: socket.socket) -> int:
    answer = http.client.HTTPResponse(connection)
    answer.begin()
    answer.read()
    return answer.status


def rotation(head: str, tokens: list[str], first: int) -> Iterator[bytes]:
    """The requests of the other rows: tokens in turn, a Cf-Ray of its own for each."""
    number = first
    while True:
        text = head.replace("{token}", tokens[number % len(tokens)])
        yield text.replace("{ray}", f"{number:016x}").encode("ascii")
        number += 1


def main(words: list[str]) -> None:
    """Measure, and print one JSON object."""
    port, count, pace, first = int(words[0]), int(words[3]), float(words[4]), int(words[5])
    with Path(words[1]).open(encoding="ascii", newline="") as file:
        head = file.read()
    tokens = Path(words[2]).read_text(encoding="ascii").splitlines()
    requests = rotation(head, tokens, first)
    waits(port, requests, min(count, len(tokens)), pace)  # every token once: nobody verifies below
    found, wrong = waits(port, requests, count, pace)
    p50, p99 = statistics.median(found), statistics.quantiles(found, n=100)[98]
    print(json.dumps({"p50_us": p50, "p99_us": p99, "wrong": wrong}))


if __name__ == "__main__":
    main(sys.argv[1:])
