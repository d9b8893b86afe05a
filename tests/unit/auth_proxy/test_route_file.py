"""Routes of one's own: what a file may say, and everything it may not."""

from pathlib import Path

import pytest

from auth_proxy.destinations import Servers, StaticFolder
from auth_proxy.route_file import RouteFile, load_route_file, panel_clashes
from auth_proxy.routes import ANY_METHOD, IdentityField, Requirement
from service_kit.identity.model import Permission, Role
from service_kit.web.service_url import ServiceUrl

GRAFANA = """
[hosts."grafana.example.com"]
audiences = ["grafana-aud"]

[[routes]]
host = "Grafana.example.com"
prefix = "/"
target = "http://127.0.0.1:3000"
audience = "grafana"
identity_headers = { "X-WEBAUTH-USER" = "email", "X-WEBAUTH-ROLE" = "role" }
"""


def read(folder: Path, text: str) -> RouteFile:
    path = folder / "auth_proxy.toml"
    path.write_text(text, encoding="utf-8")
    return load_route_file(path)


def route(text: str) -> str:
    """A file with one route, in which `text` is all that is not usual."""
    usual = {"prefix": '"/app"', "target": '"http://127.0.0.1:3000"'}
    given = {line.partition("=")[0].strip(): line.partition("=")[2] for line in text.splitlines() if line}
    return "[[routes]]\n" + "\n".join(f"{name} = {value}" for name, value in {**usual, **given}.items())


def test_a_host_with_its_own_application_and_plain_headers(tmp_path: Path) -> None:
    """R-007, R-014: the frontend that wants X-WEBAUTH-USER, as the documentation shows it."""
    found = read(tmp_path, GRAFANA)

    (only,) = found.routes
    assert (only.host, only.pattern, only.target) == ("grafana.example.com", "/", "http://127.0.0.1:3000")
    assert only.name == "grafana.example.com/"
    assert only.identity_audience == "grafana"
    assert only.identity_headers == (
        ("X-WEBAUTH-USER", IdentityField.EMAIL),
        ("X-WEBAUTH-ROLE", IdentityField.ROLE),
    )
    assert only.requirement is Requirement.OPERATOR
    assert only.methods == ANY_METHOD
    assert found.audiences == {"grafana.example.com": frozenset({"grafana-aud"})}
    server = Servers((ServiceUrl("http://127.0.0.1:3000"),))
    assert found.destinations == {"http://127.0.0.1:3000": server}
    assert found.hosts == found.owned_hosts == frozenset({"grafana.example.com"})
    assert str(found) == str(tmp_path / "auth_proxy.toml")


@pytest.mark.parametrize(
    "text, requirement",
    [
        ('permission = "identity"', Requirement.PERSON),
        ('permission = "operator"', Requirement.OPERATOR),
        ('permission = "tenant.view"', Permission.TENANT_VIEW),
        ('roles = ["security", "super_admin"]', frozenset({Role.SECURITY, Role.SUPER_ADMIN})),
        ("", Requirement.OPERATOR),
    ],
)
def test_a_route_asks_for_what_it_says(tmp_path: Path, text: str, requirement: object) -> None:
    """R-003, R-007, R-016: anybody whom Access proves only where a route says so in one word."""
    (only,) = read(tmp_path, route(text)).routes

    assert only.requirement == requirement


def test_get_brings_head_and_nothing_else(tmp_path: Path) -> None:
    """A route for reading can be probed; it is not a route for writing."""
    (only,) = read(tmp_path, route('methods = ["GET"]')).routes

    assert only.methods == {"GET", "HEAD"}


def test_a_folder_is_a_target(tmp_path: Path) -> None:
    """R-160: static files go through the same table as everything else."""
    found = read(tmp_path, route(f'target = "static:{tmp_path}"\nspa_fallback = true'))

    assert found.destinations == {f"static:{tmp_path}": StaticFolder(tmp_path)}
    assert found.routes[0].spa_fallback


def test_a_target_may_be_several_servers(tmp_path: Path) -> None:
    """Architecture 6: `target` as a list is one destination, under one name; it can take websockets."""
    listed = 'target = ["http://10.0.0.1:3000", "http+unix:///run/app.sock"]\nwebsocket = true'
    found = read(tmp_path, route(listed))

    name = "http://10.0.0.1:3000, http+unix:///run/app.sock"
    assert found.routes[0].target == name
    assert [str(server) for server in found.destinations.values()] == [name]


