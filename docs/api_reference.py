# noqa: INP001 - a part of docs/generate.py, not of a package
"""Renders the OpenAPI documents of `docs/openapi/` as one page that GitHub shows.

It adds nothing: what is not in a document is not on the page. Anchors are what GitHub makes of headings.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from service_kit.web.openapi_parts import reachable
from service_kit.web.openapi_words import Word, Words, limits, media_words, type_words

OPENAPI: Final = Path(__file__).resolve().parent / "openapi"
_CODES: Final = re.compile(r"codes: (.*)")

_INTRO: Final = """\
# API reference

Every endpoint of the services, from their OpenAPI documents in [openapi/](openapi/). A test holds those equal
to the code, and `docs/generate.py --check` holds this page equal to them.

* **Through the sidecar.** Nobody reaches `admin_service` or `tenant_service` directly: a request goes to
  `https://<ADMIN_HOST>` and carries Access's token; the sidecar may refuse it first
  ([refusals](refusals.md)). The tenants' own API answers on their hosts ([tenant-side](tenant-side.md)).
* **Permission** is what the endpoint asks for; [permissions](permissions.md) says which role has it.
  `operator` is any active operator. Endpoints below `/internal/` are for our own processes, with proofs of
  their own ([internal identity](internal-identity.md)).
* **Changes** (POST, PUT, PATCH, DELETE) need `Origin: https://<ADMIN_HOST>`. Bodies are JSON, at most 64 KiB;
  a member that is not listed is refused. `Idempotency-Key` makes a repeated request one effect; `If-Match`
  carries the `ETag` of what was seen.
* **Errors** are `application/problem+json` with `error`, `code` and `requestId`, and `errors[]` with a JSON
  pointer for each wrong member. The codes of each endpoint stand with it; those that any endpoint may give
  stand at its service.
* **Lists** have `data` and `page`; `page.nextCursor` goes back as `cursor`, which belongs to its filters.
* **From a running one:** `GET /api/admin/openapi.json` is the operators' part of both services as one
  document, and `/api/admin/docs` the same as a page. While the tenant service is away the document has the
  member `x-partial`: make no client of it then. Where a schema of both has one name and two meanings, the
  tenant service's is `tenant_service.<name>`.

[spa.md](spa.md) says what a frontend can rely on; [credits.md](credits.md) has a client for the product's
runtime. The listeners for operations (`/livez`, `/readyz`, `/metrics`, and the public keys on the sidecar's)
are no API for clients."""

Json = Mapping[str, Any]


class UnknownSchemaError(Exception):
    """A reference that leads nowhere."""


@dataclass(slots=True)
class Slugs:
    """The anchors of one page, as GitHub makes them from headings."""

    used: dict[str, int] = field(default_factory=dict)

    def of(self, heading: str) -> str:
        slug = plain_slug(heading)
        count = self.used.get(slug, 0)
        self.used[slug] = count + 1
        return f"{slug}-{count}" if count else slug


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path, with its anchor."""

    service: str
    method: str
    path: str
    told: Json
    anchor: str

    @property
    def heading(self) -> str:
        return f"{self.method} {self.path}"


@dataclass(frozen=True, slots=True)
class Document:
    """One OpenAPI document, with an anchor for each schema that its operations use."""

    name: str
    told: Json
    operations: tuple[Operation, ...]
    anchors: Mapping[str, str]

    @property
    def title(self) -> str:
        return str(self.told["info"]["title"])

    def schema(self, name: str) -> Json:
        """Raises UnknownSchemaError."""
        schemas: dict[str, Json] = self.told["components"]["schemas"]
        if name not in schemas:
            raise UnknownSchemaError(f"{self.name}: {name}")
        return schemas[name]


def plain_slug(heading: str) -> str:
    """What GitHub makes of a heading: lower case, no punctuation, hyphens for blanks."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def page(notice: str, folder: Path = OPENAPI) -> str:
    """The whole page. Raises UnknownSchemaError."""
    documents = read(folder)
    parts = [notice, _INTRO, "## Endpoints", *(_contents(document) for document in documents)]
    for document in documents:
        parts += _service(document)
    return "\n\n".join(parts) + "\n"


def read(folder: Path) -> tuple[Document, ...]:
    """The documents in the order of their names; anchors in the order of the page's headings."""
    slugs = Slugs()
    for heading in ("API reference", "Endpoints"):
        slugs.of(heading)
    told = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))}
    for document in told.values():
        slugs.of(f"{document['info']['title']}: endpoints")
    return tuple(_document(name, document, slugs) for name, document in told.items())


