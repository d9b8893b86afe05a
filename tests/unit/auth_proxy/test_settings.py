"""Configurations that could let somebody in by mistake are refused, all problems at once, by variable."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auth_proxy.settings import ProxySettings, load_proxy_settings, with_routes_reread
from service_kit.settings import Listen, SettingsError, load_settings, variables

GOOD = {
    "ADMIN_HOST": "admin.example.com",
    "CF_ACCESS_TEAM_DOMAIN": "https://team.cloudflareaccess.com",
    "CF_ACCESS_AUD": "aud-1",
    "ADMIN_SERVICE_URL": "http://127.0.0.1:8081",
    "TENANT_SERVICE_URL": "http://127.0.0.1:8082",
    "INTERNAL_SIGNING_KEY_FILE": "/keys/identity.pem",
}
DEVELOPMENT = {**GOOD, "APP_ENV": "development"}
DEV_GATE = {**DEVELOPMENT, "ALLOW_DEV_ADMIN_AUTH": "true", "LOCAL_DEV_ADMIN_EMAIL": "ada@example.com"}


def problems(environ: dict[str, str], **changes: str) -> list[str]:
    try:
        load_proxy_settings({**environ, **changes})
    except SettingsError as error:
        return [str(problem) for problem in error.problems]
    return []


def test_the_smallest_configuration_and_its_defaults() -> None:
    """architecture.md section 8: what is not set has the safe value."""
    settings = load_proxy_settings(GOOD)

    assert (settings.app_env, settings.is_development) == ("production", False)
    assert (str(settings.listen), str(settings.ops_listen)) == ("127.0.0.1:8080", "127.0.0.1:9090")
    assert settings.token_types == ("app", "org")
    assert (settings.allow_cookie, settings.leeway_seconds, settings.identity_binding) == (
        False,
        60,
        "unsafe",
    )
    assert settings.origins_by_host == {"admin.example.com": {"https://admin.example.com"}}
    assert settings.certs_url == "https://team.cloudflareaccess.com/cdn-cgi/access/certs"
    assert (settings.roster_source, settings.dev_gate_is_open) == ("feed", False)
    assert (settings.roster_max_staleness, settings.issuer, settings.trusted_proxies) == (
        3.0,
        "auth_proxy",
        (),
    )


def test_without_any_setting_every_required_one_is_named() -> None:
    """R-173: start-up fails, and says everything that is missing in one go."""
    assert problems({}) == [
        "ADMIN_HOST: is required",
        "CF_ACCESS_AUD: is required",
        "INTERNAL_SIGNING_KEY_FILE: is required",
        "CF_ACCESS_TEAM_DOMAIN: is required (or CF_ACCESS_TEAM)",
        "ADMIN_SERVICE_URL / AUTH_PROXY_UPSTREAM / AUTH_PROXY_CONFIG: set at least one of them",
        "ADMIN_SERVICE_URL / AUTH_PROXY_ROSTER: set at least one of them",
    ]


NO_TEAM = "CF_ACCESS_TEAM_DOMAIN: is required (or CF_ACCESS_TEAM)"
BAD_TEAM = "CF_ACCESS_TEAM_DOMAIN: must be https://<team>.cloudflareaccess.com"
BAD_HOST = "ADMIN_HOST: must list host names, with a port if not 443"
BAD_ORIGIN = "ADMIN_ORIGIN: must be https://host; http only for loopback in development"
NO_ORIGIN = "ADMIN_ORIGIN: names no origin for the host admin.example.com"
DEV_OUTSIDE = "LOCAL_DEV_ADMIN_EMAIL / ALLOW_DEV_ADMIN_AUTH: Misconfigured: set outside APP_ENV=development"
NO_LOOPBACK = "AUTH_PROXY_LISTEN: must be loopback while the development gate is open"
BAD_LISTEN = "AUTH_PROXY_LISTEN: must be host:port, [ipv6]:port or unix:/path"
BAD_ROSTER = "AUTH_PROXY_ROSTER: must be feed, file:/path or open:<role>"
OPEN_PANEL = "AUTH_PROXY_ROSTER: file and open are for other frontends; the panel needs feed"
ALONE = {
    **GOOD,
    "ADMIN_SERVICE_URL": "",
    "TENANT_SERVICE_URL": "",
    "AUTH_PROXY_UPSTREAM": "http://127.0.0.1:3000",
    "AUTH_PROXY_ROSTER": "open:read_only",
}
BAD_URL = "must be http://host:port or http+unix:///path"


@pytest.mark.parametrize(
    "environ, changes, expected",
    [
        (GOOD, {"CF_ACCESS_TEAM_DOMAIN": ""}, [NO_TEAM]),
        (GOOD, {"CF_ACCESS_TEAM_DOMAIN": "   "}, [NO_TEAM]),
        (GOOD, {"CF_ACCESS_AUD": ""}, ["CF_ACCESS_AUD: is required"]),
        (
            GOOD,
            {"CF_ACCESS_AUD": " , "},
            ["CF_ACCESS_AUD: Tuple should have at least 1 item after validation, not 0"],
        ),
        (
            GOOD,
            {"ADMIN_HOST": ","},
            ["ADMIN_HOST: Tuple should have at least 1 item after validation, not 0"],
        ),
        (
            GOOD,
            {"CLOUDFLARE_ACCESS_AUD": "aud-2"},
            ["CF_ACCESS_AUD / CLOUDFLARE_ACCESS_AUD: are set to different values; set one of them"],
        ),
        (
            GOOD,
            {"APP_ENV": "production", "NODE_ENV": "development"},
            ["APP_ENV / NODE_ENV: are set to different values; set one of them"],
        ),
        (
            GOOD,
            {"CF_ACCESS_TEAM": "other"},
            ["CF_ACCESS_TEAM_DOMAIN / CF_ACCESS_TEAM: name different teams; set one of them"],
        ),
        (
            GOOD,
            {"CF_ACCESS_TEAM": "Bad Team"},
            ["CF_ACCESS_TEAM: String should match pattern '^[a-z0-9-]*$'"],
        ),
        (GOOD, {"CF_ACCESS_TEAM_DOMAIN": "http://team.cloudflareaccess.com"}, [BAD_TEAM]),
        (DEVELOPMENT, {"CF_ACCESS_TEAM_DOMAIN": "http://team.cloudflareaccess.com"}, [BAD_TEAM]),
        (GOOD, {"CF_ACCESS_TEAM_DOMAIN": "http://127.0.0.1:9000"}, [BAD_TEAM]),
        (DEVELOPMENT, {"CF_ACCESS_TEAM_DOMAIN": "http://127.0.0.1:9000"}, []),
        (DEVELOPMENT, {"CF_ACCESS_TEAM_DOMAIN": "http://localhost:9000"}, []),
        (DEVELOPMENT, {"CF_ACCESS_TEAM_DOMAIN": "http://127.0.0.1:99999"}, [BAD_TEAM]),
        (DEVELOPMENT, {"CF_ACCESS_TEAM_DOMAIN": "http://127.0.0.1.evil.example"}, [BAD_TEAM]),
        (GOOD, {"CF_ACCESS_TEAM_DOMAIN": "https://team.cloudflareaccess.com/path"}, [BAD_TEAM]),
        (GOOD, {"CF_ACCESS_TEAM_DOMAIN": "https://user@team.cloudflareaccess.com"}, [BAD_TEAM]),
        (GOOD, {"CF_ACCESS_TEAM_DOMAIN": "https://:word@team.cloudflareaccess.com"}, [BAD_TEAM]),
        (GOOD, {"CF_ACCESS_TEAM_DOMAIN": "ftp://team.cloudflareaccess.com"}, [BAD_TEAM]),
        (GOOD, {"CF_ACCESS_TEAM_DOMAIN": "https://["}, [BAD_TEAM]),
        (GOOD, {"CF_ACCESS_TEAM_DOMAIN": "https://team.cloudflareaccess.com#x"}, [BAD_TEAM]),
        (GOOD, {"CF_ACCESS_TEAM_DOMAIN": "https://team.cloudflareaccess.com?x=1"}, [BAD_TEAM]),
        (GOOD, {"CF_ACCESS_TEAM_DOMAIN": "a.b"}, [BAD_TEAM]),
        (GOOD, {"CF_ACCESS_TEAM_DOMAIN": "a@b"}, [BAD_TEAM]),
        (GOOD, {"CF_ACCESS_TEAM_DOMAIN": "evil.example/x?"}, [BAD_TEAM]),
        (GOOD, {"CF_ACCESS_TEAM_DOMAIN": "team/x"}, [BAD_TEAM]),
        (GOOD, {"CF_ACCESS_TEAM_DOMAIN": "https://"}, [BAD_TEAM]),
        (GOOD, {"ADMIN_HOST": "https://admin.example.com"}, [BAD_HOST]),
        (GOOD, {"ADMIN_HOST": "admin.example.com:443"}, [BAD_HOST]),
        (GOOD, {"ADMIN_HOST": "admin.example.com:port"}, [BAD_HOST]),
        (GOOD, {"ADMIN_HOST": "user@admin.example.com"}, [BAD_HOST]),
        (GOOD, {"ADMIN_HOST": "admin.example.com/x"}, [BAD_HOST]),
        (GOOD, {"ADMIN_HOST": "["}, [BAD_HOST]),
        (GOOD, {"ADMIN_HOST": "ädmin.example.com"}, [BAD_HOST]),
        (GOOD, {"ADMIN_ORIGIN": "https://other.example"}, [NO_ORIGIN]),
        (GOOD, {"ADMIN_ORIGIN": "http://admin.example.com"}, [BAD_ORIGIN]),
        (DEVELOPMENT, {"ADMIN_ORIGIN": "http://admin.example.com"}, [BAD_ORIGIN]),
        (GOOD, {"ADMIN_HOST": "localhost:8000", "ADMIN_ORIGIN": "http://localhost:8000"}, [BAD_ORIGIN]),
        (DEVELOPMENT, {"ADMIN_HOST": "localhost:8000", "ADMIN_ORIGIN": "http://localhost:8000"}, []),
        (GOOD, {"ADMIN_ORIGIN": "https://admin.example.com/"}, [BAD_ORIGIN]),
        (GOOD, {"ADMIN_ORIGIN": "https://["}, [NO_ORIGIN, BAD_ORIGIN]),
        (GOOD, {"CF_ACCESS_TOKEN_TYPES": "app,meta"}, ["CF_ACCESS_TOKEN_TYPES: knows only app and org"]),
        (
            GOOD,
            {"CF_ACCESS_LEEWAY_SECONDS": "121"},
            ["CF_ACCESS_LEEWAY_SECONDS: Input should be less than or equal to 120"],
        ),
        (
            GOOD,
            {"CF_ACCESS_LEEWAY_SECONDS": "-1"},
            ["CF_ACCESS_LEEWAY_SECONDS: Input should be greater than or equal to 0"],
        ),
        (
            GOOD,
            {"ROSTER_MAX_STALENESS": "61"},
            ["ROSTER_MAX_STALENESS: Input should be less than or equal to 60"],
        ),
        (
            GOOD,
            {"ROSTER_MAX_STALENESS": "nan"},
            ["ROSTER_MAX_STALENESS: Input should be less than or equal to 60"],
        ),
        (
            GOOD,
            {"AUTH_PROXY_WORKERS": "0"},
            ["AUTH_PROXY_WORKERS: Input should be greater than or equal to 1"],
        ),
        (
            GOOD,
            {"AUTH_PROXY_WORKERS": "65"},
            ["AUTH_PROXY_WORKERS: Input should be less than or equal to 64"],
        ),
        (
            GOOD,
            {"AUTH_PROXY_LAME_DUCK_SECONDS": "601"},
            ["AUTH_PROXY_LAME_DUCK_SECONDS: Input should be less than or equal to 600"],
        ),
        (GOOD, {"AUTH_PROXY_LISTEN": "8080"}, [BAD_LISTEN]),
        (GOOD, {"AUTH_PROXY_LISTEN": "unix:"}, [BAD_LISTEN]),
        (GOOD, {"AUTH_PROXY_LISTEN": "127.0.0.1:65536"}, [BAD_LISTEN]),
        (GOOD, {"ADMIN_SERVICE_URL": "ftp://x"}, [f"ADMIN_SERVICE_URL: {BAD_URL}"]),
        (GOOD, {"ADMIN_SERVICE_URL": "http://user:word@x"}, [f"ADMIN_SERVICE_URL: {BAD_URL}"]),
        (GOOD, {"ADMIN_SERVICE_URL": "http://:word@x"}, [f"ADMIN_SERVICE_URL: {BAD_URL}"]),
        (
            GOOD,
            {"AUTH_PROXY_TRUSTED_PROXIES": "10.0.0.0/8,everybody"},
            ["configuration: AUTH_PROXY_TRUSTED_PROXIES must list addresses or networks"],
        ),
        (GOOD, {"LOCAL_DEV_ADMIN_EMAIL": "ada@example.com"}, [DEV_OUTSIDE]),
        (GOOD, {"ALLOW_DEV_ADMIN_AUTH": "true"}, [DEV_OUTSIDE]),
        (GOOD, {"ALLOW_DEV_ADMIN_AUTH": "false"}, [DEV_OUTSIDE]),
        ({**DEV_GATE, "APP_ENV": "staging"}, {}, [DEV_OUTSIDE]),
        ({**DEV_GATE, "APP_ENV": "test"}, {}, [DEV_OUTSIDE]),
        (
            {**DEV_GATE, "APP_ENV": "Development"},
            {},
            ["APP_ENV: Input should be 'production', 'staging', 'test' or 'development'"],
        ),
        (DEV_GATE, {}, []),
        (DEV_GATE, {"AUTH_PROXY_LISTEN": "0.0.0.0:8080"}, [NO_LOOPBACK]),
        (DEV_GATE, {"AUTH_PROXY_LISTEN": "[::]:8080"}, [NO_LOOPBACK]),
        (DEV_GATE, {"AUTH_PROXY_LISTEN": "myhost:8080"}, [NO_LOOPBACK]),
        (DEV_GATE, {"AUTH_PROXY_LISTEN": "[::1]:8080"}, []),
        (DEV_GATE, {"AUTH_PROXY_LISTEN": "unix:/run/x.sock"}, []),
        (
            DEV_GATE,
            {"LOCAL_DEV_ADMIN_EMAIL": "ada"},
            ["LOCAL_DEV_ADMIN_EMAIL: must be one plain e-mail address"],
        ),
        (
            {name: value for name, value in GOOD.items() if name != "TENANT_SERVICE_URL"},
            {},
            ["TENANT_SERVICE_URL: is required with ADMIN_SERVICE_URL"],
        ),
        (
            GOOD,
            {"ADMIN_SERVICE_URL": ""},
            [
                "ADMIN_SERVICE_URL / AUTH_PROXY_UPSTREAM / AUTH_PROXY_CONFIG: set at least one of them",
                "ADMIN_SERVICE_URL / AUTH_PROXY_ROSTER: set at least one of them",
            ],
        ),
        (
            GOOD,
            {"ADMIN_SERVICE_URL": "", "AUTH_PROXY_UPSTREAM": "http://x", "AUTH_PROXY_ROSTER": "feed"},
            ["AUTH_PROXY_ROSTER: feed needs ADMIN_SERVICE_URL"],
        ),
        (GOOD, {"AUTH_PROXY_ROSTER": "open:support"}, [OPEN_PANEL]),
        (GOOD, {"AUTH_PROXY_ROSTER": "file:/x"}, [OPEN_PANEL]),
        (ALONE, {"AUTH_PROXY_ROSTER": "file:/x"}, []),
        (ALONE, {"AUTH_PROXY_ROSTER": "file:x"}, [BAD_ROSTER]),
        (ALONE, {"AUTH_PROXY_ROSTER": "file:"}, [BAD_ROSTER]),
        (ALONE, {"AUTH_PROXY_ROSTER": "open:root"}, [BAD_ROSTER]),
        (ALONE, {"AUTH_PROXY_ROSTER": "open:"}, [BAD_ROSTER]),
        (ALONE, {"AUTH_PROXY_ROSTER": "open"}, [BAD_ROSTER]),
        (ALONE, {}, []),
    ],
)
def test_each_configuration_has_its_exact_problems(
    environ: dict[str, str], changes: dict[str, str], expected: list[str]
) -> None:
    """R-034, R-043, R-049, R-050, R-173, C-04, C-08: nothing starts that could let somebody in by mistake."""
    assert problems(environ, **changes) == expected


def test_problems_come_together() -> None:
    """Five mistakes are one start, not five."""
    told = problems(
        GOOD,
        CF_ACCESS_TEAM_DOMAIN="",
        ADMIN_HOST="https://x",
        ALLOW_DEV_ADMIN_AUTH="1",
        TENANT_SERVICE_URL="",
    )

    assert told == [NO_TEAM, BAD_HOST, DEV_OUTSIDE, "TENANT_SERVICE_URL: is required with ADMIN_SERVICE_URL"]


@pytest.mark.parametrize(
    "changes",
    [
        {"CF_ACCESS_TEAM_DOMAIN": "https://team.cloudflareaccess.com/"},
        {"CF_ACCESS_TEAM_DOMAIN": "HTTPS://Team.CloudflareAccess.com"},
        {"CF_ACCESS_TEAM_DOMAIN": "team.cloudflareaccess.com"},
        {"CF_ACCESS_TEAM_DOMAIN": "https://team.cloudflareaccess.com:443/"},
        {"CF_ACCESS_TEAM_DOMAIN": "team"},
        {"CF_ACCESS_TEAM_DOMAIN": "", "CF_ACCESS_TEAM": "team"},
        {"CF_ACCESS_TEAM": "team"},
        {"CF_ACCESS_AUD": "", "CLOUDFLARE_ACCESS_AUD": "aud-1"},
        {"CLOUDFLARE_ACCESS_AUD": "aud-1"},
    ],
    ids=repr,
)
def test_every_name_of_the_team_is_one_issuer(changes: dict[str, str]) -> None:
    """R-034, R-043, C-04: any of the names and spellings, normalised, without a trailing slash."""
    settings = load_proxy_settings({**GOOD, **changes})

    assert settings.issuer_url == "https://team.cloudflareaccess.com"
    assert settings.audiences == ("aud-1",)


@pytest.mark.parametrize(
    "changes, is_open",
    [
        ({}, True),
        ({"APP_ENV": "", "NODE_ENV": "development"}, True),
        ({"ALLOW_DEV_ADMIN_AUTH": "TRUE"}, False),
        ({"ALLOW_DEV_ADMIN_AUTH": "1"}, False),
        ({"ALLOW_DEV_ADMIN_AUTH": ""}, False),
        ({"LOCAL_DEV_ADMIN_EMAIL": ""}, False),
    ],
)
def test_the_development_gate_needs_all_three(changes: dict[str, str], is_open: bool) -> None:
    """R-049: environment, the exact word `true`, and an address."""
    assert load_proxy_settings({**DEV_GATE, **changes}).dev_gate_is_open is is_open


@pytest.mark.parametrize("name", ["LOCAL_DEV_ADMIN_EMAIL", "ALLOW_DEV_ADMIN_AUTH"])
@pytest.mark.parametrize("environment", ["production", "staging", "test"])
def test_either_setting_of_the_gate_outside_development_is_a_misconfiguration(
    name: str, environment: str
) -> None:
    """R-050, C-08: also known to a gate that was built in spite of it."""
    settings = load_settings(ProxySettings, {**GOOD, "APP_ENV": environment, name: "x"})

    assert settings.is_misconfigured
    assert not settings.dev_gate_is_open


def test_several_hosts_have_their_own_origins() -> None:
    """R-097: an origin serves the host that it names, and no other."""
    settings = load_proxy_settings(
        {
            **GOOD,
            "ADMIN_HOST": "A.example, b.example:8443",
            "ADMIN_ORIGIN": "https://a.example,https://B.example:8443",
        }
    )

    assert settings.origins_by_host == {
        "a.example": {"https://a.example"},
        "b.example:8443": {"https://b.example:8443"},
    }


def test_a_unix_socket_and_networks_are_read() -> None:
    """The forms of architecture.md section 8."""
    settings = load_proxy_settings(
        {
            **GOOD,
            "AUTH_PROXY_LISTEN": "unix:/run/gate.sock",
            "ADMIN_SERVICE_URL": "http+unix:///run/admin.sock",
            "AUTH_PROXY_TRUSTED_PROXIES": "10.0.0.0/8, ::1",
        }
    )

    assert settings.listen == Listen(path="/run/gate.sock")
    assert settings.admin_service is not None
    assert settings.admin_service.socket_path == "/run/admin.sock"
    assert settings.trusted_proxies == ("10.0.0.0/8", "::1")


NAMES = sorted({name for names in variables(ProxySettings).values() for name in names})
MARK = "Hunter2"


@settings(max_examples=200, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(NAMES),
        st.sampled_from(
            ["{}", "http://{}", "https://u:{}@h", "http://h:{}", "http://[{}]", "unix:{}", "[{}", "a,{}"]
        ),
        max_size=6,
    )
)
def test_no_problem_repeats_a_value(shapes: dict[str, str]) -> None:
    """A value may be a secret: whatever is wrong with it, the error names the variable alone."""
    told = problems(GOOD, **{name: shape.format(MARK) for name, shape in shapes.items()})

    hosts = f" {MARK.lower()}"
    assert not [problem for problem in told if MARK in problem and not problem.endswith(hosts)]


def own_routes(folder: Path, text: str) -> str:
    path = folder / "auth_proxy.toml"
    path.write_text(text, encoding="utf-8")
    return str(path)


@pytest.mark.parametrize(
    "text, changes, expected",
    [
        (
            '[hosts."b.example.com"]\naudiences = ["x"]',
            {},
            ["AUTH_PROXY_CONFIG: names the host b.example.com, which is not in ADMIN_HOST"],
        ),
        (
            '[[routes]]\nprefix = "/"\ntarget = "http://127.0.0.1:3000"',
            {"AUTH_PROXY_UPSTREAM": "http://127.0.0.1:3001"},
            ["AUTH_PROXY_UPSTREAM / AUTH_PROXY_CONFIG: both say what stands at /"],
        ),
        (
            '[[routes]]\nprefix = "/manage/x"\ntarget = "http://127.0.0.1:3000"',
            {},
            ["AUTH_PROXY_CONFIG: /manage/x: is a path of the panel"],
        ),
        ('[[routes]]\nprefix = "/x"\ntarget = "http://127.0.0.1:3000"', {}, []),
    ],
)
def test_a_route_file_fits_the_other_settings(
    tmp_path: Path, text: str, changes: dict[str, str], expected: list[str]
) -> None:
    """R-007: what the file and the variables say together is judged at start."""
    assert problems(GOOD, AUTH_PROXY_CONFIG=own_routes(tmp_path, text), **changes) == expected


def test_each_host_has_its_own_audiences_or_the_common_ones(tmp_path: Path) -> None:
    """R-014: a host's own applications replace the common ones, nothing is merged."""
    text = '[hosts."b.example.com"]\naudiences = ["own"]'
    host = GOOD["ADMIN_HOST"]
    environ = {
        **GOOD,
        "ADMIN_HOST": f"{host},b.example.com",
        "ADMIN_ORIGIN": "",
        "AUTH_PROXY_CONFIG": own_routes(tmp_path, text),
    }
    found = load_proxy_settings(environ).audiences_by_host

    assert found == {host: frozenset({GOOD["CF_ACCESS_AUD"]}), "b.example.com": frozenset({"own"})}


