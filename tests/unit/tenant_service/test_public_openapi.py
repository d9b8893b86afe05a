"""The OpenAPI document of the tenants' own API: valid, and unchanged unless somebody meant it.

`SALLYPORT_WRITE_SNAPSHOTS=1` writes the snapshot anew; the diff is then part of the change.
"""

import json
import os
from pathlib import Path

import pytest
from openapi_spec_validator import validate

from service_kit.web.openapi import openapi_document
from tenant_service.public.gate import REFUSALS
from tenant_service.public.registry import Door
from tenant_service.public_wiring import public_endpoints

SNAPSHOT = Path(__file__).parents[3] / "docs" / "openapi" / "tenant_public.json"
OPEN = {
    ("GET", "/api/invitations/{id}"),
    ("POST", "/api/invitations/accept/{id}"),
    ("POST", "/api/auth/sign-in/email"),
}


@pytest.fixture
def document() -> str:
    """The document as text that is stable in a diff."""
    made = openapi_document("Sallyport tenants' own API", "1", public_endpoints(), always=REFUSALS)
    return json.dumps(made, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def test_the_document_is_the_snapshot(document: str) -> None:
    """A change of the API is seen in the diff of docs/openapi."""
    if os.environ.get("SALLYPORT_WRITE_SNAPSHOTS") == "1":
        SNAPSHOT.write_text(document, encoding="utf-8")

    assert SNAPSHOT.read_text(encoding="utf-8") == document


def test_the_document_is_valid(document: str) -> None:
    """OpenAPI 3.1, by the validator."""
    validate(json.loads(document))


def test_three_endpoints_need_no_session() -> None:
    """R-036, R-106: looking at an invitation, accepting it and signing in; no more is open."""
    rows = [row for row in public_endpoints() if not row.page]

    assert {(row.method, row.path) for row in rows if row.access is Door.OPEN} == OPEN
    assert [row.path for row in public_endpoints() if "sign-up" in row.path or "create" in row.path] == []
