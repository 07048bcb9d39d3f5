"""The rules of a control chart, and the signals that cases give by them.

A rule gives a signal to *watch*. It says *investigate* if the cases are worse than the centre and
the rule's second condition is met:

======= ============================================== =========================================
rule    watch                                          investigate, towards worse
======= ============================================== =========================================
limit   a case beyond 3 sigma                          with it two of three cases beyond 2 sigma
run     nine cases in a row on one side of the centre  their mean is beyond its 3 sigma
trend   six cases in a row, each above the one before  never
month   the mean of a month is beyond its 3 sigma      the same
share   the share of changed cases in the latest 20    the same with a chance below 1 in 1000
        differs from the baseline's, with a chance
        below 1 in 100
======= ============================================== =========================================

A single better case, and a trend to better ones, ask for nothing; better rows, months and shares
are watched. All but the last are about changed cases only. The sigma of a mean of n cases is
`sigma * sqrt(1/n + 1/n0)`, with n0 for the cases of the baseline.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from itertools import accumulate, groupby
from math import isfinite
from statistics import fmean
from typing import Final

from drawcli.core.qa.chart_limits import Metric, band, on_scale
from drawcli.core.qa.nelson import (
    LIMIT,
    RUN,
    RUN_LENGTH,
    TREND,
    TREND_LENGTH,
    Hit,
    Limits,
    confirmed_hits,
    share_chance,
    sigma_of_mean,
)

MONTH, SHARE = "month", "share"  # rules beside Nelson's
SHARE_WINDOW: Final = 20  # latest cases whose share of changed ones is judged
MIN_MEAN: Final = 5  # cases that a mean or a share needs to be judged
RARE, VERY_RARE = 0.01, 0.001  # chances of a share, from which it is watched and investigated


class ChartState(StrEnum):
    """What a chart asks for."""

    NEW = "new"  # the baseline is not complete
    ROUTINE = "routine"
    WATCH = "watch"
    INVESTIGATE = "investigate"


@dataclass(frozen=True, slots=True)
class Point:
    """One case."""

    at: datetime
    value: float
    job: str


@dataclass(frozen=True, slots=True)
class Signal:
    """A rule that cases meet."""

    rule: str  # limit, run, trend (Nelson's rules 1 to 3), month, share
    at: datetime  # of the case that completed it
    job: str  # the same case
    text: str
    state: ChartState = ChartState.WATCH  # what it asks for
    better: bool = False  # than the baseline
    until: int = 0  # index in `Chart.points` of the last case that meets it


@dataclass(frozen=True, slots=True)
class Month:
    """Mean of the changed cases of a month, and the limits for their number."""

    month: str  # 2026-03
    n: int  # changed cases
    mean: float  # taken on the scale of the metric
    lower: float  # 3 sigma
    upper: float
    lower_2: float  # 2 sigma
    upper_2: float
    cases: int  # with those that are not changed


@dataclass(frozen=True, slots=True)
class Series:
    """The cases of a chart in the order of time; places of the changed ones on the scale."""

    kind: Metric
    cases: tuple[Point, ...]
    changed: tuple[int, ...]
    places: tuple[float, ...]

    @classmethod
    def of(cls, kind: Metric, points: Iterable[Point]) -> "Series":
        """Sort the cases; raise ValueError if a figure is not finite."""
        cases = tuple(sorted(points, key=lambda point: (point.at, point.job)))
        if wrong := [point.job for point in cases if not isfinite(point.value)]:
            raise ValueError(f"{kind.label} of {wrong[0]} is not a number")
        changed = tuple(i for i, case in enumerate(cases) if not kind.is_best(case.value))
        return cls(kind, cases, changed, tuple(kind.scaled(cases[i].value) for i in changed))


def judge(
    series: Series, baseline: int, limits: Limits | None
) -> tuple[tuple[Signal, ...], tuple[Month, ...]]:
    """Return the signals of all rules in the order of time, and the months."""
    found, months = [*_share_signals(series, baseline)], list[tuple[Month, int, int]]()
    if limits:
        judged = on_scale(series.kind, limits)
        months += _months(series, judged)
        found += [*_nelson_signals(series, judged), *_month_signals(series, months)]
    found.sort(key=lambda signal: (signal.at, signal.job, signal.rule))
    return tuple(found), tuple(month for month, _, _ in months)


def _months(series: Series, judged: Limits) -> Iterator[tuple[Month, int, int]]:
    """Yield each month with changed cases, its last case, and the side its mean is out (or 0)."""
    cases, kind = series.cases, series.kind
    places = dict(zip(series.changed, series.places, strict=True))
    for (year, number), indices in groupby(range(len(cases)), lambda i: _month(cases[i].at)):
        month = list(indices)
        changed = [places[index] for index in month if index in places]
        if changed:
            sigma, mean = sigma_of_mean(judged, len(changed)), fmean(changed)
            wide, near = (band(kind, judged.centre, k * sigma) for k in (3, 2))
            name = f"{year:04}-{number:02}"
            made = Month(name, len(changed), kind.unscaled(mean), *wide, *near, len(month))
            yield made, month[-1], side_out(mean, judged, len(changed))


def _month(at: datetime) -> tuple[int, int]:
    return at.year, at.month


def side_out(mean: float, judged: Limits, n: int) -> int:
    """Return whether the mean of n cases is above (1), below (-1) or within its 3 sigma limits."""
    far = 3 * sigma_of_mean(judged, n)
    if n < MIN_MEAN:
        return 0
    return (mean > judged.centre + far) - (mean < judged.centre - far)


@dataclass(frozen=True, slots=True)
class _Row:
    """Neighbouring hits of a rule on one side: the first, and the index of the last."""

    first: Hit
    last: int


def _rows(hits: Iterable[Hit]) -> list[_Row]:
    """Join neighbouring hits of a rule that are on one side, and confirmed or not."""
    rows = list[_Row]()
    for hit in hits:
        if rows and replace(rows[-1].first, index=rows[-1].last + 1) == hit:
            rows[-1] = replace(rows[-1], last=hit.index)
        else:
            rows.append(_Row(hit, hit.index))
    return rows


def _nelson_signals(series: Series, judged: Limits) -> Iterator[Signal]:
    """Yield a signal for each case beyond the limits, and for each row of cases."""
    hits = confirmed_hits(series.places, judged)
    rows = [_Row(hit, hit.index) for hit in hits if hit.rule == LIMIT]
    for rule in (RUN, TREND):
        rows += _rows(hit for hit in hits if hit.rule == rule)
    for row in rows:
        first = replace(row.first, index=series.changed[row.first.index])
        yield _signal(series, _Row(first, series.changed[row.last]), _text(row, series, judged))


def _month_signals(series: Series, months: Iterable[tuple[Month, int, int]]) -> Iterator[Signal]:
    kind = series.kind
    for month, last, side in months:
        if side and last < len(series.cases) - 1:  # the last month is not complete
            text = (
                f"mean {kind.label} of {month.month} ({month.n} changed cases):"
                f" {kind.text(month.mean)}, outside {kind.text(month.lower)}"
                f" to {kind.text(month.upper)}"
            )
            yield _signal(series, _Row(Hit(MONTH, last, side, is_confirmed=True), last), text)


def _share_signals(series: Series, baseline: int) -> Iterator[Signal]:
    marked = set(series.changed)
    counts = [0, *accumulate(index in marked for index in range(len(series.cases)))]
    before, hits, texts = counts[min(baseline, len(series.cases))], list[Hit](), dict[int, str]()
    for index in range(baseline + MIN_MEAN - 1, len(series.cases)):
        first = max(baseline, index + 1 - SHARE_WINDOW)
        after, n = counts[index + 1] - counts[first], index + 1 - first
        chance = share_chance(before, baseline, after, n)
        if chance < RARE:
            side = 1 if after * baseline > before * n else -1
            hits.append(Hit(SHARE, index, side, is_confirmed=side > 0 and chance < VERY_RARE))
            texts[index] = (
                f"{after} of the latest {n} cases are changed,"
                f" {before} of {baseline} in the baseline"
            )
    for row in _rows(hits):
        yield _signal(series, row, texts[row.first.index])


def _signal(series: Series, row: _Row, text: str) -> Signal:
    hit, case = row.first, series.cases[row.first.index]
    better = hit.side < 0 and not (series.kind.two_sided and hit.rule != SHARE)
    state = ChartState.INVESTIGATE if hit.is_confirmed else ChartState.WATCH
    if better:
        state = ChartState.ROUTINE if hit.rule in (LIMIT, TREND) else ChartState.WATCH
    return Signal(hit.rule, case.at, case.job, text, state, better, row.last)


def _text(row: _Row, series: Series, judged: Limits) -> str:
    """Return what happened, in the order of the rules: limit, run, trend."""
    kind, hit = series.kind, row.first
    words = ("larger", "smaller") if kind.two_sided else ("worse", "better")
    what = words[hit.side < 0]
    if hit.rule == RUN:
        also = ", and their mean is beyond its limit" if hit.is_confirmed else ""
        centre = kind.text(kind.unscaled(judged.centre))
        return f"{RUN_LENGTH} changed cases in a row are {what} than the centre {centre}{also}"
    if hit.rule == TREND:
        return f"{TREND_LENGTH} changed cases in a row, each {what} than the one before"
    value = kind.text(series.cases[series.changed[hit.index]].value)
    limit = kind.text(kind.unscaled(judged.upper if hit.side > 0 else judged.lower))
    if hit.is_confirmed:
        second = "the second of three changed cases beyond 2 sigma, with a case beyond the limit"
        return f"{kind.label} {value}: {second} {limit}"
    return f"{kind.label} {value} is beyond the limit {limit}"
