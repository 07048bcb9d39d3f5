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

All but the last are about changed cases only. The sigma of a mean of n cases is
`sigma * sqrt(1/n + 1/n0)`, with n0 for the cases of the baseline.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from itertools import groupby
from math import comb, isfinite
from statistics import fmean
from typing import Final

from drawcli.core.qa.chart_limits import Metric, band, sigma_of_mean
from drawcli.core.qa.nelson import (
    LIMIT,
    RUN,
    RUN_LENGTH,
    TREND,
    TREND_LENGTH,
    Hit,
    Limits,
    rule_hits,
)

MONTH, SHARE = "month", "share"  # rules beside Nelson's
SHARE_WINDOW: Final = 20  # latest cases whose share of changed ones is judged
MIN_MEAN: Final = 5  # cases that a mean or a share needs to be judged
_CONFIRMED: Final = 2  # of three cases beyond 2 sigma


class ChartState(StrEnum):
    """What a chart asks for."""

    NEW = "new"  # the baseline is not complete
    ROUTINE = "routine"
    WATCH = "watch"
    INVESTIGATE = "investigate"


STATES: Final = tuple(ChartState)
_CHANCE: Final = {ChartState.INVESTIGATE: 0.001, ChartState.WATCH: 0.01}


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


def signals_of(series: Series, baseline: int, limits: Limits | None) -> tuple[Signal, ...]:
    """Return the signals of all rules in the order of time."""
    found = [*_share_signals(series, baseline)]
    if limits:
        judged = on_scale(series.kind, limits)
        found += [*_nelson_signals(series, judged), *_month_signals(series, judged)]
    return tuple(sorted(found, key=lambda signal: (signal.at, signal.job, signal.rule)))


def on_scale(kind: Metric, limits: Limits) -> Limits:
    """Return the limits as places on the scale of the metric, where more is worse."""
    centre = kind.scaled(limits.centre)
    lower, upper = sorted((kind.scaled(limits.lower), kind.scaled(limits.upper)))
    sigma = limits.sigma or (upper - centre) / 3
    return replace(limits, centre=centre, lower=lower, upper=upper, sigma=sigma)


def months_of(series: Series, judged: Limits) -> Iterator[tuple[Month, int, int]]:
    """Return each month with changed cases, its last case, and the side its mean is out (or 0).

    Parameters
    ----------
    series
        The cases.
    judged
        The limits on the scale of the metric.
    """
    cases, kind = series.cases, series.kind
    places = dict(zip(series.changed, series.places, strict=True))
    for name, indices in groupby(range(len(cases)), lambda index: f"{cases[index].at:%Y-%m}"):
        month = list(indices)
        changed = [places[index] for index in month if index in places]
        if changed:
            sigma, mean = sigma_of_mean(judged, len(changed)), fmean(changed)
            wide, near = (band(kind, judged.centre, k * sigma) for k in (3, 2))
            made = Month(name, len(changed), kind.unscaled(mean), *wide, *near, len(month))
            out = abs(mean - judged.centre) > 3 * sigma and len(changed) >= MIN_MEAN
            yield made, month[-1], _side(mean, judged) if out else 0


def _side(place: float, judged: Limits) -> int:
    return 1 if place > judged.centre else -1


def _month_signals(series: Series, judged: Limits) -> Iterator[Signal]:
    kind = series.kind
    for month, last, side in months_of(series, judged):
        if side:
            text = (
                f"mean {kind.label} of {month.month} ({month.n} changed cases):"
                f" {kind.text(month.mean)}, outside {kind.text(month.lower)}"
                f" to {kind.text(month.upper)}"
            )
            row = _Row(Hit(MONTH, last, side), last, is_urgent=True)
            yield _signal(series, row, text, better=side < 0 and not kind.two_sided)


@dataclass(frozen=True, slots=True)
class _Row:
    """Neighbouring hits of a rule, on one side."""

    first: Hit
    last: int
    is_urgent: bool


def _rows(hits: Iterable[tuple[Hit, bool]]) -> list[_Row]:
    """Join neighbouring hits of a rule that are on one side and equally urgent."""
    rows = list[_Row]()
    for hit, urgent in hits:
        before = rows[-1] if rows else None
        if (
            before
            and before.first.side == hit.side
            and before.last == hit.index - 1
            and before.is_urgent == urgent
        ):
            rows[-1] = replace(before, last=hit.index)
        else:
            rows.append(_Row(hit, hit.index, urgent))
    return rows


def _signal(series: Series, row: _Row, text: str, *, better: bool) -> Signal:
    case = series.cases[row.first.index]
    urgent = row.is_urgent and not better
    state = ChartState.INVESTIGATE if urgent else ChartState.WATCH
    return Signal(row.first.rule, case.at, case.job, text, state, better, row.last)


