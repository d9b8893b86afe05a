"""Charts: shapes inside the drawing, numbers that add up, and an SVG that needs no style."""

import re
from datetime import date, timedelta
from typing import Final
from xml.etree.ElementTree import Element

import pytest
from hypothesis import given
from hypothesis import strategies as st

from admin_service.panel.views.chart import (
    HEIGHT,
    SPARK_HEIGHT,
    SPARK_WIDTH,
    WIDTH,
    AreaChart,
    BarChart,
    Series,
    area_chart,
    bar_chart,
    round_ceiling,
    short_number,
    spark,
)
from tests.unit.admin_service.panel.test_pages import RENDERER, local_name, parsed

FIRST: Final = date(2026, 1, 1)
HUGE: Final = 9_223_372_036_854_775_807
counts_of_days = st.lists(st.integers(0, 10**7), min_size=1, max_size=60)


def days(number_of: int) -> tuple[date, ...]:
    return tuple(FIRST + timedelta(days=each) for each in range(number_of))


def drawn(call: str, **values: object) -> Element:
    """What a macro of the charts makes, read strictly as HTML."""
    source = '{% import "_charts.html" as charts with context %}' + "{{ charts." + call + " }}"
    html = RENDERER._environment.from_string(source).render(zone=None, **values)
    return parsed(f"<!doctype html><html><head><title>x</title></head><body>{html}</body></html>")


def named(tree: Element, name: str) -> list[Element]:
    return [one for one in tree.iter() if local_name(one) == name]


def numbers_in(tree: Element) -> list[int]:
    """The numbers of the table, row by row."""
    cells = [cell.text or "" for cell in named(tree, "td")]
    return [int(cell.replace(",", "")) for cell in cells]


@given(counts_of_days)
def test_every_bar_stays_inside_the_drawing(counts: list[int]) -> None:
    """Bars do not overlap, do not leave the drawing, and a day with any action is visible (P-01)."""
    chart = bar_chart(days(len(counts)), Series("Actions", tuple(counts)))
    right = 0.0

    for bar in chart.bars:
        assert right <= bar.x + 0.02
        right = bar.x + bar.width
        assert bar.y >= 0
        assert bar.y + bar.height == pytest.approx(HEIGHT)
        assert (bar.height >= 2) == (bar.count > 0)
    assert right <= WIDTH + 0.02
    assert chart.total == sum(counts)


@given(counts_of_days, st.data())
def test_series_stand_beside_each_other(counts: list[int], data: st.DataObject) -> None:
    """Two series of a day share its slot, in order, and their sums stay their own."""
    other = data.draw(st.lists(st.integers(0, 10**7), min_size=len(counts), max_size=len(counts)))
    chart = bar_chart(days(len(counts)), Series("Granted", tuple(counts)), Series("Used", tuple(other)))
    lefts = [bar.x for bar in chart.bars]

    assert lefts == sorted(lefts)
    assert [bar.series for bar in chart.bars] == [1, 2] * len(counts)
    assert [one.total for one in chart.series] == [sum(counts), sum(other)]
    assert chart.bars[-1].x + chart.bars[-1].width <= WIDTH + 0.05


@given(counts_of_days, st.data())
def test_stacked_areas_add_up(counts: list[int], data: st.DataObject) -> None:
    """The upper area lies on the lower one, and none leaves the drawing."""
    other = data.draw(st.lists(st.integers(0, 10**7), min_size=len(counts), max_size=len(counts)))
    chart = area_chart(days(len(counts)), Series("Used", tuple(counts)), Series("Expired", tuple(other)))
    lower, upper = ([float(y) for _, y in re.findall(r"([\d.]+) ([\d.]+)", path)] for path in chart.paths)
    half = len(lower) // 2

    assert all(0 <= y <= HEIGHT for y in [*lower, *upper])
    assert upper[half:] == list(reversed(lower[:half]))
    assert all(top <= below + 0.01 for top, below in zip(upper[:half], lower[:half], strict=True))
    top_of_all = max(one + two for one, two in zip(counts, other, strict=True))
    assert chart.ceiling >= top_of_all


@pytest.mark.parametrize(
    "largest, ceiling", [(0, 2), (1, 2), (3, 4), (5, 10), (11, 20), (41, 100), (999, 1000), (HUGE, 10**19)]
)
def test_the_top_line_is_a_round_number(largest: int, ceiling: int) -> None:
    """The axis shows numbers that a reader can halve in the head."""
    assert round_ceiling(largest) == ceiling


