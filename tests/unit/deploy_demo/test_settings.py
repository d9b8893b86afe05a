from datetime import timedelta
from pathlib import Path

import pytest

from deploy.demo.key_store import BadAudience
from deploy.demo.loopback import NotLoopback
from deploy.demo.settings import (
    BadUpstream,
    EdgeSettings,
    RefusedInProduction,
    refuse_production,
    settings_from_arguments,
)


def test_the_defaults_are_the_demos() -> None:
    """Without arguments the edge is `localhost:8000` in front of the sidecar's default address."""
    settings = settings_from_arguments([])

    assert settings.listen == "127.0.0.1:8000"
    assert settings.upstream == "http://127.0.0.1:8080"
    assert settings.data == Path("data/demo")
    assert settings.team_domain == "http://localhost:8000"
    assert settings.host == "localhost:8000"


def test_every_argument_reaches_its_setting() -> None:
    """The command line names each setting; trailing slashes go, and the host follows the port."""
    settings = settings_from_arguments(
        [
            "--listen=127.0.0.1:9000",
            "--upstream=http://127.0.0.1:9080/",
            "--data=/d",
            "--token-lifetime=60",
            f"--aud={'b' * 64}",
        ]
    )

    assert settings == EdgeSettings(
        listen="127.0.0.1:9000",
        upstream="http://127.0.0.1:9080",
        data=Path("/d"),
        audience="b" * 64,
        team_domain="http://localhost:9000",
        token_lifetime=timedelta(seconds=60),
    )


@pytest.mark.parametrize("name", ["APP_ENV", "NODE_ENV"])
@pytest.mark.parametrize("value", ["production", "Production", " PRODUCTION "])
def test_production_is_refused(name: str, value: str) -> None:
    """Either variable with the value `production` stops the stand-in."""
    with pytest.raises(RefusedInProduction, match=name):
        refuse_production({name: value})


def test_development_is_not_refused() -> None:
    """An unset variable, or another value, is no production."""
    refuse_production({})
    refuse_production({"APP_ENV": "development", "NODE_ENV": ""})


def test_a_reachable_address_is_refused_before_anything_is_bound() -> None:
    """Settings with another listen address than loopback cannot exist."""
    with pytest.raises(NotLoopback):
        EdgeSettings(listen="0.0.0.0:8000")


@pytest.mark.parametrize(
    "team",
    ["https://acme.cloudflareaccess.com", "http://localhost.evil.example", "ftp://localhost", "localhost"],
)
def test_a_real_team_is_refused(team: str) -> None:
    """The stand-in can sign in the name of this machine only."""
    with pytest.raises(NotLoopback, match="team domain"):
        EdgeSettings(team_domain=team)


@pytest.mark.parametrize(
    "upstream", ["127.0.0.1:8080", "https://x.example", "http://", "http://h/path", "http://h?q=1"]
)
def test_an_upstream_that_is_no_address_is_refused(upstream: str) -> None:
    """The sidecar is named by scheme, host and port alone."""
    with pytest.raises(BadUpstream):
        EdgeSettings(upstream=upstream)


def test_a_malformed_tag_is_refused() -> None:
    """An audience that is no tag is refused with the settings."""
    with pytest.raises(BadAudience):
        EdgeSettings(audience="admin")
