"""Control charts as SVG, without scripts, images or external fonts; figures also in words.

A page that shows the picture has `CHART_STYLE`, or a style for the same classes. States have a
shape as well as a colour.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from itertools import groupby
from typing import Final

from drawcli.core.pictures.chart_axes import (
    ABOVE,
    BELOW,
    HEIGHT,
    LEFT,
    RIGHT,
    WIDTH,
    Scale,
    labels,
    mark_of,
    month_ticks,
    picture,
)
from drawcli.core.pictures.chart_words import case_text, chart_text, dated, state_of_case
from drawcli.core.qa.charts import METRICS, Chart, Point, Signal
from drawcli.core.qa.summary import VersionChange

CHART_STYLE: Final = """
.qc { --qc-ink: light-dark(#17202a, #e6e9ee); --qc-soft: light-dark(#566270, #9ba7b6);
  --qc-line: light-dark(#dcdfe3, #2a313b); --qc-case: light-dark(#3658a7, #8fb0ff);
  --qc-paper: light-dark(#fff, #171b21); --qc-base: light-dark(#e8eef7, #212b3a);
  --qc-good: light-dark(#0b6e66, #4fd1c0); --qc-watch: light-dark(#8a5c00, #e9bd63);
  --qc-bad: light-dark(#b3221a, #ff8f83); --qc-focus: light-dark(#1d4ed8, #93c5fd); }
.qc text { fill: var(--qc-ink); font: 13px system-ui, sans-serif; }
.qc .small { fill: var(--qc-soft); font-size: 12px; }
.qc .grid { stroke: var(--qc-line); } .qc .axis { stroke: var(--qc-soft); }
.qc .base { fill: var(--qc-base); }
.qc .centre { stroke: var(--qc-good); stroke-width: 1.5; }
.qc .limit { stroke: var(--qc-bad); stroke-width: 1.5; stroke-dasharray: 6 4; }
.qc .change { stroke: var(--qc-ink); stroke-width: 1.5; stroke-dasharray: 2 3; }
.qc .trace { fill: none; stroke: var(--qc-case); opacity: .35; }
.qc .dot { fill: var(--qc-case); stroke: var(--qc-paper); stroke-width: .75; }
.qc .best { fill: var(--qc-paper); stroke: var(--qc-soft); stroke-width: 1.25; }
.qc .watch { fill: var(--qc-watch); } .qc .bad { fill: var(--qc-bad); }
.qc .good { fill: var(--qc-good); }
.qc .wide { fill: var(--qc-paper); stroke: var(--qc-bad); stroke-dasharray: 4 3; }
.qc .hit { fill: none; pointer-events: all; }
.qc a:hover .hit { fill: var(--qc-case); opacity: .12; }
.qc a:focus { outline: none; }
.qc a:focus .hit { fill: var(--qc-focus); opacity: .25; }
.qc a:focus .dot { stroke: var(--qc-focus); stroke-width: 3; }
"""
_FEWEST: Final = 25  # places of a picture with fewer cases
_GOLDEN: Final = "golden"  # kind of change: found by a golden case, in a version
_LETTER: Final = 7.5  # width, in the mean
_SMALL_BELOW: Final = 5.0  # width of a case whose dot is smaller


def chart_picture(
    charts: Sequence[Chart],
    changes: Sequence[VersionChange] = (),
    *,
    baseline: int,
    most: int = 100,
    address: Callable[[Point], str] | None = None,
) -> str:
    """Return the cases of one template, ROI and metric as SVG, in the order of time.

    Parameters
    ----------
    charts
        One for each version.
    changes
        Of what the contours come from: vertical lines.
    baseline
        The number of first cases of a version that its limits come from.
    most
        The number of latest cases that are shown.
    address
        Returns the address that a case links to; None: without links.
    """
    drawn = _Drawn.of(charts, baseline, most)
    if not drawn.cases:
        return ""
    inside = "".join(
        (
            *drawn.shades(),
            drawn.scale.svg(drawn.right),
            *month_ticks([case.point.at for case in drawn.cases], drawn.slot),
            *drawn.limits(),
            *drawn.changes(changes),
            *drawn.lines(),
            *drawn.points(address),
        )
    )
    return picture(chart_text(charts, len(drawn.cases)), inside, has_links=address is not None)


@dataclass(frozen=True, slots=True)
class _Case:
    point: Point
    chart: Chart
    is_baseline: bool  # the limits of its version come from it


@dataclass(frozen=True, slots=True)
class _Part:
    """Neighbouring cases that have something in common, from place `first` on."""

    cases: tuple[_Case, ...]
    first: int

    @property
    def end(self) -> int:
        """The place behind the last case."""
        return self.first + len(self.cases)


@dataclass(frozen=True, slots=True)
class _Drawn:
    """The cases in a picture, and its scales."""

    cases: tuple[_Case, ...]
    metric: str
    scale: Scale

    @classmethod
    def of(cls, charts: Sequence[Chart], baseline: int, most: int) -> "_Drawn":
        """Return the last `most` cases by time; the first `baseline` of a version give limits."""
        every = [
            _Case(point, chart, number < _own_baseline(chart, baseline))
            for chart in charts
            for number, point in list(enumerate(chart.points))[-most:]
        ]
        every.sort(key=lambda case: (case.point.at, case.point.job))
        cases = tuple(every[-most:])
        limits = [case.chart.limits for case in cases if case.chart.limits]
        values = [case.point.value for case in cases]
        values += [end for one in limits for end in (one.lower, one.upper)]
        metric = charts[-1].metric if charts else "dice"
        return cls(cases, metric, Scale.of(values, metric))

    @property
    def slot(self) -> float:
        """The width of a case, SVG units."""
        return (WIDTH - LEFT - RIGHT) / max(len(self.cases), _FEWEST)

    @property
    def right(self) -> float:
        """The right end of the cases, SVG units."""
        return LEFT + self.slot * max(len(self.cases), _FEWEST)

    def x(self, place: float) -> float:
        """Return the left edge of a place, SVG units."""
        return LEFT + place * self.slot

    def parts(self, key: Callable[[_Case], object]) -> Iterator[_Part]:
        """Yield runs of neighbouring cases with the same key."""
        first = 0
        for _, group in groupby(self.cases, key):
            part = _Part(tuple(group), first)
            yield part
            first = part.end

    def shades(self) -> Iterator[str]:
        """Yield the background of the cases that limits come from."""
        for part in self.parts(lambda case: (case.chart.version, case.is_baseline)):
            if part.cases[0].is_baseline:
                yield (
                    f'<rect class="base" x="{self.x(part.first):.1f}" y="{ABOVE}" '
                    f'width="{len(part.cases) * self.slot:.1f}" '
                    f'height="{HEIGHT - ABOVE - BELOW}"/>'
                )

    def limits(self) -> Iterator[str]:
        """Yield centre and limits of each version; those of the last one with their figures."""
        kind = METRICS[self.metric]
        for part in self.parts(lambda case: case.chart.version):
            limits, is_last = part.cases[0].chart.limits, part.end == len(self.cases)
            if limits is None:
                continue
            begin, end = self.x(part.first), self.right if is_last else self.x(part.end)
            lines = [
                (self.scale.y(value), value, name)
                for value, name in (
                    (limits.lower, "limit"),
                    (limits.centre, "centre"),
                    (limits.upper, "limit"),
                )
            ]
            for y, _, name in lines:
                yield (
                    f'<line class="{name}" x1="{begin:.1f}" x2="{end:.1f}" '
                    f'y1="{y:.1f}" y2="{y:.1f}"/>'
                )
            if is_last:
                texts = [(y, f"{kind.text(value)} {name}") for y, value, name in lines]
                yield labels(texts, end + 6)

    def changes(self, changes: Sequence[VersionChange]) -> Iterator[str]:
        """Yield a line before the first case after each change, with what is new."""
        places: dict[int, list[VersionChange]] = {}
        for change in changes:
            after = (n for n, case in enumerate(self.cases) if case.point.at >= change.at)
            place = next(after, 0)  # 0: before all that is shown, or no case since
            if place:
                places.setdefault(place, []).append(change)
        free = 0.0
        for place, found in sorted(places.items()):
            x = self.x(place)
            texts = "; ".join(f"{dated(change.at)}: {change.text}" for change in found)
            yield (
                f"<g><title>{escape(texts)}</title>"
                f'<line class="change" x1="{x:.1f}" x2="{x:.1f}" y1="{ABOVE - 8}" '
                f'y2="{HEIGHT - BELOW}"/></g>'
            )
            kinds = _in_short(found)
            width = _LETTER * len(kinds)
            if x >= free and x + width < WIDTH:
                yield (
                    f'<text class="small" x="{x + 4:.1f}" y="{ABOVE - 10}">{escape(kinds)}</text>'
                )
                free = x + width

    def lines(self) -> Iterator[str]:
        """Yield the line through the changed cases of each version."""
        kind = METRICS[self.metric]
        for part in self.parts(lambda case: case.chart.version):
            places = " ".join(
                f"{self.x(number + 0.5):.1f},{self.scale.y(case.point.value):.1f}"
                for number, case in enumerate(part.cases, start=part.first)
                if not kind.is_best(case.point.value)
            )
            yield f'<polyline class="trace" points="{places}"/>' if places else ""

    def points(self, address: Callable[[Point], str] | None) -> Iterator[str]:
        """Yield each case; with an address, as a link. The last one and signals are tab stops."""
        found: dict[str, list[Signal]] = {}
        for part in self.parts(lambda case: case.chart.version):
            for signal in part.cases[0].chart.signals:
                found.setdefault(signal.job, []).append(signal)
        for number, case in enumerate(self.cases):
            point, signals = case.point, found.get(case.point.job, [])
            text = escape(case_text(point, self.metric, signals))
            inside = f"<title>{text}</title>{self._mark(number, point, state_of_case(signals))}"
            if address is None:
                yield f"<g>{inside}</g>"
                continue
            stop = "" if signals or case is self.cases[-1] else ' tabindex="-1"'
            link = f'<a href="{escape(address(point))}" aria-label="{text}"{stop}>'
            yield f"{link}{inside}{self._column(number)}</a>"

    def _mark(self, number: int, case: Point, state: str) -> str:
        x, y = self.x(number + 0.5), self.scale.y(case.value)
        if state:
            return mark_of(state, x, y)
        best = " best" if METRICS[self.metric].is_best(case.value) else ""
        radius = 3.5 if self.slot >= _SMALL_BELOW else 2
        return f'<circle class="dot{best}" cx="{x:.1f}" cy="{y:.1f}" r="{radius}"/>'

    def _column(self, number: int) -> str:
        """Return the area in which a pointer is on a case."""
        return (
            f'<rect class="hit" x="{self.x(number):.1f}" y="{ABOVE}" '
            f'width="{self.slot:.1f}" height="{HEIGHT - ABOVE - BELOW}"/>'
        )


def _in_short(changes: Sequence[VersionChange]) -> str:
    """Return what is new, for the room of a label."""
    kinds = dict.fromkeys(change.kind for change in changes)
    new = ", ".join(kind for kind in kinds if kind != _GOLDEN)
    return ", ".join([f"new {new}"] * bool(new) + ["golden case changed"] * (_GOLDEN in kinds))


def _own_baseline(chart: Chart, baseline: int) -> int:
    """Return the number of first cases of a chart that its limits come from."""
    return 0 if chart.limits and chart.limits.source != "baseline" else baseline
