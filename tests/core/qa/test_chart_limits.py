"""The scales of metrics, and limits in their units."""

from itertools import pairwise
from math import exp, log
from statistics import fmean

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drawcli.core.qa.chart_limits import METRICS, baseline_limits, limits_by_hand, on_scale
from drawcli.core.qa.outcomes import StructureComparison
from tests.core.qa.chart_cases import distances

SHARES = [name for name, kind in METRICS.items() if kind.kind == "share"]
SHIFTS = [name for name, kind in METRICS.items() if kind.two_sided]


def test_every_metric_is_a_figure_of_a_comparison() -> None:
    parts = {"shift_left_mm", "shift_posterior_mm", "shift_superior_mm"}

    assert parts < set(METRICS)
    assert set(METRICS) - parts <= set(StructureComparison.__dataclass_fields__)


@pytest.mark.parametrize("metric", METRICS)
@given(share=st.floats(0.001, 0.999), sign=st.sampled_from([-1, 1]))
@settings(max_examples=25)
def test_every_scale_turns_back_to_its_figures(metric: str, share: float, sign: int) -> None:
    kind = METRICS[metric]
    value = share if kind.kind == "share" else 50 * share
    value = sign * value if kind.two_sided else value

    assert kind.unscaled(kind.scaled(value)) == pytest.approx(value)


@pytest.mark.parametrize("metric", METRICS)
def test_more_on_the_scale_is_worse(metric: str) -> None:
    kind = METRICS[metric]
    better, worse = (0.9, 0.8) if metric in {"dice", "surface_dice"} else (0.2, 0.3)

    assert kind.scaled(better) < kind.scaled(worse)


@pytest.mark.parametrize("metric", SHIFTS)
def test_left_and_right_are_alike(metric: str) -> None:
    assert METRICS[metric].scaled(-2.5) == pytest.approx(-METRICS[metric].scaled(2.5))


@pytest.mark.parametrize(("metric", "best"), [("dice", 1.0), ("hd95_mm", 0.0), ("apl_share", 0.0)])
def test_the_best_figure_is_known_in_the_four_decimals_of_a_record(
    metric: str, best: float
) -> None:
    kind = METRICS[metric]
    toward = -1 if kind.falls else 1

    assert kind.is_best(best)
    assert kind.is_best(best + toward * 0.00004)
    assert not kind.is_best(best + toward * 0.0001)


def test_limits_are_those_of_the_scale_turned_back() -> None:
    values = distances(30)
    found = baseline_limits(values, "hd95_mm")

    logs = [log(value + 1) for value in values]
    sigma = fmean(abs(b - a) for a, b in pairwise(logs)) / 1.128
    assert found
    assert found.n == 30
    assert found.sigma == pytest.approx(sigma)
    assert found.centre == pytest.approx(exp(fmean(logs)) - 1)
    assert found.upper == pytest.approx(exp(fmean(logs) + 3 * sigma) - 1)
    assert found.lower == pytest.approx(max(exp(fmean(logs) - 3 * sigma) - 1, 0))


def test_limits_of_dice_are_by_the_logarithm_of_the_odds() -> None:
    values = [0.9 + 0.001 * (i * 7 % 13) for i in range(20)]
    found = baseline_limits(values, "dice")

    odds = [log((1.01 - value) / (value + 0.01)) for value in values]
    worst = fmean(odds) + 3 * fmean(abs(b - a) for a, b in pairwise(odds)) / 1.128
    assert found
    assert log((1.01 - found.lower) / (found.lower + 0.01)) == pytest.approx(worst)
    assert found.lower < found.centre < found.upper < 1


@pytest.mark.parametrize("metric", METRICS)
@given(values=st.lists(st.floats(0.0001, 0.9999), min_size=20, max_size=30))
@settings(max_examples=25)
def test_limits_are_never_outside_what_is_possible(metric: str, values: list[float]) -> None:
    found = baseline_limits(values, metric)

    assert found
    assert found.lower < found.upper
    if metric not in SHIFTS:
        assert found.lower >= 0
    if metric in SHARES:
        assert found.upper <= 1


def test_cases_that_are_not_changed_do_not_count() -> None:
    values = distances(25)
    mixed = [figure for value in values for figure in (value, 0.0)]

    assert baseline_limits(mixed, "hd95_mm") == baseline_limits(values, "hd95_mm")
    assert baseline_limits([0.0] * 500 + values[:19], "hd95_mm") is None
    assert baseline_limits([0.0] * 500 + values[:20], "hd95_mm")


def test_equal_figures_leave_a_little_room() -> None:
    found = baseline_limits([2.0] * 30, "hd95_mm")

    assert found
    assert found.sigma == 0.02
    assert found.lower == pytest.approx(3 * exp(-0.06) - 1)
    assert found.upper == pytest.approx(3 * exp(0.06) - 1)


def test_source_and_reason_are_kept() -> None:
    found = baseline_limits(distances(20), "hd95_mm", "commissioning", "May 2026")

    assert found
    assert (found.source, found.reason) == ("commissioning", "May 2026")


@pytest.mark.parametrize(
    ("metric", "centre", "limit"),
    [("dice", 0.9, 0.756), ("hd95_mm", 4.0, 11.0), ("shift_left_mm", 0.0, 3.0)],
)
def test_limits_by_hand_are_as_far_on_the_other_side(
    metric: str, centre: float, limit: float
) -> None:
    found = limits_by_hand(metric, centre, limit, "AAPM 2025")

    kind = METRICS[metric]
    bad = found.lower if kind.falls else found.upper
    assert bad == pytest.approx(limit)
    assert found.centre == pytest.approx(centre)
    assert (found.n, found.source, found.reason) == (0, "by hand", "AAPM 2025")
    placed = on_scale(kind, found)
    assert placed.upper - placed.centre == pytest.approx(3 * placed.sigma)


def test_a_limit_on_the_better_side_is_refused() -> None:
    with pytest.raises(
        ValueError, match=r"Dice: the limit 0\.95 is not worse than the centre 0\.9"
    ):
        limits_by_hand("dice", 0.9, 0.95, "a typing error")


def test_limits_on_the_scale_have_more_for_worse() -> None:
    found = baseline_limits([0.9 + 0.001 * (i * 7 % 13) for i in range(20)], "dice")

    assert found
    placed = on_scale(METRICS["dice"], found)
    assert placed.upper == pytest.approx(METRICS["dice"].scaled(found.lower))
    assert placed.upper - placed.centre == pytest.approx(3 * found.sigma)
    assert placed.centre - placed.lower == pytest.approx(3 * found.sigma)
