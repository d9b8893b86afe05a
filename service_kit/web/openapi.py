"""The OpenAPI 3.1 document of a service, made from its endpoint table and nothing else."""

import re
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any, Final, Protocol

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from service_kit.web.problems import PROBLEM_JSON


class Described(Protocol):
    """A row of any registry of endpoints."""

    @property
    def method(self) -> str: ...
    @property
    def path(self) -> str: ...
    @property
    def access(self) -> StrEnum: ...
    @property
    def summary(self) -> str: ...
    @property
    def body(self) -> type[BaseModel] | None: ...
    @property
    def query(self) -> type[BaseModel] | None: ...
    @property
    def returns(self) -> type[BaseModel] | None: ...
    @property
    def status(self) -> int: ...
    @property
    def errors(self) -> tuple[str, ...]: ...
    @property
    def page(self) -> bool: ...
    @property
    def files(self) -> tuple[str, ...]: ...


ALWAYS: Final = (
    "INTERNAL_IDENTITY_REQUIRED",
    "INTERNAL_IDENTITY_INVALID",
    "PERMISSION_DENIED",
    "NOT_FOUND",
    "METHOD_NOT_ALLOWED",
    "BAD_REQUEST",
    "IDENTITY_KEYS_UNAVAILABLE",
    "AUDIT_WRITE_FAILED",
    "DATABASE_UNAVAILABLE",
    "INTERNAL_ERROR",
)
"""What stands around every handler of a service may refuse with."""

_BODY: Final = (
    "BODY_INCOMPLETE",
    "BODY_TOO_LARGE",
    "MALFORMED_JSON",
    "UNSUPPORTED_MEDIA_TYPE",
    "VALIDATION_FAILED",
)
_QUERY: Final = ("QUERY_INVALID",)
_VERSION_SEEN: Final = {"PRECONDITION_REQUIRED": True, "VERSION_CONFLICT": False}
_ONCE: Final = {"IDEMPOTENCY_KEY_REQUIRED": True, "IDEMPOTENCY_KEY_INVALID": False}
"""The codes that tell that a header is read, and whether it must be there."""

_REF: Final = "#/components/schemas/{model}"

_PROBLEM: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["type", "status", "error", "code"],
    "properties": {
        "type": {"type": "string", "description": "urn:problem:<code in kebab-case>"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "error": {"type": "string", "description": "For people; stable where a client depends on it."},
        "code": {"type": "string", "description": "Stable, for programs."},
        "requestId": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "pointer": {"type": "string"},
                    "code": {"type": "string"},
                    "message": {"type": "string"},
                },
            },
        },
    },
}


def openapi_document(
    title: str, version: str, endpoints: Iterable[Described], *, always: Iterable[str] = ALWAYS
) -> dict[str, Any]:
    """The document for every endpoint that is not a page; with any of `always` each may be refused."""
    rows = [endpoint for endpoint in endpoints if not endpoint.page]
    models = {model for row in rows for model in (row.body, row.query, row.returns) if model}
    ordered = sorted(models, key=lambda model: model.__name__)
    references, definitions = models_json_schema(
        [(model, _mode(model, rows)) for model in ordered], ref_template=_REF
    )
    schemas: dict[Any, Any] = {model: reference for (model, _), reference in references.items()}
    paths: dict[str, dict[str, Any]] = {}
    for row in rows:
        paths.setdefault(row.path, {})[row.method.lower()] = _operation(row, schemas)
    return {
        "openapi": "3.1.1",
        "info": {
            "title": title,
            "version": version,
            "description": "Every operation may also be refused with " + ", ".join(always),
        },
        "paths": paths,
        "components": {"schemas": {**definitions.get("$defs", {}), "Problem": _PROBLEM}},
    }


def _mode(model: type[BaseModel], rows: list[Described]) -> Any:
    return "serialization" if any(row.returns is model for row in rows) else "validation"


def _operation(row: Described, schemas: dict[Any, Any]) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": _operation_id(row),
        "summary": row.summary,
        "x-permission": row.access.value,
        "parameters": _path_parameters(row) + _query_parameters(row) + _header_parameters(row),
        "responses": {
            str(row.status): _success(row, schemas),
            "default": {
                "description": "Refused; codes: " + (", ".join(_codes(row)) or "those of every operation"),
                "content": {PROBLEM_JSON: {"schema": {"$ref": "#/components/schemas/Problem"}}},
            },
        },
    }
    if row.body is not None:
        content = {"application/json": {"schema": schemas[row.body]}}
        operation["requestBody"] = {"required": _is_required(row.body), "content": content}
    return operation


def _codes(row: Described) -> tuple[str, ...]:
    """The row's own codes, and what reading its input refuses with; each once."""
    read = (*(_QUERY if row.query else ()), *(_BODY if row.body else ()))
    return tuple(dict.fromkeys((*row.errors, *read)))


def _is_required(body: type[BaseModel]) -> bool:
    return any(field.is_required() for field in body.model_fields.values())


def _success(row: Described, schemas: dict[Any, Any]) -> dict[str, Any]:
    content: dict[str, Any] = {media: {"schema": {"type": "string"}} for media in row.files}
    if row.returns is not None:
        content["application/json"] = {"schema": schemas[row.returns]}
    return {"description": "Done", **({"content": content} if content else {})}


def _operation_id(row: Described) -> str:
    words = re.sub(r"[^a-zA-Z0-9]+", " ", row.path).split()
    return row.method.lower() + "".join(word[:1].upper() + word[1:] for word in words)


def _path_parameters(row: Described) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in re.findall(r"{(\w+)[^}]*}", row.path)
    ]


def _query_parameters(row: Described) -> list[dict[str, Any]]:
    if row.query is None:
        return []
    schema = row.query.model_json_schema(ref_template=_REF)
    required = schema.get("required", [])
    return [
        {"name": name, "in": "query", "required": name in required, "schema": _inline(details, schema)}
        for name, details in schema["properties"].items()
    ]


def _header_parameters(row: Described) -> list[dict[str, Any]]:
    found = []
    if (seen := _first(_VERSION_SEEN, row)) is not None:
        found.append(_header("If-Match", "The ETag of what you have seen", required=seen))
    if (once := _first(_ONCE, row)) is not None:
        found.append(_header("Idempotency-Key", "One effect, however often this is sent", required=once))
    return found


def _first(telling: Mapping[str, bool], row: Described) -> bool | None:
    return next((required for code, required in telling.items() if code in row.errors), None)


def _header(name: str, description: str, *, required: bool) -> dict[str, Any]:
    schema = {"type": "string"}
    return {"name": name, "in": "header", "description": description, "required": required, "schema": schema}


def _inline(details: Any, schema: dict[str, Any]) -> Any:
    """Put enum definitions in place: a parameter's schema has no `$defs` of its own."""
    if isinstance(details, dict):
        if "$ref" in details:
            return schema["$defs"][details["$ref"].rsplit("/", 1)[1]]
        return {name: _inline(value, schema) for name, value in details.items()}
    return [_inline(value, schema) for value in details] if isinstance(details, list) else details
