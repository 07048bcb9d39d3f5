"""Small plots as inline SVG, without scripts, images or external fonts.

Colours are classes, which the page's style sheet knows for light and for dark rooms. Every mark has
its figures as a title, for a pointer and for a screen reader.
"""

from collections.abc import Mapping, Sequence
from html import escape
from math import log10
from typing import Final

_WIDTH: Final = 720
_HEIGHT: Final = 220
_LEFT: Final = 56  # for the figures of the axis
_BELOW: Final = 28  # for the days
_ABOVE: Final = 12
_ROW: Final = 30
_NAMES: Final = 150
_TICKS: Final = (
    *((1, "1 s"), (10, "10 s"), (60, "1 min"), (600, "10 min"), (3600, "1 h"), (36_000, "10 h")),
    *((86_400, "1 d"), (604_800, "1 w")),
)
_MOST_LABELS: Final = 10


def stacked_bars(
    what: str, labels: Sequence[str], series: Mapping[str, Sequence[float]], unit: str = ""
) -> str:
    """Return bars side by side, each of several parts on top of each other.

    Parameters
    ----------
    what
        What the plot shows, in words.
    labels
        One for each bar.
    series
        By the class of the colour: one number for each bar.
    unit
        Of the numbers; "" for counts.
    """
    sums = [sum(values) for values in zip(*series.values(), strict=True)]
    top = nice_top(max(sums, default=0), whole=not unit)
    inner, each = _HEIGHT - _BELOW - _ABOVE, (_WIDTH - _LEFT) / max(len(labels), 1)
    marks = []
    for number, label in enumerate(labels):
        base = float(_HEIGHT - _BELOW)
        x = _LEFT + number * each + each * 0.12
        for name, values in series.items():
            height = inner * values[number] / top
            if not height:
                continue
            base -= height
            said = f"{label}: {_number(values[number])} {unit or name}"
            marks.append(
                f'<rect class="{name}" x="{x:.1f}" y="{base:.1f}" width="{each * 0.76:.1f}" '
                f'height="{height:.1f}"><title>{escape(said)}</title></rect>'
            )
    return _svg(what, _HEIGHT, _axis(top, unit) + "".join(marks) + _days(labels, each))


def spans(what: str, rows: Sequence[tuple[str, float, float, str]]) -> str:
    """Return one line a row: a dot at one number, and a bar to a second one, on a log scale.

    Parameters
    ----------
    what
        What the plot shows, in words.
    rows
        Name, two numbers of seconds, and what is said of them.
    """
    largest = max([far for _, _, far, _ in rows] + [60])
    right = _WIDTH - 24

    def x(seconds: float) -> float:
        share = log10(max(seconds, 1.0)) / log10(max(largest, 10.0))
        return _NAMES + (right - _NAMES) * min(share, 1.0)

    height = _ROW * len(rows) + _BELOW
    ticks = [(x(s), name) for s, name in _TICKS if s <= largest]
    parts = [
        f'<line class="grid" x1="{at:.1f}" x2="{at:.1f}" y1="0" y2="{height - _BELOW}"/>'
        f'<text class="small" x="{at:.1f}" y="{height - 8}" text-anchor="middle">{name}</text>'
        for at, name in ticks
    ]
    for number, (name, near, far, said) in enumerate(rows):
        y = _ROW * number + _ROW / 2
        parts.append(
            f"<g><title>{escape(f'{name}: {said}')}</title>"
            f'<text x="{_NAMES - 12}" y="{y + 5:.1f}" text-anchor="end">{escape(name)}</text>'
            f'<line class="span" x1="{x(near):.1f}" x2="{x(far):.1f}" y1="{y:.1f}" y2="{y:.1f}"/>'
            f'<line class="end" x1="{x(far):.1f}" x2="{x(far):.1f}" y1="{y - 6:.1f}" '
            f'y2="{y + 6:.1f}"/><circle class="dot" cx="{x(near):.1f}" cy="{y:.1f}" r="5"/></g>'
        )
    return _svg(what, height, "".join(parts))


def nice_top(largest: float, *, whole: bool) -> float:
    """Return the end of an axis: a round number that is not below the largest value.

    >>> [nice_top(n, whole=True) for n in (0, 1, 7, 23, 130)], nice_top(0.3, whole=False)
    ([4, 4, 8, 40, 200], 0.4)
    """
    if whole and largest <= 4:  # noqa: PLR2004 - four steps of one
        return 4
    step = 10.0 ** _floor(log10(largest or 1.0))
    top = next(step * n for n in (1, 2, 4, 8, 10) if step * n >= largest)
    return round(top) if top >= 1 else round(top, 6)


def _floor(number: float) -> int:
    return int(number // 1)


def _axis(top: float, unit: str) -> str:
    """Return the lines of a scale from 0, with their figures."""
    inner, parts = _HEIGHT - _BELOW - _ABOVE, []
    for quarter in range(5):
        y = _HEIGHT - _BELOW - inner * quarter / 4
        parts.append(
            f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH}" y1="{y:.1f}" y2="{y:.1f}"/>'
            f'<text class="small" x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">'
            f"{_number(top * quarter / 4)}{f' {unit}' if unit and quarter == 4 else ''}</text>"  # noqa: PLR2004
        )
    return "".join(parts)


def _days(labels: Sequence[str], each: float) -> str:
    every = -(-len(labels) // _MOST_LABELS) or 1
    return "".join(
        f'<text class="small" x="{_LEFT + (number + 0.5) * each:.1f}" y="{_HEIGHT - 8}" '
        f'text-anchor="middle">{escape(label)}</text>'
        for number, label in enumerate(labels)
        if number % every == 0
    )


def _number(value: float) -> str:
    return f"{value:,.0f}" if value == round(value) else f"{value:,.2g}"


def _svg(what: str, height: float, inside: str) -> str:
    return (
        f'<svg viewBox="0 0 {_WIDTH} {height:.0f}" role="img" aria-label="{escape(what)}">'
        f"{inside}</svg>"
    )
