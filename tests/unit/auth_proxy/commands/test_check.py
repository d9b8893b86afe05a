"""`auth-proxy check`: the whole effective configuration, and no secret."""

from pathlib import Path

import pytest
from pydantic import SecretStr

from auth_proxy.commands.check import check, shown
from auth_proxy.commands.report import Report
from auth_proxy.destinations import StaticFolder
from auth_proxy.roster.file import RosterFileError
from auth_proxy.routes import BUILT_IN
from auth_proxy.settings import ProxySettings, load_proxy_settings
from service_kit.identity.keys import key_file_name, load_signing_keys, new_signing_key
from service_kit.settings import Listen, variables
from tests.fakes.clock import START

TOML = """
[hosts."grafana.example.com"]
audiences = ["aud-3"]

[[routes]]
host = "grafana.example.com"
prefix = "/"
target = "http://127.0.0.1:3000"
roles = ["support", "security"]
identity_headers = { "X-WEBAUTH-USER" = "email" }
"""


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """A configuration that is whole."""
    new_signing_key(tmp_path / "keys" / key_file_name(START))
    return {
        "ADMIN_HOST": "admin.example.com",
        "CF_ACCESS_TEAM": "team",
        "CF_ACCESS_AUD": "aud-1,aud-2",
        "ADMIN_SERVICE_URL": "http+unix:///run/admin.sock",
        "TENANT_SERVICE_URL": "http://127.0.0.1:8082",
        "INTERNAL_SIGNING_KEY_FILE": str(tmp_path / "keys"),
    }


def checked(environ: dict[str, str], **changed: str) -> Report:
    return check(load_proxy_settings({**environ, **changed}), START)


def test_every_variable_is_there_with_the_value_that_counts(environ: dict[str, str]) -> None:
    """R-034: also what was not set, with its default; a derived value as it came to be."""
    settings = checked(environ).document["settings"]

    assert set(settings) == {names[0] for names in variables(ProxySettings).values()}
    assert settings["CF_ACCESS_TEAM_DOMAIN"] == "https://team.cloudflareaccess.com"
    assert (settings["AUTH_PROXY_ROSTER"], settings["CF_ACCESS_LEEWAY_SECONDS"]) == ("feed", 60)
    assert settings["AUTH_PROXY_LISTEN"] == "127.0.0.1:8080"


@pytest.mark.parametrize(
    "value, text",
    [
        (SecretStr("hunter2"), "***"),
        (None, None),
        (False, False),
        (60, 60),
        (("a", "b"), "a,b"),
        (Listen("127.0.0.1", 1), "127.0.0.1:1"),
        (StaticFolder(Path("/srv")), "static:/srv"),
    ],
)
def test_a_value_is_shown_as_it_is_set_and_a_secret_never(value: object, text: object) -> None:
    """R-002: `***` stands for every secret."""
    assert shown(value) == text


def test_the_private_key_is_not_shown(environ: dict[str, str], tmp_path: Path) -> None:
    """Of a key its id, age and state."""
    (file,) = (tmp_path / "keys").iterdir()
    report = checked(environ)
    kid = load_signing_keys(file)[0].kid

    assert report.document["signingKeys"] == [
        {"kid": kid, "created": "2026-01-02T03:04:05Z", "state": "signing"}
    ]
    assert file.read_text().splitlines()[1] not in "\n".join(report.lines) + str(report.document)


def test_hosts_have_their_audiences_and_origins(environ: dict[str, str], tmp_path: Path) -> None:
    """R-097: what a host accepts, from the settings and from the TOML."""
    toml = tmp_path / "auth_proxy.toml"
    toml.write_text(TOML)
    hosts = {"ADMIN_HOST": "admin.example.com,grafana.example.com", "AUTH_PROXY_CONFIG": str(toml)}
    report = checked(environ, **hosts)

    assert report.document["hosts"] == [
        {
            "host": "admin.example.com",
            "audiences": ["aud-1", "aud-2"],
            "origins": ["https://admin.example.com"],
        },
        {"host": "grafana.example.com", "audiences": ["aud-3"], "origins": ["https://grafana.example.com"]},
    ]
    (route,) = [item for item in report.document["routes"] if item["route"] == "grafana.example.com/"]
    assert (route["needs"], route["target"]) == ("roles security, support", "http://127.0.0.1:3000")
    assert route["identityHeaders"] == {"X-WEBAUTH-USER": "email"}
    assert "    tokens for   aud-3" in report.lines


def test_the_whole_route_table_is_there(environ: dict[str, str]) -> None:
    """Every effective route, the most specific first, with what it needs and where it goes."""
    report = checked(environ)
    routes = report.document["routes"]

    assert len(routes) == len(BUILT_IN) + 1  # and the welcome at /
    assert {"route": "/", "exact": True}.items() <= routes[-1].items()
    assert any(
        line.split() == ["/manage", "all", "operator", "admin_service", "+", "tenant_service"]
        for line in report.lines
    )


@pytest.mark.parametrize(
    "roster, said",
    [
        ("open:support", "  open: everybody whom Access lets in is support"),
        ("file:{file}", "  file {file}: 2 operators; without a pinned sub: b@example.com"),
    ],
)
def test_the_roster_is_told(environ: dict[str, str], tmp_path: Path, roster: str, said: str) -> None:
    """R-060: of a file how many operators it has, and who is not pinned."""
    file = tmp_path / "roster.toml"
    file.write_text(
        'operators = [{ email = "a@example.com", role = "support", sub = "s" },'
        '{ email = "b@example.com", role = "support" }]'
    )
    report = checked(alone(environ), AUTH_PROXY_ROSTER=roster.format(file=file))

    assert said.format(file=file) in report.lines


def alone(environ: dict[str, str]) -> dict[str, str]:
    """Another frontend, without our services."""
    services = {"ADMIN_SERVICE_URL": "", "TENANT_SERVICE_URL": ""}
    return {**environ, **services, "AUTH_PROXY_UPSTREAM": "http://127.0.0.1:3000"}


def test_the_feed_is_told(environ: dict[str, str]) -> None:
    assert "  feed from http+unix:///run/admin.sock" in checked(environ).lines


def test_a_roster_file_that_is_broken_is_refused(environ: dict[str, str], tmp_path: Path) -> None:
    """What would stop the start stops the check."""
    file = tmp_path / "roster.toml"
    file.write_text("operators = [")
    with pytest.raises(RosterFileError):
        checked(alone(environ), AUTH_PROXY_ROSTER=f"file:{file}")
