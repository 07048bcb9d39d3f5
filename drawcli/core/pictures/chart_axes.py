"""The axes of control charts as SVG: scales with round figures, months, labels."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape
from math import ceil, floor, log10
from typing import Final

from drawcli.core.qa.charts import METRICS

WIDTH: Final = 960
HEIGHT: Final = 340
LEFT: Final = 56  # for the figures of the axis
RIGHT: Final = 104  # for the figures of the limits
ABOVE: Final = 30  # for the changes of version
BELOW: Final = 34  # for the months
LINE: Final = 15  # between two texts, one below the other
_TICKS: Final = 6
_MARGIN: Final = 0.05  # of the range of the figures
_SMALLEST: Final = {"share": 0.02, "distance": 0.4, "shift": 1.0}  # range of an axis
_MONTH_WIDTH: Final = 62
_MARKS: Final = {  # class, and corners relative to a place
    "watch": ("watch", ((0, -6), (5.5, 3.5), (-5.5, 3.5))),
    "better": ("good", ((0, 6), (5.5, -3.5), (-5.5, -3.5))),
    "investigate": ("bad", ((0, -6.5), (6.5, 0), (0, 6.5), (-6.5, 0))),
}


@dataclass(frozen=True, slots=True)
class Scale:
    """The vertical axis: from `low` at the bottom to `high` at the top."""

    low: float
    high: float
    step: float  # between two ticks
    height: int = HEIGHT  # of the picture

    @classmethod
    def of(cls, values: Iterable[float], metric: str, height: int = HEIGHT) -> "Scale":
        """Return a scale on which the values of a metric have room."""
        kind = METRICS[metric]
        given = list(values) or [kind.best]
        low, high = min(given), max(given)
        short = max(_SMALLEST[kind.kind] - (high - low), 0.0) / 2
        margin = (high - low) * _MARGIN + short
        low, high = low - margin, high + margin
        if kind.kind != "shift":
            low = max(low, 0.0)
        if kind.kind == "share":
            high = min(high, 1.0)
        return cls(low, high, _step(high - low), height)

    def y(self, value: float) -> float:
        """Return the height of a value in the picture, in its units from above."""
        share = (value - self.low) / (self.high - self.low)
        return self.height - BELOW - share * (self.height - BELOW - ABOVE)

    @property
    def ticks(self) -> list[float]:
        """The round figures of the axis."""
        first, last = ceil(self.low / self.step - 1e-9), floor(self.high / self.step + 1e-9)
        return [number * self.step for number in range(first, last + 1)]

    @property
    def decimals(self) -> int:
        """The decimals that tell two ticks apart."""
        return max(-floor(log10(self.step) + 1e-9), 0)

    def svg(self, right: float) -> str:
        """Return the ticks with their figures."""
        return "".join(
            f'<line class="grid" x1="{LEFT}" x2="{right:.0f}" y1="{y:.1f}" y2="{y:.1f}"/>'
            f'<text class="small" x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">'
            f"{value + 0.0:.{self.decimals}f}</text>"
            for value, y in ((value, self.y(value)) for value in self.ticks)
        )


def _step(width: float) -> float:
    """Return 1, 2 or 5 times a power of ten, such that a width has at most seven steps.

    >>> [_step(width) for width in (1.0, 0.33, 7.0)]
    [0.2, 0.1, 2.0]
    """
    power = 10.0 ** floor(log10(width / _TICKS))
    return next(power * n for n in (1, 2, 5, 10) if width / (power * n) <= _TICKS)


def month_ticks(times: Sequence[datetime], slot: float) -> Iterator[str]:
    """Yield a tick at the first case of each month; names where there is room.

    Parameters
    ----------
    times
        Of each case, in the order of the picture.
    slot
        The width of a case.
    """
    bottom, free = HEIGHT - BELOW, 0.0
    firsts = [n for n, at in enumerate(times) if not n or f"{at:%Y%m}" != f"{times[n - 1]:%Y%m}"]
    for place, number in enumerate(firsts):
        x = LEFT + number * slot
        yield f'<line class="axis" x1="{x:.1f}" x2="{x:.1f}" y1="{bottom}" y2="{bottom + 5}"/>'
        is_cut = not place and len(firsts) > 1 and firsts[1] * slot < _MONTH_WIDTH
        if x >= free and not is_cut:
            yield f'<text class="small" x="{x:.1f}" y="{bottom + 20}">{times[number]:%b %Y}</text>'
            free = x + _MONTH_WIDTH


def labels(places: Iterable[tuple[float, str]], x: float) -> str:
    """Return texts at heights, moved apart where they would cover each other."""
    parts, last = [], -float(LINE)
    for y, text in sorted(places):
        last = max(y, last + LINE)
        parts.append(f'<text class="small" x="{x:.1f}" y="{last + 4:.1f}">{escape(text)}</text>')
    return "".join(parts)


def mark_of(state: str, x: float, y: float) -> str:
    """Return the mark of a state at a place: better, watch or investigate."""
    name, shape = _MARKS[state]
    points = " ".join(f"{x + right:.1f},{y + down:.1f}" for right, down in shape)
    return f'<polygon class="dot {name}" points="{points}"/>'


def picture(what: str, inside: str, *, has_links: bool, height: int = HEIGHT) -> str:
    """Return the SVG element; screen readers go into it only if it has links."""
    role = "group" if has_links else "img"
    return (
        f'<svg class="qc" viewBox="0 0 {WIDTH} {height}" role="{role}" '
        f'aria-label="{escape(what)}">{inside}</svg>'
    )
