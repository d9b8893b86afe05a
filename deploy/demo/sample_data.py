"""The demo's sample data, made through the front door: every row comes from a real request.

Operators are provisioned and enroll themselves, tenants are created by people with a role, and each
of it stands in the audit log because it really happened.
"""

import asyncio
import json
import sys
from collections.abc import Mapping
from typing import Any, Final, Self

import aiohttp

from deploy.demo.login import LOGIN_PATH
from deploy.demo.people import ADA, CAST, SAMIR, Person
from deploy.demo.processes import DemoError

ENROLLMENT_HEADER: Final = "x-admin-enrollment-token"
_CREATED: Final = 201
_OK: Final = 200
_SEED_DONE_BEFORE: Final = 3

_TENANT_FIELDS: Final = ("slug", "name", "primaryAdminEmail", "plan", "currency")
TENANTS: Final = (
    ("acme", "Acme Logistics", "mira.stone@acme.example", "pro", "USD"),
    ("bluebird", "Bluebird Bakery", "jonas@bluebird.example", "free", "USD"),
    ("chai-point", "Chai Point Stores", "priya@chaipoint.example", "pro", "INR"),
    ("delta-dental", "Delta Dental Care", "office@deltadental.example", "free", "USD"),
    ("evergreen", "Evergreen Gardens", "hello@evergreen.example", "pro", "USD"),
    ("fernweh", "Fernweh Travel", "lena@fernweh.example", "free", "USD"),
    ("ganga-silks", "Ganga Silks", "arjun@gangasilks.example", "enterprise", "INR"),
    ("harbor", "Harbor & Sons Insurance", "claims@harbor.example", "enterprise", "USD"),
    ("indigo-labs", "Indigo Labs", "team@indigolabs.example", "pro", "INR"),
    ("juniper", "Juniper Clinics", "admin@juniper.example", "pro", "USD"),
    ("kestrel", "Kestrel Couriers", "ops@kestrel.example", "free", "USD"),
    ("lotus", "Lotus Wellness", "front@lotus.example", "free", "INR"),
)


async def seed_first_operator(environment: Mapping[str, str]) -> str | None:
    """Ada's enrollment token from `admin-service seed-admin`; None when the database has operators."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "admin_service", "seed-admin", "--email", ADA.email, "--name", ADA.name, "--json"),
        env=dict(environment),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await process.communicate()
    if process.returncode == _SEED_DONE_BEFORE:
        return None
    if process.returncode:
        raise DemoError(f"admin-service seed-admin failed:\n{errors.decode(errors='replace')}")
    token: str = json.loads(output)["enrollmentToken"]
    return token


async def make_sample_data(origin: str, first_token: str) -> None:
    """Enroll the cast and create tenants. Raises DemoError when the stack refuses something."""
    async with Browser(origin, ADA) as ada:
        await ada.enroll(first_token)
        for person in CAST:
            if person.role_hint is not None and person is not ADA:
                await _provision(ada, origin, person)
        async with Browser(origin, SAMIR) as samir:
            for number, (slug, name, email, plan, currency) in enumerate(TENANTS):
                creator = samir if number % 3 else ada
                await creator.create_tenant(
                    {
                        "slug": slug,
                        "name": name,
                        "primaryAdminEmail": email,
                        "plan": plan,
                        "currency": currency,
                    }
                )


async def _provision(ada: "Browser", origin: str, person: Person) -> None:
    body = {"email": person.email, "name": person.name, "role": person.role_hint}
    answer = await ada.ask("POST", "/api/admin/global-admins", _CREATED, body=body)
    async with Browser(origin, person) as browser:
        await browser.enroll(answer["enrollmentToken"])


class Browser:
    """Somebody signed in at the stand-in edge, speaking JSON to the sidecar behind it."""

    def __init__(self, origin: str, person: Person) -> None:
        self._origin = origin
        self._person = person
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30))
        self._cookie = ""

    async def __aenter__(self) -> Self:
        form = {"choice": self._person.key, "redirect_url": "/"}
        async with self._session.post(
            self._origin + LOGIN_PATH, data=form, headers={"Origin": self._origin}, allow_redirects=False
        ) as response:
            if response.status != 303:  # noqa: PLR2004 - the edge's answer to a choice
                raise DemoError(f"the edge did not sign {self._person.name} in ({response.status})")
            self._cookie = "; ".join(f"{name}={morsel.value}" for name, morsel in response.cookies.items())
        self._session.cookie_jar.clear()
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self._session.close()

    async def enroll(self, token: str) -> None:
        await self.ask("GET", "/api/admin/me", headers={ENROLLMENT_HEADER: token})

    async def create_tenant(self, body: Mapping[str, Any]) -> None:
        key = {"Idempotency-Key": f"sample-data-{body['slug']}"}
        await self.ask("POST", "/api/admin/tenants", _CREATED, body=body, headers=key)

    async def status_of(self, method: str, path: str) -> int:
        """The status of a request without a body."""
        async with self._send(method, path, None, {}) as response:
            await response.read()
            status: int = response.status
            return status

    async def ask(
        self,
        method: str,
        path: str,
        expected: int = _OK,
        *,
        body: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        """The JSON answer to a request. Raises DemoError when its status is not the expected one."""
        async with self._send(method, path, body, headers or {}) as response:
            answer: dict[str, Any] = await response.json(content_type=None)
            if response.status != expected:
                raise DemoError(
                    f"{self._person.name}: {method} {path} was answered with {response.status} "
                    f"{answer.get('code', '')}"
                )
            return answer

    def _send(
        self, method: str, path: str, body: Mapping[str, Any] | None, headers: Mapping[str, str]
    ) -> Any:
        sent = {"Cookie": self._cookie, "Origin": self._origin, **headers}
        return self._session.request(
            method, self._origin + path, json=body, headers=sent, allow_redirects=False
        )