@pytest.mark.parametrize(
    "text, problem",
    [
        ('target = ["http://10.0.0.1", "http://10.0.0.1"]', "routes.0.target: server 2: stands there twice"),
        ('target = ["http://10.0.0.1", "static:/"]', "routes.0.target: server 2: a folder stands alone"),
        ("target = []", "routes.0.target: must name 1 to 16 servers"),
        ("nonsense = 1", "nonsense: Extra inputs are not permitted"),
        ('prefix = "app"', "prefix must be a plain path"),
        ('prefix = "/app/"', "prefix must be a plain path"),
        ('prefix = "/a//b"', "prefix must be a plain path"),
        ('prefix = "/a/../b"', "prefix must be a plain path"),
        ('prefix = "/%61"', "prefix must be a plain path"),
        ('prefix = "/a/*"', "prefix must be a plain path"),
        ('prefix = "/a;b"', "prefix must be a plain path"),
        ('target = "file:///etc"', "target"),
        ('target = "http://user:secret@127.0.0.1"', "target"),
        ('target = "static:relative"', "must name an absolute folder"),
        ('target = "static:/not/there/at/all"', "names a folder that is not there"),
        ('methods = ["get"]', "methods"),
        ('methods = ["TRACE"]', "methods"),
        ('permission = "everybody"', "permission"),
        ('roles = ["root"]', "roles"),
        ("roles = []", "roles"),
        ('permission = "identity"\nroles = ["support"]', "permission and roles exclude each other"),
        ('audience = "admin_service"', "audience must not be one of Sallyport's own services"),
        ('audience = "tenant_service"', "audience must not be one of Sallyport's own services"),
        ('audience = "auth_proxy"', "audience must not be one of Sallyport's own services"),
        ('audience = "a b"', "audience"),
        ("max_body = 0", "max_body"),
        ('identity_headers = { "X-WEBAUTH-USER" = "password" }', "identity_headers"),
        ('identity_headers = { "X-Internal-Identity" = "email" }', "must not set X-Internal-Identity"),
        ('identity_headers = { "x_internal_user" = "email" }', "must not set x_internal_user"),
        ('identity_headers = { "Cf-Access-User" = "email" }', "must not set Cf-Access-User"),
        ('identity_headers = { "X-Forwarded-For" = "email" }', "must not set X-Forwarded-For"),
        ('identity_headers = { "Host" = "email" }', "must not set Host"),
        ('identity_headers = { "Cookie" = "email" }', "must not set Cookie"),
        ('identity_headers = { "Authorization" = "email" }', "must not set Authorization"),
        ('identity_headers = { "Content-Length" = "email" }', "must not set Content-Length"),
        ('identity_headers = { "Connection" = "email" }', "must not set Connection"),
        ('identity_headers = { "Sec-Fetch-Site" = "email" }', "must not set Sec-Fetch-Site"),
        ('identity_headers = { "X User" = "email" }', "must not set X User"),
        ('identity_headers = { "X-User" = "email", "X_USER" = "sub" }', "must not set X_USER"),
        ('identity_headers = { "X-User" = "email", "x-user" = "sub" }', "must not set x-user"),
    ],
)
def test_what_a_route_may_not_say(tmp_path: Path, text: str, problem: str) -> None:
    """Whatever is not understood, or would weaken an identity, is refused with its place."""
    with pytest.raises(ValueError, match="routes") as caught:
        read(tmp_path, route(text))

    assert problem in str(caught.value)
    assert "secret" not in str(caught.value)


def test_every_problem_is_told_at_once(tmp_path: Path) -> None:
    """Nobody should have to start three times to learn of three mistakes."""
    text = "\n".join(
        [route('prefix = "x"'), route('audience = "admin_service"'), "[hosts.a]\naudiences = []\n"]
    )

    with pytest.raises(ValueError, match="prefix") as caught:
        read(tmp_path, text)

    assert "routes.0" in str(caught.value)
    assert "routes.1" in str(caught.value)
    assert "hosts.a.audiences" in str(caught.value)


def test_a_file_that_cannot_be_read_is_named_as_that(tmp_path: Path) -> None:
    """Not there, not TOML, not UTF-8: three texts, none of which repeats what is in it."""
    with pytest.raises(ValueError, match="cannot be read"):
        load_route_file(tmp_path / "missing.toml")
    with pytest.raises(ValueError, match="is not TOML"):
        read(tmp_path, "[[routes")
    (tmp_path / "latin.toml").write_bytes(b"\xff")
    with pytest.raises(ValueError, match="cannot be read"):
        load_route_file(tmp_path / "latin.toml")


