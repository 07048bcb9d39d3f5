"""Distances of surfaces made by hand, of which every figure is known."""

import numpy as np
import pytest

from drawcli.core.qa.distances import surface_distances
from drawcli.core.qa.surfaces import Surface


def squares(*heights: float, areas: tuple[float, ...]) -> Surface:
    """Return squares of 10 mm, one above the other, each with a sample in its middle."""
    flat = np.array([(0, 0, 0), (10, 0, 0), (10, 10, 0), (0, 10, 0)], float)
    quads = np.stack([flat + np.array([0, 0, height]) for height in heights])
    return Surface(quads, quads.mean(axis=1) + np.array([1.0, 2.0, 0]), np.array(areas))


LOW = squares(0, areas=(100,))
BOTH = squares(0, 5, areas=(100, 100))


def test_distances_are_those_of_the_farther_direction_and_the_mean_that_of_both() -> None:
    for a, b in ((LOW, BOTH), (BOTH, LOW)):
        found = surface_distances(a, b, 1.0)

        assert found.hd == pytest.approx(5)
        assert found.hd95 == pytest.approx(5)
        assert found.mean == pytest.approx((0 + 2.5) / 2)
        assert found.surface_dice == pytest.approx(2 / 3)


@pytest.mark.parametrize(("share", "hd95"), [(0.04, 0.0), (0.06, 5.0)])
def test_a_percentile_and_a_mean_are_weighted_by_area(share: float, hd95: float) -> None:
    b = squares(0, 5, areas=(100 * (1 - share), 100 * share))

    found = surface_distances(LOW, b, 1.0)

    assert found.hd95 == pytest.approx(hd95)
    assert found.mean == pytest.approx(5 * share / 2)
    assert found.surface_dice == pytest.approx(1 - share / 2)


def test_what_is_exactly_the_tolerance_away_is_within_it() -> None:
    assert surface_distances(LOW, squares(5, areas=(100,)), 5.0).surface_dice == 1
    assert surface_distances(LOW, squares(5, areas=(100,)), 4.99).surface_dice == 0


@pytest.mark.parametrize(
    ("point", "away"),
    [
        ((3, 7, 4), 4.0),  # above the one half
        ((7, 3, -4), 4.0),  # below the other half
        ((13, 5, 4), 5.0),  # beside an edge
        ((-3, -4, 12), 13.0),  # beyond a corner
        ((10, 10, 0), 0.0),
        ((5, 5, 0), 0.0),  # on the diagonal
    ],
)
def test_a_point_is_as_far_as_the_nearest_point_of_a_square(
    point: tuple[float, float, float], away: float
) -> None:
    one = Surface(LOW.quads, np.array([point], float), np.ones(1))

    found = surface_distances(one, Surface(LOW.quads, LOW.quads[0, :1], np.ones(1)), 0.5)

    assert found.hd == pytest.approx(away)
