"""Limits and rules on plain numbers: by hand, by theory, and what must not change them."""

from collections.abc import Sequence
from itertools import pairwise
from math import sqrt

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drawcli.core.qa.nelson import (
    LIMIT,
    RUN,
    TREND,
    Hit,
    Limits,
    confirmed_hits,
    limits_of,
    rule_hits,
    share_chance,
    sigma_of_mean,
)
from tests.core.qa.run_lengths import (
    first_hits,
    run_length_of_limits,
    run_length_of_trends,
    run_length_with_runs,
)

STANDARD = Limits(0.0, -3.0, 3.0, 1.0, 0)
NUMBERS = st.lists(st.integers(-400, 400).map(lambda n: n / 100), min_size=2, max_size=60)


def hits(values: Sequence[float], limits: Limits = STANDARD) -> list[tuple[str, int, int]]:
    return [(hit.rule, hit.index, hit.side) for hit in rule_hits(values, limits)]


def confirmed(values: Sequence[float], limits: Limits = STANDARD) -> list[tuple[str, int]]:
    return [(hit.rule, hit.index) for hit in confirmed_hits(values, limits) if hit.is_confirmed]


def test_limits_are_the_mean_and_three_times_the_mean_moving_range_over_1_128() -> None:
    limits = limits_of([39, 41, 41, 41, 43, 44, 41, 42, 40, 41, 44, 40], "commissioning", "May")

    assert limits.centre == pytest.approx(41.41666667)
    assert limits.sigma == pytest.approx(19 / 11 / 1.128)
    assert limits.upper - limits.centre == pytest.approx(3 * limits.sigma)
    assert limits.centre - limits.lower == pytest.approx(3 * limits.sigma)
    assert (limits.n, limits.source, limits.reason) == (12, "commissioning", "May")


def test_limits_need_two_values() -> None:
    with pytest.raises(ValueError, match="two values"):
        limits_of([1.0])


def test_one_value_beyond_a_limit_is_a_hit_and_one_on_it_is_none() -> None:
    assert hits([0.1, 3.01, -0.1, -3.01, 3.0, -3.0]) == [(LIMIT, 1, 1), (LIMIT, 3, -1)]


def test_the_ninth_value_on_one_side_is_a_hit_and_so_is_the_tenth() -> None:
    side = [0.5, 0.4, 0.6, 0.3, 0.5, 0.2, 0.6, 0.1]

    assert hits(side) == []
    assert hits([*side, 0.5]) == [(RUN, 8, 1)]
    assert hits([*side, 0.5, 0.3]) == [(RUN, 8, 1), (RUN, 9, 1)]
    assert hits([-value for value in (*side, 0.5)]) == [(RUN, 8, -1)]
    assert hits([*side, -0.1, 0.5]) == []


def test_a_value_on_the_centre_ends_a_row() -> None:
    assert hits([0.5, 0.4] * 4 + [0.0] + [0.5, 0.4] * 4) == []


def test_the_sixth_value_that_rises_is_a_hit() -> None:
    rising = [-0.5, -0.3, -0.1, 0.1, 0.3]

    assert hits(rising) == []
    assert hits([*rising, 0.5]) == [(TREND, 5, 1)]
    assert hits([-value for value in (*rising, 0.5)]) == [(TREND, 5, -1)]
    assert hits([*rising, 0.3, 0.5]) == []  # equal is not above


def test_a_value_beyond_a_limit_is_confirmed_by_one_beyond_2_sigma_within_three() -> None:
    assert confirmed([0, 3.5, 0, 0]) == []
    assert confirmed([0, 3.5, 2.1]) == [(LIMIT, 2)]
    assert confirmed([0, 2.1, 3.5]) == [(LIMIT, 2)]
    assert confirmed([0, 3.5, -0.3, 2.1, 0]) == [(LIMIT, 3)]
    assert confirmed([0, 3.5, 0, 0, 2.1]) == []
    assert confirmed([0, 3.5, -2.1, 1.9]) == []  # another side; not beyond 2 sigma
    assert confirmed([0, 2.1, 2.9, 2.5]) == []  # none is beyond 3 sigma
    assert confirmed([-3.5, 2.1, 2.5]) == []  # the one beyond 3 sigma is on another side
    assert confirmed([2.1, 0, 0, 3.5]) == []
    assert confirmed([-3.5, -2.1]) == [(LIMIT, 1)]


def test_a_row_of_nine_is_confirmed_if_its_mean_is_beyond_its_limit() -> None:
    near, far = [0.9, 1.0] * 4 + [1.0], [1.0, 1.1] * 4 + [1.0]

    assert confirmed(near) == []
    assert confirmed(far) == [(RUN, 8)]
    assert confirmed([-value for value in far]) == [(RUN, 8)]
    few = Limits(0.0, -3.0, 3.0, 1.0, 20)  # the centre itself is uncertain
    assert confirmed(far, few) == []
    assert confirmed([1.3, 1.2] * 4 + [1.3], few) == [(RUN, 8)]


def test_the_sigma_of_a_mean_counts_the_cases_of_the_baseline_too() -> None:
    assert sigma_of_mean(STANDARD, 25) == pytest.approx(0.2)
    assert sigma_of_mean(Limits(0, -6, 6, 2.0, 30), 20) == pytest.approx(2 * sqrt(1 / 20 + 1 / 30))


