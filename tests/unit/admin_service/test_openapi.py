"""The API as a document, made from the endpoint table; a change of it is seen in the diff (style 29)."""

import json
import os
from pathlib import Path

import pytest
from openapi_spec_validator import validate
from prometheus_client import CollectorRegistry

from admin_service.app import ServiceKeys, build_panel, build_services, endpoints
from admin_service.settings import AdminSettings
from admin_service.tenant_api import TenantApi
from service_kit.db.session import Database
from service_kit.identity.model import Permission
from service_kit.settings import load_settings
from service_kit.web.api import Endpoint
from service_kit.web.openapi import openapi_document
from tests.fakes.clock import FrozenClock

SNAPSHOT = Path(__file__).parents[3] / "docs" / "openapi" / "admin_service.json"
ONES_OWN = (
    "/api/admin/me",
    "/api/admin/global-admins/{id}/sessions",
    "/api/admin/events/catalogue",
    "/api/admin/search",
    "/api/admin/openapi.json",
    "/api/admin/docs",
)
"""What every operator may ask about themselves; another operator's sessions need the permission. The event
catalogue and the API's description hold no data, and the search shows each kind only to who may list it.
"""
ENVIRON = {
    "TENANT_SERVICE_URL": "http://127.0.0.1:1",
    "INTERNAL_JWKS_FILE": "/nowhere",
    "ADMIN_HOST": "admin.example.com",
}


@pytest.fixture
def table(tmp_path: Path) -> tuple[Endpoint, ...]:
    """Every endpoint, over a database that nobody opens."""
    keys, clock = ServiceKeys(b"k" * 32, b"k" * 32), FrozenClock()
    database = Database.open(f"sqlite:///{tmp_path}/never.db")
    services = build_services(database, keys, clock, CollectorRegistry(), TenantApi(None))
    return endpoints(services, build_panel(services, keys, load_settings(AdminSettings, ENVIRON), clock))


def test_the_snapshot_is_current(table: tuple[Endpoint, ...]) -> None:
    """docs/openapi/admin_service.json is what the code serves; SALLYPORT_WRITE_SNAPSHOTS=1 writes it anew."""
    document = openapi_document("Sallyport admin service", "1", table)
    text = json.dumps(document, indent=2, ensure_ascii=False, sort_keys=True) + "\n"
    if os.environ.get("SALLYPORT_WRITE_SNAPSHOTS") == "1":
        SNAPSHOT.parent.mkdir(parents=True, exist_ok=True)
        SNAPSHOT.write_text(text)

    assert SNAPSHOT.read_text() == text


def test_the_document_is_valid(table: tuple[Endpoint, ...]) -> None:
    """It is OpenAPI 3.1, so that tools can read it."""
    validate(openapi_document("Sallyport admin service", "1", table))


def test_every_endpoint_asks_for_something(table: tuple[Endpoint, ...]) -> None:
    """No row without an access rule, no path twice, internal paths for processes only (R-081)."""
    rows = [(row.method, row.path) for row in table]

    assert len(set(rows)) == len(rows)
    for row in table:
        if row.path.startswith("/internal/"):
            assert row.access.value == "roster"
        elif row.path.startswith("/api/admin/") and not row.path.startswith(ONES_OWN):
            assert isinstance(row.access, Permission)
