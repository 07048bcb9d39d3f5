"""Small plots as inline SVG, without scripts, images or external fonts.

Colours are classes, which the page's style sheet knows for light and for dark rooms. Every mark has
its figures as a title, for a pointer and for a screen reader.
"""

from collections.abc import Sequence
from html import escape
from math import ceil, floor, log10
from typing import Final, NamedTuple

_WIDTH: Final = 720
_HEIGHT: Final = 220
_LEFT: Final = 56  # for the figures of the axis
_BELOW: Final = 28  # for the days
_ABOVE: Final = 12
_ROW: Final = 30
_NAMES: Final = 150
_TICKS: Final = (
    *(
        (0.1, "0.1 s"),
        (1, "1 s"),
        (10, "10 s"),
        (60, "1 min"),
        (600, "10 min"),
        (3600, "1 h"),
        (36_000, "10 h"),
    ),
    *((86_400, "1 d"), (604_800, "1 w")),
)
_MOST_LABELS: Final = 10
_MOST_STEPS: Final = 5  # of a scale
_ROUNDING: Final = 1e-9
_SHORTEST: Final = 0.1  # s: where a logarithmic scale begins


class BarSeries(NamedTuple):
    """One number for each place of a plot."""

    css_class: str  # of the colour
    words: str  # what is counted
    values: Sequence[float]


def grouped_bars(
    what: str, labels: Sequence[str], series: Sequence[BarSeries], unit: str = ""
) -> str:
    """Return groups of bars side by side, all from the same line.

    Parameters
    ----------
    what
        What the plot shows, in words.
    labels
        One for each group.
    series
        A bar in each group.
    unit
        Of the numbers; "" for counts.
    """
    largest = max((max(one.values, default=0) for one in series), default=0)
    axis = axis_of(largest, whole=not unit)
    inner, each = _HEIGHT - _BELOW - _ABOVE, (_WIDTH - _LEFT) / max(len(labels), 1)
    width = each * 0.76 / max(len(series), 1)
    marks = []
    for number, label in enumerate(labels):
        left = _LEFT + number * each + each * 0.12
        for place, one in enumerate(series):
            height = inner * one.values[number] / axis.top
            if not height:
                continue
            said = f"{label}: {_number(one.values[number])} {unit or one.words}"
            marks.append(
                f'<rect class="{one.css_class}" x="{left + place * width:.1f}" '
                f'y="{_HEIGHT - _BELOW - height:.1f}" width="{width:.1f}" '
                f'height="{height:.1f}"><title>{escape(said)}</title></rect>'
            )
    return _svg(what, _HEIGHT, _lines(axis, unit) + "".join(marks) + _days(labels, each))


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
        share = log10(max(seconds, _SHORTEST) / _SHORTEST) / log10(largest / _SHORTEST)
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


class Axis(NamedTuple):
    """A scale from 0."""

    step: float
    steps: int

    @property
    def top(self) -> float:
        """Its end."""
        return self.step * self.steps


def axis_of(largest: float, *, whole: bool) -> Axis:
    """Return a scale that ends at or above the largest value, in at most five round steps.

    A step is 1, 2, 2.5 or 5, times a power of ten; of whole numbers, a whole number.

    >>> [axis_of(n, whole=True) for n in (0, 1, 7, 23, 130)]  # doctest: +NORMALIZE_WHITESPACE
    [Axis(step=1.0, steps=1), Axis(step=1.0, steps=1), Axis(step=2.0, steps=4),
     Axis(step=5.0, steps=5), Axis(step=50.0, steps=3)]
    >>> axis_of(0.3, whole=False), axis_of(11, whole=False)
    (Axis(step=0.1, steps=3), Axis(step=2.5, steps=5))
    """
    power = 10.0 ** floor(log10((largest or 1.0) / _MOST_STEPS))
    steps = (round(power * n, 12) for n in (1, 2, 2.5, 5, 10, 20))
    step = next(
        one
        for one in steps
        if one * _MOST_STEPS >= largest * (1 - _ROUNDING) and not (whole and one % 1)
    )
    return Axis(step, max(ceil(largest / step * (1 - _ROUNDING)), 1))


def _lines(axis: Axis, unit: str) -> str:
    """Return the lines of a scale from 0, with their figures."""
    inner, parts = _HEIGHT - _BELOW - _ABOVE, []
    for number in range(axis.steps + 1):
        y = _HEIGHT - _BELOW - inner * number / axis.steps
        named = f" {unit}" if unit and number == axis.steps else ""
        parts.append(
            f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH}" y1="{y:.1f}" y2="{y:.1f}"/>'
            f'<text class="small" x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">'
            f"{axis.step * number:,.12g}{named}</text>"
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
