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
    Metric,
    band,
    baseline_limits,
    limits_by_hand,
    on_scale,
)
from drawcli.core.qa.chart_signals import (
    MIN_MEAN,
    VERY_RARE,
    ChartState,
    Month,
    Point,
    Series,
    Signal,
    judge,
    side_out,
)
from drawcli.core.qa.nelson import Limits, limits_of, share_chance, sigma_of_mean

__all__ = [
    "DEFAULT_BASELINE", "METRICS", "Chart", "ChartState", "Limits", "Metric", "Month", "Point",
    "Signal", "VersionShift", "baseline_limits", "chart", "compare_versions", "limits_by_hand",
    "limits_of",
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
    changed: int = 0  # cases whose figure is not the best possible

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
    made = Chart(
        metric=metric,
        template=template,
        roi=roi,
        version=version,
        points=series.cases,
        missing=0 if limits else max(baseline - len(series.cases), 0),
        changed=len(series.changed),
    )
    if made.missing:
        return made
    limits = limits or _own_limits(series, metric, baseline)
    signals, months = judge(series, baseline, limits)
    return replace(
        made,
        limits=limits,
        signals=signals,
        state=_state(signals, len(series.cases)),
        months=months,
    )


def _own_limits(series: Series, metric: str, baseline: int) -> Limits | None:
    """Return the limits of the changed cases in the baseline, or of the first 20 changed ones."""
    within = sum(i < baseline for i in series.changed)
    first = series.changed[: max(within, MIN_CHANGED)]
    return baseline_limits([series.cases[i].value for i in first], metric)


def _state(signals: Iterable[Signal], cases: int) -> ChartState:
    states = [signal.state for signal in _recent(signals, cases)]
    return max(states, key=_STATES.index, default=ChartState.ROUTINE)


def _recent(signals: Iterable[Signal], cases: int) -> tuple[Signal, ...]:
    return tuple(
        signal
        for signal in signals
        if signal.until >= cases - _RECENT and signal.state is not ChartState.ROUTINE
    )


def compare_versions(old: Chart, points: Iterable[Point]) -> VersionShift:
    """Compare the first cases of a new version with the latest 150 of the version before.

    The first cases are those of 31 days, or the first 20 if these take longer. The mean of the
    changed ones is judged by 3 sigma limits for their number, and the share of changed ones by
    its chance (below 1 in 1000).

    Parameters
    ----------
    old
        The chart of the version before.
    points
        The cases of the new version, in the units of the same metric.
    """
    kind = METRICS[old.metric]
    before, new = Series.of(kind, old.points[-_OLD_CASES:]), _first(Series.of(kind, points))
    mean, share = _shift_of_mean(old, before, new), _shift_of_share(before, new)
    worst = max(mean, share, key=lambda shift: _STATES.index(shift.state))
    text = "; ".join(filter(None, (mean.text, share.text)))
    return replace(mean, state=worst.state, better=worst.better, text=text)


def _first(series: Series) -> Series:
    """Return the cases of the first 31 days, or the first 20 if these take longer."""
    cases = series.cases
    within = sum(case.at <= cases[0].at + _FIRST for case in cases)
    return Series.of(series.kind, cases[: max(within, MIN_CHANGED)])


def _shift_of_mean(old: Chart, before: Series, new: Series) -> VersionShift:
    kind, n = new.kind, len(new.places)
    values = [case.value for case in before.cases]
    reference = baseline_limits(values, old.metric) or old.limits
    if reference is None or n < MIN_MEAN:
        return VersionShift(ChartState.NEW, n)
    judged, mean = on_scale(kind, reference), fmean(new.places)
    lower, upper = band(kind, judged.centre, 3 * sigma_of_mean(judged, n))
    side = side_out(mean, judged, n)
    text = (
        f"mean {kind.label} of the first {n} changed cases: {kind.text(kind.unscaled(mean))},"
        f" before {kind.text(reference.centre)}; limits {kind.text(lower)} to {kind.text(upper)}"
    )
    better = side < 0 and not kind.two_sided
    state = _state_of(is_out=side != 0, better=better)
    return VersionShift(state, n, kind.unscaled(mean), lower, upper, better, text)


def _shift_of_share(before: Series, new: Series) -> VersionShift:
    counts = len(before.places), len(before.cases), len(new.places), len(new.cases)
    if min(counts[1], counts[3]) < MIN_MEAN:
        return VersionShift(ChartState.NEW, counts[2])
    text = "{2} of {3} cases are changed, before {0} of {1}".format(*counts)
    better = counts[2] * counts[1] < counts[0] * counts[3]
    is_out = share_chance(*counts) < VERY_RARE
    return VersionShift(
        _state_of(is_out=is_out, better=better), counts[2], better=better and is_out, text=text
    )


def _state_of(*, is_out: bool, better: bool) -> ChartState:
    if not is_out:
        return ChartState.ROUTINE
    return ChartState.WATCH if better else ChartState.INVESTIGATE
