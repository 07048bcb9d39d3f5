"""Outlines are drawn in the right place: asserted on the pixels of pictures."""

import numpy as np
import pytest
from PIL import Image

from drawcli.core.pictures.frame import Plane
from drawcli.core.pictures.outlines import Outlines
from drawcli.core.pictures.painting import View, paint_view
from drawcli.core.pictures.scene import Scene
from drawcli.core.pictures.windows import Window
from drawcli.core.rtstruct.displayed import Displayed
from tests.core.pictures.phantoms import (
    CENTRE,
    GAP,
    ORIENTATIONS,
    RADII,
    RED,
    Slices,
    apart,
    boxes,
    looked_at,
    moved,
    scene,
    slices,
)

CLOSE_MM = 1.6  # a pixel of the images, and the width of the line
each_plane = pytest.mark.parametrize("plane", list(Plane))


@each_plane
@pytest.mark.parametrize("how", ORIENTATIONS)
def test_outlines_lie_on_the_edges_however_the_patient_lies(how: str, plane: Plane) -> None:
    ball = slices(how)
    shown = scene(ball.stack(), ball.contours())

    image = looked_at(shown, plane)

    white, red = boxes(image)
    assert apart(white, red) < (CLOSE_MM if how != "tilted by 15 degrees" else 2 * GAP)
    assert abs(white[0] + white[2]) < 2 * GAP
    assert abs(white[1] + white[3]) < 2 * GAP


@each_plane
def test_the_views_are_from_the_feet_the_front_and_the_left(plane: Plane) -> None:
    ball = slices("feet first, prone")
    shown = scene(ball.stack(), ball.contours())
    whole = shown.whole_region(plane)

    image = paint_view(
        shown,
        View(plane=plane, index=shown.best_picture(plane, shown.drawn[0]), region=whole, width=300),
    )

    pixels = np.asarray(image).astype(int)
    down, right = np.nonzero((pixels[..., 0] > 150) & (pixels[..., 1] < 90))
    wide, high = image.size
    left_of_patient, front, head = CENTRE
    across, along = {
        Plane.AXIAL: (left_of_patient, front),
        Plane.CORONAL: (left_of_patient, -head),
        Plane.SAGITTAL: (front, -head),
    }[plane]
    assert (right.mean() / wide - 0.5) * whole.size[0] == pytest.approx(across, abs=2)
    assert (down.mean() / high - 0.5) * whole.size[1] == pytest.approx(along, abs=2)


def test_slices_of_a_tilted_gantry_are_placed_by_their_position() -> None:
    ball = Slices(shear=0.5)
    shown = scene(ball.stack(), ball.contours())

    for plane in Plane:
        white, red = boxes(looked_at(shown, plane))
        assert apart(white, red) < CLOSE_MM
        assert white[3] - white[1] == pytest.approx(2 * RADII[plane.down[0]], abs=2 * GAP)


@pytest.mark.parametrize("plane", [Plane.CORONAL, Plane.SAGITTAL])
def test_a_shift_by_one_slice_is_seen(plane: Plane) -> None:
    ball = slices("head first, supine")
    shown = scene(ball.stack(), moved(ball.contours(), (0, 0, 2 * GAP)))

    white, red = boxes(looked_at(shown, plane))

    assert white[1] - red[1] == pytest.approx(2 * GAP, abs=CLOSE_MM)
    assert white[3] - red[3] == pytest.approx(2 * GAP, abs=CLOSE_MM)


def test_a_contour_on_the_wrong_slice_is_drawn_on_that_slice() -> None:
    ball = slices("head first, supine")
    right, wrong = (
        scene(ball.stack(), contours)
        for contours in (ball.contours(), moved(ball.contours(), (0, 0, GAP)))
    )
    last = max(np.flatnonzero([any(right.outlines(Plane.AXIAL, n)) for n in range(64)]))

    assert not any(right.outlines(Plane.AXIAL, int(last) + 1))
    assert any(wrong.outlines(Plane.AXIAL, int(last) + 1))


@pytest.mark.parametrize("plane", [Plane.AXIAL, Plane.CORONAL])
def test_left_and_right_exchanged_is_seen(plane: Plane) -> None:
    ball = slices("head first, supine")
    mirrored = [[(-x, y, z) for x, y, z in one] for one in ball.contours()]
    shown = scene(ball.stack(), mirrored)
    whole = shown.whole_region(plane)
    view = View(
        plane=plane, index=shown.best_picture(plane, shown.drawn[0]), region=whole, width=512
    )

    pixels = np.asarray(paint_view(shown, view)).astype(int)[60:-60, 60:-60]

    white = np.nonzero((pixels[..., 1] > 200) & (pixels[..., 2] > 200))[1].mean()
    red = np.nonzero((pixels[..., 0] > 150) & (pixels[..., 1] < 90))[1].mean()
    assert (white - red) / 4 == pytest.approx(2 * CENTRE[0], abs=2)


def test_a_wrong_pixel_spacing_is_seen() -> None:
    ball = slices("head first, supine")
    shown = scene(ball.stack(), ball.contours(spacing=1.1))

    white, red = boxes(looked_at(shown, Plane.AXIAL))

    assert apart(white, red) > 3 * CLOSE_MM


def test_outlines_have_the_colour_that_was_sent_and_a_rim() -> None:
    ball = slices("head first, supine")
    stack = ball.stack()
    dark = Outlines(1, Displayed("Ball", (0, 0, 128)), ball.contours(), stack.frame)
    shown = Scene(stack, [dark], "CT", Window(0.0, 1000.0))

    image = looked_at(shown, Plane.AXIAL)

    colors = {color for _, color in image.getcolors(1 << 20) or []}
    assert (0, 0, 128) in colors
    assert RED not in colors


def test_pixels_that_are_not_square_are_drawn_in_millimetres() -> None:
    ball = slices("head first, supine")
    shown = scene(ball.stack(), ball.contours())

    heights = {
        plane: View(plane=plane, index=0, region=shown.whole_region(plane), width=256).height
        for plane in Plane
    }

    assert heights == {Plane.AXIAL: 256, Plane.CORONAL: 256, Plane.SAGITTAL: 256}  # 128 mm each


def test_the_area_outside_the_images_is_black() -> None:
    ball = slices("head first, supine")
    shown = scene(ball.stack(), [])
    left, top, right, bottom = shown.whole_region(Plane.AXIAL)
    beside = type(shown.whole_region(Plane.AXIAL))(left + 500, top, right + 500, bottom)

    image = paint_view(shown, View(plane=Plane.AXIAL, index=3, region=beside, width=200))

    assert image.crop((60, 60, 140, 140)).getextrema() == ((0, 0),) * 3
    assert isinstance(image, Image.Image)