def test_one_place_has_one_route(tmp_path: Path) -> None:
    """Two routes for one prefix would leave it to their order who passes."""
    with pytest.raises(ValueError, match="two routes for /app"):
        read(tmp_path, "\n".join([route(""), route('prefix = "/APP"')]))

    text = "\n".join([route('host = "a.example.com"'), route('host = "b.example.com"')])
    assert len(read(tmp_path, text).routes) == 2


@pytest.mark.parametrize(
    "other, fits",
    [
        ('prefix = "/app/admin"', False),
        ('prefix = "/APP/admin"', False),
        ('prefix = "/app/admin"\nhost = "b.example.com"', True),
        ("", None),
    ],
)
def test_encoded_slashes_stand_alone(tmp_path: Path, other: str, fits: bool | None) -> None:
    """Architecture 6: `/app%2Fadmin` must not be a way around a stricter route below `/app`."""
    text = route('encoded_slashes = true\nhost = "a.example.com"')
    if other:
        text += f"\n{route(other)}"

    if fits is False:
        with pytest.raises(ValueError, match="encoded_slashes where another route shares the prefix"):
            read(tmp_path, text)
    else:
        assert read(tmp_path, text).routes[0].encoded_slashes


@pytest.mark.parametrize(
    "text, clash",
    [
        ('prefix = "/manage"', "/manage: is a path of the panel"),
        ('prefix = "/manage/reports"', "/manage/reports: is a path of the panel"),
        ('prefix = "/api/admin/tenants"', "/api/admin/tenants: is a path of the panel"),
        ('prefix = "/api/access-sso"', "/api/access-sso: is a path of the panel"),
        ('prefix = "/enrollment"', "/enrollment: is a path of the panel"),
        ('prefix = "/Manage"', "/Manage: is a path of the panel"),
        ('prefix = "/MANAGE/tenants"', "/MANAGE/tenants: is a path of the panel"),
        ('prefix = "/grafana"', ""),
        ('prefix = "/"', ""),
        ('prefix = "/"\nencoded_slashes = true', "/: encoded_slashes beside the panel"),
        ('prefix = "/"\nencoded_slashes = true\nhost = "b.example.com"', ""),
        ('prefix = "/manage"\nhost = "b.example.com"', "b.example.com/manage: is a path of the panel"),
    ],
)
def test_the_panel_cannot_be_opened_or_hidden(tmp_path: Path, text: str, clash: str) -> None:
    """R-003, R-081: no file gives a path of the panel another target or a weaker requirement."""
    found = list(panel_clashes(read(tmp_path, route(text))))

    assert len(found) == (1 if clash else 0)
    assert all(text.startswith(clash) for text in found)


def test_a_host_of_its_own_keeps_enrollment_and_the_boot_exchange(tmp_path: Path) -> None:
    """A frontend on its own host may use /manage; the two paths that its people need are not its."""
    own_root = route('prefix = "/"\nhost = "b.example.com"')
    manage = route('prefix = "/manage"\nhost = "b.example.com"')
    enrollment = route('prefix = "/enrollment"\nhost = "b.example.com"')

    assert not list(panel_clashes(read(tmp_path, f"{own_root}\n{manage}")))
    clashes = list(panel_clashes(read(tmp_path, f"{own_root}\n{enrollment}")))
    assert clashes == ["b.example.com/enrollment: is a path of the panel"]


def test_nothing_is_an_empty_file() -> None:
    """Without AUTH_PROXY_CONFIG there are no routes, hosts or destinations."""
    assert str(RouteFile()) == ""
    assert not RouteFile().routes


@pytest.mark.parametrize(
    "text, problem",
    [
        ('websocket = true\nmethods = ["POST"]', "websocket needs a server as its target"),
        ("spa_fallback = true", "spa_fallback needs a folder as its target"),
    ],
)
def test_what_a_target_cannot_do_is_told_at_start(tmp_path: Path, text: str, problem: str) -> None:
    """A setting that would do nothing is a mistake, not a wish."""
    with pytest.raises(ValueError, match=problem):
        read(tmp_path, route(text))


def test_a_host_has_one_table(tmp_path: Path) -> None:
    """Two spellings of one host would leave it open whose tokens it takes."""
    text = '[hosts."a.example.com"]\naudiences = ["x"]\n[hosts."A.example.com"]\naudiences = ["y"]'

    with pytest.raises(ValueError, match="one host stands there twice"):
        read(tmp_path, text)


def test_what_is_read_already_stays_as_it_is() -> None:
    """Settings are validated again when they are copied."""
    found = RouteFile()

    assert load_route_file(found) is found
