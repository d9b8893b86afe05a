"""Rotating the sidecar's own keys while people work: not one request is lost."""

import asyncio
import json
import os
import sys
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import jwt
import pytest

from deploy.demo.people import ADA, SAMIR, Person
from deploy.demo.processes import DemoError
from service_kit.identity.keys import (
    key_file_name,
    load_signing_keys,
    new_signing_key,
    parse_public_jwks,
)
from tests.fakes.recording_upstream import RecordingUpstream, recording_upstream
from tests.fixtures.stack import Stack, running_stack, seconds_until
from tests.fixtures.stopwatch import Stopwatch

pytestmark = [pytest.mark.stack, pytest.mark.timeout(120)]

LEAD = {"INTERNAL_SIGNING_LEAD_SECONDS": "2"}
CLIENTS = 4


class Load:
    """Clients that read and write without a pause; every answer is counted."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._numbers = iter(range(1_000_000))
        self._stop = asyncio.Event()
        self.answers: Counter[str] = Counter()
        self.failures: list[str] = []

    async def client(self, person: Person) -> None:
        async with self._stack.browser(person) as browser:
            while not self._stop.is_set():
                number = next(self._numbers)
                tenant = {
                    "slug": f"load-{number}",
                    "name": f"Load {number}",
                    "primaryAdminEmail": f"owner-{number}@load.example",
                }
                for method, path, status, body in (
                    ("GET", "/api/admin/tenants?limit=2", 200, None),
                    ("GET", "/api/admin/me", 200, None),
                    ("POST", "/api/admin/tenants", 201, tenant),
                ):
                    try:
                        await browser.ask(method, path, status, body=body)
                        self.answers[method] += 1
                    except (DemoError, aiohttp.ClientError) as error:
                        self.failures.append(f"{method} {path}: {error}")
                # The frontend writes down what arrives, and so which key signed.
                if await browser.status_of("GET", "/frontend") != 200:
                    self.failures.append("GET /frontend")

    def stop(self) -> None:
        self._stop.set()


def prepared_keys(folder: Path) -> tuple[str, str]:
    """A key whose time is over, and the one that has signed for twenty minutes."""
    now = datetime.now(UTC)
    ages = (timedelta(hours=2), timedelta(minutes=20))
    over, signing = (new_signing_key(folder / key_file_name(now - age)) for age in ages)
    return over, signing


async def rotate(folder: Path) -> str:
    """`auth-proxy keys rotate`, as a person runs it; the kid of the new key."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "auth_proxy", "keys", "rotate", str(folder)),
        env={**os.environ, **LEAD},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    _out, err = await process.communicate()

    assert process.returncode == 0, err.decode()
    return load_signing_keys(folder)[-1].kid


async def published(stack: Stack) -> bytes:
    url = f"http://127.0.0.1:{stack.ports.at(9090)}/.well-known/jwks.json"
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        return await response.read()


def last_kid(upstream: RecordingUpstream) -> str:
    token = upstream.received[-1].one("X-Internal-Identity") if upstream.received else ""
    return str(jwt.get_unverified_header(token)["kid"]) if token else ""


async def until_signs(upstream: RecordingUpstream, kid: str) -> None:
    async def signs() -> bool:
        return last_kid(upstream) == kid

    await seconds_until(signs, within=40)


async def test_a_rotation_under_load_loses_no_request(tmp_path: Path) -> None:
    """Architecture 4: two rotations while four clients read and write; every answer is the expected one."""
    folder = tmp_path / "identity"
    over, first = prepared_keys(folder)
    new_signing_key(folder / "first.pem")  # what the demo would make; it is older than the others
    os.utime(folder / "first.pem", (0, 0))
    async with recording_upstream() as upstream:
        environment = {"auth_proxy": {**LEAD, "AUTH_PROXY_UPSTREAM": upstream.url}}
        async with running_stack(tmp_path, environment) as stack:
            load = Load(stack)
            clients = [
                asyncio.create_task(load.client((ADA, SAMIR)[number % 2])) for number in range(CLIENTS)
            ]
            await until_signs(upstream, first)
            before = set(parse_public_jwks(await published(stack)))
            since = Stopwatch()
            second = await rotate(folder)
            await until_signs(upstream, second)
            waited = since.seconds
            third = await rotate(folder)
            await until_signs(upstream, third)
            await asyncio.sleep(1)
            at_the_end = await published(stack)
            load.stop()
            await asyncio.gather(*clients)

    token = upstream.received[-1].one("X-Internal-Identity")
    keys = parse_public_jwks(at_the_end)
    proven = jwt.PyJWS(algorithms=["EdDSA"]).decode_complete(token, keys[third], algorithms=["EdDSA"])

    print(f"\n{sum(load.answers.values())} answers, signed by the new key after {waited:.1f} s")
    assert load.failures == []
    assert min(load.answers["GET"], load.answers["POST"]) > 50
    assert json.loads(proven["payload"])["email"] in (ADA.email, SAMIR.email)
    # A key leaves when its time is over, and not before: `first` was replaced a moment ago.
    assert over in before
    assert set(keys) == {first, second, third}
    assert waited >= 2
