"""Proves before anything is measured that a contender serves, and that it checks what it claims to.

A contender that lets a bad token through is not slow or fast: it is wrong, and is not measured.
"""

import http.client
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Final

from benchmarks.given import AUDIENCE, LOCAL, SIZES, Given, email_of, head
from deploy.demo.people import Person

_START_SECONDS: Final = 5.0
_REFUSALS: Final = (401, 403)


class ProofError(Exception):
    """It answered wrongly; the text says to what."""


def prove(given: Given, port: int, *, verifies: bool) -> None:
    """Ask until it serves, for some seconds. Raises ProofError."""
    until = time.monotonic() + _START_SECONDS
    while True:
        try:
            _require_right_answers(given, port, verifies=verifies)
        except (ProofError, OSError, http.client.HTTPException) as error:
            if time.monotonic() > until:
                raise ProofError(str(error)) from error
            time.sleep(0.2)
        else:
            return


def _require_right_answers(given: Given, port: int, *, verifies: bool) -> None:
    good = given.tokens.read_text(encoding="ascii").splitlines()
    for size, length in SIZES.items():
        status, body = _ask(port, f"/{size}", good[0])
        if status != 200 or len(body) != length:
            raise ProofError(f"a good token got {status} and {len(body)} bytes of {length}")
    if verifies:
        for what, token in _bad_tokens(given):
            status, _body = _ask(port, "/1k", token)
            if status not in _REFUSALS:
                raise ProofError(f"{what} got {status}")


def _bad_tokens(given: Given) -> Iterator[tuple[str, str]]:
    issuer, person = given.issuer, Person.with_email(email_of(1))
    yield "no token", ""
    yield "a bad signature", given.bad_token.read_text(encoding="ascii").strip()
    yield "another audience", issuer.mint(person, audience="c" * 64)
    yield "another issuer", issuer.mint(person, audience=AUDIENCE, iss="https://elsewhere.example.com")
    yield "an expired token", issuer.mint(person, audience=AUDIENCE, lifetime=-timedelta(hours=2))


def _ask(port: int, path: str, token: str) -> tuple[int, bytes]:
    lines = head(path).replace("{token}", token).replace("{ray}", "0" * 16).split("\r\n")[1:]
    headers = dict(line.split(": ", 1) for line in lines if line)
    if not token:
        del headers["Cf-Access-Jwt-Assertion"]
    connection = http.client.HTTPConnection(LOCAL, port, timeout=10)
    try:
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()
