"""The page of the API: each operation of the OpenAPI document in words, and the schemas it leads to.

It adds nothing: what is not in the document is not on the page.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import ClassVar, Final

from admin_service.panel.views.parts import Notice
from service_kit.web.openapi_parts import Json, reachable
from service_kit.web.openapi_words import Words, limits, media_words, type_words

DOCS_PATH: Final = "/api/admin/docs"
_CODE: Final = re.compile(r"\b[A-Z][A-Z0-9_]{3,}\b")


@dataclass(frozen=True, slots=True)
class Member:
    """A parameter, or a member of a schema; `place` is where a parameter stands."""

    name: str
    type: Words
    meaning: str
    place: str = ""


@dataclass(frozen=True, slots=True)
class Answering:
    """One status, and what comes with it; nothing when it has no body."""

    status: str
    type: Words


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path."""

    method: str
    path: str
    summary: str
    permission: str
    parameters: tuple[Member, ...]
    body: Words
    body_required: bool
    answers: tuple[Answering, ...]
    codes: tuple[str, ...]

    @property
    def name(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def id(self) -> str:
        return re.sub(r"[^a-z0-9]+", "-", self.name.lower()).strip("-")

    @property
    def group(self) -> str:
        """The first name below the API's root: what the operation is about."""
        below = self.path.removeprefix("/api/").removeprefix("admin/")
        return below.partition("/")[0].removesuffix(".json")

    def has(self, words: Sequence[str]) -> bool:
        text = f"{self.name} {self.permission} {self.summary}".casefold()
        return all(word in text for word in words)


@dataclass(frozen=True, slots=True)
class Group:
    """The operations on one kind of thing."""

    name: str
    operations: tuple[Operation, ...]

    @property
    def id(self) -> str:
        return f"about-{re.sub(r'[^a-z0-9]+', '-', self.name.lower())}"


@dataclass(frozen=True, slots=True)
class Schema:
    """What a name in the types means: members, or one type."""

    name: str
    description: str
    members: tuple[Member, ...]
    type: Words


@dataclass(frozen=True, slots=True)
class ApiDocsView:
    """`groups` is what fits `query`, `schemas` what these lead to, `total` how many operations there are."""

    template: ClassVar[str] = "api_docs.html"
    section: ClassVar[str] = ""

    groups: tuple[Group, ...]
    schemas: tuple[Schema, ...]
    codes: tuple[str, ...]
    total: int
    query: str = ""
    partial: Notice | None = None

    @property
    def title(self) -> tuple[str, ...]:
        return ("API", "Help")

    @property
    def count(self) -> int:
        return sum(len(group.operations) for group in self.groups)


def docs_view(document: Json, query: str, partial: Notice | None) -> ApiDocsView:
    """The page of a document, with the operations that have every word of `query`."""
    schemas: Json = document["components"]["schemas"]
    every = tuple(_operations(document))
    words = query.casefold().split()
    shown = [(operation, told) for operation, told in every if operation.has(words)]
    used = reachable([_bodies(told) for _, told in shown], schemas)
    by_group = groupby(sorted((one for one, _ in shown), key=_order), key=lambda one: one.group)
    return ApiDocsView(
        groups=tuple(Group(name, tuple(operations)) for name, operations in by_group),
        schemas=tuple(_schema(name, schemas[name]) for name in sorted(used) if name in schemas),
        codes=_codes(document["info"].get("description", "")),
        total=len(every),
        query=query,
        partial=partial,
    )


def _order(operation: Operation) -> tuple[str, str, str]:
    return operation.group, operation.path, operation.method


def _operations(document: Json) -> Iterator[tuple[Operation, Json]]:
    for path, methods in document["paths"].items():
        for method, told in methods.items():
            yield _operation(method.upper(), path, told), told


def _operation(method: str, path: str, told: Json) -> Operation:
    responses: Json = told.get("responses", {})
    body: Json = told.get("requestBody", {})
    return Operation(
        method=method,
        path=path,
        summary=str(told.get("summary", "")).rstrip("."),
        permission=str(told.get("x-permission", "")),
        parameters=tuple(map(_parameter, told.get("parameters", ()))),
        body=_content(body),
        body_required=bool(body.get("required")),
        answers=tuple(
            Answering(status, _content(answer)) for status, answer in responses.items() if status != "default"
        ),
        codes=_codes(responses.get("default", {}).get("description", "")),
    )


def _bodies(told: Json) -> list[object]:
    """What an operation takes and gives; a refusal has the same form everywhere."""
    return [told.get("requestBody"), told.get("responses")]


def _codes(text: str) -> tuple[str, ...]:
    return tuple(_CODE.findall(text))


def _content(told: Json) -> Words:
    return media_words(told.get("content", {}))


def _parameter(told: Json) -> Member:
    schema: Json = told.get("schema", {})
    place = str(told.get("in", ""))
    required = "required" if told.get("required") and place != "path" else ""
    meaning = _meaning([str(told.get("description", "")), required, *limits(schema)])
    return Member(str(told.get("name", "")), type_words(schema), meaning, place)


def _schema(name: str, told: Json) -> Schema:
    required = told.get("required", ())
    members = tuple(
        Member(
            member,
            type_words(schema),
            _meaning(
                [
                    str(schema.get("description", "")),
                    "" if member in required else "may be absent",
                    *limits(schema),
                ]
            ),
        )
        for member, schema in told.get("properties", {}).items()
    )
    return Schema(name, " ".join(str(told.get("description", "")).split()), members, type_words(told))


def _meaning(parts: Sequence[str]) -> str:
    return "; ".join(" ".join(part.split()).rstrip(".") for part in parts if part)
