"""The answers that the three documents of the beginning spell out for operators, byte for byte (C-13).

Each goes over a raw socket through the running sidecar; where the admin service says the same on its own
side, it says it in the same words. What a frontend was written against then still works now. The one that
is missing here, `Misconfigured`, needs a sidecar of its own: tests/integration/auth_proxy has it.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from admin_service.operators.errors import AccountDeactivatedError, EnrollmentRequiredError
from auth_proxy.refusals import ANSWERS, Reason
from service_kit.identity.model import Role
from tests.fixtures.sidecar import (
    AUD,
    DEACTIVATED,
    HOST,
    STRANGER,
    RawAnswer,
    SidecarUnderTest,
    person,
)
from tests.integration.admin_service.admin_process import admin_process

ADA = person(Role.SUPER_ADMIN)
Mint = Callable[[SidecarUnderTest], str | None]


def with_claims(*, without: tuple[str, ...] = (), **claims: Any) -> Mint:
    return lambda sidecar: sidecar.issuer.mint(ADA, audience=AUD, without=without, **claims)


def _slashed(sidecar: SidecarUnderTest) -> str:
    return sidecar.issuer.mint(ADA, audience=AUD, iss=f"{sidecar.issuer.team_domain}/")


@dataclass(frozen=True)
class Said:
    """A situation of the document, and what it answers there: the bytes as they are printed in it."""

    name: str
    token: Mint
    status: int
    answer: bytes
    host: str = HOST
    headers: tuple[tuple[str, str], ...] = ()


TOKEN_REQUIRED = b'{"error":"Access token required"}'
INVALID = b'{"error":"Invalid Access token"}'
NO_PERSON = b'{"error":"Identity token required"}'
NO_OPERATOR = b'{"error":"Not authorized","code":"ENROLLMENT_REQUIRED"}'
GONE = b'{"error":"Account deactivated"}'
NO_SUCH_HOST = b"Not Found"

SAID = (
    Said("R-040 another host", lambda one: one.token(), 404, NO_SUCH_HOST, host="x.workers.dev"),
    Said("R-040 another host, no token", lambda _: None, 404, NO_SUCH_HOST, host="admin.example.com.evil"),
    Said("R-042 no token", lambda _: None, 403, TOKEN_REQUIRED),
    Said(
        "R-170 no token but the header that proves nothing",
        lambda _: None,
        403,
        TOKEN_REQUIRED,
        headers=(("Cf-Access-Authenticated-User-Email", ADA.email),),
    ),
    Said("R-046 no JWT", lambda _: "nonsense", 403, INVALID),
    Said("R-046 a broken signature", lambda one: one.token()[:-8] + "AAAAAAAA", 403, INVALID),
    Said("R-046 another audience", lambda one: one.token(audience="b" * 64), 403, INVALID),
    Said("R-043 the issuer with a slash", _slashed, 403, INVALID),
    Said("R-045 too old", with_claims(iat=1_700_000_000, nbf=1_700_000_000, exp=1_700_003_600), 403, INVALID),
    Said("R-038 no email", with_claims(without=("email",)), 403, NO_PERSON),
    Said("R-038 an empty email", with_claims(email=""), 403, NO_PERSON),
    Said("R-038 common_name", with_claims(common_name="a machine"), 403, NO_PERSON),
    Said("R-038 another type", with_claims(type="meta"), 403, NO_PERSON),
    Said("R-038 an empty sub", with_claims(sub=""), 403, NO_PERSON),
    Said("R-038 a service token", lambda one: one.issuer.mint_service_token(audience=AUD), 403, NO_PERSON),
    Said("R-063 no row", lambda one: one.token(STRANGER), 403, NO_OPERATOR),
    Said("R-060 the address of a row, another sub", with_claims(sub="somebody"), 403, NO_OPERATOR),
    Said(
        "R-061 a wrong enrollment token",
        lambda one: one.token(STRANGER),
        403,
        NO_OPERATOR,
        headers=(("x-admin-enrollment-token", "enr_wrong"),),
    ),
    Said("R-064 a deactivated row", lambda one: one.token(DEACTIVATED), 403, GONE),
)
MEMBERS = ["type", "title", "status", "error", "code", "requestId", "fix"]


def must_say(got: RawAnswer, status: int, said: bytes) -> None:
    """The bytes themselves where the document has text; its members, spelled alike, where it has JSON."""
    assert got.status == status
    assert got.header("Content-Length") == str(len(got.body))
    if not said.startswith(b"{"):
        assert got.body == said
        assert got.header("Content-Type").lower() == "text/plain; charset=utf-8"
        return
    document = json.loads(got.body, object_pairs_hook=list)
    wanted = json.loads(said)
    assert [name for name, _ in document] == MEMBERS
    assert {name: value for name, value in document if name in wanted} == wanted
    for text in wanted.values():
        assert json.dumps(text).encode() in got.body  # no escape, no other letter that looks alike
    assert got.header("Content-Type") == "application/problem+json"


@pytest.mark.parametrize("said", SAID, ids=lambda said: said.name)
async def test_the_sidecar_says_what_the_documents_say(sidecar: SidecarUnderTest, said: Said) -> None:
    """R-038, R-040, R-042, R-046, R-063, R-064: status and bytes are those of the document."""
    got = await sidecar.get(
        "/api/admin/global-admins", token=said.token(sidecar), host=said.host, headers=said.headers
    )

    must_say(got, said.status, said.answer)
    assert sidecar.nothing_arrived


async def test_each_answer_is_alike_on_every_path(sidecar: SidecarUnderTest) -> None:
    """R-003: a page, an API, a file, an unknown path: the same refusal but for its request id."""
    for token, status, said in (
        (None, 403, TOKEN_REQUIRED),
        ("nonsense", 403, INVALID),
        (sidecar.issuer.mint_service_token(audience=AUD), 403, NO_PERSON),
        (sidecar.token(STRANGER), 403, NO_OPERATOR),
        (sidecar.token(DEACTIVATED), 403, GONE),
    ):
        bodies = set()
        for target in ("/manage", "/api/admin/tenants", "/api/admin/me", "/app.js", "/api/admin/audit-logs"):
            got = await sidecar.get(target, token=token)
            must_say(got, status, said)
            bodies.add(got.body.replace(got.header("X-Request-Id").encode(), b""))
        assert len(bodies) == 1


async def test_the_admin_service_says_the_same_on_its_own_side(sqlite_url: str) -> None:
    """R-039, R-063, R-064: where the sidecar has not heard yet, the second gate uses the same words."""
    async with admin_process(sqlite_url) as process:
        await process.add(Role.SUPPORT, deactivated_at=process.clock.now())
        for role, said in ((Role.SUPPORT, GONE), (Role.SECURITY, NO_OPERATOR)):
            response = await process.ask("GET", "/api/admin/me", role)
            document, wanted = await response.json(), json.loads(said)

            assert response.status == 403
            assert {name: document[name] for name in wanted} == wanted


def test_both_gates_use_the_same_codes() -> None:
    """R-063, R-064: a frontend that decides by `code` sees no difference between the two."""
    pairs = (
        (EnrollmentRequiredError(), Reason.ENROLLMENT_REQUIRED),
        (AccountDeactivatedError(), Reason.OPERATOR_DEACTIVATED),
    )
    for error, reason in pairs:
        answer = ANSWERS[reason]
        assert (error.status, error.code, error.message) == (answer.status, answer.code, answer.error)
