"""The main row as a picture: bars of requests per second and core, drawn by hand as SVG.

It loads nothing and runs nothing; it follows the reader's light or dark scheme.
"""

from collections.abc import Iterator, Mapping
from html import escape
from typing import Final

from benchmarks.contenders.everybody import EVERYBODY
from benchmarks.contenders.sidecar import SIDECAR
from benchmarks.figures import Figures

_WIDTH, _LEFT, _RIGHT, _TOP, _STEP, _BAR = 760, 220, 96, 64, 34, 20
_STYLE: Final = """\
text{font:13px system-ui,sans-serif;fill:#1f2328}.title{font-size:15px;font-weight:600}.soft{fill:#59636e}
.ours{fill:#0969da}.checks{fill:#57606a}.plain{fill:#afb8c1}.name{text-anchor:end}.strong{font-weight:600}
@media(prefers-color-scheme:dark){text{fill:#e6edf3}.soft{fill:#9198a1}
.ours{fill:#4493f8}.checks{fill:#8b949e}.plain{fill:#484f58}}"""


def chart(measured: Mapping[str, Figures]) -> str:
    """An SVG with a bar for everybody who was measured, the fastest first."""
    shown = sorted(
        (one for one in EVERYBODY if one.name in measured), key=lambda one: -measured[one.name].rps
    )
    height = _TOP + _STEP * len(shown) + 12
    return "\n".join(
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}"',
            ' role="img" aria-labelledby="title desc">',
            '<title id="title">Requests per second on one core</title>',
            f'<desc id="desc">{escape(_description(measured))}</desc>',
            f"<style>{_STYLE}</style>",
            '<text class="title" x="16" y="26">Requests per second on one core</text>',
            *_legend(),
            *(
                line
                for place, one in enumerate(shown)
                for line in _bar(
                    one.title,
                    "ours" if one is SIDECAR else "checks" if one.verifies else "plain",
                    measured[one.name],
                    most=measured[shown[0].name].rps,
                    top=_TOP + _STEP * place,
                )
            ),
            "</svg>\n",
        )
    )


def _description(measured: Mapping[str, Figures]) -> str:
    return "; ".join(
        f"{one.title}: {_number(measured[one.name])}" for one in EVERYBODY if one.name in measured
    )


def _legend() -> Iterator[str]:
    entries = (("ours", "Sallyport"), ("checks", "checks every token"), ("plain", "forwards only"))
    for place, (kind, text) in enumerate(entries):
        x = 16 + 170 * place
        yield f'<rect class="{kind}" x="{x}" y="38" width="12" height="12" rx="2"/>'
        yield f'<text class="soft" x="{x + 18}" y="49">{text}</text>'


def _bar(title: str, kind: str, one: Figures, *, most: float, top: int) -> Iterator[str]:
    width = max(2.0, (_WIDTH - _LEFT - _RIGHT) * one.rps / most)
    strong = " strong" if kind == "ours" else ""
    yield f'<text class="name{strong}" x="{_LEFT - 10}" y="{top + 15}">{escape(title)}</text>'
    yield f'<rect class="{kind}" x="{_LEFT}" y="{top}" width="{width:.1f}" height="{_BAR}" rx="3"/>'
    yield f'<text class="{strong.strip()}" x="{_LEFT + width + 8:.1f}" y="{top + 15}">{_number(one)}</text>'


def _number(one: Figures) -> str:
    return f"{'≥ ' if one.is_bound else ''}{one.rps:,.0f}"
