"""The operators' API of this service as an OpenAPI document, for the admin service that shows the whole.

It tells of no path between processes and of nothing on the tenants' own hosts.
"""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

from service_kit.web.api import Audience, Call, Endpoint
from service_kit.web.openapi import openapi_document
from service_kit.web.openapi_parts import operators_part
from service_kit.web.schemas import ApiModel


class OpenApiPart(ApiModel):
    """An OpenAPI 3.1 document: the paths below `/api/admin/`, and the schemas that they lead to."""

    openapi: str
    info: dict[str, Any]
    paths: dict[str, dict[str, Any]]
    components: dict[str, dict[str, Any]]


class OperatorsApi:
    """The document of an endpoint table, made when it is first asked for."""

    def __init__(self, rows: Sequence[Endpoint]) -> None:
        self._rows = rows

    @cached_property
    def document(self) -> OpenApiPart:
        whole = openapi_document("Sallyport tenant service", "1", self._rows)
        return OpenApiPart.model_validate(operators_part(whole))


def endpoints(rows: Sequence[Endpoint]) -> tuple[Endpoint, ...]:
    """What tells of `rows`. Any operator may ask: a document holds no data."""
    api = OperatorsApi(rows)

    async def tell(_call: Call) -> OpenApiPart:
        return api.document

    return (
        Endpoint(
            "GET",
            "/internal/v1/openapi.json",
            Audience.OPERATOR,
            tell,
            "The operators' API of this service, for the document of the whole",
            returns=OpenApiPart,
        ),
    )
