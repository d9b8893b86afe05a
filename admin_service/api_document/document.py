"""One OpenAPI 3.1 document for the operators' API of both services, made from their endpoint tables.

Without the tenant service it tells what this service has, and says that the rest is missing. It asks in the
operator's own name, and knows no table but what it is given.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from admin_service.tenant_answers import Answer
from admin_service.tenant_api import A, OnBehalf
from service_kit.errors import ProblemError
from service_kit.web.openapi import Described, openapi_document
from service_kit.web.openapi_parts import Json, merged, operators_part

TITLE: Final = "Sallyport operators' API"
PARTIAL: Final = "x-partial"
_TENANT_PART: Final = "/internal/v1/openapi.json"
_TENANT_PREFIX: Final = "tenant_service"
_MISSING: Final = {
    "missing": ["tenant"],
    "reason": "The tenant service does not answer; its operations are not in this document",
}


class Tenants(Protocol):
    """The tenant service, asked for its part."""

    async def at(self, kind: type[A], path: str, behalf: OnBehalf) -> A: ...


class TenantPart(Answer):
    """The tenant service's own document; the admin service takes only operators' paths from it."""

    paths: Mapping[str, Mapping[str, Any]]
    components: Mapping[str, Mapping[str, Any]]

    @property
    def document(self) -> Json:
        schemas = self.components.get("schemas", {})
        return operators_part({"paths": self.paths, "components": {"schemas": schemas}})


@dataclass(frozen=True, slots=True)
class Told:
    """The document as it is sent; `digest` is its ETag."""

    document: Json
    body: bytes = field(repr=False)
    digest: str

    @property
    def is_partial(self) -> bool:
        return PARTIAL in self.document


class ApiDocument:
    """What the operators' API is; made anew only when the tenant service tells another part."""

    def __init__(self, rows: Callable[[], Iterable[Described]], tenants: Tenants) -> None:
        self._rows = rows
        self._tenants = tenants
        self._own: Json | None = None
        self._last: tuple[TenantPart | None, Told] | None = None

    async def read(self, behalf: OnBehalf | None) -> Told:
        """The document; without a leave or an answer of the tenant service only this service's part."""
        theirs = await self._ask(behalf) if behalf is not None else None
        if self._last is None or self._last[0] != theirs:
            self._last = theirs, _told(self._whole(theirs))
        return self._last[1]

    async def _ask(self, behalf: OnBehalf) -> TenantPart | None:
        try:
            return await self._tenants.at(TenantPart, _TENANT_PART, behalf)
        except ProblemError:  # away, or older than this endpoint: its half is missing either way
            return None

    def _whole(self, theirs: TenantPart | None) -> Json:
        if self._own is None:
            self._own = operators_part(openapi_document(TITLE, "1", self._rows()))
        if theirs is None:
            return {**self._own, PARTIAL: _MISSING}
        return merged(self._own, theirs.document, prefix=_TENANT_PREFIX)


def _told(document: Json) -> Told:
    body = json.dumps(document, ensure_ascii=False).encode()
    return Told(document, body, hashlib.sha256(body).hexdigest()[:32])
