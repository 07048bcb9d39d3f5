"""Charts as a whole: their baseline, their state, and the change of a version."""

import random
from itertools import pairwise
from math import exp, log, nan, sqrt
from pathlib import Path
from statistics import fmean

import pytest

from drawcli.core.qa.charts import (
    ChartState,
    Limits,
    Point,
    chart,
    compare_versions,
    limits_by_hand,
)
from drawcli.core.qa.nelson import share_chance
from tests.core.qa.chart_cases import CENTRE, SIGMA, START, cases, distances, hd95, made, steady

DOCS = Path(__file__).parents[3] / "docs" / "explanation" / "control-charts.md"
INVESTIGATE, NEW, ROUTINE, WATCH = (
    ChartState.INVESTIGATE,
    ChartState.NEW,
    ChartState.ROUTINE,
    ChartState.WATCH,
)


def test_a_chart_is_new_until_its_baseline_is_complete() -> None:
    found = made(distances(29))

    assert (found.state, found.missing) == (NEW, 1)
    assert (found.limits, found.signals, found.months) == (None, (), ())
    complete = made(distances(30))
    assert (complete.state, complete.missing) == (ROUTINE, 0)
    assert complete.limits
    assert complete.limits.n == 30


def test_later_cases_do_not_move_the_limits() -> None:
    first = distances(30)

    assert made([*first, *distances(50, seed=2, by=3)]).limits == made(first).limits


def test_limits_wait_for_twenty_changed_cases() -> None:
    mixed = [figure for value in distances(25) for figure in (0.0, value)]

    early, later = made(mixed[:39]), made(mixed)

    assert (early.state, early.limits, early.changed) == (ROUTINE, None, 19)
    assert later.limits
    assert (later.limits.n, later.changed) == (20, 25)


def test_limits_come_from_all_changed_cases_of_the_baseline() -> None:
    mixed = [figure for value in distances(50) for figure in (0.0, value)]

    found = made(mixed, baseline=80).limits

    assert found
    assert found.n == 40


def test_given_limits_are_used_at_once() -> None:
    limits = limits_by_hand("dice", 0.9, 0.756, "AAPM 2025")

    found = chart(cases([0.9, 0.92, 0.7]), metric="dice", limits=limits)

    assert (found.limits, found.missing, found.state) == (limits, 0, WATCH)
    assert [signal.rule for signal in found.signals] == ["limit"]
    assert "0.756" in found.signals[0].text


def test_limits_without_a_sigma_have_that_of_the_worse_limit() -> None:
    limits = Limits(hd95(0), 0.0, hd95(3), sigma=0.0, n=0, source="by hand")

    near = chart(cases([hd95(0.4), hd95(0.5)] * 5), metric="hd95_mm", limits=limits)
    far = chart(cases([hd95(1.1), hd95(1.2)] * 5), metric="hd95_mm", limits=limits)

    assert (near.state, far.state) == (WATCH, INVESTIGATE)


def test_the_order_in_which_cases_are_given_does_not_matter() -> None:
    points = cases([*distances(40), *distances(20, seed=2, by=2)])
    mixed = random.Random(3).sample(points, len(points))  # noqa: S311

    assert chart(mixed, metric="hd95_mm") == chart(points, metric="hd95_mm")


def test_the_key_of_a_chart_is_kept() -> None:
    found = chart([], metric="dice", template="Pelvis", roi="Bladder", version="v2")

    assert (found.template, found.roi, found.metric, found.version) == (
        "Pelvis",
        "Bladder",
        "dice",
        "v2",
    )
    assert (found.points, found.missing) == ((), 30)


def test_a_figure_that_is_no_number_is_an_error_that_names_the_job() -> None:
    with pytest.raises(ValueError, match="HD95 of 0001 is not a number"):
        made([1.0, nan])


def test_a_state_is_that_of_the_latest_nine_cases() -> None:
    values = [*steady(), hd95(2.9), hd95(2.9)]
    calm = [hd95(0.5), hd95(-0.5)] * 5

    assert made(values).state is INVESTIGATE
    assert made([*values, *calm[:8]]).state is INVESTIGATE
    assert made([*values, *calm[:9]]).state is ROUTINE


def test_a_row_that_goes_on_keeps_the_state() -> None:
    values = [*steady(), *[hd95(0.4), hd95(0.6)] * 20]

    assert made(values).state is WATCH
    assert [signal.rule for signal in made(values).recent] == ["run"]


def test_single_better_cases_are_not_among_the_recent_signals() -> None:
    found = made([*steady(), hd95(-2.9)])

    assert (len(found.signals), found.recent, found.state) == (1, (), ROUTINE)


def test_a_month_counts_its_changed_cases_and_all() -> None:
    found = made([*distances(31), 0.0, 0.0, *distances(20, seed=4)])

    assert [(month.month, month.n, month.cases) for month in found.months] == [
        ("2026-01", 31, 31),
        ("2026-02", 20, 22),
    ]


def test_the_lines_of_a_month_are_those_of_its_mean() -> None:
    found = made([*steady(40)], baseline=40)

    month = found.months[1]  # nine cases in February; sigma of their mean with the centre
    sigma = SIGMA / 1.128 * sqrt(1 / 9 + 1 / 40)
    logs = [log(value + 1) for value in (month.lower, month.lower_2, month.upper_2, month.upper)]
    assert month.n == 9
    assert logs == pytest.approx([CENTRE + k * sigma for k in (-3, -2, 2, 3)])


