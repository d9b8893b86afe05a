"""The gate of a service: one proof, given once, or 401 for every path there is and is not."""

from collections.abc import AsyncIterator

import pytest
from aiohttp import ClientResponse, web
from aiohttp.test_utils import make_mocked_request
from multidict import CIMultiDict

from service_kit.identity.binding import DELEGATION_HEADER, IDENTITY_HEADER
from service_kit.identity.model import Role
from service_kit.identity.verifying import KeysNotLoadedError
from service_kit.web.api import Audience, Call, Endpoint
from service_kit.web.guard import origin_of
from tests.unit.service_kit.web.kit_app import AUDIENCE, DELEGATE, KitApp, kit_app


async def whoami(call: Call) -> web.Response:
    return web.json_response(
        {
            "operator": call.actor.operator_id,
            "delegate": call.actor.delegate,
            "requestId": call.origin.request_id,
            "ip": call.origin.ip,
            "userAgent": call.origin.user_agent,
        }
    )


ENDPOINTS = (
    Endpoint("GET", "/whoami", Audience.OPERATOR, whoami, "Who asks"),
    Endpoint("POST", "/whoami", Audience.OPERATOR, whoami, "Who asks"),
)


@pytest.fixture
async def app() -> AsyncIterator[KitApp]:
    async with kit_app(ENDPOINTS) as running:
        yield running


@pytest.fixture
async def delegating() -> AsyncIterator[KitApp]:
    async with kit_app(ENDPOINTS, accepts_delegation=True) as running:
        yield running


def proof(app: KitApp, method: str = "GET", delegate: str | None = None) -> str:
    [token] = app.vouch.headers(
        audience=AUDIENCE, method=method, target="/whoami", delegate=delegate
    ).values()
    return token


async def code_of(response: ClientResponse) -> tuple[int, str]:
    return response.status, (await response.json(content_type=None))["code"]


@pytest.mark.parametrize("path", ["/", "/whoami", "/nowhere", "/livez", "/metrics", "/%2e%2e/x", "/whoami/"])
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "OPTIONS", "TRACE", "PROPFIND"])
async def test_a_stranger_gets_the_same_answer_everywhere(app: KitApp, method: str, path: str) -> None:
    """R-005: 401 for paths and methods that exist and that do not: a stranger learns no route."""
    answer = await app.client.request(method, path)

    assert await code_of(answer) == (401, "INTERNAL_IDENTITY_REQUIRED")
    assert "Allow" not in answer.headers
    assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Internal-Delegation": "x"},
        {"X-Auth-Request-Email": "super_admin@example.com"},
        {"Cf-Access-Authenticated-User-Email": "super_admin@example.com"},
        {"Authorization": "Bearer x"},
        {"X-Forwarded-For": "127.0.0.1", "X-Forwarded-User": "super_admin"},
    ],
)
async def test_no_other_header_says_who_asks(app: KitApp, headers: dict[str, str]) -> None:
    """R-005: emails, bearer tokens and delegations where none is accepted count as nothing."""
    assert await code_of(await app.client.get("/whoami", headers=headers)) == (
        401,
        "INTERNAL_IDENTITY_REQUIRED",
    )
    assert app.refusals("missing") == 1


async def test_a_proof_passes(app: KitApp) -> None:
    """R-005: one valid identity is the caller."""
    answer = await app.client.get("/whoami", headers={IDENTITY_HEADER: proof(app)})

    assert (await answer.json())["operator"] == "adm_super_admin"


async def test_a_wrong_proof_is_named_only_in_the_metric(app: KitApp) -> None:
    """The client learns that its proof is invalid, the operator of the service learns why."""
    foreign = app.vouch.headers(audience="tenant_service")
    for headers in (foreign, {IDENTITY_HEADER: "x"}, {IDENTITY_HEADER: ""}):
        answer = await app.client.get("/whoami", headers=headers)
        assert (await answer.json())["error"] == "Invalid internal identity"
        assert answer.status == 401

    assert (app.refusals("audience"), app.refusals("malformed")) == (1, 2)


async def test_two_proofs_are_ambiguous(app: KitApp) -> None:
    """Two headers, also one token twice or an empty second one, are refused and not chosen from."""
    for second in (proof(app), "", "x"):
        headers = CIMultiDict([(IDENTITY_HEADER, proof(app)), (IDENTITY_HEADER, second)])
        assert await code_of(await app.client.get("/whoami", headers=headers)) == (
            401,
            "INTERNAL_IDENTITY_INVALID",
        )

    assert app.refusals("duplicated") == 3


async def test_identity_and_delegation_together_are_ambiguous(delegating: KitApp) -> None:
    """Both kinds of proof in one request are refused where both are accepted."""
    headers = {IDENTITY_HEADER: proof(delegating), DELEGATION_HEADER: proof(delegating, delegate=DELEGATE)}

    assert await code_of(await delegating.client.get("/whoami", headers=headers)) == (
        401,
        "INTERNAL_IDENTITY_INVALID",
    )
    assert delegating.refusals("duplicated") == 1


async def test_a_delegation_passes_where_it_is_accepted(delegating: KitApp) -> None:
    """The operator in whose name another service asks, with that service's name."""
    headers = {DELEGATION_HEADER: proof(delegating, delegate=DELEGATE)}
    answer = await delegating.client.get("/whoami", headers=headers)

    assert (await answer.json()).items() >= {"operator": "adm_super_admin", "delegate": DELEGATE}.items()


