"""Where a route can lead, as one text names it."""

from pathlib import Path

import pytest

from auth_proxy.destinations import StaticFolder, parse_destination
from service_kit.web.service_url import ServiceUrl


def test_a_server_a_socket_and_a_folder(tmp_path: Path) -> None:
    """Each kind is written back as it was named, so that `check` shows what was meant."""
    for text in ("http://127.0.0.1:3000", "http+unix:///run/frontend.sock", f"static:{tmp_path}"):
        found = parse_destination(text)

        assert str(found) == text
        assert parse_destination(found) is found
    assert isinstance(parse_destination("http://127.0.0.1:3000"), ServiceUrl)


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
