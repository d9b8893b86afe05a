"""Static files under hashed names."""

from pathlib import Path

import pytest

from admin_service.panel.assets import Asset, Assets
from admin_service.panel.rendering import STATIC


def written(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        (folder / name.replace("_", ".")).write_text(text)
    return folder


def test_a_url_leads_back_to_its_file(tmp_path: Path) -> None:
    """`url` gives a hashed address, and `find` answers exactly that name with body and type."""
    assets = Assets.load(written(tmp_path, panel_css="a{}"))
    address = assets.url("panel.css")

    assert address.startswith("/static/panel/panel.")
    assert address.endswith(".css")
    assert assets.find(address.rpartition("/")[2]) == Asset(b"a{}", "text/css; charset=utf-8")


def test_another_content_is_another_name(tmp_path: Path) -> None:
    """A changed file changes its address, so it may be cached for ever."""
    before = Assets.load(written(tmp_path, panel_js="1")).url("panel.js")
    after = Assets.load(written(tmp_path, panel_js="2")).url("panel.js")

    assert before != after


@pytest.mark.parametrize(
    "name", ["panel.css", "../layout.py", "panel.0000000000000000.css", "", "/etc/passwd"]
)
def test_only_the_exact_hashed_name_is_found(name: str) -> None:
    """A plain, wrong or wandering name finds nothing."""
    assert Assets.load(STATIC).find(name) is None


def test_an_unknown_kind_of_file_is_refused(tmp_path: Path) -> None:
    """A file that nobody meant to publish stops the start instead of being served."""
    with pytest.raises(ValueError, match=r"\.key"):
        Assets.load(written(tmp_path, secret_key="x"))


def test_an_unknown_name_is_a_programming_error() -> None:
    """A template that asks for a missing file fails loudly."""
    with pytest.raises(KeyError):
        Assets.load(STATIC).url("missing.css")


def test_the_panel_serves_four_files() -> None:
    """Stylesheet, module, sprite and favicon: nothing else is public."""
    assert set(Assets.load(STATIC).hashed_names) == {"panel.css", "panel.js", "icons.svg", "favicon.svg"}
