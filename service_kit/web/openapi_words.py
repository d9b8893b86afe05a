"""What OpenAPI schemas say, in words for people: the type of a value, and its limits.

It renders nothing: the panel makes HTML of the words, `docs/api.md` Markdown.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

Json = Mapping[str, Any]

_SCHEMAS: Final = "#/components/schemas/"
_LIMITS: Final = (
    ("minLength", "at least {} characters"),
    ("maxLength", "at most {} characters"),
    ("minimum", "at least {}"),
    ("maximum", "at most {}"),
    ("exclusiveMinimum", "more than {}"),
    ("exclusiveMaximum", "less than {}"),
    ("minItems", "at least {} items"),
    ("maxItems", "at most {} items"),
    ("minProperties", "at least {} members"),
)
_PLAIN_TEXT: Final = r"^[^\u0000-\u001f\u007f-\u009f]*$"
"""The pattern of every text for people; it tells a reader nothing."""


@dataclass(frozen=True, slots=True)
class Word:
    """A piece of a type: `kind` says whether it is code, or the name of a schema to go to."""

    text: str
    kind: Literal["plain", "code", "schema"] = "plain"

    @property
    def href(self) -> str:
        return f"#schema-{self.text}"


Words = tuple[Word, ...]


def type_words(schema: Json) -> Words:
    """The type of a value, as a person would say it."""
    if reference := schema.get("$ref"):
        return (Word(str(reference).removeprefix(_SCHEMAS), "schema"),)
    if choices := schema.get("anyOf") or schema.get("oneOf") or schema.get("allOf"):
        return _joined(list(dict.fromkeys(map(type_words, choices))), " or ")
    if "enum" in schema:
        return _joined([(Word(str(value), "code"),) for value in schema["enum"]], ", ")
    if "const" in schema:
        return (Word(str(schema["const"]), "code"),)
    return _simple_type(schema)


def media_words(content: Json) -> Words:
    """What a body is: the type of a JSON one, the name of any other kind."""
    kinds = [
        type_words(media.get("schema", {})) if kind == "application/json" else (Word(kind, "code"),)
        for kind, media in content.items()
    ]
    return _joined(kinds, ", ")


def limits(schema: Json, *, code: str = "{}") -> list[str]:
    """What a value must keep to; `code` is how a pattern or a default is set off in the text."""
    choices: list[Json] = [schema, *schema.get("anyOf", ())]
    said = [text.format(each[name]) for each in choices for name, text in _LIMITS if name in each]
    patterns = {str(each["pattern"]) for each in choices if "pattern" in each} - {_PLAIN_TEXT}
    said += [f"like {code.format(pattern)}" for pattern in sorted(patterns)]
    if schema.get("default") not in (None, "", [], {}):
        said.append(f"default {code.format(json.dumps(schema['default']))}")
    return [text.replace("at least 1 characters", "not empty") for text in said]


def _simple_type(schema: Json) -> Words:
    kind = schema.get("type", "any")
    if kind == "array":
        return (Word("list of "), *type_words(schema.get("items", {})))
    if kind == "object" and isinstance(values := schema.get("additionalProperties"), Mapping):
        return (Word("object of "), *type_words(values))
    return (Word(str(schema.get("format", kind))),)


def _joined(parts: Sequence[Words], between: str) -> Words:
    words: list[Word] = []
    for part in parts:
        words += [Word(between), *part] if words else part
    return tuple(words)
