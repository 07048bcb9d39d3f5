"""A simulated year of 10,000 delivered series, and what the control charts say about it.

    python -m tests.core.qa.year

prints the figures of docs/explanation/control-charts.md. The figures of a structure are skewed, and
many cases are not changed at all. No distribution is the one that a chart assumes: the scale of a
metric makes lognormal figures about normal, and here are gamma, Weibull and beta figures, too, and
a few cases that are drawn anew.
"""

import random
import sys
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import pairwise
from math import exp
from statistics import fmean, median, pstdev

from drawcli.core.qa.charts import (
    METRICS,
    Chart,
    ChartState,
    Point,
    Signal,
    chart,
    compare_versions,
    limits_by_hand,
)
from drawcli.core.qa.nelson import LIMIT, limits_of, rule_hits

START = datetime(2026, 1, 1, 8, tzinfo=UTC)
YEAR = timedelta(days=365)
SEED = 20261129
SERIES = 10_000
_RARELY = 0.1  # share of changed cases below which a delay is not a matter of cases


@dataclass(frozen=True)
class Roi:
    """How a structure is edited: what share of cases, by how much, how skewed."""

    name: str
    changed: float  # share of cases
    defect: float  # median of 1 - Dice of changed cases; distances follow from it
    skew: str  # lognormal, gamma, weibull, beta
    redrawn: float = 0.01  # share of changed cases with four times the deviation


TEMPLATES = {  # share of the series; structures
    "Pelvis": (
        0.30,
        (
            Roi("Bladder", 0.35, 0.03, "lognormal"),
            Roi("Rectum", 0.75, 0.08, "gamma"),
            Roi("Prostate", 0.85, 0.10, "beta"),
            Roi("Femur_Head_L", 0.15, 0.03, "weibull"),
        ),
    ),
    "HeadNeck": (
        0.25,
        (
            Roi("Parotid_L", 0.60, 0.08, "gamma"),
            Roi("SpinalCord", 0.40, 0.10, "lognormal"),
            Roi("OpticChiasm", 0.70, 0.30, "beta"),
            Roi("Brainstem", 0.30, 0.05, "lognormal"),
        ),
    ),
    "Thorax": (
        0.20,
        (
            Roi("Heart", 0.50, 0.04, "gamma"),
            Roi("Lung_L", 0.10, 0.01, "lognormal"),
            Roi("Esophagus", 0.80, 0.15, "beta"),
            Roi("SpinalCanal", 0.25, 0.06, "weibull"),
        ),
    ),
    "Breast": (0.15, (Roi("Breast_L", 0.90, 0.07, "gamma"), Roi("Heart", 0.40, 0.04, "lognormal"))),
    "Brain": (0.10, (Roi("Hippocampus_L", 0.65, 0.20, "beta"), Roi("Eye_L", 0.02, 0.05, "gamma"))),
}
WHAT = ("dice", "hd95_mm", "mean_distance_mm", "shift_superior_mm")
_AS_DISTANCE = {"hd95_mm": 60.0, "mean_distance_mm": 12.0}  # mm per 1 - Dice
_DRAWS: dict[str, Callable[[random.Random], float]] = {  # each with a median of about 1
    "lognormal": lambda dice: exp(dice.gauss(0, 0.7)),
    "gamma": lambda dice: dice.gammavariate(2, 1 / 1.678),
    "weibull": lambda dice: dice.weibullvariate(1.26, 1.6),
    "beta": lambda dice: dice.betavariate(2.5, 15) / 0.129,
}


def figures(roi: Roi, metric: str, n: int, dice: random.Random) -> list[float]:
    """Return figures of so many cases."""
    return [_figure(roi, metric, dice) for _ in range(n)]


