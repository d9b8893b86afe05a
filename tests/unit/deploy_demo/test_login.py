import pytest
from aiohttp.test_utils import make_mocked_request

from deploy.demo.login import ask_for_login, is_navigation, local_path, login_url


@pytest.mark.parametrize(
    "path", ["/", "/manage", "/manage/tenants?status=a%20b&x=//y", "/a%5Cb", "/%2Fevil.example"]
)
def test_a_path_of_this_host_is_kept(path: str) -> None:
    """A path and query of the protected host comes back unchanged after the login."""
    assert local_path(path) == path


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.example/",
        "//evil.example",
        "///evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "/\t/evil.example",
        "/\n/evil.example",
        "\t//evil.example",
        " //evil.example",
        "javascript:alert(1)",
        "evil.example",
        "",
        "/a b",
        "/a\r\nSet-Cookie: x=y",
        "/é",
        "/\x7f",
        "/cdn-cgi/access/logout",
        "/cdn-cgi/access/login?redirect_url=/",
        "/" + "a" * 4096,
    ],
)
def test_every_other_target_becomes_the_root(target: str) -> None:
    """Another host in any spelling of browsers, a header break or the edge's own path becomes `/`."""
    assert local_path(target) == "/"


def test_the_login_url_carries_the_whole_path_in_one_parameter() -> None:
    """Nothing of the path can become a parameter of the login."""
    assert login_url("/a?b=1&c=%20#d") == "/cdn-cgi/access/login?redirect_url=%2Fa%3Fb%3D1%26c%3D%2520%23d"


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"Accept": "text/html,*/*"}, True),
        ({"Sec-Fetch-Mode": "navigate"}, True),
        ({"Sec-Fetch-Mode": "cors", "Accept": "text/html"}, False),
        ({"Sec-Fetch-Mode": "navigate", "X-Requested-With": "XMLHttpRequest"}, False),
        ({"Accept": "text/html", "X-Requested-With": "xmlhttprequest"}, False),
        ({"Accept": "application/json"}, False),
        ({}, False),
    ],
)
def test_a_person_and_a_script_are_told_apart(headers: dict[str, str], *, expected: bool) -> None:
    """`X-Requested-With` decides first, as at Cloudflare, then what the browser says, then `Accept`."""
    assert is_navigation(make_mocked_request("GET", "/", headers=headers)) is expected


@pytest.mark.parametrize(
    ("method", "headers", "status"),
    [
        ("GET", {"Accept": "text/html"}, 302),
        ("POST", {"Sec-Fetch-Mode": "navigate"}, 302),
        ("GET", {"X-Requested-With": "XMLHttpRequest", "Accept": "text/html"}, 401),
        ("GET", {"Sec-Fetch-Mode": "websocket"}, 401),
        ("OPTIONS", {"Access-Control-Request-Method": "POST"}, 403),
        ("OPTIONS", {}, 401),
    ],
)
def test_a_login_is_asked_for_as_access_does(method: str, headers: dict[str, str], status: int) -> None:
    """A navigation is redirected, a script gets 401 and a preflight 403; only the first has a Location."""
    response = ask_for_login(make_mocked_request(method, "/manage?a=1", headers=headers))

    assert response.status == status
    assert ("Location" in response.headers) == (status == 302)
