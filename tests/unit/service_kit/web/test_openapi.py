"""The OpenAPI document: valid, complete, and made from the endpoint table alone."""

import json
from enum import StrEnum
from typing import Any

import pytest
from openapi_spec_validator import validate
from pydantic import Field

from service_kit.identity.model import Permission
from service_kit.web.api import Audience, Call, Endpoint, Reply
from service_kit.web.openapi import openapi_document
from service_kit.web.schemas import ApiModel, EmailAddress, PlainText, QueryModel


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


def test_operations_have_names_of_their_own(document: dict[str, Any]) -> None:
    """A generator of clients needs one name per operation."""
    names = [operation["operationId"] for item in document["paths"].values() for operation in item.values()]

    assert len(set(names)) == len(names) == 3


def test_the_order_of_the_table_changes_no_schema() -> None:
    """The same endpoints give the same document, so that a diff shows changes only."""
    turned = openapi_document("Kit", "1", ENDPOINTS[::-1])

    assert turned == openapi_document("Kit", "1", ENDPOINTS)
