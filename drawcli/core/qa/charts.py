"""Control charts of delivered contours: limits, signals, and what they ask for.

A chart has the cases of one template, ROI, metric and version in the order of time. A case is
*changed* if its figure is not the best possible (Dice 1, distance 0). Limits, rules and monthly
means are those of changed cases, on a scale where they are about symmetrical (`chart_limits`); how
many cases are changed is judged by a rule of its own.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import timedelta
from statistics import fmean
from typing import Final

from drawcli.core.qa.chart_limits import (
    METRICS,
    MIN_CHANGED,
    band,
    baseline_limits,
    limits_by_hand,
    sigma_of_mean,
)
from drawcli.core.qa.chart_signals import (
    MIN_MEAN,
    ChartState,
    Month,
    Point,
    Series,
    Signal,
    months_of,
    on_scale,
    signals_of,
)
from drawcli.core.qa.nelson import Limits, limits_of

__all__ = [
    "DEFAULT_BASELINE", "METRICS", "Chart", "ChartState", "Limits", "Month", "Point", "Signal",
    "VersionShift", "baseline_limits", "chart", "compare_versions", "limits_by_hand", "limits_of",
]  # fmt: skip

DEFAULT_BASELINE: Final = 30
_RECENT: Final = 9  # a state is that of the signals of so many latest cases
_OLD_CASES: Final = 150  # of the version before
_FIRST: Final = timedelta(days=31)  # of a new version
_STATES: Final = tuple(ChartState)


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """The cases of one template, ROI, metric and version.

    `limits` is None until the baseline is complete, and later while fewer than 20 cases are
    changed; then the rule about the share of changed cases alone decides the state.
    """

    metric: str
    template: str = ""
    roi: str = ""
    version: str = ""
    points: tuple[Point, ...] = ()
    limits: Limits | None = None
    signals: tuple[Signal, ...] = ()
    state: ChartState = ChartState.NEW
    months: tuple[Month, ...] = ()
    missing: int = 0  # cases until the baseline is complete

    @property
    def recent(self) -> tuple[Signal, ...]:
        """The signals that the latest cases meet: the state comes from them."""
        return _recent(self.signals, len(self.points))


@dataclass(frozen=True, slots=True)
class VersionShift:
    """The first cases of a version, compared with the cases of the version before."""

    state: ChartState  # NEW: too few cases of either version
    n: int  # changed cases of the new version
    mean: float | None = None
    lower: float | None = None  # 3 sigma limits for the mean of n cases
    upper: float | None = None
    better: bool = False
    text: str = ""


def chart(  # noqa: PLR0913 - the key of the chart, and how it is made
    points: Iterable[Point],
    *,
    metric: str,
    baseline: int = DEFAULT_BASELINE,
    limits: Limits | None = None,
    template: str = "",
    roi: str = "",
    version: str = "",
) -> Chart:
    """Return the chart of cases, given in any order.

    Parameters
    ----------
    points
        The cases; their figures in the units of the metric.
    metric
        A name in `METRICS`.
    baseline
        The number of first cases that limits and share of changed cases are taken from.
    limits
        Limits from commissioning or set by hand, in place of those from the baseline.

    Raises
    ------
    ValueError
        A figure is not finite.
    """
    series = Series.of(METRICS[metric], points)
    facts = Chart(metric=metric, template=template, roi=roi, version=version, points=series.cases)
    missing = max(baseline - len(series.cases), 0)
    if missing and not limits:
        return replace(facts, missing=missing)
    limits = limits or _own_limits(series, metric, baseline)
    signals = signals_of(series, baseline, limits)
    return replace(
        facts,
        limits=limits,
        signals=signals,
        state=_state(signals, len(series.cases)),
        months=_months(series, limits) if limits else (),
    )


def _own_limits(series: Series, metric: str, baseline: int) -> Limits | None:
    """Return the limits of the changed cases in the baseline, or of the first 20 changed ones."""
    within = sum(i < baseline for i in series.changed)
    first = series.changed[: max(within, MIN_CHANGED)]
    return baseline_limits([series.cases[i].value for i in first], metric)


def _state(signals: Iterable[Signal], cases: int) -> ChartState:
    recent = [signal.state for signal in _recent(signals, cases)]
    return max(recent, key=_STATES.index, default=ChartState.ROUTINE)


def _recent(signals: Iterable[Signal], cases: int) -> tuple[Signal, ...]:
    return tuple(signal for signal in signals if signal.until >= cases - _RECENT)


def _months(series: Series, limits: Limits) -> tuple[Month, ...]:
    return tuple(month for month, _, _ in months_of(series, on_scale(series.kind, limits)))


def compare_versions(old: Chart, points: Iterable[Point]) -> VersionShift:
    """Compare the first cases of a new version with the latest 150 of the version before.

    The first cases are those of 31 days, or the first 20 if these take longer.

    Parameters
    ----------
    old
        The chart of the version before.
    points
        The cases of the new version, in the units of the same metric.
    """
    kind = METRICS[old.metric]
    new, reference = _first(Series.of(kind, points)), _reference(old)
    n = len(new.places)
    if reference is None or n < MIN_MEAN:
        return VersionShift(ChartState.NEW, n)
    judged = on_scale(kind, reference)
    sigma, mean = sigma_of_mean(judged, n), fmean(new.places)
    lower, upper = band(kind, judged.centre, 3 * sigma)
    out = abs(mean - judged.centre) > 3 * sigma
    better = mean < judged.centre and not kind.two_sided
    state = _STATES[1 + out * (2 - better)]
    text = (
        f"mean {kind.label} of the first {n} changed cases: {kind.text(kind.unscaled(mean))},"
        f" {kind.text(reference.centre)} before; limits for {n} cases:"
        f" {kind.text(lower)} to {kind.text(upper)}"
    )
    return VersionShift(state, n, kind.unscaled(mean), lower, upper, out and better, text)


def _first(series: Series) -> Series:
    """Return the cases of the first 31 days, or the first 20 if these take longer."""
    cases = series.cases
    within = sum(case.at <= cases[0].at + _FIRST for case in cases)
    return Series.of(series.kind, cases[: max(within, MIN_CHANGED)])


def _reference(old: Chart) -> Limits | None:
    """Return limits from the latest 150 cases, or those of the chart if too few are changed."""
    values = [point.value for point in old.points[-_OLD_CASES:]]
    return baseline_limits(values, old.metric) or old.limits