def test_the_routes_are_read_again_and_nothing_else(tmp_path: Path) -> None:
    """A reload keeps every other setting as it was given, and asks the environment no second time."""
    path = tmp_path / "routes.toml"
    path.write_text("", encoding="utf-8")
    given = {**GOOD, "CF_ACCESS_TEAM_DOMAIN": "", "CF_ACCESS_TEAM": "team", "AUTH_PROXY_CONFIG": str(path)}
    before = load_proxy_settings(given)
    path.write_text('[[routes]]\nprefix = "/app"\ntarget = "http://127.0.0.1:3000"\n', encoding="utf-8")
    after = with_routes_reread(before, path)

    assert [route.name for route in after.config.routes] == ["/app"]
    assert after.model_dump(exclude={"route_file"}) == before.model_dump(exclude={"route_file"})
    assert after.model_fields_set == before.model_fields_set
    assert before.config.routes == ()


@pytest.mark.parametrize(
    "text, problem",
    [
        (
            '[hosts."b.example.com"]\naudiences = ["x"]',
            "names the host b.example.com, which is not in ADMIN_HOST",
        ),
        ('[[routes]]\nprefix = "/manage"\ntarget = "http://a"', "/manage: is a path of the panel"),
        ("nonsense = 1", "nonsense: Extra inputs are not permitted"),
    ],
)
def test_a_reread_file_is_judged_as_at_start(tmp_path: Path, text: str, problem: str) -> None:
    """R-173: what would stop the start is refused while it runs, too."""
    path = tmp_path / "routes.toml"
    path.write_text("", encoding="utf-8")
    before = load_proxy_settings({**GOOD, "AUTH_PROXY_CONFIG": str(path)})
    path.write_text(text, encoding="utf-8")

    with pytest.raises(SettingsError) as caught:
        with_routes_reread(before, path)

    assert str(caught.value) == f"AUTH_PROXY_CONFIG: {problem}"
    assert problems(GOOD, AUTH_PROXY_CONFIG=str(path)) == [str(caught.value)]


def test_one_upstream_may_be_several_servers() -> None:
    """AUTH_PROXY_UPSTREAM is a comma list; a wrong server is named by its place."""
    several = "http://10.0.0.1:3000,http://10.0.0.2:3000"
    assert str(load_proxy_settings({**ALONE, "AUTH_PROXY_UPSTREAM": several}).upstream) == several.replace(
        ",", ", "
    )
    assert problems(ALONE, AUTH_PROXY_UPSTREAM=f"{several},http://10.0.0.1:3000") == [
        "AUTH_PROXY_UPSTREAM: server 3: stands there twice"
    ]
