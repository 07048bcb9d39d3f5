"""Where each finding about contours is: a point of the first contour that has it."""

from collections.abc import Mapping, Sequence

import pytest

from drawcli.core.gate.acceptance import FileContour
from drawcli.core.rtstruct.finding_places import find_places
from drawcli.core.series.slice_grid import Grid
from tests.core.rtstruct.test_contour_checks import (
    BAD,
    NAMES,
    TILTED,
    Point,
    box,
    crosswalk,
    drawn,
    rectangle,
)

CORNER = (-10.0, -20.0)


def places(
    contours: Sequence[FileContour], orientation: Sequence[float] | None = None
) -> Mapping[tuple[str, str], Point]:
    series = crosswalk(orientation) if orientation else crosswalk()
    grid = Grid.of(series)
    assert grid is not None
    return find_places(contours, NAMES, grid, series.uids)


@pytest.mark.parametrize("check", sorted(BAD.keys() - {"contour-values", "contour-points"}))
def test_the_place_of_a_bad_contour_is_its_first_point(check: str) -> None:
    points = BAD[check].points()
    assert points

    found = places([*box(range(2, 4), 2), BAD[check], BAD[check]])

    assert found[check, "Bladder"] == points[0]


def test_contours_whose_points_cannot_be_read_have_no_place() -> None:
    assert places([*box([1]), BAD["contour-values"], BAD["contour-points"]]) == {}


def test_each_structure_has_a_place_of_its_own() -> None:
    found = places([BAD["contour-short"], drawn(rectangle(62)[1:2], 4, 2)])

    assert found == {
        ("contour-short", "Bladder"): (*CORNER, 56.0),
        ("contour-short", "Kidney_L"): (10.0, -20.0, 62.0),
    }


def test_the_place_of_a_gap_is_in_the_missing_slice() -> None:
    assert places([*box([1, 2, 4, 5, 7])]) == {
        ("structure-gaps", "Bladder"): pytest.approx((*CORNER, 59.0))
    }


def test_the_place_of_outlines_that_overlap_is_in_their_slice() -> None:
    contours = [*box([1, 2, 3]), drawn(rectangle(56, left=5), 2)]

    assert places(contours) == {("contour-overlap", "Bladder"): pytest.approx((*CORNER, 56.0))}


def test_the_place_in_tilted_slices_is_in_the_patient() -> None:
    series = crosswalk(TILTED)
    grid = Grid.of(series)
    assert grid is not None
    corners = ((50.0, 40.0), (80.0, 40.0), (80.0, 70.0), (50.0, 70.0))
    contours = [drawn([grid.point(index, corner) for corner in corners], index) for index in (2, 4)]

    assert places(contours, TILTED) == {
        ("structure-gaps", "Bladder"): pytest.approx(grid.point(3, corners[0]), abs=1e-5)
    }
