"""What a route file says about websockets and about how long a route waits."""

from pathlib import Path

import pytest

from auth_proxy.route_file import load_route_file
from auth_proxy.routes import BUILT_IN, Route, Timeouts

UPSTREAM = '[[routes]]\nprefix = "/app"\ntarget = "http://127.0.0.1:3000"\n'


def read(folder: Path, text: str) -> Route:
    path = folder / "routes.toml"
    path.write_text(text, encoding="utf-8")
    (only,) = load_route_file(path).routes
    return only


def test_nothing_is_a_websocket_by_itself(tmp_path: Path) -> None:
    """Only a route that says so takes upgrades; the panel's and the API's never do."""
    assert not read(tmp_path, UPSTREAM).websocket
    assert not any(route.websocket for route in BUILT_IN)
    assert read(tmp_path, UPSTREAM + "websocket = true\n").websocket


def test_timeouts_are_the_routes_own(tmp_path: Path) -> None:
    """What is not named keeps the sidecar's limit; a pause within a body has none."""
    assert read(tmp_path, UPSTREAM).timeouts == Timeouts(None, None, None)
    text = UPSTREAM + "timeouts = { connect = 1.5, idle = 30 }\n"
    assert read(tmp_path, text).timeouts == Timeouts(1.5, None, 30.0)
    text = UPSTREAM + "timeouts = { response_header = 300 }\n"
    assert read(tmp_path, text).timeouts == Timeouts(response_header=300.0)


@pytest.mark.parametrize(
    "line, place",
    [
        ("websocket = 5", "websocket"),
        ('websocket = true\nmethods = ["POST"]', "GET"),
        ("timeouts = 5", "timeouts"),
        ("timeouts = { connect = 0 }", "connect"),
        ("timeouts = { connect = -1 }", "connect"),
        ("timeouts = { idle = inf }", "idle"),
        ("timeouts = { idle = nan }", "idle"),
        ("timeouts = { idle = true }", "idle"),
        ('timeouts = { response_header = "5" }', "response_header"),
        ("timeouts = { total = 5 }", "total"),
        ("timeouts = { idle = 1e9 }", "idle"),
    ],
)
def test_what_is_not_understood_is_refused_with_its_place(tmp_path: Path, line: str, place: str) -> None:
    """A timeout that never comes, or that comes at once, is a mistake; so is a total one for a stream."""
    with pytest.raises(ValueError, match=place):
        read(tmp_path, f"{UPSTREAM}{line}\n")


def test_a_folder_is_no_websocket(tmp_path: Path) -> None:
    """There is nobody behind static files who could answer."""
    text = f'[[routes]]\nprefix = "/app"\ntarget = "static:{tmp_path}"\nwebsocket = true\n'
    (tmp_path / "index.html").write_text("x", encoding="utf-8")

    with pytest.raises(ValueError, match="websocket needs a server"):
        read(tmp_path, text)
