"""The tenant service's settings."""

from collections.abc import Mapping

import pytest

from service_kit.settings import Listen, SettingsError, load_settings
from tenant_service.settings import TenantSettings

KEYS = {"INTERNAL_JWKS_FILE": "/keys/jwks.json"}


def load(**environ: str) -> TenantSettings:
    return load_settings(TenantSettings, {**KEYS, **environ})


def test_the_defaults_are_those_of_the_contract() -> None:
    """With one source of keys named, everything else has a default (architecture 8)."""
    settings = load()

    assert settings.listen == Listen("127.0.0.1", 8082)
    assert settings.ops_listen == Listen("127.0.0.1", 9092)
    assert settings.database_url.get_secret_value() == "sqlite:///data/tenant.db"
    assert settings.hosts.host("acme") == "acme.app.example.com"
    assert settings.internal_issuer == "auth_proxy"
    assert settings.app_env == "production"


@pytest.mark.parametrize(
    ("environ", "variable"),
    [
        ({"INTERNAL_JWKS_FILE": ""}, "configuration"),
        ({"INTERNAL_JWKS_URL": "http://127.0.0.1:9090/.well-known/jwks.json"}, "configuration"),
        ({"INTERNAL_JWKS_FILE": "", "INTERNAL_JWKS_URL": "file:///etc/passwd"}, "INTERNAL_JWKS_URL"),
        ({"TENANT_DATABASE_URL": "mysql://h/d"}, "TENANT_DATABASE_URL"),
        ({"TENANT_DATABASE_URL": "sqlite://"}, "TENANT_DATABASE_URL"),
        ({"TENANT_SERVICE_LISTEN": "8082"}, "TENANT_SERVICE_LISTEN"),
        ({"TENANT_SERVICE_OPS_LISTEN": "127.0.0.1:70000"}, "TENANT_SERVICE_OPS_LISTEN"),
        ({"TENANT_PUBLIC_LISTEN": "8083"}, "TENANT_PUBLIC_LISTEN"),
        ({"TENANT_PUBLIC_TRUSTED_PROXIES": "10.0.0.0/8,proxy"}, "TENANT_PUBLIC_TRUSTED_PROXIES"),
        ({"TENANT_BASE_DOMAIN": "https://app.example.com"}, "TENANT_BASE_DOMAIN"),
        ({"TENANT_BASE_DOMAIN": "app.example.com:8003"}, "TENANT_BASE_DOMAIN"),
        ({"TENANT_BASE_DOMAIN": "app..example.com"}, "TENANT_BASE_DOMAIN"),
        ({"TENANT_BASE_DOMAIN": "com"}, "TENANT_BASE_DOMAIN"),
        ({"TENANT_BASE_DOMAIN": "localhost:8003"}, "configuration"),
        ({"APP_ENV": "production", "NODE_ENV": "development"}, "APP_ENV / NODE_ENV"),
    ],
)
def test_a_wrong_setting_is_named(environ: Mapping[str, str], variable: str) -> None:
    """The variable is named, its value never repeated."""
    with pytest.raises(SettingsError) as caught:
        load(**environ)

    assert [problem.variable for problem in caught.value.problems] == [variable]
    assert not any(value and value in str(caught.value) for value in environ.values() if len(value) > 12)


def test_the_database_password_is_not_printed() -> None:
    """A settings object in a log or traceback shows asterisks."""
    settings = load(TENANT_DATABASE_URL="postgresql://u:geheim@db/tenants")

    assert "geheim" not in repr(settings)


@pytest.mark.parametrize(
    ("base", "url"),
    [
        ("localhost:8003", "http://acme.localhost:8003/accept-invite/inv_x"),
        ("app.example.com", "https://acme.app.example.com/accept-invite/inv_x"),
        ("Tenants.Example.ORG", "https://acme.tenants.example.org/accept-invite/inv_x"),
    ],
)
def test_only_this_machine_is_reached_without_tls(base: str, url: str) -> None:
    """In development too, a real domain is https (R-105)."""
    hosts = load(APP_ENV="development", TENANT_BASE_DOMAIN=base).hosts

    assert hosts.accept_url("acme", "inv_x") == url
