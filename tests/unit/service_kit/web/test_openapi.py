"""The OpenAPI document: valid, complete, and made from the endpoint table alone."""

import json
import re
from enum import StrEnum
from typing import Any

import pytest
from openapi_spec_validator import validate
from pydantic import ConfigDict, Field

from service_kit.identity.model import Permission
from service_kit.web.api import Audience, Call, Endpoint, Reply
from service_kit.web.openapi import openapi_document
from service_kit.web.schemas import (
    ApiModel,
    EmailAddress,
    PlainText,
    QueryModel,
    null_is_refused,
    replayed_without,
)


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


class Part(ApiModel):
    """A model within a model."""

    serial_number: int


class NewThing(ApiModel):
    """A body with a required member."""

    name: PlainText = Field(min_length=1)
    owner_email: EmailAddress | None = None
    parts: tuple[Part, ...] = ()


class Note(ApiModel):
    """A body that may be absent."""

    note: PlainText = ""


class Search(QueryModel):
    """A query with an enum, a list of choices and a required parameter."""

    colour: Colour | None = None
    page_size: int = Field(default=50, ge=1, le=100)
    since: str


class Thing(ApiModel):
    """What comes back; its part is also used in a body."""

    display_name: str
    part: Part
    colour: Colour


async def handler(_call: Call) -> Reply:
    return Reply(None)


ENDPOINTS = (
    Endpoint(
        "POST",
        "/things",
        Permission.TENANT_CREATE,
        handler,
        "Make",
        NewThing,
        None,
        Thing,
        201,
        ("SLUG_TAKEN",),
    ),
    Endpoint("GET", "/things", Permission.TENANT_LIST, handler, "List", query=Search, returns=Thing),
    Endpoint(
        "POST", "/things/{thing_id}/notes/{note}", Audience.OPERATOR, handler, "Note", body=Note, status=204
    ),
    Endpoint("GET", "/manage", Audience.PERSON, handler, "A page", page=True),
)


@pytest.fixture
def document() -> dict[str, Any]:
    return openapi_document("Kit", "1", ENDPOINTS)


def test_the_document_is_valid(document: dict[str, Any]) -> None:
    """An independent validator takes it, after it went through JSON, and for no endpoint at all."""
    validate(json.loads(json.dumps(document)))
    validate(openapi_document("Empty", "1", ()))


def test_every_endpoint_is_in_it_and_no_page(document: dict[str, Any]) -> None:
    """R-081: path, method and permission of each row, made from the table that also guards the routes."""
    rows = {
        (method.upper(), path): operation["x-permission"]
        for path, item in document["paths"].items()
        for method, operation in item.items()
    }

    assert rows == {(row.method, row.path): row.access.value for row in ENDPOINTS if not row.page}


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    """No `$ref` hangs, and no parameter refers to definitions of another document."""
    text = json.dumps(document)
    named = {part.split('"')[0] for part in text.split('"#/components/schemas/')[1:]}

    assert named == {"NewThing", "Note", "Thing", "Part", "Colour", "Problem"}
    assert named <= set(document["components"]["schemas"])
    assert "$defs" not in text


def test_parameters_are_listed(document: dict[str, Any]) -> None:
    """Path parameters are required; query parameters are named as a client writes them, enums in place."""
    path = document["paths"]["/things/{thing_id}/notes/{note}"]["post"]["parameters"]
    query = {item["name"]: item for item in document["paths"]["/things"]["get"]["parameters"]}

    assert [(item["name"], item["in"], item["required"]) for item in path] == [
        ("thing_id", "path", True),
        ("note", "path", True),
    ]
    assert {name: item["required"] for name, item in query.items()} == {
        "colour": False,
        "pageSize": False,
        "since": True,
    }
    assert {"red", "blue"} <= set(json.dumps(query["colour"]).split('"'))


def test_a_body_is_required_where_one_member_is(document: dict[str, Any]) -> None:
    """As the service itself judges an absent body; its members are named in camelCase, others refused."""
    made = document["paths"]["/things"]["post"]["requestBody"]
    noted = document["paths"]["/things/{thing_id}/notes/{note}"]["post"]["requestBody"]
    schema = document["components"]["schemas"]["NewThing"]

    assert (made["required"], noted["required"]) == (True, False)
    assert set(schema["properties"]) == {"name", "ownerEmail", "parts"}
    assert schema["additionalProperties"] is False


