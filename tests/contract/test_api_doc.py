"""docs/api.md shows each endpoint of the OpenAPI documents, and its links lead somewhere."""

import json
import re
from pathlib import Path

import pytest

from docs import api_reference, generate

ROOT = Path(__file__).resolve().parents[2]
PAGE = generate.documents()["api.md"]
NAMES = ("admin_service", "tenant_service", "tenant_public")


def section(heading: str) -> str:
    """What stands below a heading."""
    _, found, rest = PAGE.partition(f"\n### {heading}\n")
    assert found, f"the page has no {heading}"
    return re.split(r"^##", rest, maxsplit=1, flags=re.MULTILINE)[0]


@pytest.mark.parametrize("name", NAMES)
def test_every_operation_is_in_the_page(name: str) -> None:
    """R-082…R-096: method, path, permission, parameters, body, statuses and codes of each endpoint."""
    document = json.loads((api_reference.OPENAPI / f"{name}.json").read_text(encoding="utf-8"))

    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            shown = section(f"{method.upper()} {path}")
            assert operation["x-permission"] in shown
            assert all(f"| `{each['name']}` | {each['in']} |" in shown for each in operation["parameters"])
            assert ("* Body: " in shown) == ("requestBody" in operation)
            answers = operation["responses"]
            assert all(f"* {status}: " in shown for status in answers if status != "default")
            codes = re.findall(r"[A-Z_]{3,}", answers.get("default", {}).get("description", ""))
            assert all(f"`{code}`" in shown for code in codes)


def test_every_link_within_the_page_leads_to_a_heading() -> None:
    """An endpoint in the list, and a type in a table, is one click away from what it is."""
    slugs = api_reference.Slugs()
    anchors = [slugs.of(heading) for heading in re.findall(r"^#+ (.+)$", PAGE, re.MULTILINE)]

    assert set(re.findall(r"\]\(#([^)]+)\)", PAGE)) <= set(anchors)
    assert len(re.findall(r"^\| \[`[A-Z]+ /", PAGE, re.MULTILINE)) > 80


def test_headings_that_are_alike_have_anchors_of_their_own() -> None:
    """GitHub counts repeated headings, and so does the page."""
    slugs = api_reference.Slugs()

    assert [slugs.of(text) for text in ("GET /api/a", "GET /api/a", "GET /api/{a}")] == [
        "get-apia",
        "get-apia-1",
        "get-apia-2",
    ]


def test_a_reference_that_leads_nowhere_stops_the_generator(tmp_path: Path) -> None:
    """A schema that a body names and the document lacks is no empty row."""
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/Gone"}}}
    operation = {"x-permission": "operator", "summary": "Ask", "responses": {"200": {"content": content}}}
    document = {
        "info": {"title": "Half", "description": "May be refused with NOT_FOUND"},
        "paths": {"/half": {"get": operation}},
        "components": {"schemas": {}},
    }
    (tmp_path / "half.json").write_text(json.dumps(document), encoding="utf-8")

    with pytest.raises(api_reference.UnknownSchemaError, match="Gone"):
        api_reference.page("<!-- -->", tmp_path)


def test_a_recursive_schema_has_an_end(tmp_path: Path) -> None:
    """A tree of a schema links to itself instead of growing."""
    reference = {"$ref": "#/components/schemas/Tree"}
    tree = {"type": "object", "properties": {"branches": {"type": "array", "items": reference}}}
    operation = {
        "x-permission": "anybody who asks",
        "summary": "Grow",
        "parameters": [],
        "responses": {"200": {"content": {"application/json": {"schema": reference}}}},
    }
    document = {
        "info": {"title": "Wood", "description": "May be refused with NOT_FOUND"},
        "paths": {"/tree": {"get": operation}},
        "components": {"schemas": {"Tree": tree}},
    }
    (tmp_path / "wood.json").write_text(json.dumps(document), encoding="utf-8")

    page = api_reference.page("<!-- -->", tmp_path)

    assert "| `branches` | list of [Tree](#wood-tree) | may be absent |" in page
    assert "* Permission: anybody who asks" in page