def _figure(roi: Roi, metric: str, dice: random.Random) -> float:
    kind = METRICS[metric]
    if dice.random() >= roi.changed:
        return kind.best
    size = roi.defect * _DRAWS[roi.skew](dice) * (4 if dice.random() < roi.redrawn else 1)
    if metric == "dice":
        return 1 - min(max(size, 0.0002), 0.98)
    if kind.two_sided:  # heavier tails than normal
        return 15 * size * dice.gauss(0, 1)
    return max(round(_AS_DISTANCE[metric] * size * dice.uniform(0.7, 1.4), 2), 0.01)


@cache
def spread(roi: Roi, metric: str) -> float:
    """Return the true sigma of the changed cases on the scale of the metric."""
    kind = METRICS[metric]
    values = figures(roi, metric, 20_000, random.Random(7))  # noqa: S311
    return pstdev(kind.scaled(value) for value in values if not kind.is_best(value))


def shifted(values: Sequence[float], metric: str, by: float) -> list[float]:
    """Return the figures moved by so much on the scale of their metric; unchanged cases stay."""
    kind = METRICS[metric]
    return [
        value if kind.is_best(value) else kind.unscaled(kind.scaled(value) + by) for value in values
    ]


def cases(values: Sequence[float], begin: datetime = START, span: timedelta = YEAR) -> list[Point]:
    """Return the figures as cases, evenly over a time."""
    step = span / len(values)
    return [Point(begin + i * step, value, f"{i:05d}") for i, value in enumerate(values)]


def year_of_cases(seed: int = SEED) -> Iterator[tuple[str, Roi, str, list[Point]]]:
    """Yield template, structure, metric and cases: a year in which nothing changes."""
    dice = random.Random(seed)  # noqa: S311
    for template, (share, rois) in TEMPLATES.items():
        for roi in rois:
            for metric in WHAT:
                values = figures(roi, metric, round(share * SERIES), dice)
                yield template, roi, metric, cases(values)


def known_at(signal: Signal, points: Sequence[Point]) -> int:
    """Return the index of the case with which a signal is known: a month ends with the next."""
    index = bisect_left(points, (signal.at, signal.job), key=lambda point: (point.at, point.job))
    return index + 1 if signal.rule == "month" else index


def first_signal(made: Chart, state: ChartState, begin: int) -> int | None:
    """Return how many cases after a change it takes until a state is reached; None if never."""
    known = [
        known_at(signal, made.points)
        for signal in made.signals
        if not signal.better and _order(signal.state) >= _order(state)
    ]
    return min((index - begin + 1 for index in known if index >= begin), default=None)


def _order(state: ChartState) -> int:
    return list(ChartState).index(state)


def state_shares(made: Chart, begin: int) -> Counter[ChartState]:
    """Return in how many cases after the baseline the chart was in each state."""
    states = [ChartState.ROUTINE] * len(made.points)
    for signal in made.signals:
        last = min(signal.until + 9, len(states))
        for index in range(known_at(signal, made.points), last):
            states[index] = max(states[index], signal.state, key=_order)
    return Counter(states[begin:])


@dataclass(frozen=True)
class Quiet:
    """What the charts of a year without a change say."""

    judged: int  # cases after the baselines
    starts: dict[ChartState, int]  # how often a state is reached, by false alarm
    shares: dict[ChartState, float]  # of the time
    raw_limit: float  # cases beyond the worse 3 sigma limit, share; figures as they are
    scaled_limit: float  # the same, changed cases on the scale


def quiet_years(baseline: int, years: int) -> Quiet:
    """Return the false alarms of years in which nothing changes.

    A chart with an unlucky baseline has many, so that years differ.
    """
    starts, shares = Counter[ChartState](), Counter[ChartState]()
    beyond = {True: [0, 0], False: [0, 0]}
    for seed in range(SEED, SEED + years):
        for _, _, metric, points in year_of_cases(seed):
            made = chart(points, metric=metric, baseline=baseline)
            shares += state_shares(made, baseline)
            starts += entries(made, baseline)
            for scaled in (True, False):
                values = [point.value for point in points]
                out, n = _beyond(metric, values, baseline, scaled=scaled)
                beyond[scaled][0] += out
                beyond[scaled][1] += n
    judged = sum(shares.values())
    return Quiet(
        judged,
        dict(starts),
        {state: shares[state] / judged for state in ChartState},
        beyond[False][0] / beyond[False][1],
        beyond[True][0] / beyond[True][1],
    )