def test_answers_name_their_status_and_codes(document: dict[str, Any]) -> None:
    """The row's own status with its schema, and one problem document for everything else."""
    answers = document["paths"]["/things"]["post"]["responses"]

    assert answers["201"]["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/Thing"}
    assert "SLUG_TAKEN" in answers["default"]["description"]
    assert list(answers["default"]["content"]) == ["application/problem+json"]
    assert "content" not in document["paths"]["/things/{thing_id}/notes/{note}"]["post"]["responses"]["204"]


def test_reading_the_input_has_codes_too(document: dict[str, Any]) -> None:
    """http-api 3.0: each operation names what its body and query are refused with, and what any may be."""
    told = {
        method: operation["responses"]["default"]["description"]
        for method, operation in document["paths"]["/things"].items()
    }

    assert ("MALFORMED_JSON" in told["post"], "QUERY_INVALID" in told["post"]) == (True, False)
    assert ("MALFORMED_JSON" in told["get"], "QUERY_INVALID" in told["get"]) == (False, True)
    assert "INTERNAL_ERROR" in document["info"]["description"]


@pytest.mark.parametrize(
    ("codes", "headers"),
    [
        ((), {}),
        (("PRECONDITION_REQUIRED", "VERSION_CONFLICT"), {"If-Match": True}),
        (("VERSION_CONFLICT",), {"If-Match": False}),
        (("IDEMPOTENCY_KEY_REQUIRED", "IDEMPOTENCY_KEY_INVALID"), {"Idempotency-Key": True}),
        (("IDEMPOTENCY_KEY_INVALID",), {"Idempotency-Key": False}),
    ],
)
def test_the_headers_that_are_read_are_told(codes: tuple[str, ...], headers: dict[str, bool]) -> None:
    """http-api 3.0: If-Match and Idempotency-Key are parameters where the codes say that they are read."""
    row = Endpoint("POST", "/things", Permission.TENANT_CREATE, handler, "Make", errors=codes)
    made = openapi_document("Kit", "1", (row,))["paths"]["/things"]["post"]["parameters"]

    assert {item["name"]: item["required"] for item in made if item["in"] == "header"} == headers


class Answer(ApiModel):
    """An answer whose token is in the first answer only."""

    model_config = ConfigDict(json_schema_extra=replayed_without("token"))

    id: str
    token: str


class Change(ApiModel):
    """Members that may be absent and never null."""

    model_config = ConfigDict(json_schema_extra=null_is_refused)

    name: PlainText | None = Field(default=None, max_length=9)
    size: int | None = 3


def test_a_schema_says_what_its_validators_know() -> None:
    """R-068: a replay lacks its secret and says so; null is no value; text for people holds no control."""
    answer, change = Answer.model_json_schema(), Change.model_json_schema()

    assert answer["required"] == ["id"]
    assert answer["properties"]["secretOmitted"]["const"] is True
    assert [change["properties"][name]["type"] for name in ("name", "size")] == ["string", "integer"]
    pattern = change["properties"]["name"]["pattern"]
    assert [bool(re.search(pattern, text)) for text in ("Zoë", "a\x00b", "a\nb", "\x85")] == [True] + [
        False
    ] * 3


def test_a_file_is_told_beside_the_json() -> None:
    """http-api 3.2: what `format=csv` answers with is a media type of the success, as the JSON is."""
    row = Endpoint(
        "GET", "/things", Permission.TENANT_LIST, handler, "List", returns=Thing, files=("text/csv",)
    )
    made = openapi_document("Kit", "1", (row,))["paths"]["/things"]["get"]["responses"]["200"]

    assert set(made["content"]) == {"text/csv", "application/json"}


def test_operations_have_names_of_their_own(document: dict[str, Any]) -> None:
    """A generator of clients needs one name per operation."""
    names = [operation["operationId"] for item in document["paths"].values() for operation in item.values()]

    assert len(set(names)) == len(names) == 3


def test_the_order_of_the_table_changes_no_schema() -> None:
    """The same endpoints give the same document, so that a diff shows changes only."""
    turned = openapi_document("Kit", "1", ENDPOINTS[::-1])

    assert turned == openapi_document("Kit", "1", ENDPOINTS)
