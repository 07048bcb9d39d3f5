"""Control charts: limits, rules, months, states and the change of a version."""

import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from math import exp, log
from statistics import fmean

import pytest

from drawcli.core.qa.charts import (
    METRICS,
    Chart,
    ChartState,
    Point,
    chart,
    compare_versions,
    limits_by_hand,
    limits_of,
)

START = datetime(2026, 1, 1, 12, tzinfo=UTC)


def points(values: Sequence[float], first: int = 0, every: float = 1.0) -> list[Point]:
    """Return one case a day."""
    return [
        Point(START + timedelta(days=every * (first + i)), value, f"{first + i:04d}")
        for i, value in enumerate(values)
    ]


def distances(n: int, seed: int = 1, by: float = 0.0) -> list[float]:
    """Return figures of HD95 whose logarithm, with 0.5 mm added, is normal; `by` in sigma."""
    dice = random.Random(seed)  # noqa: S311 - a simulation
    return [max(exp(dice.gauss(log(4.0) + 0.5 * by, 0.5)) - 0.5, 0.01) for _ in range(n)]


def made(values: Sequence[float], metric: str = "hd95_mm", baseline: int = 30) -> Chart:
    return chart(points(values), metric=metric, baseline=baseline)


def test_limits_are_the_mean_and_three_times_the_mean_moving_range_over_1_128() -> None:
    limits = limits_of([39, 41, 41, 41, 43, 44, 41, 42, 40, 41, 44, 40])

    assert limits.centre == pytest.approx(41.41666667)
    assert limits.sigma == pytest.approx(19 / 11 / 1.128)
    assert limits.upper - limits.centre == pytest.approx(3 * limits.sigma)
    assert limits.centre - limits.lower == pytest.approx(3 * limits.sigma)


def test_the_limits_of_a_metric_are_those_of_its_scale_turned_back() -> None:
    values = distances(30)
    found = made(values).limits

    logs = [log(value + 0.5) for value in values]
    sigma = fmean(abs(b - a) for a, b in pairwise(logs)) / 1.128
    assert found
    assert found.centre == pytest.approx(exp(fmean(logs)) - 0.5)
    assert found.upper == pytest.approx(exp(fmean(logs) + 3 * sigma) - 0.5)
    assert found.lower == pytest.approx(max(exp(fmean(logs) - 3 * sigma) - 0.5, 0))


def test_a_chart_is_new_until_its_baseline_is_complete() -> None:
    found = made(distances(29))

    assert (found.state, found.missing, found.limits, found.signals) == (
        ChartState.NEW,
        1,
        None,
        (),
    )
    assert made(distances(30)).state is ChartState.ROUTINE


def test_a_large_shift_is_to_be_investigated_at_its_second_case() -> None:
    steady = distances(40)
    assert made(steady).state is ChartState.ROUTINE
    worse = made([*steady, 40.0])
    assert worse.state is ChartState.WATCH
    confirmed = made([*steady, 40.0, 41.0])
    assert confirmed.state is ChartState.INVESTIGATE
    assert [signal.rule for signal in confirmed.signals] == ["limit", "limit"]
    assert confirmed.signals[-1].job == "0041"


def test_a_new_version_that_is_worse_is_told_from_the_one_before() -> None:
    old = made(distances(60))

    same = compare_versions(old, points(distances(20, seed=2), first=60))
    worse = compare_versions(old, points(distances(20, seed=2, by=2.0), first=60))
    better = compare_versions(old, points(distances(20, seed=2, by=-2.0), first=60))

    assert (same.state, same.n) == (ChartState.ROUTINE, 20)
    assert (worse.state, worse.better) == (ChartState.INVESTIGATE, False)
    assert (better.state, better.better) == (ChartState.WATCH, True)


@pytest.mark.parametrize("metric", METRICS)
def test_every_scale_turns_back_to_its_figures(metric: str) -> None:
    kind = METRICS[metric]
    for value in (0.001, 0.2, 0.7, 0.97):
        assert kind.unscaled(kind.scaled(value)) == pytest.approx(value)


def test_limits_set_by_hand_are_used_at_once() -> None:
    limits = limits_by_hand("dice", 0.9, 0.756, "AAPM 2025")

    found = chart(points([0.9, 0.92, 0.7]), metric="dice", limits=limits)

    assert limits.lower == pytest.approx(0.756)
    assert found.limits == limits
    assert [signal.rule for signal in found.signals] == ["limit"]
    assert "0.756" in found.signals[0].text