@given(NUMBERS, st.integers(-1000, 1000), st.integers(1, 50))
@settings(max_examples=60)
def test_another_unit_and_another_zero_change_no_hit(
    values: list[float], offset: int, factor: int
) -> None:
    other = [factor * value + offset for value in values]
    limits, same = limits_of(values), limits_of(other)

    scaled = Limits(
        factor * limits.centre + offset,
        factor * limits.lower + offset,
        factor * limits.upper + offset,
        factor * limits.sigma,
        limits.n,
    )
    assert (same.centre, same.sigma) == pytest.approx((scaled.centre, scaled.sigma))
    clear = all(
        abs(value - line) > 1e-6  # a value on a line is a matter of rounding
        for value in values
        for line in (limits.centre, limits.lower, limits.upper, limits.centre + 2 * limits.sigma)
    )
    if clear:
        assert rule_hits(other, same) == rule_hits(values, limits)


@given(NUMBERS)
@settings(max_examples=60)
def test_turning_the_sign_turns_the_sides(values: list[float]) -> None:
    turned = [Hit(hit.rule, hit.index, -hit.side) for hit in rule_hits(values, STANDARD)]

    assert rule_hits([-value for value in values], STANDARD) == turned


@given(NUMBERS, NUMBERS)
@settings(max_examples=60)
def test_what_comes_later_changes_no_earlier_hit(values: list[float], later: list[float]) -> None:
    found = [hit for hit in rule_hits([*values, *later], STANDARD) if hit.index < len(values)]

    assert found == rule_hits(values, STANDARD)


@given(st.floats(-1e6, 1e6), st.integers(2, 60))
@settings(max_examples=60)
def test_equal_values_give_no_hit(value: float, n: int) -> None:
    values = [value] * n

    assert confirmed_hits(values, limits_of(values)) == []


@given(NUMBERS)
@settings(max_examples=60)
def test_the_hits_are_those_of_the_definition(values: list[float]) -> None:
    expected = [(LIMIT, i) for i, value in enumerate(values) if abs(value) > 3]
    for i in range(8, len(values)):
        last = values[i - 8 : i + 1]
        if min(last) > 0 or max(last) < 0:
            expected.append((RUN, i))
    for i in range(5, len(values)):
        steps = [b - a for a, b in pairwise(values[i - 5 : i + 1])]
        if min(steps) > 0 or max(steps) < 0:
            expected.append((TREND, i))

    assert sorted((rule, i) for rule, i, _ in hits(values)) == sorted(expected)


def test_the_theory_agrees_with_published_run_lengths() -> None:
    """Champ and Woodall (1987), and Montgomery: 370.40, 43.89, 6.30, 2.00; with eight 152.73."""
    found = [round(run_length_of_limits(shift), 2) for shift in (0, 1, 2, 3)]

    assert found == [370.40, 43.89, 6.30, 2.00]
    assert round(run_length_with_runs(length=8), 2) == 152.73


@pytest.mark.parametrize(
    ("rules", "shift", "theory"),
    [
        ({LIMIT}, 1.0, run_length_of_limits(1.0)),
        ({LIMIT, RUN}, 0.0, run_length_with_runs()),
        ({LIMIT, RUN}, 1.0, run_length_with_runs(1.0)),
        ({LIMIT, RUN}, 3.0, run_length_with_runs(3.0)),
        ({TREND}, 0.0, run_length_of_trends(most=300)),
    ],
)
def test_run_lengths_are_those_of_theory(rules: set[str], shift: float, theory: float) -> None:
    mean, error = first_hits(shift, rules, repeats=250, seed=5)

    assert mean == pytest.approx(theory, abs=3 * error)
    assert error < 0.1 * theory


# Of 30 before, of 20 after, and the chance by scipy.stats.hypergeom.
SHARES = [
    (0, 0, 1),
    (0, 5, 0.007317488),
    (1, 0, 0.6),
    (3, 2, 0.6900291),
    (3, 6, 0.07784435),
    (15, 10, 0.6133564),
    (15, 4, 0.03097635),
    (29, 20, 0.6),
    (30, 20, 1),
    (30, 12, 0.000234634),
    (6, 4, 0.6450269),
    (9, 13, 0.01544293),
]


@pytest.mark.parametrize(("before", "after", "chance"), SHARES)
def test_the_chance_of_a_share_is_that_of_an_exact_test(
    before: int, after: int, chance: float
) -> None:
    assert share_chance(before, 30, after, 20) == pytest.approx(chance, rel=1e-6)


@pytest.mark.sweep
@given(st.integers(0, 30), st.integers(0, 20))
@settings(max_examples=100)
def test_the_chance_of_a_share_is_that_of_the_hypergeometric_distribution(
    before: int, after: int
) -> None:
    spread = pytest.importorskip("scipy.stats").hypergeom(50, before + after, 20)
    expected = spread.sf(after - 1) if after * 30 > before * 20 else spread.cdf(after)

    assert share_chance(before, 30, after, 20) == pytest.approx(expected)