def entries(made: Chart, begin: int) -> Counter[ChartState]:
    """Return how often the state of a chart became watch, or investigate, after the baseline."""
    states = [ChartState.ROUTINE] * len(made.points)
    for signal in made.signals:
        for index in range(known_at(signal, made.points), min(signal.until + 9, len(states))):
            states[index] = max(states[index], signal.state, key=_order)
    return Counter(
        after for before, after in pairwise(states[begin:]) if _order(after) > _order(before)
    )


def _beyond(
    metric: str, values: Sequence[float], baseline: int, *, scaled: bool
) -> tuple[int, int]:
    """Return how many cases after the baseline are beyond the worse limit, and of how many."""
    kind = METRICS[metric]
    places = [kind.scaled(value) for value in values if not kind.is_best(value)]
    if not scaled:
        places = [value if kind.two_sided else abs(value - kind.best) for value in values]
    if len(places) <= baseline:
        return 0, 0
    hits = rule_hits(places[baseline:], limits_of(places[:baseline]))
    return sum(hit.rule == LIMIT and hit.side > 0 for hit in hits), len(places) - baseline


def delays(by: float, baseline: int, repeats: int = 2) -> dict[ChartState, list[float]]:
    """Return after how many changed cases a shift of so many sigma is watched and investigated.

    Each chart of the year is shifted in each repeat, 60 to 150 changed cases after its baseline,
    and watched for 250 more. A chart in which fewer than a tenth of the cases is changed is left
    out.
    """
    dice = random.Random(SEED + 1)  # noqa: S311
    found: dict[ChartState, list[float]] = {ChartState.WATCH: [], ChartState.INVESTIGATE: []}
    for roi in {roi: None for _, rois in TEMPLATES.values() for roi in rois}:
        for metric in WHAT if roi.changed >= _RARELY else ():
            for _ in range(repeats):
                begin = baseline + round(dice.uniform(60, 150) / roi.changed)
                values = figures(roi, metric, begin + round(250 / roi.changed), dice)
                values[begin:] = shifted(values[begin:], metric, by * spread(roi, metric))
                made = chart(
                    cases(values, span=timedelta(days=len(values) / 5)),
                    metric=metric,
                    baseline=baseline,
                )
                for state, of_state in found.items():
                    delay = first_signal(made, state, begin)
                    of_state.append(250.0 if delay is None else delay * roi.changed)
    return found


def run_lengths(by: float, repeats: int, length: int) -> dict[ChartState, float]:
    """Return the average run length up to a worse state, with normal figures and exact limits.

    Twenty cases a month; a series without the state in its whole length is counted as such.
    """
    dice = random.Random(SEED + 3)  # noqa: S311
    limits = limits_by_hand("hd95_mm", 4.0, 5 * exp(1.5) - 1, "known")  # sigma is 0.5
    total, ended = Counter[ChartState](), Counter[ChartState]()
    for _ in range(repeats):
        values = [5 * exp(0.5 * dice.gauss(by, 1)) - 1 for _ in range(length)]
        points = cases([max(value, 0.001) for value in values], span=timedelta(days=1.52 * length))
        made = chart(points, metric="hd95_mm", limits=limits, baseline=length)
        for state in (ChartState.WATCH, ChartState.INVESTIGATE):
            delay = first_signal(made, state, 0)
            total[state] += delay or length
            ended[state] += delay is not None
    return {state: total[state] / ended[state] for state in total}


@dataclass(frozen=True)
class Update:
    """How many charts tell a change of version within its first month."""

    charts: float  # share
    templates: float  # share with a chart that tells it
    false: float  # share of charts that say so of a version without a change, at the month's end