def _document(name: str, told: Json, slugs: Slugs) -> Document:
    slugs.of(told["info"]["title"])
    operations = tuple(
        Operation(name, method.upper(), path, operation, slugs.of(f"{method} {path}"))
        for path, methods in told["paths"].items()
        for method, operation in methods.items()
    )
    slugs.of(_schemas_heading(told))
    bodies = [_contents_of(operation.told) for operation in operations]
    names = sorted(reachable(bodies, told["components"]["schemas"]))
    return Document(name, told, operations, {each: slugs.of(f"{name}: {each}") for each in names})


def _schemas_heading(told: Json) -> str:
    return f"{told['info']['title']}: bodies and answers"


def _contents_of(operation: Json) -> list[Any]:
    return [operation.get("requestBody", {}), operation["responses"]]


# The page


def _contents(document: Document) -> str:
    rows = [
        (f"[`{each.method} {each.path}`](#{each.anchor})", _permission(each.told), each.told["summary"])
        for each in document.operations
    ]
    return f"### {document.title}: endpoints\n\n" + _table(("endpoint", "permission", "what it does"), rows)


def _service(document: Document) -> list[str]:
    parts = [f"## {document.title}", _always(document.told)]
    for operation in document.operations:
        parts += _operation(document, operation)
    parts.append(f"## {_schemas_heading(document.told)}")
    for name in document.anchors:
        parts += _schema(document, name)
    return parts


def _always(told: Json) -> str:
    text, _, codes = str(told["info"]["description"]).partition(" with ")
    return f"{text} with {_code_list(codes)}."


def _code_list(codes: str) -> str:
    return ", ".join(f"`{code.strip()}`" for code in codes.split(",") if code.strip())


def _permission(told: Json) -> str:
    permission = str(told["x-permission"])
    return permission if " " in permission else f"`{permission}`"


def _operation(document: Document, operation: Operation) -> list[str]:
    told = operation.told
    parts = [f"### {operation.heading}", f"{told['summary'].rstrip('.')}.", _facts(document, told)]
    rows = [_parameter(document, parameter) for parameter in told.get("parameters", [])]
    if rows:
        parts.append(_table(("parameter", "in", "type", "meaning"), rows))
    return parts


def _facts(document: Document, told: Json) -> str:
    lines = [f"* Permission: {_permission(told)}"]
    if body := told.get("requestBody"):
        required = "" if body.get("required") else " (may be absent)"
        lines.append(f"* Body: {_media(document, body['content'])}{required}")
    answers = {status: answer for status, answer in told["responses"].items() if status != "default"}
    lines += [f"* {status}: {_answer(document, answer)}" for status, answer in answers.items()]
    refused = _CODES.search(told["responses"].get("default", {}).get("description", ""))
    if refused:
        lines.append(f"* Refused with: {_code_list(refused[1])}")
    return "\n".join(lines)


def _answer(document: Document, answer: Json) -> str:
    return _media(document, answer["content"]) if answer.get("content") else "no body"


def _media(document: Document, content: Json) -> str:
    return _markdown(document, media_words(content))


def _parameter(document: Document, parameter: Json) -> tuple[str, ...]:
    schema = parameter.get("schema", {})
    required = parameter.get("required") and parameter["in"] != "path"
    meaning = [parameter.get("description", ""), "required" if required else "", *_limits(schema)]
    return f"`{parameter['name']}`", parameter["in"], _type(document, schema), _sentence(meaning)


def _schema(document: Document, name: str) -> list[str]:
    schema = document.schema(name)
    parts = [f"### {document.name}: {name}"]
    if description := schema.get("description"):
        parts.append(_one_line(description))
    if members := schema.get("properties"):
        required = set(schema.get("required", ()))
        rows = [_member(document, member, told, required) for member, told in members.items()]
        parts.append(_table(("member", "type", "meaning"), rows))
    elif "$ref" not in schema:
        parts.append(_type(document, schema))
    return parts


def _member(document: Document, name: str, schema: Json, required: set[str]) -> tuple[str, ...]:
    needed = "" if name in required else "may be absent"
    meaning = [schema.get("description", ""), needed, *_limits(schema)]
    return f"`{name}`", _type(document, schema), _sentence(meaning)


# Words for schemas


def _type(document: Document, schema: Json) -> str:
    return _markdown(document, type_words(schema))


def _markdown(document: Document, words: Words) -> str:
    return "".join(_marked(document, word) for word in words)


def _marked(document: Document, word: Word) -> str:
    if word.kind == "schema" and word.text in document.anchors:
        return f"[{word.text}](#{document.anchors[word.text]})"
    return word.text if word.kind == "plain" else f"`{word.text}`"


def _limits(schema: Json) -> list[str]:
    return limits(schema, code="`{}`")


def _sentence(parts: Iterable[str]) -> str:
    return "; ".join(_one_line(part).rstrip(".") for part in parts if part)


def _one_line(text: str) -> str:
    return " ".join(text.split()).replace("<", "&lt;")


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', '&#124;') for cell in line)} |" for line in lines)
