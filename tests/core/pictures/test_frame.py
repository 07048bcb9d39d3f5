"""Directions of the patient, from the orientation of the slices."""

import pytest

from drawcli.core.pictures.frame import Frame, Plane
from tests.core.pictures.phantoms import ORIENTATIONS


@pytest.mark.parametrize("how", [one for one in ORIENTATIONS if "tilted" not in one])
def test_straight_slices_leave_the_patient_as_he_is(how: str) -> None:
    frame = Frame.of(ORIENTATIONS[how])

    assert frame.is_straight
    assert frame.inside([(1.0, 2.0, 3.0)])[0] == pytest.approx([1.0, 2.0, 3.0])


@pytest.mark.parametrize("how", ORIENTATIONS)
def test_there_and_back_again(how: str) -> None:
    frame = Frame.of(ORIENTATIONS[how])

    assert frame.outside(frame.inside([(1.0, 2.0, 3.0)]))[0] == pytest.approx([1.0, 2.0, 3.0])


def test_letters_say_where_pictures_point() -> None:
    frame = Frame.of(ORIENTATIONS["feet first, supine"])

    said = {
        plane: tuple(frame.letters(*edge) for edge in (plane.right, plane.down)) for plane in Plane
    }

    assert said == {
        Plane.AXIAL: ("L", "P"),
        Plane.CORONAL: ("L", "F"),
        Plane.SAGITTAL: ("P", "F"),
    }


def test_oblique_directions_have_two_letters_the_nearest_first() -> None:
    frame = Frame.of((0.8660254, 0.5, 0.0, -0.5, 0.8660254, 0.0))

    assert frame.letters(0, 1) == "LP"
    assert frame.letters(1, -1) == "AL"
    assert not frame.is_straight