def test_the_example_of_the_documentation_is_right() -> None:
    text = DOCS.read_text(encoding="utf-8")
    values = [float(word) for word in text.split("```text")[1].split("```")[0].split()]
    text = " ".join(text.split())  # however its lines are broken
    points = cases([*values, 4.2, 3.0, 19.5, 5.1, 12.4])

    found = chart(points, metric="hd95_mm", baseline=24)

    limits = found.limits
    assert limits
    places = [log(value + 1) for value in values if value]
    ranges = [abs(after - before) for before, after in pairwise(places)]
    centre, at_2 = log(limits.centre + 1), exp(fmean(places) + 2 * limits.sigma) - 1
    ends = [exp(centre + side * 3 * limits.sigma * sqrt(1 / 10 + 1 / 20)) - 1 for side in (-1, 1)]
    figures = [f"{number:.3f}" for number in (*places[:3], centre, *ranges[:3], limits.sigma)]
    figures += [f"{number:.1f} mm" for number in (limits.centre, limits.lower, limits.upper, at_2)]
    figures += [f"{ends[0]:.1f} and {ends[1]:.1f} mm", f"{fmean(ranges):.3f} / 1.128"]
    assert [figure for figure in figures if figure not in text] == []
    assert [(signal.job, signal.state) for signal in found.signals] == [
        ("0026", WATCH),
        ("0028", INVESTIGATE),
    ]
    chances = f"{share_chance(9, 30, 14, 20):.3f}", f"{share_chance(9, 30, 16, 20):.4f}"
    assert f"14 of the latest 20 have a chance of {chances[0]} (watch)" in text
    assert f"16 of 20 one of {chances[1]} (investigate)" in text


def test_a_month_without_changed_cases_has_no_mean() -> None:
    found = made([*distances(31), *[0.0] * 28, 4.0])

    assert [month.month for month in found.months] == ["2026-01", "2026-03"]


def test_a_new_version_that_is_worse_is_told_from_the_one_before() -> None:
    old = made(distances(60))

    same = compare_versions(old, cases(distances(20, seed=2), first=60))
    worse = compare_versions(old, cases(distances(20, seed=2, by=2.0), first=60))
    better = compare_versions(old, cases(distances(20, seed=2, by=-2.0), first=60))

    assert (same.state, same.n, same.better) == (ROUTINE, 20, False)
    assert (worse.state, worse.better) == (INVESTIGATE, False)
    assert (better.state, better.better) == (WATCH, True)
    assert worse.mean
    assert worse.upper
    assert worse.mean > worse.upper
    assert worse.text.startswith("mean HD95 of the first 20 changed cases: ")
    assert worse.text.endswith("; 20 of 20 cases are changed, before 60 of 60")


def test_a_new_version_is_compared_once_five_cases_are_there() -> None:
    old = made(distances(60))

    assert compare_versions(old, cases(distances(4, by=4.0), first=60)).state is NEW
    assert compare_versions(old, cases(distances(5, by=4.0), first=60)).state is INVESTIGATE
    assert compare_versions(made(distances(4)), cases(distances(20), first=60)).state is NEW
    assert compare_versions(old, []).state is NEW


def test_a_new_version_with_more_changed_cases_is_worse() -> None:
    old = made([*[0.0] * 40, *distances(5)])

    more = compare_versions(old, cases(distances(10), first=60))
    fewer = compare_versions(made(distances(45)), cases([0.0] * 10, first=60))

    assert (more.state, more.better, more.mean) == (INVESTIGATE, False, None)
    assert more.text == "10 of 10 cases are changed, before 5 of 45"
    assert (fewer.state, fewer.better) == (WATCH, True)
    none = compare_versions(old, cases([0.0] * 10, first=60))
    assert (none.state, none.better) == (ROUTINE, False)  # by chance


def test_a_version_is_compared_with_the_latest_150_cases_before() -> None:
    long_ago, lately = distances(200, seed=5, by=-2.0), distances(150, seed=6)

    old = made([*long_ago, *lately])

    assert compare_versions(old, cases(distances(30, seed=7), first=400)).state is ROUTINE


def test_a_version_is_judged_by_its_first_month_or_its_first_twenty_cases() -> None:
    old = made(distances(60))
    values = [*distances(32, seed=2), *distances(100, seed=2, by=4.0)]

    daily = compare_versions(old, cases(values, first=60))
    weekly = compare_versions(old, cases(values, first=60, every=7))

    assert (daily.state, daily.n) == (ROUTINE, 32)
    assert weekly.n == 20


def test_given_limits_stand_for_a_version_with_few_changed_cases() -> None:
    limits = limits_by_hand("hd95_mm", 4.0, 11.0, "AAPM 2025")
    old = chart(cases([*distances(10)]), metric="hd95_mm", limits=limits)

    found = compare_versions(old, cases(distances(20, by=3.0), first=60))

    assert found.state is INVESTIGATE
    assert "before 4.0 mm" in found.text


def test_cases_of_one_moment_are_ordered_by_job() -> None:
    points = [Point(START, value, f"{i}") for i, value in enumerate([2.0, 1.0, 3.0])]

    found = chart(reversed(points), metric="hd95_mm")

    assert [point.job for point in found.points] == ["0", "1", "2"]
