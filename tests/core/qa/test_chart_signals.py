"""What each rule says of cases after a steady baseline: watch, investigate, or better."""

from collections.abc import Sequence

import pytest

from drawcli.core.qa.charts import METRICS, Chart, ChartState, Signal, chart, limits_by_hand
from tests.core.qa.chart_cases import SIGMA, cases, distances, hd95, made, steady

INVESTIGATE, ROUTINE, WATCH = ChartState.INVESTIGATE, ChartState.ROUTINE, ChartState.WATCH
CALM = [0.5, -0.5]
FAR, MIDDLE = 2.9, 2.0  # beyond 3 sigma, and 2, where sigma is 1 / 1.128 of the places


def after(places: Sequence[float], every: float = 0.2) -> Chart:
    """Return the chart of a steady baseline and these cases, all within a month."""
    values = [*steady(), *map(hd95, places)]
    return chart(cases(values, every=every), metric="hd95_mm")


def found(made: Chart) -> list[tuple[str, ChartState, bool]]:
    return [(signal.rule, signal.state, signal.better) for signal in made.signals]


def only(made: Chart) -> Signal:
    (signal,) = made.signals
    return signal


def test_the_steady_baseline_has_the_limits_that_these_tests_count_on() -> None:
    limits = after([]).limits

    assert limits
    assert limits.centre == pytest.approx(4.0)
    assert limits.sigma == pytest.approx(SIGMA / 1.128)
    assert found(after(CALM * 10)) == []


def test_a_case_beyond_the_worse_limit_is_watched() -> None:
    signal = only(after([FAR, *CALM]))

    assert (signal.rule, signal.state, signal.better) == ("limit", WATCH, False)
    assert (signal.job, signal.until) == ("0030", 30)
    assert signal.text == "HD95 20.3 mm is beyond the limit 17.9 mm"


def test_two_of_three_cases_beyond_2_sigma_with_one_beyond_3_are_investigated() -> None:
    signals = after([FAR, 0.5, MIDDLE]).signals

    assert [(signal.state, signal.job) for signal in signals] == [
        (WATCH, "0030"),
        (INVESTIGATE, "0032"),
    ]
    assert signals[1].text == (
        "HD95 12.6 mm: the second of three changed cases beyond 2 sigma,"
        " with a case beyond the limit 17.9 mm"
    )


def test_a_single_better_case_asks_for_nothing() -> None:
    made = after([-FAR, -FAR])

    assert found(made) == [("limit", ROUTINE, True)] * 2
    assert made.state is ROUTINE


def test_nine_worse_cases_in_a_row_are_watched_as_one_signal() -> None:
    signal = only(after([0.6, 0.4] * 6))

    assert (signal.rule, signal.state, signal.better) == ("run", WATCH, False)
    assert (signal.job, signal.until) == ("0037", 41)  # the baseline ends on that side
    assert signal.text == "9 changed cases in a row are worse than the centre 4.0 mm"


def test_nine_worse_cases_in_a_row_are_investigated_if_their_mean_is_far_off() -> None:
    signals = after([1.6, 0.9] * 5).signals

    assert found(after([1.6, 0.9] * 5))[-1] == ("run", INVESTIGATE, False)
    assert signals[-1].text.endswith("4.0 mm, and their mean is beyond its limit")


def test_nine_better_cases_in_a_row_are_watched_only() -> None:
    assert found(after([-1.6, -0.9] * 5)) == [("run", WATCH, True)]


def test_six_cases_each_worse_than_the_one_before_are_watched() -> None:
    signal = only(after([-0.8, -0.4, 0.0, 0.4, 0.8, 1.2, 0.0]))

    assert (signal.rule, signal.state, signal.job) == ("trend", WATCH, "0035")
    assert signal.text == "6 changed cases in a row, each worse than the one before"
    assert found(after([0.8, 0.4, 0.0, -0.4, -0.8, -1.2, 0.0])) == [("trend", ROUTINE, True)]


def test_a_month_is_judged_when_it_is_over() -> None:
    worse = [1.0, 1.4] * 2 + [-0.1] + [1.0, 1.4] * 3
    values = [*steady(31), *map(hd95, worse)]  # one a day: January, then eleven in February

    running = chart(cases(values), metric="hd95_mm", baseline=31)
    over = chart([*cases(values), *cases([4.0], first=60)], metric="hd95_mm", baseline=31)

    assert found(running) == []
    assert found(over) == [("month", INVESTIGATE, False)]
    month = over.months[1]
    assert (month.month, month.n, month.cases) == ("2026-02", 11, 11)
    assert month.mean > month.upper > month.upper_2 > 4.0 > month.lower_2 > month.lower
    assert over.signals[0].text == (
        "mean HD95 of 2026-02 (11 changed cases): 7.6 mm, outside 2.1 mm to 6.9 mm"
    )
    assert over.signals[0].until == 41


def test_a_month_between_2_and_3_sigma_gives_no_signal() -> None:
    values = [*steady(31), *map(hd95, [0.5, 1.2] * 2 + [-0.1] + [0.5, 1.2] * 3)]

    over = chart([*cases(values), *cases([4.0], first=60)], metric="hd95_mm", baseline=31)

    month = over.months[1]
    assert month.upper > month.mean > month.upper_2
    assert found(over) == []