def _nelson_signals(series: Series, judged: Limits) -> Iterator[Signal]:
    """Yield a signal for each case beyond the limits, and for each row of cases."""
    hits = [*rule_hits(series.places, judged), *_confirming(series.places, judged)]
    for rule in (LIMIT, RUN, TREND):
        found = [(hit, _is_urgent(hit, series.places, judged)) for hit in hits if hit.rule == rule]
        rows = [_Row(hit, hit.index, urgent) for hit, urgent in found]
        for row in rows if rule == LIMIT else _rows(found):
            first, last = series.changed[row.first.index], series.changed[row.last]
            text = _text(row, series, judged)
            better = row.first.side < 0 and not series.kind.two_sided
            placed = _Row(replace(row.first, index=first), last, row.is_urgent)
            yield _signal(series, placed, text, better=better)


def _confirming(places: Sequence[float], judged: Limits) -> Iterator[Hit]:
    """Yield each value between 2 and 3 sigma with which a value beyond 3 sigma is confirmed."""
    for index, place in enumerate(places):
        hit = Hit(LIMIT, index, _side(place, judged))
        if judged.lower <= place <= judged.upper and _is_confirmed(hit, places, judged):
            yield hit


def _is_confirmed(hit: Hit, places: Sequence[float], judged: Limits) -> bool:
    """Whether of three cases two are beyond 2 sigma, the last among them, and one beyond 3."""
    limit = (judged.upper if hit.side > 0 else judged.lower) * hit.side
    zone = judged.centre * hit.side + 2 * judged.sigma
    last = [place * hit.side for place in places[max(hit.index - 2, 0) : hit.index + 1]]
    return last[-1] > zone and max(last) > limit and sum(one > zone for one in last) >= _CONFIRMED


def _is_urgent(hit: Hit, places: Sequence[float], judged: Limits) -> bool:
    if hit.rule == RUN:
        mean = fmean(places[hit.index - RUN_LENGTH + 1 : hit.index + 1])
        return abs(mean - judged.centre) > 3 * sigma_of_mean(judged, RUN_LENGTH)
    return hit.rule == LIMIT and _is_confirmed(hit, places, judged)


def _text(row: _Row, series: Series, judged: Limits) -> str:
    hit, urgent = row.first, row.is_urgent
    kind, value = series.kind, series.cases[series.changed[hit.index]].value
    limit = kind.unscaled(judged.upper if hit.side > 0 else judged.lower)
    what = _comparative(kind, hit.side)
    if hit.rule == LIMIT and urgent:
        return (
            f"{kind.label} {kind.text(value)}: of three changed cases two are beyond 2 sigma, and"
            f" a case is beyond the limit {kind.text(limit)}"
        )
    if hit.rule == LIMIT:
        return f"{kind.label} {kind.text(value)} is beyond the limit {kind.text(limit)}"
    if hit.rule == RUN:
        also = ", and so is their mean, beyond its limit" if urgent else ""
        centre = kind.text(kind.unscaled(judged.centre))
        return f"{RUN_LENGTH} changed cases in a row are {what} than the centre {centre}{also}"
    return f"{TREND_LENGTH} changed cases in a row, each {what} than the one before"


def _comparative(kind: Metric, side: int) -> str:
    words = ("larger", "smaller") if kind.two_sided else ("worse", "better")
    return words[side < 0]


def _share_signals(series: Series, baseline: int) -> Iterator[Signal]:
    marked = set(series.changed)
    changed = [index in marked for index in range(len(series.cases))]
    before, hits = sum(changed[:baseline]), list[tuple[Hit, bool]]()
    for index in range(baseline + MIN_MEAN - 1, len(changed)):
        latest = changed[max(baseline, index + 1 - SHARE_WINDOW) : index + 1]
        side, chance = _share_chance(baseline, before, len(latest), sum(latest))
        if chance < _CHANCE[ChartState.WATCH]:
            urgent = side > 0 and chance < _CHANCE[ChartState.INVESTIGATE]
            hits.append((Hit(SHARE, index, side), urgent))
    for row in _rows(hits):
        latest = changed[max(baseline, row.first.index + 1 - SHARE_WINDOW) : row.first.index + 1]
        text = (
            f"{sum(latest)} of the latest {len(latest)} cases are changed,"
            f" {before} of {baseline} in the baseline"
        )
        yield _signal(series, row, text, better=row.first.side < 0)


@lru_cache(maxsize=4096)
def _share_chance(cases: int, before: int, latest: int, after: int) -> tuple[int, float]:
    """Return whether more (1) or fewer (-1) of the latest cases are changed, and the chance of it.

    The chance of so many or more (of so few or fewer) among the latest cases, if all changed cases
    were spread over both at random: the hypergeometric distribution, Fisher's exact test.
    """
    changed = before + after
    more = after * cases > before * latest
    counts = range(after, min(latest, changed) + 1) if more else range(after + 1)
    ways = sum(comb(latest, n) * comb(cases, changed - n) for n in counts if n <= changed)
    return 1 if more else -1, ways / comb(cases + latest, changed)
