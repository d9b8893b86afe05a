"""The static files: colours that can be read in both themes, small files, nothing from elsewhere."""

import re
import xml.etree.ElementTree as ET

import pytest

from admin_service.panel.rendering import STATIC

CSS = (STATIC / "panel.css").read_text()
JS = (STATIC / "panel.js").read_text()
PAIR = re.compile(r"--([a-z0-9-]+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\);")
COLOURS = {name: (light, dark) for name, light, dark in PAIR.findall(CSS)}
GROUNDS = ("canvas", "surface", "raised", "sunken", "hover")
TONES = ("success", "warning", "danger", "info")
TEXT_PAIRS = [
    *((ink, ground) for ink in ("text", "muted", "accent", *TONES) for ground in GROUNDS),
    *((ink, f"{tone}-soft") for tone in TONES for ink in ("text", "muted", tone)),
    ("on-strong", "strong"),
    ("surface", "danger"),  # the badge of production
]
SHAPE_PAIRS = [("control", ground) for ground in ("surface", "sunken", "raised")] + [
    (ink, "surface") for ink in ("chart", "series-2", "series-3", "series-4")
]
JS_BUDGET = 8 * 1024
# 26 KB until charts of several series, the toolbars of lists and the print view came; 7 KB as it travels.
CSS_BUDGET = 30 * 1024


def luminance(colour: str) -> float:
    """WCAG 2.2 relative luminance of `#rrggbb`."""
    channels = [int(colour[index : index + 2], 16) / 255 for index in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(ink: str, ground: str) -> float:
    light, dark = sorted((luminance(ink), luminance(ground)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_the_contrast_formula_is_the_known_one() -> None:
    """Black on white is 21:1, and #767676 on white is the well-known 4.54:1."""
    assert round(contrast("#000000", "#ffffff"), 2) == 21
    assert round(contrast("#767676", "#ffffff"), 2) == 4.54


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize("ink, ground", TEXT_PAIRS, ids=lambda name: name)
def test_text_is_readable(ink: str, ground: str, theme: int) -> None:
    """Each text colour has at least 4.5:1 on each ground it may stand on (WCAG 2.2 AA)."""
    assert contrast(COLOURS[ink][theme], COLOURS[ground][theme]) >= 4.5


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize("ink, ground", SHAPE_PAIRS, ids=lambda name: name)
def test_controls_and_bars_are_visible(ink: str, ground: str, theme: int) -> None:
    """The edge of a control and a bar of the chart have at least 3:1 (WCAG 1.4.11)."""
    assert contrast(COLOURS[ink][theme], COLOURS[ground][theme]) >= 3


def test_every_custom_property_is_defined() -> None:
    """`var(--x)` without a definition would silently drop its declaration."""
    used = set(re.findall(r"var\(--([\w-]+)\)", CSS))
    defined = set(re.findall(r"--([\w-]+):", CSS))

    assert used - defined == set()
    assert set(COLOURS) - used == set()


def test_the_files_stay_small() -> None:
    """The module is at most 8 KB and the stylesheet stays near its aim (panel.md)."""
    assert len(JS.encode()) <= JS_BUDGET
    assert len(CSS.encode()) <= CSS_BUDGET


def test_the_stylesheet_declares_its_layers_and_adapts() -> None:
    """Layers in one order; motion, forced colours, print and focus are all cared for."""
    assert "@layer reset, tokens, base, components, utilities, print;" in CSS
    for feature in (
        "prefers-reduced-motion",
        "forced-colors: active",
        "@media print",
        ":focus-visible",
        "@container",
        "scroll-padding",
        "color-scheme: light dark",
    ):
        assert feature in CSS


def test_nothing_is_fetched_from_elsewhere() -> None:
    """No import, no font file, no address in the stylesheet or the module."""
    assert not re.search(r"@import|@font-face|url\(|https?://", CSS)
    assert not re.search(r"https?://|\bimport\b|\beval\b", JS)


def test_the_module_builds_no_markup_from_text() -> None:
    """Trusted Types forbid the sinks, so none is used: the module works under the panel's own policy."""
    sinks = (
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|srcdoc"
        r"|new Function|setTimeout\(\s*[\"']"
    )

    assert not re.search(sinks, JS)


def test_the_module_sets_no_inline_style() -> None:
    """style-src has no 'unsafe-inline', so the module changes attributes and never styles."""
    assert not re.search(r"\.style\b|cssText|setAttribute\([\"']style", JS)


@pytest.mark.parametrize("name", ["icons.svg", "favicon.svg"])
def test_drawings_are_plain(name: str) -> None:
    """The drawings are well-formed and hold no script, no style and no reference."""
    root = ET.fromstring((STATIC / name).read_text())
    kinds = {str(element.tag).rpartition("}")[2] for element in root.iter()}

    assert kinds <= {"svg", "symbol", "path", "rect", "circle"}
    assert not [
        key for element in root.iter() for key in element.attrib if key.startswith("on") or "href" in key
    ]
