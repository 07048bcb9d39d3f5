import math

import numpy as np
import pytest
from pydicom import Dataset

from drawcli.sandbox.segmentation.polygons import Polygon, cut, polygons, thinned, within
from drawcli.sandbox.segmentation.volume import Floats, PhantomSlice

PLANE = PhantomSlice(
    header=Dataset(),
    origin=np.array([-40.0, -40.0, 5.0]),
    along_row=np.array([0.8, 0.0, 0.0]),
    along_column=np.array([0.0, 0.8, 0.0]),
    stored=np.zeros((100, 100)),
    slope=1,
    intercept=0,
)


def test_a_hill_has_a_positive_area_and_its_crater_a_negative_one() -> None:
    rows, columns = np.mgrid[:100, :100]
    radius = np.hypot(rows - 50, columns - 50)

    outer, crater = sorted(
        polygons(1.0 * (np.abs(radius - 30) < 10), 0.5, PLANE), key=lambda line: -line.area_mm2
    )

    assert outer.area_mm2 == pytest.approx(math.pi * 40**2 * 0.64, rel=0.02)
    assert crater.area_mm2 == pytest.approx(-math.pi * 20**2 * 0.64, rel=0.04)


def test_what_runs_out_of_the_picture_is_closed_at_its_edge() -> None:
    values = np.zeros((100, 100))
    values[:50] = 9.0

    (line,) = polygons(values, 0.5, PLANE)

    assert line.area_mm2 == pytest.approx(50 * 100 * 0.64, rel=0.05)
    assert line.points.min() >= -1
    assert line.points.max() <= 100


def test_a_cut_through_a_ball_is_the_circle_that_geometry_says() -> None:
    (line,) = cut(PLANE, np.array([3.0, -4.0, 0.0]), np.array([13.0, 13.0, 13.0]))

    assert line.area_mm2 == pytest.approx(math.pi * 12**2, rel=0.01)
    points = PLANE.to_mm(line.points)
    assert (points.min(axis=0) + points.max(axis=0)) / 2 == pytest.approx([3, -4, 5], abs=0.05)


@pytest.mark.parametrize("centre", [[0.0, 0.0, 19.0], [300.0, 0.0, 5.0]])
def test_a_ball_that_the_slice_does_not_meet_has_no_outline(centre: list[float]) -> None:
    assert cut(PLANE, np.array(centre), np.array([13.0, 13.0, 13.0])) == []


@pytest.mark.parametrize(
    ("shift", "expected"),
    [((0, 0), True), ((30, 0), False), ((0, 11), False), ((-9, 0), False)],
)
def test_a_line_is_within_another_only_with_all_of_it(
    shift: tuple[float, float], expected: object
) -> None:
    square = np.array([[0.0, 0], [20, 0], [20, 20], [0, 20]])
    small = np.array([[5.0, 5], [10, 5], [10, 10], [5, 10]]) + shift

    assert within(Polygon(small, 25), Polygon(square, 400)) is expected


def test_thinning_keeps_the_shape() -> None:
    turn = np.linspace(0, 2 * math.pi, 2001)[:-1]
    circle: Floats = np.column_stack([np.cos(turn), np.sin(turn)])

    few = thinned(circle, most=400)

    assert len(few) == 400
    assert np.hypot(*few.T) == pytest.approx(np.ones(400))
    assert few[0].tolist() == circle[0].tolist()