@pytest.mark.parametrize(
    "value, text",
    [
        (2, "2"),
        (400, "400"),
        (1_000, "1k"),
        (40_000, "40k"),
        (10**6, "1M"),
        (10**10, "10B"),
        (10**19, "10,000,000T"),
    ],
)
def test_an_axis_has_short_numbers(value: int, text: str) -> None:
    """What stands beside the drawing fits there."""
    assert short_number(value) == text


@pytest.mark.parametrize("counts", [(), (0, 0, 0)])
def test_nothing_to_draw_is_a_sentence(counts: tuple[int, ...]) -> None:
    """Without data there is no drawing and no table, but a sentence that says so (panel.md, rule 5)."""
    empty = "Nothing was granted or used."
    for chart, macro in (
        (bar_chart(days(len(counts)), Series("A", counts)), 'count_bars(chart, "x", "T", "action", empty)'),
        (bar_chart(days(len(counts)), Series("A", counts)), 'grouped_bars(chart, "x", "T", empty)'),
        (area_chart(days(len(counts)), Series("A", counts)), 'stacked_areas(chart, "x", "T", empty)'),
    ):
        tree = drawn(macro, chart=chart, empty=empty)

        assert named(tree, "table") == []
        assert [svg for svg in named(tree, "svg") if svg.get("role") == "img"] == []
        assert empty in "".join(tree.itertext())


@pytest.mark.parametrize("counts", [(5,), (HUGE, 1), (-4, 3), (0, 7, 0)])
@pytest.mark.parametrize("kind", [bar_chart, area_chart])
def test_the_table_holds_the_numbers_as_they_are(kind: type, counts: tuple[int, ...]) -> None:
    """One day, a huge number or a day below zero: the drawing is valid and the table says exactly that."""
    chart: BarChart | AreaChart = kind(days(len(counts)), Series("Used", counts), Series("Expired", counts))
    macro = "grouped_bars" if isinstance(chart, BarChart) else "stacked_areas"
    tree = drawn(f'{macro}(chart, "x", "Replies", "none")', chart=chart)
    (svg,) = [one for one in named(tree, "svg") if one.get("role") == "img"]
    shapes = [*named(svg, "rect"), *named(svg, "path")]

    assert numbers_in(tree) == [count for count in reversed(counts) for _ in range(2)]
    assert [local_name(one) for one in list(svg)[:2]] == ["title", "desc"]
    assert "style" not in {name for one in tree.iter() for name in one.attrib}
    assert {one.get("class", "").split()[1] for one in shapes} == {"series-1", "series-2"}
    for shape in named(svg, "rect"):
        assert float(shape.get("height", "-1")) >= 0
    for path in named(svg, "path"):
        assert re.fullmatch(r"M[-\d. L]+Z", path.get("d", ""))


def test_a_chart_says_in_words_what_it_shows() -> None:
    """Who cannot see the bars hears the sum, the range and the busiest day."""
    chart = bar_chart(days(3), Series("Actions", (1, 7, 2)))
    tree = drawn('count_bars(chart, "x", "Management actions", "action", "none")', chart=chart)
    (described,) = named(tree, "desc")

    assert " ".join((described.text or "").split()) == (
        "From 1 Jan 2026 to 3 Jan 2026. 10 actions; most on 2 Jan 2026, with 7."
    )


@given(st.lists(st.integers(-HUGE, HUGE), min_size=2, max_size=40))
def test_a_sparkline_stays_inside(counts: list[int]) -> None:
    """Whatever the numbers are, the line runs from edge to edge and never out of its box."""
    line = spark(counts)
    assert line is not None
    points = [(float(x), float(y)) for x, y in re.findall(r"([\d.]+) ([\d.]+)", line.path)]

    assert len(points) == len(counts)
    assert points[0][0] == 0
    assert points[-1][0] == pytest.approx(SPARK_WIDTH, abs=0.01)
    assert all(0 <= y <= SPARK_HEIGHT for _, y in points)


@pytest.mark.parametrize("counts", [(), (5,)])
def test_a_sparkline_needs_two_points(counts: tuple[int, ...]) -> None:
    """One point is no line; then nothing is drawn."""
    assert spark(counts) is None
    assert named(drawn("sparkline(line)", line=spark(counts)), "svg") == []
