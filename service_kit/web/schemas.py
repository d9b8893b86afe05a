"""The base of every request and response model, and the text types that refuse hostile characters."""

import unicodedata
from typing import Annotated

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
