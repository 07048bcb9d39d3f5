"""The data of a viewer show what the pictures show: same values, same places, same outlines."""

import json
import struct
from typing import Any

import numpy as np
import pytest

from drawcli.core.pictures.frame import Plane
from drawcli.core.pictures.outlines import Outlines
from drawcli.core.pictures.raw_picture import plane_facts, raw_picture
from drawcli.core.pictures.scene import Scene
from drawcli.core.pictures.stack import Stack
from drawcli.core.pictures.windows import Window
from drawcli.core.rtstruct.displayed import Displayed
from tests.core.pictures.phantoms import (
    AXIAL,
    CENTRE,
    GAP,
    ORIENTATIONS,
    RADII,
    Box,
    Floats,
    Slices,
    apart,
    boxes,
    looked_at,
    middle,
    moved,
    scene,
    slices,
)

LINE_MM = 1.6  # half the width of a line in a picture, and a pixel of it
each_plane = pytest.mark.parametrize("plane", list(Plane))


def unpacked(data: bytes) -> tuple[dict[str, Any], Floats, list[tuple[int, int, list[Floats]]]]:
    """Return head, values and outlines, read as the viewer reads them."""
    (length,) = struct.unpack_from("<I", data)
    head = json.loads(data[4 : 4 + length])
    wide, high = head["size"]
    pixels = np.frombuffer(data, "<u2", wide * high, 4 + length).reshape(high, wide)
    at = (4 + length + 2 * wide * high + 3) // 4 * 4
    found = []
    for place, number, counts in head["lines"]:
        lines = []
        for count in counts:
            lines.append(np.frombuffer(data, "<f4", 2 * count, at).reshape(-1, 2).astype(float))
            at += 8 * count
        found.append((place, number, lines))
    assert at == len(data)
    return head, pixels * head["scale"] + head["offset"], found


def around(points: Floats, origin: tuple[float, float]) -> Box:
    left, top = points.min(axis=0) - origin
    right, bottom = points.max(axis=0) - origin
    return float(left), float(top), float(right), float(bottom)


def sheared() -> Slices:
    return Slices(AXIAL, shear=0.4)  # as a tilted gantry does


CASES = [*ORIENTATIONS, "tilted gantry"]


@each_plane
@pytest.mark.parametrize("how", CASES)
def test_the_viewer_has_edges_and_outlines_where_the_preview_has_them(
    how: str, plane: Plane
) -> None:
    ball = sheared() if how == "tilted gantry" else slices(how)
    shown = scene(ball.stack(), ball.contours())
    at = float(shown.stack.frame.from_patient(CENTRE)[plane.normal])
    index = shown.stack.nearest(plane, at)
    white, red = boxes(looked_at(shown, plane))

    head, values, ((place, number, lines),) = unpacked(raw_picture([shown], plane, index))

    origin = middle(shown, plane)
    down, right = np.nonzero(values > 800)
    bright = np.stack([right, down], axis=1) * head["step"] + head["start"]
    half = max(head["step"]) / 2
    assert (place, number) == (0, 1)
    assert apart(around(np.concatenate(lines), origin), red) < LINE_MM
    assert apart(around(bright, origin), white) < 2 * half + 0.5
    facts = plane_facts(shown, plane)
    assert facts["positions"][index] == pytest.approx(at, abs=GAP)
    assert facts["region"] == list(shown.whole_region(plane))


@each_plane
@pytest.mark.parametrize("slope", [1.0, 0.013])
def test_values_and_outlines_are_those_that_are_painted(plane: Plane, slope: float) -> None:
    rng = np.random.default_rng(3)
    stack = Stack.of(
        rng.integers(-1024, 3000, (6, 20, 24)).astype(np.int16),
        positions=[(0.0, 0.0, 3.0 * n) for n in range(6)],
        orientation=AXIAL,
        spacing=(1.0, 1.5),
        scales=[(slope, -3.0)] * 6,
    )
    square = [[(4.0, 4.0, 6.0), (20.0, 4.0, 6.0), (20.0, 15.0, 6.0), (4.0, 15.0, 6.0)]]
    box = Outlines(7, Displayed("Box", (1, 2, 3)), square, stack.frame)
    shown = Scene(stack, [box], "PT", Window(0.0, 1.0))
    index = shown.best_picture(plane, box)
    section = stack.section(plane, float(stack.positions(plane)[index]))

    head, values, lines = unpacked(raw_picture([shown, shown], plane, index))

    exact = slope == 1.0 and plane is Plane.AXIAL
    span = float(section.values.max() - section.values.min())
    assert values.shape == section.values.shape
    assert np.abs(values - section.values).max() <= (0 if exact else span / 0xFFFF)
    assert (head["start"], head["step"]) == (list(section.start), list(section.step))
    painted = [line.points for _, found in shown.outlines(plane, index) for line in found]
    for place, (set_number, number, drawn) in enumerate(lines):
        assert (set_number, number) == (place, 7)
        assert all(np.allclose(a, b, atol=1e-4) for a, b in zip(drawn, painted, strict=True))


def test_letters_are_those_of_the_picture() -> None:
    facts = plane_facts(scene(slices("on the left side").stack(), []), Plane.AXIAL)

    assert facts["letters"] == {"left": "R", "right": "L", "top": "A", "bottom": "P"}
    assert facts["along"] == ["F", "H"]


def test_a_structure_that_is_moved_is_seen_to_be_moved() -> None:
    ball = slices("head first, supine")
    shown = scene(ball.stack(), moved(ball.contours(), (5.0, 0.0, 0.0)))
    index = shown.best_picture(Plane.AXIAL, shown.drawn[0])

    _, values, ((_, _, lines),) = unpacked(raw_picture([shown], Plane.AXIAL, index))

    left, _, right, _ = around(np.concatenate(lines), middle(shown, Plane.AXIAL))
    assert (left + right) / 2 == pytest.approx(5, abs=0.6)
    assert right - left == pytest.approx(2 * RADII[0], abs=1.5)
    assert values.max() == 1000
