"""The route registry: who may call, what comes in, and a refusal that names what is wrong."""

import asyncio
import json
from collections.abc import AsyncIterator
from io import BytesIO
from typing import Any

import pytest
import structlog
from aiohttp import ClientResponse, web
from pydantic import Field

from service_kit.errors import ForbiddenError
from service_kit.identity.model import InternalIdentity, Permission, Role, Scope, roles_with
from service_kit.web.api import (
    MOST_BODY_BYTES,
    Access,
    Audience,
    Call,
    Endpoint,
    Reply,
    permission_denied,
    require_access,
)
from service_kit.web.schemas import ApiModel, EmailAddress, PlainText, QueryModel
from tests.unit.service_kit.web.kit_app import AUDIENCE, KitApp, kit_app


class NewThing(ApiModel):
    """A body with one field of each kind."""

    name: PlainText = Field(min_length=1, max_length=20)
    owner_email: EmailAddress | None = None
    size: int = Field(default=1, ge=1, le=2**31 - 1)
    wanted: bool = False


class Optional(ApiModel):
    """A body that may be absent."""

    note: PlainText = ""


class Search(QueryModel):
    """A query."""

    text: PlainText = ""
    page_size: int = Field(default=50, ge=1, le=100)


class Thing(ApiModel):
    """What comes back."""

    display_name: str


async def echo(call: Call) -> web.Response:
    given = call.body or call.query
    return web.json_response(given.model_dump() if given else {})


async def named(call: Call) -> Thing:
    return Thing(display_name=call.path("name"))


async def nothing(_call: Call) -> Reply:
    return Reply(None, 204, {"X-Done": "1"})


PERMISSION = Permission.BILLING_GRANT
ENDPOINTS = (
    Endpoint("POST", "/things", Audience.OPERATOR, echo, "Make", body=NewThing),
    Endpoint("POST", "/optional", Audience.OPERATOR, echo, "Make", body=Optional),
    Endpoint("GET", "/things", Audience.OPERATOR, echo, "Search", query=Search),
    Endpoint("GET", "/things/{name}", Audience.OPERATOR, named, "One", returns=Thing, status=203),
    Endpoint("PUT", "/things", PERMISSION, echo, "Replace", body=NewThing),
    Endpoint("DELETE", "/things", Audience.OPERATOR, nothing, "Drop"),
)


@pytest.fixture
async def app() -> AsyncIterator[KitApp]:
    async with kit_app(ENDPOINTS) as running:
        yield running


async def post(
    app: KitApp,
    body: bytes,
    *,
    content_type: str | None = "application/json",
    path: str = "/things",
    method: str = "POST",
    role: Role = Role.SUPER_ADMIN,
) -> ClientResponse:
    headers = app.vouch.headers(role, audience=AUDIENCE, method=method, target=path)
    if content_type:
        headers["Content-Type"] = content_type
    skip = [] if content_type else ["Content-Type"]
    data = BytesIO(body) if body else None
    return await app.client.request(method, path, data=data, headers=headers, skip_auto_headers=skip)


async def get(app: KitApp, target: str) -> ClientResponse:
    return await app.client.get(target, headers=app.vouch.headers(audience=AUDIENCE))


async def refusal(answer: ClientResponse) -> tuple[int, str, list[str]]:
    document = await answer.json()
    return answer.status, document["code"], [error["pointer"] for error in document.get("errors", [])]


async def test_a_body_that_fits_arrives_typed(app: KitApp) -> None:
    """Names in camelCase outside, values checked and normalised before the handler sees them."""
    answer = await post(app, b'{"name":" Acme ","ownerEmail":"Ada@Example.com","size":2,"wanted":true}')

    assert await answer.json() == {
        "name": "Acme",
        "owner_email": "ada@example.com",
        "size": 2,
        "wanted": True,
    }


