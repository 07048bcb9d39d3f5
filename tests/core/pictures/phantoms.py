"""A phantom of known shape, and its contours, made by geometry that the client does not use.

An ellipsoid lies to the patient's left, front and head; slices of any orientation are cut through
it, and outlines are the zero lines of its equation on the pixels of each slice.
"""

from collections.abc import Iterable, Sequence
from functools import cache
from math import pi
from typing import Final

import numpy as np
import numpy.typing as npt
from contourpy import contour_generator
from PIL import Image

from drawcli.core.dicom.geometry import Triple
from drawcli.core.pictures.frame import Plane
from drawcli.core.pictures.outlines import Outlines
from drawcli.core.pictures.painting import View, paint_view
from drawcli.core.pictures.scene import Region, Scene
from drawcli.core.pictures.stack import Stack
from drawcli.core.pictures.windows import Window
from drawcli.core.rtstruct.displayed import Displayed

Floats = npt.NDArray[np.float64]
Box = tuple[float, float, float, float]  # left, top, right, bottom

CENTRE: Final = np.array([30.0, -18.0, 24.0])  # mm, LPS: left, front, head
RADII: Final = np.array([16.0, 12.0, 20.0])
VOLUME_CM3: Final = 4 / 3 * pi * float(RADII.prod()) / 1000
RED: Final = (255, 40, 40)
SPACING: Final = 1.0  # mm
GAP: Final = 2.0
SIZE: Final = 128  # rows and columns
SLICES: Final = 64
ORIENTATIONS: Final[dict[str, tuple[float, ...]]] = {
    "head first, supine": (1, 0, 0, 0, 1, 0),
    "head first, prone": (-1, 0, 0, 0, -1, 0),
    "feet first, supine": (-1, 0, 0, 0, 1, 0),
    "feet first, prone": (1, 0, 0, 0, -1, 0),
    "on the left side": (0, -1, 0, 1, 0, 0),
    "coronal slices": (1, 0, 0, 0, 0, -1),
    "sagittal slices": (0, 1, 0, 0, 0, -1),
    "tilted by 15 degrees": (1, 0, 0, 0, 0.9659258262890683, -0.25881904510252074),
}
AXIAL: Final = ORIENTATIONS["head first, supine"]


class Slices:
    """Slices of an orientation around the origin; `shear` moves each along its column, mm."""

    def __init__(self, orientation: Sequence[float] = AXIAL, shear: float = 0.0) -> None:
        self.orientation = tuple(orientation)
        self.row, self.column = np.array(orientation, float).reshape(2, 3)
        normal = np.cross(self.row, self.column)
        corner = -(SIZE - 1) / 2 * SPACING * (self.row + self.column)
        self.starts = [
            corner + (number - (SLICES - 1) / 2) * (GAP * normal + shear * self.column)
            for number in range(SLICES)
        ]

    def depth(self, start: Floats) -> Floats:
        """Return the depth of each pixel in the ellipsoid; negative outside."""
        steps = np.arange(SIZE) * SPACING
        points = start + steps[:, None, None] * self.column + steps[None, :, None] * self.row
        return np.asarray(1 - np.linalg.norm((points - CENTRE) / RADII, axis=2))

    @cache  # noqa: B019 - these live as long as the tests
    def stack(self) -> Stack:
        """Return the images: 1000 inside, 0 outside, the slices unordered."""
        order = np.random.default_rng(1).permutation(SLICES)
        stored = np.array([self.depth(self.starts[n]) > 0 for n in order]).astype(np.int16) * 1000
        return Stack.of(
            stored,
            positions=[place(self.starts[n]) for n in order],
            orientation=self.orientation,
            spacing=(SPACING, SPACING),
            scales=[(1.0, 0.0)] * SLICES,
        )

    @cache  # noqa: B019 - likewise
    def contours(self, spacing: float = SPACING) -> list[list[Triple]]:
        """Return the outlines in the patient, mm; a wrong `spacing` is a fault."""
        found = []
        for start in self.starts:
            for line in contour_generator(z=self.depth(start)).lines(0.0):
                at = np.asarray(line)[:-1] * spacing
                points = start + at[:, :1] * self.row + at[:, 1:] * self.column
                found.append([place(point) for point in points])
        return found


@cache
def slices(how: str) -> Slices:
    """Return slices of an orientation: cached for many tests."""
    return Slices(ORIENTATIONS[how])


def place(point: Floats) -> Triple:
    x, y, z = point.tolist()
    return x, y, z


def moved(contours: Iterable[Iterable[Triple]], by: Triple) -> list[list[Triple]]:
    return [[(x + by[0], y + by[1], z + by[2]) for x, y, z in one] for one in contours]


def scene(stack: Stack, contours: list[list[Triple]]) -> Scene:
    ball = Outlines(1, Displayed("Ball", RED), contours, stack.frame)
    return Scene(stack, [ball], "CT", Window(0.0, 1000.0))


def looked_at(shown: Scene, plane: Plane) -> Image.Image:
    """Return the picture of a plane through the ellipsoid's middle: 120 mm wide, 480 pixels."""
    index = shown.stack.nearest(plane, float(shown.stack.frame.from_patient(CENTRE)[plane.normal]))
    x, y = middle(shown, plane)
    region = Region(x - 60, y - 60, x + 60, y + 60)
    return paint_view(shown, View(plane=plane, index=index, region=region, width=480))


def middle(shown: Scene, plane: Plane) -> tuple[float, float]:
    """Return the ellipsoid's centre in a plane, mm to the right and down."""
    inside = shown.stack.frame.from_patient(CENTRE)
    (right, one), (down, other) = plane.right, plane.down
    return float(inside[right]) * one, float(inside[down]) * other


def boxes(image: Image.Image) -> tuple[Box, Box]:
    """Return the boxes of white and red pixels, mm from the centre of the picture."""
    white, red = boxes_of(np.asarray(image).astype(int))
    return _in_mm(white), _in_mm(red)


def _in_mm(found: Box) -> Box:
    left, top, right, bottom = (number / 4 - 60 for number in found)
    return left, top, right, bottom


def boxes_of(pixels: npt.NDArray[np.int_], edge: int = 60) -> tuple[Box, Box]:
    """Return the boxes of white and red pixels, without letters and marks at the edges."""
    inner = np.zeros(pixels.shape[:2], bool)
    inner[edge:-edge, edge:-edge] = True
    red, green, blue = pixels[..., 0], pixels[..., 1], pixels[..., 2]
    white = (green > 200) & (blue > 200)
    lines = (red > 150) & (green < 90) & (blue < 90)
    return box(white & inner), box(lines & inner)


def box(seen: npt.NDArray[np.bool_]) -> Box:
    down, right = np.nonzero(seen)
    assert right.size, "nothing is seen"
    return float(right.min()), float(down.min()), float(right.max()), float(down.max())


def apart(one: Box, other: Box) -> float:
    """Return the largest difference of two boxes, mm."""
    return max(abs(a - b) for a, b in zip(one, other, strict=True))
