"""Forward-auth is off until somebody says who asks, and from where."""

import pytest

from auth_proxy.forward_auth.dialects import DIALECTS
from auth_proxy.settings import FORWARD_AUTH_PROXIES, load_proxy_settings
from service_kit.settings import SettingsError
from tests.unit.auth_proxy.test_settings import DEV_GATE, GOOD

TRUSTED = {"AUTH_PROXY_TRUSTED_PROXIES": "127.0.0.1"}
NGINX = {"AUTH_PROXY_FORWARD_AUTH": "nginx"}


def problems(environ: dict[str, str]) -> str:
    with pytest.raises(SettingsError) as caught:
        load_proxy_settings(environ)
    return "\n".join(str(problem) for problem in caught.value.problems)


def test_it_is_off_by_default() -> None:
    """Naming trusted proxies for the gate opens nothing on the operations listener."""
    assert load_proxy_settings({**GOOD, **TRUSTED}).forward_auth == ()


def test_the_proxies_are_those_that_there_are_answers_for() -> None:
    """A name that the settings take is a dialect, and the reverse."""
    assert frozenset(DIALECTS) == FORWARD_AUTH_PROXIES
    settings = load_proxy_settings(
        {**GOOD, **TRUSTED, "AUTH_PROXY_FORWARD_AUTH": "Nginx, envoy, traefik, caddy"}
    )

    assert settings.forward_auth == ("nginx", "envoy", "traefik", "caddy")


def test_a_proxy_without_an_address_is_refused() -> None:
    """Mistake M-13 of others: nobody's words are believed unless they are named."""
    expected = "AUTH_PROXY_FORWARD_AUTH / AUTH_PROXY_TRUSTED_PROXIES: needs the addresses of the proxies"

    assert problems({**GOOD, **NGINX}).startswith(expected)


def test_an_unknown_proxy_is_refused() -> None:
    """A mistyped name would answer nobody."""
    found = problems({**GOOD, **TRUSTED, "AUTH_PROXY_FORWARD_AUTH": "nginx,haproxy"})

    assert found == "AUTH_PROXY_FORWARD_AUTH: knows only caddy, envoy, nginx, traefik"


def test_a_socket_file_does_not_tell_who_asks() -> None:
    """Without an address no peer can be a trusted one, so every question would be refused."""
    found = problems({**GOOD, **TRUSTED, **NGINX, "AUTH_PROXY_OPS_LISTEN": "unix:/run/ops.sock"})

    assert found.startswith("AUTH_PROXY_OPS_LISTEN: forward-auth needs a port")


def test_the_development_gate_answers_no_proxy() -> None:
    """R-049: the gate is for this machine alone, and a proxy may listen for everybody."""
    found = problems({**DEV_GATE, **TRUSTED, **NGINX})

    assert found == "AUTH_PROXY_FORWARD_AUTH: must be unset while the development gate is open"