@pytest.mark.parametrize(
    "member, pointer",
    [
        ('"more":1', "/more"),
        ('"isAdmin":true', "/isAdmin"),
        ('"__proto__":{}', "/__proto__"),
        ('"a/b~c":1', "/a~1b~0c"),
        ('"name":7', "/name"),
        ('"name":null', "/name"),
        ('"name":""', "/name"),
        ('"name":"  "', "/name"),
        (f'"name":"{"x" * 21}"', "/name"),
        ('"name":"a\\u0000b"', "/name"),
        ('"name":"a\\nb"', "/name"),
        ('"name":"a\\u0085b"', "/name"),
        ('"size":"1"', "/size"),
        ('"size":true', "/size"),
        ('"size":1.5', "/size"),
        ('"size":0', "/size"),
        ('"size":2147483648', "/size"),
        ('"size":9223372036854775808', "/size"),
        ('"size":1e400', "/size"),
        ('"wanted":1', "/wanted"),
        ('"wanted":"true"', "/wanted"),
        ('"ownerEmail":"a@b@c"', "/ownerEmail"),
        ('"ownerEmail":"\\u212aate@example.com"', "/ownerEmail"),
        ('"ownerEmail":["a@b.example"]', "/ownerEmail"),
    ],
)
async def test_a_wrong_member_is_named(app: KitApp, member: str, pointer: str) -> None:
    """422 with a JSON pointer: unknown members, other types, hostile characters and numbers too large."""
    own_name = "" if member.startswith('"name"') else '"name":"x",'

    assert await refusal(await post(app, f"{{{own_name}{member}}}".encode())) == (
        422,
        "VALIDATION_FAILED",
        [pointer],
    )


async def test_everything_wrong_is_named_at_once(app: KitApp) -> None:
    """A person mends a form once."""
    _, _, pointers = await refusal(await post(app, b'{"size":0,"wanted":1,"more":1}'))

    assert set(pointers) == {"/name", "/size", "/wanted", "/more"}


async def test_a_body_of_many_wrong_members_is_answered_shortly(app: KitApp) -> None:
    """A small body must not make a large answer."""
    body = json.dumps({f"member{number}": 1 for number in range(2000)}).encode()
    answer = await post(app, body)

    assert answer.status == 422
    assert len((await answer.json())["errors"]) == 20


async def test_a_refused_value_is_not_repeated(app: KitApp) -> None:
    """A value may be a secret in the wrong field."""
    answer = await post(app, b'{"name":"hunter2\\u0000","size":"hunter2"}')

    assert answer.status == 422
    assert "hunter2" not in await answer.text()


@pytest.mark.parametrize(
    "body",
    [
        *(b"{", b"{}}", b"{'a':1}", b'{"name":"x",}', b"\xef\xbb\xbf{}", '{"name":"x"}'.encode("utf-16")),
        *(b'{"name":"\xff"}', b'{"name":"\\ud800"}', b'{"name":"\\udc00x"}', b'{"name":"\xed\xa0\x80"}'),
        *(b"[" * 30_000, b'{"a":' * 10_000, b'{"name":"a\nb"}', b"\x00"),
    ],
    ids=lambda body: repr(body[:12]),
)
async def test_malformed_json_is_the_clients_error(app: KitApp, body: bytes) -> None:
    """400 and never 500: cut, other encodings, lone surrogates, thirty thousand brackets."""
    assert await refusal(await post(app, body)) == (400, "MALFORMED_JSON", [])


@pytest.mark.parametrize("body", [b"[]", b"null", b'"text"', b"7", b'[{"name":"x"}]'])
async def test_json_that_is_no_object_does_not_fit(app: KitApp, body: bytes) -> None:
    """Well-formed but not a body of ours: 422."""
    assert (await refusal(await post(app, body)))[:2] == (422, "VALIDATION_FAILED")


@pytest.mark.parametrize(
    "content_type",
    [
        *("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", None),
        *("application/problem+json", "application/jsonx", "json", "text/json", "application/xml"),
    ],
)
async def test_another_media_type_is_refused(app: KitApp, content_type: str | None) -> None:
    """415: what a browser's form can send across sites is no JSON body."""
    assert await refusal(await post(app, b'{"name":"x"}', content_type=content_type)) == (
        415,
        "UNSUPPORTED_MEDIA_TYPE",
        [],
    )


@pytest.mark.parametrize("content_type", ["application/json; charset=utf-8", "Application/JSON"])
async def test_the_media_type_may_have_parameters(app: KitApp, content_type: str) -> None:
    """Media types ignore case, and clients send a charset."""
    assert (await post(app, b'{"name":"x"}', content_type=content_type)).status == 200


