"""A bar chart as SVG: no script, nothing from elsewhere, readable on light and dark pages and by screen readers.

It brings its own background, and both sets of colours: an image does not see which of them the page around it has.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

_WIDTH = 760
_LABELS = 200  # where bars begin
_VALUES = 90  # room for the numbers behind them
_MARGIN = 20
_BAR, _PITCH = 16, 24
_HEADING, _GAP = 34, 14

_STYLE = """
  .ground { fill: #ffffff; stroke: #d0d7de; }
  text { fill: #1f2328; font: 13px system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
  .heading { font-weight: 600; }
  .name { text-anchor: end; }
  .bar { fill: #8c959f; }
  .ours { fill: #0969da; }
  .yardstick { fill: #d0d7de; stroke: #8c959f; }
  @media (prefers-color-scheme: dark) {
    .ground { fill: #15191f; stroke: #3d444d; }
    text { fill: #e6edf3; }
    .bar { fill: #6e7681; }
    .ours { fill: #4493f8; }
    .yardstick { fill: #2d333b; stroke: #6e7681; }
  }
"""


@dataclass(frozen=True)
class Bar:
    """One bar. ``kind``: "ours", "yardstick" or "" for the others."""

    name: str
    value: float
    kind: str = ""


@dataclass(frozen=True)
class Group:
    """Bars on one scale, under one heading."""

    heading: str
    bars: Sequence[Bar]


def bar_chart(title: str, unit: str, groups: Sequence[Group]) -> str:
    """The chart, whose longest bar in each group fills the width; the numbers are in its description as well."""
    groups = [group for group in groups if group.bars]
    parts: list[str] = []
    y = _MARGIN
    for group in groups:
        parts.append(f'<text class="heading" x="{_MARGIN}" y="{y + 16}">{escape(group.heading)}</text>')
        y += _HEADING
        longest = max(bar.value for bar in group.bars) or 1
        for bar in group.bars:
            parts += _bar(bar, y, longest)
            y += _PITCH
        y += _GAP
    height = y + _MARGIN - _GAP
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}"'
            f' height="{height}" role="img" aria-labelledby="title description">',
            f'<title id="title">{escape(title)}</title>',
            f'<desc id="description">{escape(_description(unit, groups))}</desc>',
            f"<style>{_STYLE}</style>",
            f'<rect class="ground" x="0.5" y="0.5" width="{_WIDTH - 1}" height="{height - 1}" rx="8"/>',
            *parts,
            "</svg>",
            "",
        ]
    )


def _bar(bar: Bar, y: int, longest: float) -> list[str]:
    length = max(1.0, bar.value / longest * (_WIDTH - _LABELS - _VALUES - _MARGIN))
    classes = f"bar {bar.kind}".strip()
    baseline = y + _BAR - 3
    return [
        f'<text class="name" x="{_LABELS - 10}" y="{baseline}">{escape(bar.name)}</text>',
        f'<rect class="{classes}" x="{_LABELS}" y="{y}" width="{length:.1f}" height="{_BAR}" rx="2"/>',
        f'<text x="{_LABELS + length + 8:.1f}" y="{baseline}">{bar.value:,.0f}</text>',
    ]


def _description(unit: str, groups: Sequence[Group]) -> str:
    sentences = []
    for group in groups:
        values = ", ".join(f"{bar.name} {bar.value:,.0f}" for bar in group.bars)
        sentences.append(f"{group.heading}: {values}.")
    return f"{unit}. " + " ".join(sentences)