def model_change(by: float, repeats: int = 3) -> Update:
    """Return how a version that is worse by so many sigma is seen within 31 days.

    The first half of the year has the old version, 10,000 series a year in all.
    """
    dice = random.Random(SEED + 2)  # noqa: S311
    told, templates, false = list[bool](), list[bool](), list[bool]()
    for _ in range(repeats):
        for share, rois in TEMPLATES.values():
            of_template = []
            for roi in rois:
                for metric in WHAT:
                    old, new = _versions(roi, metric, round(share * SERIES), dice)
                    false.append(compare_versions(old, new).state is ChartState.INVESTIGATE)
                    worse = shifted(
                        [point.value for point in new], metric, by * spread(roi, metric)
                    )
                    late = cases(worse, new[0].at, timedelta(days=31))
                    state = compare_versions(old, late).state
                    of_template.append(state is ChartState.INVESTIGATE)
            told += of_template
            templates.append(any(of_template))
    return Update(fmean(told), fmean(templates), fmean(false))


def false_alarms_of_versions(years: int, step: int = 3) -> tuple[int, int]:
    """Return how many charts tell a change where there is none, looked at all month, of how many.

    Each is looked at from the fifth case on, after every few cases of the new version.
    """
    told = list[bool]()
    for year in range(years):
        dice = random.Random(SEED + 4 + 100 * year)  # noqa: S311
        for share, rois in TEMPLATES.values():
            for roi in rois:
                for metric in WHAT:
                    old, new = _versions(roi, metric, round(share * SERIES), dice)
                    shifts = (compare_versions(old, new[:n]) for n in range(5, len(new), step))
                    told.append(any(shift.state is ChartState.INVESTIGATE for shift in shifts))
    return sum(told), len(told)


def _versions(roi: Roi, metric: str, a_year: int, dice: random.Random) -> tuple[Chart, list[Point]]:
    half, month = round(a_year / 2), round(a_year * 31 / 365)
    old = cases(figures(roi, metric, half, dice), span=YEAR / 2)
    new = cases(figures(roi, metric, month, dice), START + YEAR / 2, timedelta(days=31))
    return chart(old, metric=metric), new


def report() -> Iterator[str]:
    """Yield all figures."""
    for by, repeats, length in (
        (0.0, 400, 3000),
        (1.0, 2000, 150),
        (2.0, 2000, 60),
        (3.0, 2000, 30),
    ):
        lengths = {str(state): round(n, 1) for state, n in run_lengths(by, repeats, length).items()}
        yield f"normal figures, limits known, {by:g} sigma: average run length {lengths}"
    for baseline in (20, 30, 60, 100, 150):
        quiet = quiet_years(baseline, 8)
        a_1000 = {
            str(state): round(1000 * n / quiet.judged, 2) for state, n in quiet.starts.items()
        }
        time = {str(state): round(share, 3) for state, share in quiet.shares.items()}
        yield f"baseline {baseline}: {quiet.judged} cases; of 1000 {a_1000}; of the time {time}"
        raw, scaled = quiet.raw_limit, quiet.scaled_limit
        yield f"  beyond 3 sigma: {raw:.4f} as they are, {scaled:.4f} on the scale"
    for baseline in (30, 100):
        for by in (1.0, 2.0, 3.0):
            for state, found in delays(by, baseline, repeats=4).items():
                late = sorted(found)[len(found) * 9 // 10]
                yield (
                    f"baseline {baseline}, {by:g} sigma, {state}: median {median(found):.0f},"
                    f" mean {fmean(found):.1f}, 90 percent within {late:.0f}"
                )
    for by in (0.5, 1.0, 2.0):
        yield f"model change of {by:g} sigma: {model_change(by)}"
    yield f"version without a change, looked at all month: {false_alarms_of_versions(8)}"


if __name__ == "__main__":
    for line in report():
        sys.stdout.write(f"{line}\n")
