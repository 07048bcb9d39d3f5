"""Control charts as SVG, without scripts, images or external fonts; figures also in words.

The picture has classes that begin with `qc-`; a page that shows it has `CHART_STYLE`. States have a
shape as well as a colour.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from itertools import accumulate
from typing import Final

from drawcli.core.pictures.chart_axes import (
    ABOVE,
    BELOW,
    HEIGHT,
    LEFT,
    RIGHT,
    WIDTH,
    Scale,
    dated,
    labels,
    month_ticks,
    picture,
)
from drawcli.core.qa.charts import METRICS, Chart, ChartState, Limits, Point, Signal

CHART_STYLE: Final = """
.qc { color-scheme: inherit;
  --qc-ink: light-dark(#17202a, #e6e9ee); --qc-soft: light-dark(#566270, #9ba7b6);
  --qc-line: light-dark(#dcdfe3, #2a313b); --qc-case: light-dark(#3658a7, #8fb0ff);
  --qc-paper: light-dark(#fff, #171b21); --qc-base: light-dark(#e8eef7, #212b3a);
  --qc-centre: light-dark(#0b6e66, #4fd1c0); --qc-watch: light-dark(#8a5c00, #e9bd63);
  --qc-bad: light-dark(#b3221a, #ff8f83); --qc-focus: light-dark(#1d4ed8, #93c5fd); }
.qc text { fill: var(--qc-ink); font: 13px system-ui, sans-serif; }
.qc .qc-small { fill: var(--qc-soft); font-size: 12px; }
.qc .qc-grid { stroke: var(--qc-line); } .qc .qc-tick { stroke: var(--qc-soft); }
.qc .qc-base { fill: var(--qc-base); }
.qc .qc-centre { stroke: var(--qc-centre); stroke-width: 1.5; }
.qc .qc-limit { stroke: var(--qc-bad); stroke-width: 1.5; stroke-dasharray: 6 4; }
.qc .qc-change { stroke: var(--qc-ink); stroke-dasharray: 2 3; }
.qc .qc-run { fill: none; stroke: var(--qc-case); opacity: .35; }
.qc .qc-mark { fill: var(--qc-case); stroke: var(--qc-paper); stroke-width: .75; }
.qc .qc-best { fill: var(--qc-paper); stroke: var(--qc-soft); stroke-width: 1.25; }
.qc .qc-watch { fill: var(--qc-watch); } .qc .qc-investigate { fill: var(--qc-bad); }
.qc .qc-better { fill: var(--qc-centre); }
.qc .qc-wide { fill: var(--qc-paper); stroke: var(--qc-bad); stroke-dasharray: 4 3; }
.qc .qc-bar { fill: var(--qc-base); }
.qc .qc-hit { fill: none; pointer-events: all; }
.qc a:hover .qc-hit { fill: var(--qc-case); opacity: .12; }
.qc a:focus { outline: none; }
.qc a:focus .qc-hit { fill: var(--qc-focus); opacity: .25; }
.qc a:focus .qc-mark { stroke: var(--qc-focus); stroke-width: 3; }
"""
SHAPES: Final = {  # relative to the place of a case
    "watch": "m0-6 5.5 9.5h-11z",
    "better": "m0 6 5.5-9.5h-11z",
    "investigate": "m0-6.5 6.5 6.5-6.5 6.5-6.5-6.5z",
}
_FEWEST: Final = 25  # places of a picture with fewer cases
_LABEL_WIDTH: Final = 96  # of a change of version
_SMALL_BELOW: Final = 5.0  # width of a case whose dot is smaller


@dataclass(frozen=True, slots=True)
class ChartVersion:
    """A version's chart in a picture, with what changed where it begins."""

    chart: Chart
    change: str = ""  # "model"; "" for the first
    baseline: int = 0  # cases that the limits come from; 0: none is shaded


def chart_picture(
    versions: Sequence[ChartVersion],
    *,
    most: int = 100,
    address: Callable[[Point], str] | None = None,
) -> str:
    """Return the cases of one template, ROI and metric as SVG, oldest on the left.

    Parameters
    ----------
    versions
        The charts of the versions in the order of time; all of one metric.
    most
        The number of latest cases that are shown.
    address
        Returns the address that a case links to; None: without links.
    """
    drawn = _Drawn.of(versions, most)
    if not drawn.cases:
        return ""
    inside = "".join(
        (
            *drawn.shades(),
            drawn.scale.svg(drawn.right),
            *month_ticks([case.at for case in drawn.cases], drawn.slot),
            *drawn.limits(),
            *drawn.changes(),
            *drawn.runs(),
            *drawn.points(address),
        )
    )
    return picture(_spoken(versions, len(drawn.cases)), inside, has_links=address is not None)


def state_of_case(signals: Sequence[Signal]) -> str:
    """Return how a case with these signals is marked: "", better, watch or investigate."""
    if any(signal.state is ChartState.INVESTIGATE for signal in signals):
        return "investigate"
    if any(not signal.better for signal in signals):
        return "watch"
    return "better" if signals else ""


def case_text(case: Point, metric: str, signals: Sequence[Signal]) -> str:
    """Return a case in words."""
    kind = METRICS[metric]
    told = f"{dated(case.at)}: {kind.label} {kind.text(case.value)}"
    if signals:
        return f"{told}; {'; '.join(f'{signal.state}: {signal.text}' for signal in signals)}"
    return f"{told}, not changed" if kind.is_best(case.value) else told


def _spoken(versions: Sequence[ChartVersion], shown: int) -> str:
    last = versions[-1].chart
    kind, cases = METRICS[last.metric], sum(len(one.chart.points) for one in versions)
    signals = sum(len(one.chart.signals) for one in versions)
    within = (
        f"centre {kind.text(last.limits.centre)}, limits {kind.text(last.limits.lower)} to "
        f"{kind.text(last.limits.upper)}"
        if last.limits
        else "no limits yet"
    )
    latest = f"the latest {shown} of {cases} cases" if shown < cases else f"{cases} cases"
    return f"{kind.label} of {last.roi or 'a structure'}: {latest}, {within}, {signals} signals"


@dataclass(frozen=True, slots=True)
class _Part:
    """The cases of a version in the picture: `points[skipped:]`, from place `first`."""

    shown: ChartVersion
    skipped: int
    first: int

    @property
    def cases(self) -> tuple[Point, ...]:
        return self.shown.chart.points[self.skipped :]

    @property
    def limits(self) -> Limits | None:
        return self.shown.chart.limits


@dataclass(frozen=True, slots=True)
class _Drawn:
    """What a picture shows, and its scales."""

    parts: tuple[_Part, ...]
    cases: tuple[Point, ...]
    metric: str
    scale: Scale

    @classmethod
    def of(cls, versions: Sequence[ChartVersion], most: int) -> "_Drawn":
        counts = [len(one.chart.points) for one in versions]
        over, parts = max(sum(counts) - most, 0), []
        for one, begin in zip(versions, accumulate(counts, initial=0), strict=False):
            skipped = max(over - begin, 0)
            if skipped < len(one.chart.points):
                parts.append(_Part(one, skipped, max(begin - over, 0)))
        cases = tuple(case for part in parts for case in part.cases)
        ends = [(part.limits.lower, part.limits.upper) for part in parts if part.limits]
        values = [*(case.value for case in cases), *(end for pair in ends for end in pair)]
        metric = versions[-1].chart.metric if versions else "dice"
        return cls(tuple(parts), cases, metric, Scale.of(values, metric))

    @property
    def slot(self) -> float:
        return (WIDTH - LEFT - RIGHT) / max(len(self.cases), _FEWEST)

    @property
    def right(self) -> float:
        return LEFT + self.slot * max(len(self.cases), _FEWEST)

    def x(self, place: float) -> float:
        return LEFT + place * self.slot

    def ends(self, part: _Part) -> tuple[float, float]:
        """Return where a version begins and ends; the last one ends with the picture."""
        last = part is self.parts[-1]
        return self.x(part.first), self.right if last else self.x(part.first + len(part.cases))

    def shades(self) -> Iterator[str]:
        """Yield the background of the cases that limits come from."""
        for part in self.parts:
            count = min(part.shown.baseline, len(part.shown.chart.points)) - part.skipped
            if count > 0:
                yield (
                    f'<rect class="qc-base" x="{self.x(part.first):.1f}" y="{ABOVE}" '
                    f'width="{count * self.slot:.1f}" height="{HEIGHT - ABOVE - BELOW}"/>'
                )

    def limits(self) -> Iterator[str]:
        """Yield centre and limits of each version; those of the last one with their figures."""
        kind = METRICS[self.metric]
        for part in self.parts:
            if part.limits is None:
                continue
            begin, end = self.ends(part)
            lines = (
                (part.limits.lower, "limit"),
                (part.limits.centre, "centre"),
                (part.limits.upper, "limit"),
            )
            for value, name in lines:
                y = self.scale.y(value)
                yield (
                    f'<line class="qc-{name}" x1="{begin:.1f}" x2="{end:.1f}" '
                    f'y1="{y:.1f}" y2="{y:.1f}"/>'
                )
            if part is self.parts[-1]:
                texts = [(self.scale.y(v), f"{kind.text(v)} {name}") for v, name in lines]
                yield labels(texts, end + 6)

    def changes(self) -> Iterator[str]:
        """Yield a line where a version begins, with what changed."""
        free = 0.0
        for part in self.parts:
            if not part.shown.change or part.skipped:
                continue
            x, told = self.x(part.first), escape(part.shown.change)
            yield (
                f"<g><title>{dated(part.cases[0].at)}: new {told}</title>"
                f'<line class="qc-change" x1="{x:.1f}" x2="{x:.1f}" y1="{ABOVE - 8}" '
                f'y2="{HEIGHT - BELOW}"/></g>'
            )
            if x >= free and x + _LABEL_WIDTH < WIDTH:
                yield f'<text class="qc-small" x="{x + 4:.1f}" y="{ABOVE - 10}">new {told}</text>'
                free = x + _LABEL_WIDTH

    def runs(self) -> Iterator[str]:
        """Yield the line through the changed cases of each version."""
        kind = METRICS[self.metric]
        for part in self.parts:
            places = " ".join(
                f"{self.x(number + 0.5):.1f},{self.scale.y(case.value):.1f}"
                for number, case in enumerate(part.cases, start=part.first)
                if not kind.is_best(case.value)
            )
            yield f'<polyline class="qc-run" points="{places}"/>' if places else ""

    def points(self, address: Callable[[Point], str] | None) -> Iterator[str]:
        """Yield each case; with an address, as a link. The last one and signals are tab stops."""
        for part in self.parts:
            found: dict[str, list[Signal]] = {}
            for signal in part.shown.chart.signals:
                found.setdefault(signal.job, []).append(signal)
            for number, case in enumerate(part.cases, start=part.first):
                signals = found.get(case.job, [])
                told = escape(case_text(case, self.metric, signals))
                inside = f"<title>{told}</title>{self._mark(number, case, state_of_case(signals))}"
                if address is None:
                    yield f"<g>{inside}</g>"
                    continue
                stop = "" if signals or case is self.cases[-1] else ' tabindex="-1"'
                link = f'<a href="{escape(address(case))}" aria-label="{told}"{stop}>'
                yield f"{link}{inside}{self._column(number)}</a>"

    def _mark(self, number: int, case: Point, state: str) -> str:
        x, y = self.x(number + 0.5), self.scale.y(case.value)
        if state:
            return f'<path class="qc-mark qc-{state}" d="M{x:.1f} {y:.1f}{SHAPES[state]}"/>'
        best = " qc-best" if METRICS[self.metric].is_best(case.value) else ""
        radius = 3.5 if self.slot >= _SMALL_BELOW else 2
        return f'<circle class="qc-mark{best}" cx="{x:.1f}" cy="{y:.1f}" r="{radius}"/>'

    def _column(self, number: int) -> str:
        """Return the area in which a pointer is on a case."""
        return (
            f'<rect class="qc-hit" x="{self.x(number):.1f}" y="{ABOVE}" '
            f'width="{self.slot:.1f}" height="{HEIGHT - ABOVE - BELOW}"/>'
        )
