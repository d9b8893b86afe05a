"""The OpenAPI document of the tenant service: valid, and unchanged unless somebody meant it.

`SALLYPORT_WRITE_SNAPSHOTS=1` writes the snapshot anew; the diff is then part of the change.
"""

import json
import os
from pathlib import Path

import pytest
from openapi_spec_validator import validate

from service_kit.identity.model import Permission
from service_kit.web.openapi import openapi_document
from tenant_service.app import endpoints, runtime_endpoints

SNAPSHOT = Path(__file__).parents[3] / "docs" / "openapi" / "tenant_service.json"


@pytest.fixture
def document() -> str:
    """The document as text that is stable in a diff."""
    made = openapi_document("Sallyport tenant service", "1", (*endpoints(), *runtime_endpoints()))
    return json.dumps(made, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def test_the_document_is_the_snapshot(document: str) -> None:
    """A change of the API is seen in the diff of docs/openapi."""
    if os.environ.get("SALLYPORT_WRITE_SNAPSHOTS") == "1":
        SNAPSHOT.parent.mkdir(parents=True, exist_ok=True)
        SNAPSHOT.write_text(document, encoding="utf-8")

    assert SNAPSHOT.read_text(encoding="utf-8") == document


def test_the_document_is_valid(document: str) -> None:
    """OpenAPI 3.1, by the validator."""
    validate(json.loads(document))


def test_every_endpoint_asks_for_a_permission() -> None:
    """No route of this service is open to "any operator" (R-081), but event names and the API itself."""
    open_to_all = [endpoint.path for endpoint in endpoints() if not isinstance(endpoint.access, Permission)]

    assert open_to_all == ["/internal/v1/events", "/internal/v1/openapi.json"]