async def test_a_body_has_64_kib_at_most(app: KitApp) -> None:
    """413 from the first byte too many, whether or not the length was told before."""
    padding = b" " * (MOST_BODY_BYTES - len(b'{"name":"x"}'))
    largest = b'{"name":"x"' + padding + b"}"

    async def chunked(body: bytes) -> AsyncIterator[bytes]:
        for start in range(0, len(body), 8192):
            yield body[start : start + 8192]

    headers = app.vouch.headers(audience=AUDIENCE, method="POST", target="/things")
    assert (await post(app, largest)).status == 200
    assert await refusal(await post(app, largest + b" ")) == (413, "BODY_TOO_LARGE", [])
    answer = await app.client.post(
        "/things", data=chunked(largest + b" "), headers={**headers, "Content-Type": "application/json"}
    )
    assert answer.status == 413


async def test_a_body_may_be_absent_where_all_of_it_is_optional(app: KitApp) -> None:
    """No body is an empty one: enough for optional members, too little for required ones."""
    assert await (await post(app, b"", path="/optional", content_type=None)).json() == {"note": ""}
    assert await refusal(await post(app, b"", content_type=None)) == (422, "VALIDATION_FAILED", ["/name"])


async def test_a_query_is_read_from_text(app: KitApp) -> None:
    """Numbers come as text, an empty parameter is an absent one."""
    answer = await get(app, "/things?pageSize=7&text=%20a%20b")

    assert await answer.json() == {"text": "a b", "page_size": 7}
    assert (await (await get(app, "/things?pageSize=&text=")).json())["page_size"] == 50


@pytest.mark.parametrize(
    "query",
    [
        *("text=a&text=b", "text=a&text=a", "text=&text=a", "text=a&text=", "%74ext=a&text=b"),
        *(
            "pageSize=1&pageSize=1",
            "pageSize=0",
            "pageSize=101",
            "pageSize=x",
            "pageSize=1.5",
            "pageSize=9" * 30,
        ),
        *(
            "more=1",
            "more=",
            "a" * 4000 + "=",
            "text%5B%5D=a",
            "text=%00",
            "text=a%0Ab",
            "pageSize=%D9%A1x",
            "a=1&a=1",
        ),
    ],
)
async def test_a_wrong_query_is_the_clients_error(app: KitApp, query: str) -> None:
    """400 for a doubled, unknown, hostile or impossible parameter: two readers must not read two values."""
    assert (await refusal(await get(app, f"/things?{query}")))[:2] == (400, "QUERY_INVALID")


@pytest.mark.parametrize("query", ["%ff=%fe", "%ED%A0%80=1", "text=a&%ff=1&%ff=2", "%00=1"])
async def test_a_name_in_no_utf_8_is_the_clients_error(app: KitApp, query: str) -> None:
    """Escaped bytes beyond UTF-8 are answered with a problem document, not with a broken answer."""
    [(name, token)] = app.vouch.headers(audience=AUDIENCE).items()
    request = f"GET /things?{query} HTTP/1.1\r\nHost: a\r\n{name}: {token}\r\n\r\n"
    status, document = await app.send(request.encode())

    assert (status, document["code"]) == (400, "QUERY_INVALID")


async def test_a_result_has_the_status_of_its_endpoint(app: KitApp) -> None:
    """A plain result gets the row's status and is never cached; a reply says its own."""
    answer = await get(app, "/things/%F0%9F%92%B6")

    assert (answer.status, await answer.json()) == (203, {"displayName": "\U0001f4b6"})
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    gone = await post(app, b"", path="/things", method="DELETE", content_type=None)
    assert (gone.status, await gone.read(), gone.headers["X-Done"]) == (204, b"", "1")


async def test_a_refusal_for_lack_of_permission_names_the_way_out(app: KitApp) -> None:
    """R-081: 403 with the permission and the roles that hold it, before the body is looked at."""
    answer = await post(app, b"not json", method="PUT", role=Role.READ_ONLY)
    document = await answer.json()

    assert (answer.status, document["code"]) == (403, "PERMISSION_DENIED")
    assert document["permission"] == PERMISSION.value
    assert document["roles"] == ["super_admin", "support"]


