"""Directions of the patient, from the orientation of the slices."""

import numpy as np
import pytest

from drawcli.core.pictures.frame import CoordinateFrame, Plane
from tests.core.pictures.phantoms import ORIENTATIONS


@pytest.mark.parametrize("how", [one for one in ORIENTATIONS if "tilted" not in one])
def test_the_frame_of_axial_slices_is_the_patient_coordinate_system(how: str) -> None:
    frame = CoordinateFrame.of(ORIENTATIONS[how])

    assert frame.from_patient([(1.0, 2.0, 3.0)])[0] == pytest.approx([1.0, 2.0, 3.0])


@pytest.mark.parametrize("how", ORIENTATIONS)
def test_a_frame_is_a_rotation(how: str) -> None:
    frame = CoordinateFrame.of(ORIENTATIONS[how])

    assert frame.axes @ frame.axes.T == pytest.approx(np.eye(3))
    assert np.linalg.det(frame.axes) == pytest.approx(1.0)


def test_direction_letters_follow_the_orientation() -> None:
    frame = CoordinateFrame.of(ORIENTATIONS["feet first, supine"])

    said = {
        plane: tuple(frame.letters(*edge) for edge in (plane.right, plane.down)) for plane in Plane
    }

    assert said == {
        Plane.AXIAL: ("L", "P"),
        Plane.CORONAL: ("L", "F"),
        Plane.SAGITTAL: ("P", "F"),
    }


def test_oblique_directions_have_two_letters_the_nearest_first() -> None:
    frame = CoordinateFrame.of((0.8660254, 0.5, 0.0, -0.5, 0.8660254, 0.0))

    assert frame.letters(0, 1) == "LP"
    assert frame.letters(1, -1) == "AL"
