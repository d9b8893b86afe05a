"""The settings of the admin service: what is required, what is refused, and how it is said."""

import pytest

from admin_service.settings import AdminSettings, DatabaseSettings
from service_kit.settings import SettingsError, load_settings

GOOD = {
    "TENANT_SERVICE_URL": "http://127.0.0.1:8082",
    "INTERNAL_JWKS_URL": "http://127.0.0.1:9090/.well-known/jwks.json",
    "ADMIN_HOST": "Admin.example.com",
}


def test_the_defaults_are_those_of_the_contract() -> None:
    """Listeners, database and issuer default as architecture 8 says."""
    settings = load_settings(AdminSettings, GOOD)

    assert str(settings.listen) == "127.0.0.1:8081"
    assert str(settings.ops_listen) == "127.0.0.1:9091"
    assert settings.database_url.get_secret_value() == "sqlite:///data/admin.db"
    assert settings.internal_issuer == "auth_proxy"
    assert settings.app_env == "production"
    assert settings.ax_token_cookie == "ax_token"
    assert settings.origins == ("https://admin.example.com",)


def test_an_origin_replaces_the_hosts() -> None:
    """ADMIN_ORIGIN is what forms must carry, exactly; several hosts make several origins."""
    several = load_settings(AdminSettings, {**GOOD, "ADMIN_HOST": "a.example.com, b.example.com"})
    local = {**GOOD, "ADMIN_ORIGIN": "http://LOCALHOST:8000/", "APP_ENV": "development"}
    given = load_settings(AdminSettings, local)

    assert several.origins == ("https://a.example.com", "https://b.example.com")
    assert given.origins == ("http://localhost:8000",)


@pytest.mark.parametrize(
    ("change", "variable"),
    [
        ({"TENANT_SERVICE_URL": ""}, "TENANT_SERVICE_URL"),
        ({"TENANT_SERVICE_URL": "ftp://x"}, "TENANT_SERVICE_URL"),
        ({"INTERNAL_JWKS_URL": ""}, "INTERNAL_JWKS_FILE"),
        ({"INTERNAL_JWKS_FILE": "/jwks.json"}, "INTERNAL_JWKS_FILE"),
        ({"INTERNAL_JWKS_URL": "not a url"}, "INTERNAL_JWKS_URL"),
        ({"ADMIN_HOST": ""}, "ADMIN_ORIGIN"),
        ({"ADMIN_ORIGIN": "https://admin.example.com/manage"}, "ADMIN_ORIGIN"),
        ({"ADMIN_DATABASE_URL": "mysql://x"}, "ADMIN_DATABASE_URL"),
        ({"ADMIN_SERVICE_LISTEN": "8081"}, "ADMIN_SERVICE_LISTEN"),
        ({"ADMIN_ORIGIN": "http://localhost:8000"}, "ADMIN_ORIGIN"),
        ({"ADMIN_ORIGIN": "http://admin.example.com", "APP_ENV": "development"}, "ADMIN_ORIGIN"),
        ({"APP_ENV": "Prod!"}, "APP_ENV"),
        ({"APP_ENV": "production", "NODE_ENV": "development"}, "APP_ENV / NODE_ENV"),
        ({"TENANT_BASE_DOMAIN": "-x-"}, "TENANT_BASE_DOMAIN"),
        ({"AX_TOKEN_COOKIE": "AX_TOKEN"}, "AX_TOKEN_COOKIE"),
        ({"AX_TOKEN_COOKIE": "ax_token; Domain=example.com"}, "AX_TOKEN_COOKIE"),
        ({"AX_TOKEN_COOKIE": "__Host-tenant_session"}, "AX_TOKEN_COOKIE"),
    ],
)
def test_a_wrong_setting_is_named_by_its_variable(change: dict[str, str], variable: str) -> None:
    """Each problem names the variable that a person must change, and never repeats its value."""
    with pytest.raises(SettingsError) as caught:
        load_settings(AdminSettings, {**GOOD, **change})

    assert [problem.variable for problem in caught.value.problems] == [variable]


def test_the_database_password_is_not_shown() -> None:
    """Secrets print as stars, in the settings and in a complaint about them."""
    url = "postgresql://app:hunter2@db/admin"
    settings = load_settings(DatabaseSettings, {"ADMIN_DATABASE_URL": url})

    with pytest.raises(SettingsError) as caught:
        load_settings(DatabaseSettings, {"ADMIN_DATABASE_URL": "mysql://app:hunter2@db/admin"})

    assert "hunter2" not in repr(settings)
    assert "hunter2" not in str(caught.value)


def test_a_unix_socket_of_the_tenant_service() -> None:
    """`http+unix:///path` is an address too."""
    settings = load_settings(AdminSettings, {**GOOD, "TENANT_SERVICE_URL": "http+unix:///run/tenant.sock"})

    assert settings.tenant_service_url == "http+unix:///run/tenant.sock"


def test_the_session_cookie_has_two_names() -> None:
    """C-17: `__Host-ax_token` is the one other name that the cookie may have."""
    settings = load_settings(AdminSettings, {**GOOD, "AX_TOKEN_COOKIE": "__Host-ax_token"})

    assert settings.ax_token_cookie == "__Host-ax_token"