async def test_each_proof_belongs_into_its_own_header(delegating: KitApp) -> None:
    """An identity in the delegation's header and a delegation in the identity's are refused."""
    swapped = ((DELEGATION_HEADER, None), (IDENTITY_HEADER, DELEGATE), (DELEGATION_HEADER, "other_service"))
    for header, delegate in swapped:
        headers = {header: proof(delegating, delegate=delegate)}
        assert (await delegating.client.get("/whoami", headers=headers)).status == 401

    assert delegating.refusals("delegation") == 3


async def test_a_proof_of_a_change_is_good_once(app: KitApp) -> None:
    """R-005: the second use of a token for an unsafe request is refused."""
    headers = {IDENTITY_HEADER: proof(app, "POST")}

    assert (await app.client.post("/whoami", headers=headers)).status == 200
    assert (await app.client.post("/whoami", headers=headers)).status == 401
    assert app.refusals("replayed") == 1


async def test_the_query_is_a_part_of_the_target(app: KitApp) -> None:
    """R-005: a token for one path and query changes nothing on another query."""
    headers = {IDENTITY_HEADER: proof(app, "POST")}

    assert (await app.client.post("/whoami?force=1", headers=headers)).status == 401
    assert app.refusals("binding") == 1


class NoKeys:
    """A key source that never loaded."""

    async def key(self, _kid: str) -> None:
        raise KeysNotLoadedError


async def test_without_keys_nothing_is_served() -> None:
    """Fail closed: 503 with Retry-After, not 401 and not 200; a stranger still gets 401."""
    async with kit_app(ENDPOINTS, keys=NoKeys()) as app:
        answer = await app.client.get("/whoami", headers={IDENTITY_HEADER: proof(app)})

        assert await code_of(answer) == (503, "IDENTITY_KEYS_UNAVAILABLE")
        assert answer.headers["Retry-After"] == "2"
        assert (await app.client.get("/whoami")).status == 401
        assert app.refusals("keys_not_loaded") == 1


@pytest.mark.parametrize("given", ["req_01ARZ3NDEKTSV4RRFFQ69G5FAV", "a", "A" * 64, "1_2"])
async def test_a_request_id_of_the_right_shape_is_kept(app: KitApp, given: str) -> None:
    """One id follows a request through every process."""
    headers = {IDENTITY_HEADER: proof(app), "X-Request-Id": given}

    assert (await (await app.client.get("/whoami", headers=headers)).json())["requestId"] == given


@pytest.mark.parametrize(
    "given", ["", "A" * 65, "a b", "a-b", "a\tb", '"', "<x>", "___", "\u00e4", "a,b", None]
)
async def test_any_other_request_id_is_replaced(app: KitApp, given: str | None) -> None:
    """What goes to logs and audit rows has one shape, also when a caller sends another or none."""
    headers = {IDENTITY_HEADER: proof(app)} | ({} if given is None else {"X-Request-Id": given})
    made = [(await (await app.client.get("/whoami", headers=headers)).json())["requestId"] for _ in range(2)]

    assert len({*made, given}) == 3
    assert all(len(value) == 30 and value.startswith("req_") for value in made)


async def test_a_problem_carries_the_request_id(app: KitApp) -> None:
    """Who reports an error can name the request."""
    headers = {IDENTITY_HEADER: proof(app), "X-Request-Id": "req_1"}

    assert (await (await app.client.get("/nowhere", headers=headers)).json())["requestId"] == "req_1"


async def test_routes_are_seen_only_behind_the_gate(app: KitApp) -> None:
    """With a proof an unknown path is 404 and a wrong method is 405 with Allow."""
    assert (await app.client.get("/nowhere", headers={IDENTITY_HEADER: proof(app)})).status == 404
    token = app.vouch.headers(audience=AUDIENCE, method="DELETE", target="/whoami")
    answer = await app.client.delete("/whoami", headers=token)

    assert await code_of(answer) == (405, "METHOD_NOT_ALLOWED")
    assert answer.headers["Allow"] == "GET, HEAD, POST"


@pytest.mark.parametrize(
    "forwarded, ip",
    [
        ("192.0.2.7", "192.0.2.7"),
        ("192.0.2.7, 10.0.0.1", "192.0.2.7"),
        (" 2001:DB8::1 ", "2001:db8::1"),
        ("", ""),
        ("unknown", ""),
        ("192.0.2.7:80", ""),
        ("192.0.2.7<script>", ""),
        ("192.0.2.007", ""),
    ],
)
def test_the_clients_address_is_an_address_or_nothing(forwarded: str, ip: str) -> None:
    """What an audit row keeps as an address is one, in its one spelling."""
    request = make_mocked_request("GET", "/", headers={"X-Forwarded-For": forwarded})

    assert origin_of(request) == (ip, "")


async def test_a_user_agent_is_text_that_a_database_takes(app: KitApp) -> None:
    """Bytes that are no UTF-8 arrive as lone surrogates, which no database and no hash would take."""
    agent = b"Browser \xff\xe9 " + b"x" * 400
    head = f"GET /whoami HTTP/1.1\r\nHost: a\r\n{IDENTITY_HEADER}: {proof(app)}\r\nUser-Agent: ".encode()
    status, document = await app.send(head + agent + b"\r\n\r\n")

    assert status == 200
    assert document["userAgent"] == "Browser ?? " + "x" * 289


async def test_every_role_passes_the_gate_as_itself(app: KitApp) -> None:
    """The gate proves; it does not decide."""
    for role in Role:
        headers = app.vouch.headers(role, audience=AUDIENCE)
        answer = await app.client.get("/whoami", headers=headers)
        assert (await answer.json())["operator"] == f"adm_{role.value}"
