"""What the package promises as a whole: its libraries, and no secret that two processes share."""

import re
import tomllib
from pathlib import Path

import pytest
from pydantic import SecretStr

from docs import generate
from service_kit.settings import Listen, ServiceSettings, variables

PYPROJECT = Path(__file__).resolve().parents[2] / "pyproject.toml"


def names(requirements: list[str]) -> set[str]:
    return {re.split(r"[\[<>=;! ]", requirement)[0].lower() for requirement in requirements}


def test_the_libraries_are_the_agreed_ones() -> None:
    """R-002: aiohttp, PyJWT, cryptography, cachetools and prometheus-client; tests with pytest-aiohttp."""
    project = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["project"]

    assert names(project["dependencies"]) >= {
        "aiohttp",
        "pyjwt",
        "cryptography",
        "cachetools",
        "prometheus-client",
    }
    assert "pytest-aiohttp" in names(project["optional-dependencies"]["dev"])


def test_no_process_is_given_a_secret_of_another() -> None:
    """R-140: the one secret about identities is the sidecar's private key, and no service is told it.

    Each service has a key of its own for checkpoints of its audit log, and the public one of the other. The
    tenant service alone sends mail, and encrypts what waits.
    """
    secrets = {
        (service.name, group[0])
        for service in generate.SERVICES
        for field, group in variables(service.settings).items()
        if "SecretStr" in repr(service.settings.model_fields[field].annotation) or "KEY" in group[0]
    }

    assert secrets == {
        ("auth_proxy", "INTERNAL_SIGNING_KEY_FILE"),
        ("admin_service", "ADMIN_DATABASE_URL"),
        ("admin_service", "AUDIT_SIGNING_KEY_FILE"),
        ("admin_service", "AUDIT_PEER_KEYS_FILE"),
        ("tenant_service", "TENANT_DATABASE_URL"),
        ("tenant_service", "SMTP_URL"),
        ("tenant_service", "OUTBOX_KEY_FILE"),
        ("tenant_service", "AUDIT_PREDICATE_KEY_FILE"),
        ("tenant_service", "AUDIT_SIGNING_KEY_FILE"),
        ("tenant_service", "AUDIT_PEER_KEYS_FILE"),
        ("tenant_service", "CREDITS_KEYS_FILE"),  # public keys, of the runtime
    }


@pytest.mark.parametrize("service", generate.SERVICES, ids=lambda service: service.name)
def test_nothing_listens_beyond_this_machine_by_default(service: generate.Service) -> None:
    """R-136: every listener is on loopback until somebody says otherwise."""
    listeners = listeners_of(service.settings)

    assert len(listeners) >= 2
    assert all(listen.is_loopback for listen in listeners)


def listeners_of(settings: type[ServiceSettings]) -> list[Listen]:
    defaults = (info.default for info in settings.model_fields.values())
    return [default for default in defaults if isinstance(default, Listen)]


def test_no_setting_has_a_secret_as_its_default() -> None:
    """A default that is a secret would be everybody's: only file names of SQLite stand there."""
    defaults = {
        info.default.get_secret_value()
        for service in generate.SERVICES
        for info in service.settings.model_fields.values()
        if isinstance(info.default, SecretStr)
    }

    assert defaults == {"sqlite:///data/admin.db", "sqlite:///data/tenant.db"}
