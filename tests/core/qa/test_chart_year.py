"""A simulated year of 10,000 series: false alarms and delays, beside theory and another package."""

from statistics import fmean, median

import pytest

from drawcli.core.qa.charts import METRICS, ChartState, chart
from drawcli.core.qa.nelson import LIMIT, RUN, TREND, limits_of
from tests.core.qa.run_lengths import (
    first_hits,
    run_length_of_limits,
    run_length_of_trends,
    run_length_with_runs,
)
from tests.core.qa.test_chart_peers import our_marks, their_marks
from tests.core.qa.year import (
    delays,
    known_at,
    model_change,
    quiet_years,
    run_lengths,
    year_of_cases,
)

BASELINE = 30


def test_the_year_has_10000_series_of_five_templates() -> None:
    counts = {template: len(points) for template, _, _, points in year_of_cases()}

    assert sum(counts.values()) == 10_000


def test_a_year_without_a_change_has_few_false_alarms() -> None:
    quiet = quiet_years(BASELINE, 2)

    assert quiet.judged > 200_000
    assert 1000 * quiet.starts[ChartState.INVESTIGATE] / quiet.judged < 1.8  # of 8 years: 1.1
    assert 1000 * quiet.starts[ChartState.WATCH] / quiet.judged < 7  # 5.6
    assert quiet.shares[ChartState.ROUTINE] > 0.9  # 0.93
    assert quiet.shares[ChartState.INVESTIGATE] < 0.02  # 0.011


def test_the_scale_brings_false_alarms_of_single_cases_near_theory() -> None:
    quiet = quiet_years(100, 1)

    assert quiet.raw_limit > 0.025  # of the figures as they are; theory has 0.00135
    assert quiet.scaled_limit < 0.005


def test_normal_figures_with_known_limits_have_the_documented_run_lengths() -> None:
    quiet, shifted = run_lengths(0.0, 150, 3000), run_lengths(2.0, 800, 60)

    assert 220 < quiet[ChartState.WATCH] < 330
    assert 2200 < quiet[ChartState.INVESTIGATE] < 4500
    assert shifted[ChartState.WATCH] == pytest.approx(run_length_with_runs(2.0), rel=0.1)
    assert shifted[ChartState.INVESTIGATE] == pytest.approx(6.2, rel=0.1)


@pytest.mark.parametrize(
    ("by", "watch", "investigate"),
    [(1.0, (8, 17), (14, 25)), (2.0, (3, 6), (4, 8)), (3.0, (0.5, 3), (1, 4))],
)
def test_a_shift_is_found_about_as_fast_as_theory_allows(
    by: float, watch: tuple[float, float], investigate: tuple[float, float]
) -> None:
    found = delays(by, 100)

    assert watch[0] <= median(found[ChartState.WATCH]) <= watch[1]
    assert investigate[0] <= median(found[ChartState.INVESTIGATE]) <= investigate[1]
    theory = run_length_with_runs(by)  # limits known, both sides, rules 1 and 2
    assert fmean(found[ChartState.WATCH]) < 1.5 * theory + 1


def test_a_change_of_the_model_is_told_within_its_first_month() -> None:
    update = model_change(1.0)

    assert update.templates == 1.0
    assert update.charts > 0.8
    assert update.false <= 0.03
    assert model_change(2.0).charts > 0.9


@pytest.mark.parametrize(
    ("rules", "shift", "theory"),
    [
        ({LIMIT}, 0.0, run_length_of_limits()),
        ({LIMIT, RUN}, 0.0, run_length_with_runs()),
        ({TREND}, 0.0, run_length_of_trends()),
        *(({LIMIT}, shift, run_length_of_limits(shift)) for shift in (1.0, 2.0, 3.0)),
        *(({LIMIT, RUN}, shift, run_length_with_runs(shift)) for shift in (1.0, 2.0, 3.0)),
    ],
)
def test_run_lengths_are_those_of_theory_to_a_few_percent(
    rules: set[str], shift: float, theory: float
) -> None:
    mean, error = first_hits(shift, rules, repeats=2500, seed=17)

    assert mean == pytest.approx(theory, abs=3 * error)
    assert error < 0.025 * theory


def test_another_package_has_the_same_limits_and_marks_in_the_whole_year() -> None:
    pytest.importorskip("pycontrolcharts.core")
    peer = pytest.importorskip("pycontrolcharts")
    compared = 0
    for _, roi, metric, points in year_of_cases():
        kind = METRICS[metric]
        places = [kind.scaled(p.value) for p in points if not kind.is_best(p.value)][:600]
        if len(places) < 2 * BASELINE:
            continue
        limits = limits_of(places[:BASELINE])
        row = peer.calc_xmr(places[:BASELINE], run_tests=False).iloc[0]
        assert row["center_line"] == pytest.approx(limits.centre, abs=1e-9)
        assert row["ucl"] == pytest.approx(limits.upper, abs=1e-9)
        assert row["lcl"] == pytest.approx(limits.lower, abs=1e-9)
        theirs = their_marks(peer, places, limits, test3_n=5)
        for rule, marks in theirs.items():
            late = {index for index in marks if index > 6}  # see there: a row from the first value
            assert {i for i in our_marks(places, limits, rule) if i > 6} == late, (roi, metric)
        compared += 1
    assert compared > 50


def test_the_state_at_each_case_is_that_of_the_chart_up_to_it() -> None:
    _, _, metric, points = next(year_of_cases())
    whole = chart(points[:300], metric=metric, baseline=BASELINE)
    known = {(known_at(signal, whole.points), signal.rule) for signal in whole.signals}

    for end in range(BASELINE + 1, 300):
        early = chart(points[:end], metric=metric, baseline=BASELINE)
        assert {(known_at(signal, early.points), signal.rule) for signal in early.signals} == {
            (index, rule) for index, rule in known if index < end
        }
