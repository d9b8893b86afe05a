"""What comes in and goes out of the API's description."""

from typing import Annotated, Any

from pydantic import ConfigDict, Field, StringConstraints

from service_kit.web.schemas import ApiModel, PlainText, QueryModel

MOST_CHARACTERS = 120


class DocsQuery(QueryModel):
    """`q` is words of a method, a path, a permission or a summary."""

    q: Annotated[PlainText, StringConstraints(max_length=MOST_CHARACTERS)] = ""


class MissingPart(ApiModel):
    """Which services the document lacks, and why."""

    missing: list[str]
    reason: str


def _may_be_absent(schema: dict[str, Any]) -> None:
    schema["required"] = [name for name in schema["required"] if name != "x-partial"]


class OpenApiModel(ApiModel):
    """An OpenAPI 3.1 document. `x-partial` stands in it only when the tenant service did not answer."""

    model_config = ConfigDict(json_schema_extra=_may_be_absent)

    openapi: str
    info: dict[str, Any]
    paths: dict[str, dict[str, Any]]
    components: dict[str, dict[str, Any]]
    x_partial: Annotated[MissingPart | None, Field(alias="x-partial")] = None
