"""Volumes and outlines of structures, compared with geometry."""

from itertools import pairwise
from math import pi

import numpy as np
import pytest

from drawcli.core.dicom.geometry import Triple
from drawcli.core.pictures.frame import CoordinateFrame, Plane
from drawcli.core.pictures.outlines import Outlines
from drawcli.core.rtstruct.displayed import Displayed
from tests.core.pictures.phantoms import AXIAL, GAP, ORIENTATIONS, VOLUME_CM3, scene, slices

LOOK = Displayed("Ring", (255, 0, 0))


def circle(radius: float, z: float, x: float = 0.0, points: int = 90) -> list[Triple]:
    angles = np.arange(points) * 2 * pi / points
    return [(x + radius * float(np.cos(a)), radius * float(np.sin(a)), z) for a in angles]


def outlined(contours: list[list[Triple]]) -> Outlines:
    return Outlines(1, LOOK, contours, CoordinateFrame.of(AXIAL))


def spans(one: Outlines, plane: Plane, position: float, gap: float = 2.0) -> list[list[float]]:
    lines = one.lines(plane, position, (position, position), gap)
    return sorted(
        [*line.points.min(axis=0).tolist(), *line.points.max(axis=0).tolist()] for line in lines
    )


@pytest.mark.parametrize("how", ORIENTATIONS)
def test_the_volume_is_that_of_the_ellipsoid(how: str) -> None:
    ball = slices(how)
    shown = scene(ball.stack(), ball.contours())

    assert shown.volume_cm3(shown.drawn[0]) == pytest.approx(VOLUME_CM3, rel=0.02)


def test_contours_within_contours_are_holes() -> None:
    tube = outlined([circle(r, 2.0 * n) for n in range(20) for r in (20, 10)])

    volume = tube.volume_cm3(lambda _: 2.0)

    assert volume == pytest.approx(pi * (20**2 - 10**2) * 40 / 1000, rel=0.005)
    first, second = spans(tube, Plane.CORONAL, 0.0)
    assert (first[0], first[2]) == pytest.approx((-20, -10), abs=0.3)
    assert (second[0], second[2]) == pytest.approx((10, 20), abs=0.3)


def test_a_structure_extends_half_a_slice_beyond_its_last_contours() -> None:
    cylinder = outlined([circle(20, 2.0 * n) for n in range(20)])

    ((_, top, _, bottom),) = spans(cylinder, Plane.SAGITTAL, 0.0)

    assert (top, bottom) == pytest.approx((-39.0, 1.0), abs=0.2)


def test_a_forgotten_slice_is_a_gap_in_the_cut() -> None:
    levels = [2.0 * n for n in range(20) if n not in (9, 10)]
    broken = outlined([circle(20, z) for z in levels])

    parts = spans(broken, Plane.CORONAL, 0.0)

    assert len(parts) == 2
    between = [upper[1] - lower[3] for lower, upper in pairwise(sorted(parts, key=lambda p: p[1]))]
    assert between == pytest.approx([4.0], abs=0.3)


def test_two_parts_are_shown_at_the_largest_cut() -> None:
    lungs = outlined([circle(20, 2.0 * n, x) for n in range(20) for x in (-60.0, 60.0)])

    assert abs(lungs.best_position(Plane.SAGITTAL)) == pytest.approx(60, abs=6)
    assert lungs.best_position(Plane.CORONAL) == pytest.approx(0, abs=2)
    assert lungs.best_position(Plane.AXIAL) == pytest.approx(19, abs=GAP)


def test_contours_of_one_or_two_points_have_no_outline() -> None:
    marker = outlined([[(0.0, 0.0, 0.0)], [(0.0, 0.0, 2.0), (1.0, 0.0, 2.0)]])

    assert marker.polygons == []
    assert marker.volume_cm3(lambda _: 2.0) == 0.0
    assert marker.levels == []
    assert marker.lines(Plane.AXIAL, 0.0, (-1.0, 1.0), 2.0) == []


def test_an_outline_without_area_is_drawn_too() -> None:
    speck = outlined([[(0.0, 0.0, 0.0), (1.0, 0.0, 0.0), (0.0, 0.0, 0.0)]])

    assert speck.volume_cm3(lambda _: 2.0) == 0.0
    assert len(speck.lines(Plane.AXIAL, 0.0, (-1.0, 1.0), 2.0)) == 1
    assert speck.best_position(Plane.AXIAL) == 0.0
