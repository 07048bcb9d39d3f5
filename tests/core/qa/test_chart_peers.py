"""The same limits and hits by two independent packages.

pycontrolcharts has charts of individual values and these rules. It marks every value of a row, and
its rule 3 counts steps where Nelson counts values: with a threshold of five steps it is the same
rule, but for a row that begins with the very first value, which it takes for a step itself.

pyshewhart has charts of means and ranges only: two neighbouring values as a sample make its mean
range the mean moving range. Its constants have three decimals. Its rules need one value more than
they say ("two of three" needs three), so they are not compared; two tests below show it.
"""

import random
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from drawcli.core.qa.nelson import (
    LIMIT,
    RUN,
    RUN_LENGTH,
    TREND,
    TREND_LENGTH,
    Limits,
    limits_of,
    rule_hits,
    sigma_of_mean,
)

TYPES = {LIMIT: (1, 2), RUN: (3, 4), TREND: (5, 6)}  # of pycontrolcharts
LENGTHS = {LIMIT: 1, RUN: RUN_LENGTH, TREND: TREND_LENGTH - 1}


def process(seed: int, n: int = 250) -> list[float]:
    """Return values that shift, drift and repeat themselves."""
    dice = random.Random(seed)  # noqa: S311 - a simulation
    level, values = 0.0, [-0.1, 0.1]  # no row begins with the first value
    while len(values) < n:
        if dice.random() < 0.04:
            level = dice.gauss(0, 1.2)
        drift = dice.choice((0.0, 0.0, 0.6, -0.6))
        for _ in range(8):
            level += drift
            values.append(round(dice.gauss(level, 0.4 if drift else 1.0), 1))
        level *= 0.5
    return values[:n]


def our_marks(values: Sequence[float], limits: Limits, rule: str) -> set[int]:
    """Return every value of every row that meets a rule."""
    return {
        hit.index - back
        for hit in rule_hits(values, limits)
        if hit.rule == rule
        for back in range(LENGTHS[rule])
    }


def their_marks(peer: Any, values: Sequence[float], limits: Limits, **config: int) -> Any:
    given = peer.models.CustomLimits(limits.centre, limits.upper, limits.lower)
    table = peer.core.run_tests_with_custom_limits(
        list(values), limits=given, run_tests=peer.models.RunTestConfig(**config)
    )
    return {
        rule: {
            int(point)
            for point, violations in zip(table["point_id"], table["violations"], strict=True)
            if any(violation["type"] in types for violation in violations)
        }
        for rule, types in TYPES.items()
    }


@pytest.fixture
def pycontrolcharts() -> Any:
    pytest.importorskip("pycontrolcharts.core")
    return pytest.importorskip("pycontrolcharts")


@pytest.fixture
def pyshewhart(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("MPLBACKEND", "Agg")
    return pytest.importorskip("pyshewhart")


@pytest.mark.parametrize("seed", range(5))
def test_pycontrolcharts_has_the_same_limits(pycontrolcharts: Any, seed: int) -> None:
    values = process(seed)
    limits = limits_of(values)

    row = pycontrolcharts.calc_xmr(values, run_tests=False).iloc[0]

    assert row["center_line"] == pytest.approx(limits.centre, abs=1e-9)
    assert row["ucl"] == pytest.approx(limits.upper, abs=1e-9)
    assert row["lcl"] == pytest.approx(limits.lower, abs=1e-9)
    assert row["sigma_1_upper"] - row["center_line"] == pytest.approx(limits.sigma, abs=1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_pycontrolcharts_marks_the_same_values(pycontrolcharts: Any, seed: int) -> None:
    values = process(seed)
    limits = limits_of(values[:60])

    theirs = their_marks(pycontrolcharts, values, limits, test3_n=TREND_LENGTH - 1)

    for rule in TYPES:
        assert our_marks(values, limits, rule) == theirs[rule], rule
        assert theirs[rule], "the process meets every rule"


def test_pycontrolcharts_needs_seven_values_for_six_in_a_row(pycontrolcharts: Any) -> None:
    limits, six = Limits(0, -9, 9, 3, 0), [0.0, -1.0, 0.0, 1.0, 2.0, 3.0, 4.0, 0.0]

    assert our_marks(six, limits, TREND) == {2, 3, 4, 5, 6}
    assert their_marks(pycontrolcharts, six, limits)[TREND] == set()
    seven = [0.0, -1.0, 0.0, 1.0, 2.0, 3.0, 4.0, 5.0]
    assert their_marks(pycontrolcharts, seven, limits)[TREND] == {2, 3, 4, 5, 6, 7}


def test_pycontrolcharts_takes_a_first_value_above_zero_for_a_rise(pycontrolcharts: Any) -> None:
    limits, five = Limits(0, -9, 9, 3, 0), [1.0, 2.0, 3.0, 4.0, 5.0, 0.0]

    assert our_marks(five, limits, TREND) == set()
    config = {"test3_n": TREND_LENGTH - 1}
    assert their_marks(pycontrolcharts, five, limits, **config)[TREND] == {0, 1, 2, 3, 4}
    lower = [value - 6 for value in five]
    assert their_marks(pycontrolcharts, lower, limits, **config)[TREND] == set()


@pytest.mark.parametrize("seed", range(5))
def test_pyshewhart_has_the_same_sigma(pyshewhart: Any, seed: int) -> None:
    values = process(seed)
    limits = limits_of(values)
    pairs = [value for pair in pairwise(values) for value in pair]

    record = pyshewhart.data_types.import_times_values(pairs, sample_size=2)

    sigma = record.mean_of_ranges / pyshewhart.constants.d2[2]
    assert sigma == pytest.approx(limits.sigma, abs=1e-9)
    half_width = pyshewhart.constants.A2[2] * record.mean_of_ranges
    assert half_width == pytest.approx(3 * sigma_of_mean(replace(limits, n=0), 2), rel=5e-4)


@pytest.mark.filterwarnings("ignore")  # of matplotlib, about fonts and windows
@pytest.mark.parametrize("last", [1.5, 9.0])
def test_pyshewhart_says_the_same_of_a_chart_of_pairs(pyshewhart: Any, last: float) -> None:
    values = [0.0, 1.0, 0.5, -0.5, 0.2, 1.1, -0.3, 0.4, 0.9, 0.1, last, last]
    means = [(a + b) / 2 for a, b in zip(values[::2], values[1::2], strict=True)]
    ranges = [abs(a - b) for a, b in zip(values[::2], values[1::2], strict=True)]
    half = 3 * sum(ranges) / len(ranges) / 1.128 / 2**0.5
    centre = sum(means) / len(means)

    theirs = pyshewhart.XbarRControlChart(values, sample_size=2, check_western_elec_rules=False)

    ours = rule_hits(means, Limits(centre, centre - half, centre + half, half / 3, 0))
    assert theirs.in_control is (last < 2)
    assert theirs.in_control is not any(hit.rule == LIMIT for hit in ours)


@pytest.mark.filterwarnings("ignore")
def test_pyshewhart_never_reports_a_run(pyshewhart: Any) -> None:
    values = [1.2, -0.8] * 12 + [0.8, -1.2] * 12
    means = [0.2] * 12 + [-0.2] * 12

    theirs = pyshewhart.XbarRControlChart(values, sample_size=2)

    assert list(theirs.record.means) == pytest.approx(means)
    assert theirs.passing_western_elec_rules  # although eight in a row are on one side
    assert RUN in {hit.rule for hit in rule_hits(means, Limits(0.0, -2.0, 2.0, 0.7, 0))}
