"""The base of every request and response model, and the text types that refuse hostile characters."""

import unicodedata
from collections.abc import Callable
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints
from pydantic.alias_generators import to_camel

from service_kit.email_address import normalise_email


class ApiModel(BaseModel):
    """camelCase outside, snake_case inside; unknown members are refused; types are strict."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        extra="forbid",
        strict=True,
        frozen=True,
        hide_input_in_errors=True,
    )


class QueryModel(ApiModel):
    """Query parameters: everything arrives as text, so numbers and dates are read from text."""

    model_config = ConfigDict(strict=False)


def replayed_without(*members: str) -> Callable[[dict[str, Any]], None]:
    """For `json_schema_extra` of an answer with a secret: its replay lacks these members, and says so."""

    def tell(schema: dict[str, Any]) -> None:
        schema["properties"]["secretOmitted"] = {"const": True, "description": "Only in a replay"}
        schema["required"] = [name for name in schema["required"] if name not in members]

    return tell


def null_is_refused(schema: dict[str, Any]) -> None:
    """For `json_schema_extra` where a member may be absent but never null, and a validator says so."""
    for details in schema["properties"].values():
        given = [kind for kind in details.get("anyOf", []) if kind != {"type": "null"}]
        if len(given) == 1:
            details.pop("anyOf")
            details.pop("default", None)
            details.update(given[0])


def _no_control(value: str) -> str:
    # Cc holds NUL and line breaks, Cs lone surrogates: a database refuses them late, we refuse them early.
    if any(unicodedata.category(character) in {"Cc", "Cs"} for character in value):
        raise ValueError("must not contain control characters")
    return value


PlainText = Annotated[
    str,
    StringConstraints(strip_whitespace=True),
    AfterValidator(_no_control),
    Field(json_schema_extra={"pattern": r"^[^\u0000-\u001f\u007f-\u009f]*$"}),  # only told; the rule is above
]
"""One line of text for people."""

EmailAddress = Annotated[
    str,
    StringConstraints(max_length=320),
    AfterValidator(normalise_email),
    Field(json_schema_extra={"format": "email"}),
]
"""An address in its normal form (R-048)."""
