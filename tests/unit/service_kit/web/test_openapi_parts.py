"""Two OpenAPI documents as one: nothing of either is lost, and no name gets another meaning."""

from typing import Any

from openapi_spec_validator import validate

from service_kit.web.openapi_parts import is_operators, merged, operators_part, reachable


def reference(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def document(schemas: dict[str, Any], **paths: str) -> dict[str, Any]:
    """One GET for each path (`/api/admin/<name>`), which answers with a schema."""
    return {
        "openapi": "3.1.1",
        "info": {"title": "T", "version": "1"},
        "paths": {
            f"/api/admin/{path}": {"get": {"responses": {"200": answer(name)}}}
            for path, name in paths.items()
        },
        "components": {"schemas": schemas},
    }


def answer(name: str) -> dict[str, Any]:
    return {"description": "Done", "content": {"application/json": {"schema": reference(name)}}}


def answers_of(whole: dict[str, Any], path: str) -> str:
    told = whole["paths"][f"/api/admin/{path}"]["get"]["responses"]["200"]
    name: str = told["content"]["application/json"]["schema"]["$ref"]
    return name.rpartition("/")[2]


def test_only_the_operators_paths_are_theirs() -> None:
    """http-api 3.2: the API and the boot exchange; nothing between processes, nothing of a tenant's host."""
    paths = (
        "/api/admin/me",
        "/api/access-sso",
        "/api/access-sso/session",
        "/internal/v1/events",
        "/api/tenant/members",
        "/api/administrators",
        "/manage/tenants",
    )

    assert [path for path in paths if is_operators(path)] == ["/api/admin/me", "/api/access-sso"]


def test_a_part_has_the_schemas_that_it_leads_to() -> None:
    """What only a path between processes uses goes with it; what is reached through another stays."""
    schemas = {"A": {"items": reference("B")}, "B": {"type": "string"}, "C": {"type": "null"}}
    whole = document(schemas, a="A")
    whole["paths"]["/internal/v1/c"] = {"get": {"responses": {"200": answer("C")}}}
    part = operators_part(whole)

    assert list(part["paths"]) == ["/api/admin/a"]
    assert list(part["components"]["schemas"]) == ["A", "B"]
    assert list(whole["components"]["schemas"]) == ["A", "B", "C"]


def test_a_tree_of_a_schema_has_an_end() -> None:
    """A schema that leads to itself is found once."""
    assert reachable(reference("Tree"), {"Tree": {"items": reference("Tree")}}) == {"Tree"}


def test_a_schema_with_the_same_name_and_another_meaning_keeps_its_own() -> None:
    """Neither overwrites the other; each path leads to its own."""
    ours = document({"Row": {"type": "string"}, "Same": {"type": "null"}}, a="Row", n="Same")
    theirs = document({"Row": {"type": "integer"}, "Same": {"type": "null"}}, b="Row", m="Same")
    whole = merged(ours, theirs, prefix="other")

    assert whole["components"]["schemas"] == {
        "Row": {"type": "string"},
        "Same": {"type": "null"},
        "other.Row": {"type": "integer"},
    }
    assert (answers_of(whole, "a"), answers_of(whole, "b")) == ("Row", "other.Row")
    assert (answers_of(whole, "n"), answers_of(whole, "m")) == ("Same", "Same")
    validate(whole)


def test_a_schema_that_leads_to_another_meaning_is_another_schema() -> None:
    """Two lists that read alike are not the same when their rows differ."""
    rows = {"type": "array", "items": reference("Row")}
    ours = document({"Rows": rows, "Row": {"type": "string"}}, a="Rows")
    theirs = document({"Rows": rows, "Row": {"type": "integer"}}, b="Rows")
    schemas = merged(ours, theirs, prefix="other")["components"]["schemas"]

    assert schemas["Rows"]["items"] == reference("Row")
    assert schemas["other.Rows"]["items"] == reference("other.Row")


def test_a_path_of_both_is_the_firsts() -> None:
    """Each method once; what both claim is told by the first."""
    ours, theirs = document({"A": {"type": "null"}}, same="A"), document({"B": {"type": "string"}}, same="B")
    theirs["paths"]["/api/admin/same"]["post"] = {"responses": {"200": answer("B")}}
    whole = merged(ours, theirs, prefix="other")

    assert set(whole["paths"]["/api/admin/same"]) == {"get", "post"}
    assert answers_of(whole, "same") == "A"
