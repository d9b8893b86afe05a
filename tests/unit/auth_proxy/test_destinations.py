"""Where a route can lead, as one text names it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from auth_proxy.destinations import (
    MOST_ADDRESSES,
    Destination,
    Servers,
    StaticFolder,
    parse_destination,
    parse_upstream,
)
from service_kit.web.service_url import ServiceUrl


def servers(value: object) -> tuple[str, ...]:
    found = parse_destination(value)
    assert isinstance(found, Servers)
    return tuple(str(address) for address in found.addresses)


def test_a_server_a_socket_and_a_folder(tmp_path: Path) -> None:
    """Each kind is written back as it was named, so that `check` shows what was meant."""
    for text in ("http://127.0.0.1:3000", "http+unix:///run/frontend.sock", f"static:{tmp_path}"):
        found = parse_destination(text)

        assert str(found) == text
        assert parse_destination(found) is found
    assert servers("http://127.0.0.1:3000") == ("http://127.0.0.1:3000",)


def test_a_folder_is_named_by_its_real_place(tmp_path: Path) -> None:
    """A link that is moved later must not move what is served."""
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")

    assert parse_destination(f"static:{tmp_path}/link") == StaticFolder(tmp_path / "real")


@pytest.mark.parametrize(
    "text, problem",
    [
        ("static:", "absolute folder"),
        ("static:site", "absolute folder"),
        ("static:/not/there", "not there"),
        (f"static:{__file__}", "not there"),
        ("ftp://127.0.0.1", "or static:/folder"),
        ("/srv/site", "or static:/folder"),
        ("http://user:hunter2@127.0.0.1", "or static:/folder"),
    ],
)
def test_anything_else_is_refused_without_being_repeated(text: str, problem: str) -> None:
    """A value may hold a password."""
    with pytest.raises(ValueError, match=problem) as caught:
        parse_destination(text)

    assert "hunter2" not in str(caught.value)


THREE = ["http://10.0.0.1:3000", "https://10.0.0.2", "http+unix:///run/app.sock"]


def test_several_servers_are_one_destination() -> None:
    """Architecture 6: equal servers in the order in which they are named; one alone is no list."""
    assert servers(THREE) == servers(tuple(THREE)) == tuple(THREE)
    assert str(parse_destination(THREE)) == ", ".join(THREE)
    assert parse_destination(THREE[:1]) == parse_destination(THREE[0])
    assert len(servers([f"http://10.0.0.{n}" for n in range(MOST_ADDRESSES)])) == MOST_ADDRESSES


@pytest.mark.parametrize("text", [",".join(THREE), " , ".join(THREE), f" {', '.join(THREE)},"])
def test_a_variable_lists_servers_with_commas(text: str) -> None:
    """AUTH_PROXY_UPSTREAM can name what a route can; what `check` prints can be pasted."""
    assert parse_upstream(text) == parse_destination(THREE)
    assert parse_upstream(parse_upstream(text)) == parse_destination(THREE)


def test_a_variable_names_one_server_or_folder_as_before(tmp_path: Path) -> None:
    """A folder may have a comma in its name."""
    (tmp_path / "a,b").mkdir()

    assert parse_upstream(f"static:{tmp_path}/a,b") == StaticFolder(tmp_path / "a,b")
    assert parse_upstream(THREE[0]) == Servers((ServiceUrl("http://10.0.0.1:3000"),))


TWO = ["http://10.0.0.1", "http://10.0.0.2"]


@pytest.mark.parametrize(
    "value, problem",
    [
        ([], "must name 1 to 16 servers"),
        ([f"http://10.0.0.{n}" for n in range(17)], "must name 1 to 16 servers"),
        ([*TWO, "http://10.0.0.1/"], "server 3: stands there twice"),
        ([*TWO, "http://10.0.0.1:80"], "server 3: stands there twice"),
        (["https://APP.example", "https://app.example:443"], "server 2: stands there twice"),
        (["http+unix:///a", "http+unix:///a"], "server 2: stands there twice"),
        ([*TWO, "static:/srv"], "server 3: a folder stands alone"),
        (["static:/srv"], "server 1: a folder stands alone"),
        ([*TWO, "ftp://10.0.0.3"], "server 3: must be http://host:port or http"),
        ([*TWO, "http://user:hunter2@10.0.0.3"], "server 3: must be http://host:port"),
        ([*TWO, 3], "server 3: must be http://host:port"),
        ([*TWO, ["http://10.0.0.3"]], "server 3: must be http://host:port"),
        (["http+unix:///a, http://10.0.0.1"], "server 1: must be one server, without a comma"),
        ("http+unix:///a, http://10.0.0.1", "must be one server, without a comma"),
        ({"http://10.0.0.1": 1}, "must be http://host:port"),
    ],
)
def test_a_list_that_is_none_is_refused_with_the_place(value: object, problem: str) -> None:
    """Two ways to name one server would send it twice its share; nothing of the value is repeated."""
    with pytest.raises(ValueError, match=problem) as caught:
        parse_destination(value)

    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("parse", [parse_destination, parse_upstream])
def test_what_is_parsed_stays_as_it_is(parse: Callable[[object], Destination], tmp_path: Path) -> None:
    """Settings are validated again when the routes are read again: also a folder that has gone since."""
    for found in (Servers((ServiceUrl("http://a"),)), StaticFolder(tmp_path / "gone")):
        assert parse(found) is found