async def test_a_wrong_method_is_405_with_allow(app: KitApp) -> None:
    """The methods of the path are named, in one order."""
    answer = await post(app, b"", method="PATCH", content_type=None)

    assert answer.status == 405
    assert answer.headers["Allow"] == "DELETE, GET, HEAD, POST, PUT"


def caller(role: Role | None = None, scope: Scope | None = None) -> InternalIdentity:
    return InternalIdentity(
        subject="sub",
        email="",
        name="",
        audience=AUDIENCE,
        token_id="t",
        expires_at=0,
        operator_id="adm_1" if role else None,
        role=role,
        scope=scope,
    )


def passes(actor: InternalIdentity, access: Access) -> bool:
    try:
        require_access(actor, access)
    except ForbiddenError as error:
        return error.code != "PERMISSION_DENIED"
    return True


@pytest.mark.parametrize("permission", Permission)
@pytest.mark.parametrize("role", Role)
def test_a_permission_is_held_by_the_roles_of_the_matrix(role: Role, permission: Permission) -> None:
    """R-081: an endpoint's permission passes exactly the roles of the one matrix."""
    assert passes(caller(role), permission) is (role in roles_with(permission))


@pytest.mark.parametrize("permission", Permission)
def test_people_and_processes_hold_no_permission(permission: Permission) -> None:
    """Who is no operator is refused by every permission (R-039)."""
    assert not passes(caller(), permission)
    assert not passes(caller(scope=Scope.ROSTER), permission)
    assert permission_denied(permission).extra["permission"] == permission.value


@pytest.mark.parametrize(
    "access, operator, person, process",
    [
        (Audience.OPERATOR, True, False, False),
        (Audience.PERSON, True, True, False),
        (Scope.ROSTER, False, False, True),
    ],
)
def test_an_audience_is_one_kind_of_caller(
    access: Access, operator: bool, person: bool, process: bool
) -> None:
    """Operators, proven people and the sidecar itself are told apart; no role opens the roster."""
    assert {passes(caller(role), access) for role in Role} == {operator}
    assert passes(caller(), access) is person
    assert passes(caller(scope=Scope.ROSTER), access) is process


def test_half_an_operator_is_none() -> None:
    """A role without an operator, or an operator without a role, passes nothing (fail closed)."""
    whole: dict[str, Any] = {
        "subject": "s",
        "email": "",
        "name": "",
        "audience": "",
        "token_id": "",
        "expires_at": 0,
    }

    assert not passes(InternalIdentity(**whole, role=Role.SUPER_ADMIN), Audience.OPERATOR)
    assert not passes(InternalIdentity(**whole, operator_id="adm_1"), Audience.OPERATOR)
    assert not passes(InternalIdentity(**whole, operator_id="adm_1"), Permission.TENANT_LIST)


async def test_an_answer_is_utf_8_as_it_is(app: KitApp) -> None:
    """Text for people is not escaped, and is read back as it was."""
    answer = await get(app, "/things/Z%C3%BCrich")

    assert "Zürich".encode() in await answer.read()
    assert json.loads(await answer.read())["displayName"] == "Zürich"


@pytest.mark.parametrize("framing", ["Content-Length: 100", "Transfer-Encoding: chunked"])
async def test_a_client_that_leaves_in_the_middle_of_its_body_is_no_defect(app: KitApp, framing: str) -> None:
    """Neither an error with a trace nor a 500 in the metrics: anybody can leave."""
    head = "POST /things HTTP/1.1\r\nHost: kit\r\nContent-Type: application/json\r\n" + framing
    headers = app.vouch.headers(audience=AUDIENCE, method="POST", target="/things")
    lines = "\r\n".join(f"{name}: {value}" for name, value in headers.items())
    with structlog.testing.capture_logs() as log:
        _, writer = await asyncio.open_connection("127.0.0.1", app.client.server.port)
        writer.write(f"{head}\r\n{lines}\r\n\r\n4\r\n{{".encode())
        async with asyncio.timeout(20):
            while app.registry.get_sample_value("kit_http_requests_in_flight") != 1:
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.1)  # it waits for the rest of the body
            writer.close()
            while not log:
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)  # whatever else it would say

    assert [entry["event"] for entry in log] == ["refused"]
    labels = {"route": "/things", "method": "POST", "status": "500"}
    assert app.registry.get_sample_value("kit_http_requests_total", labels) is None