def test_a_month_of_four_cases_is_not_judged() -> None:
    values = [*steady(31), *[hd95(1.7)] * 4]

    over = chart([*cases(values), *cases([4.0], first=60)], metric="hd95_mm", baseline=31)

    assert over.months[1].mean > over.months[1].upper
    assert found(over) == []


def test_dice_is_worse_when_it_is_lower() -> None:
    values = [0.9 + (0.01 if i % 2 else -0.01) for i in range(30)]

    low, high = made([*values, 0.7, 0.7], "dice"), made([*values, 0.999, 0.999], "dice")

    assert found(low) == [("limit", WATCH, False), ("limit", INVESTIGATE, False)]
    assert low.signals[0].text.startswith("Dice 0.700 is beyond the limit 0.8")
    assert found(high) == [("limit", ROUTINE, True)] * 2


def test_a_shift_is_worse_in_both_directions() -> None:
    values = [0.1 if i % 2 else -0.1 for i in range(30)]

    for far in (9.0, -9.0):
        assert found(made([*values, far, far], "shift_left_mm")) == [
            ("limit", WATCH, False),
            ("limit", INVESTIGATE, False),
        ]
    row = made([*values, *[-0.05, -0.1] * 5], "shift_left_mm").signals[0]
    assert row.text == "9 changed cases in a row are smaller than the centre 0.0 mm"


def test_cases_that_are_not_changed_neither_end_a_row_nor_begin_one() -> None:
    mixed = [figure for place in [0.6, 0.4] * 5 for figure in (hd95(place), 0.0)]
    values = [*steady(), *mixed]

    (signal,) = [signal for signal in made(values).signals if signal.rule == "run"]

    assert (signal.job, signal.until) == ("0044", 48)


def test_more_changed_cases_than_in_the_baseline_are_investigated() -> None:
    baseline = [0.0] * 30
    few, more = made([*baseline, *steady(4)]), made([*baseline, *steady(10)])

    assert found(few) == []
    assert found(more) == [("share", INVESTIGATE, False)]
    assert more.signals[0].text == "5 of the latest 5 cases are changed, 0 of 30 in the baseline"
    assert (more.limits, more.state) == (None, INVESTIGATE)


def test_a_share_with_a_chance_between_1_in_100_and_1_in_1000_is_watched() -> None:
    signal = only(made([*[0.0] * 45, *steady(5)]))  # 5 of 20 after 0 of 30: 0.0073

    assert (signal.rule, signal.state, signal.better) == ("share", WATCH, False)
    assert signal.text == "5 of the latest 20 cases are changed, 0 of 30 in the baseline"
    assert found(made([*[0.0] * 45, *steady(4)])) == []


def test_fewer_changed_cases_are_watched() -> None:
    signal = only(made([*steady(), *[0.0] * 5]))

    assert (signal.rule, signal.state, signal.better) == ("share", WATCH, True)
    assert signal.text == "0 of the latest 5 cases are changed, 30 of 30 in the baseline"
    both = made([*([0.1, -0.1] * 15), *[0.0] * 5], "shift_left_mm")
    assert found(both) == [("share", WATCH, True)]


def test_only_the_latest_twenty_cases_count_for_the_share() -> None:
    values = [*[0.0] * 30, *steady(10), *[0.0] * 20]

    (signal,) = [signal for signal in made(values).signals if signal.state is INVESTIGATE]

    assert signal.until < 59  # it ends when the changed ones are no longer among them


def test_limits_by_hand_are_taken_as_exact() -> None:
    limits = limits_by_hand("hd95_mm", 4.0, hd95(3.0), "AAPM 2025")
    row = [*steady(20), *map(hd95, [1.05, 1.02] * 5)]

    exact = chart(cases(row), metric="hd95_mm", limits=limits)

    assert ("run", INVESTIGATE, False) in found(exact)
    assert ("run", INVESTIGATE, False) not in found(
        chart(cases(row), metric="hd95_mm", baseline=20)
    )


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("best", [True, False])
def test_constant_figures_give_no_signal(metric: str, best: bool) -> None:  # noqa: FBT001
    value = METRICS[metric].best if best else 0.7

    made_of_it = made([value] * 200, metric)

    assert (made_of_it.signals, made_of_it.state) == ((), ROUTINE)


def test_a_change_after_constant_figures_is_seen() -> None:
    worse = made([*[2.0] * 60, 2.4, 2.4])

    assert found(worse) == [("limit", WATCH, False), ("limit", INVESTIGATE, False)]
    assert found(made([*[2.0] * 60, *[2.01] * 20])) == [("run", WATCH, False)]


@pytest.mark.parametrize("length", [45, 75, 100])
def test_what_comes_later_takes_no_signal_away(length: int) -> None:
    values = [*distances(60), *distances(60, seed=3, by=1.2)]
    early, late = made(values[:length]), made(values)

    for signal in early.signals:
        assert any(
            (signal.rule, signal.job, signal.state, signal.text)
            == (other.rule, other.job, other.state, other.text)
            and signal.until <= other.until
            for other in late.signals
        )
