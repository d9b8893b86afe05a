"""Every relative link of the documents leads to a file, and to a heading of it where it names one."""

import re
from functools import lru_cache
from pathlib import Path

import pytest

from docs.api_reference import Slugs

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


def without_code(text: str) -> str:
    """The text without fenced blocks and code spans: what looks like a link there is none."""
    text = re.sub(r"^ *```.*?^ *```", "", text, flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"`[^`\n]*`", "`code`", text)


def headings(text: str) -> list[str]:
    """The text of each heading, as GitHub reads it for an anchor."""
    text = re.sub(r"^ *```.*?^ *```", "", text, flags=re.MULTILINE | re.DOTALL)
    found = re.findall(r"^#{1,6} +(.+?)(?: +#+)?$", text, re.MULTILINE)
    return [
        re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "").replace("*", "")
        for heading in found
    ]


@lru_cache(maxsize=256)
def anchors(page: Path) -> frozenset[str]:
    """Every anchor of a page: of its headings, and those that it sets itself."""
    text = page.read_text(encoding="utf-8")
    slugs = Slugs()
    made = {slugs.of(heading) for heading in headings(text)}
    return frozenset(made | set(re.findall(r"<a (?:id|name)=\"([^\"]+)\"", text)))


def links(page: Path) -> list[str]:
    """The relative links of a page, with their anchors."""
    found = re.findall(r"\]\((?!https?:|mailto:)([^)\s]+)\)", without_code(page.read_text(encoding="utf-8")))
    return [link for link in found if "NNNN" not in link]


def leads_somewhere(page: Path, link: str) -> bool:
    name, _, anchor = link.partition("#")
    target = (page.parent / name).resolve() if name else page
    if not target.exists():
        return False
    return not anchor or target.suffix != ".md" or anchor in anchors(target)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_a_file_and_a_heading(page: Path) -> None:
    """Issue 10: who follows a link arrives, also at the heading that it names."""
    assert [link for link in links(page) if not leads_somewhere(page, link)] == []


def test_a_link_to_nowhere_would_be_found(tmp_path: Path) -> None:
    """A missing file, a missing heading, and a heading within a code block are nowhere."""
    page = tmp_path / "page.md"
    page.write_text(
        "# One `two`\n\n## One two\n\n```\n# Three\n```\n\n[a](gone.md)\n`[b](c)`\n", encoding="utf-8"
    )

    assert links(page) == ["gone.md"]
    assert anchors(page) == {"one-two", "one-two-1"}
    assert not leads_somewhere(page, "gone.md")
    assert not leads_somewhere(page, "#three")
    assert leads_somewhere(page, "page.md#one-two-1")


def test_the_index_names_every_page() -> None:
    """Issue 10: docs/README.md leads to each page of docs/, so that none has to be guessed."""
    index = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    pages = {path.name for path in (ROOT / "docs").glob("*.md")} - {"README.md"}

    assert {name for name in pages if f"]({name})" not in index} == set()
