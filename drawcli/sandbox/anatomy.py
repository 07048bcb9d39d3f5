"""The anatomy of the phantoms: ellipsoids of one density, in mm from the isocentre (LPS).

The outline is an ellipse at every level, so its area is known exactly and tests can compare drawn
contours with it.
"""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from drawcli.sandbox.patients import Site

LENGTH_MM: Final = 300.0  # from the lowest to the highest slice, slice thickness included
FIELD_MM: Final = 500.0  # the reconstructed field of view
AIR: Final = -1000.0
FAT: Final = -95.0
_SKIN_TO_MUSCLE_MM: Final = 18.0
_COUCH_TOP_MM: Final = 135.0  # behind every body of this file
_ENDLESS: Final = 10_000.0

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class BodyPart:
    """An ellipsoid of one density."""

    name: str
    centre: tuple[float, float, float]  # mm
    semi: tuple[float, float, float]  # semi-axes, mm
    hu: float

    def ellipse_mm(self, z: float, thickness: float = 0.0) -> tuple[float, float, float, float]:
        """Return centre x, centre y, half width and half depth at a level; zeros outside the part.

        A part thinner than a slice is widened to the thickness, so that one slice shows it.
        """
        height = (z - self.centre[2]) / max(self.semi[2], thickness / 2)
        if abs(height) >= 1:
            return 0.0, 0.0, 0.0, 0.0
        shrunk = math.sqrt(1 - height**2)
        return *self.centre[:2], self.semi[0] * shrunk, self.semi[1] * shrunk


@dataclass(frozen=True, slots=True)
class Body:
    """An outline (semi-axes in mm at some levels, interpolated linearly) and the parts in it.

    A later part replaces an earlier one.
    """

    levels: tuple[float, ...]
    half_width: tuple[float, ...]
    half_depth: tuple[float, ...]
    parts: tuple[BodyPart, ...]

    def half_axes_mm(self, z: float) -> tuple[float, float]:
        """Return the semi-axes of the outline at a level, in mm."""
        return (
            float(np.interp(z, self.levels, self.half_width)),
            float(np.interp(z, self.levels, self.half_depth)),
        )

    def area_mm2(self, z: float) -> float:
        """Return the area within the outline at a level, in mm²."""
        width, depth = self.half_axes_mm(z)
        return math.pi * width * depth


def _pair(
    name: str, centre: tuple[float, float, float], semi: tuple[float, float, float], hu: float
) -> tuple[BodyPart, BodyPart]:
    """Return a part on the left side, and its mirror image."""
    x, y, z = centre
    return BodyPart(f"{name}_L", centre, semi, hu), BodyPart(f"{name}_R", (-x, y, z), semi, hu)


def _spine(y: float, width: float) -> tuple[BodyPart, ...]:
    """Return a vertebral column with its canal, the same at every level."""
    return (
        BodyPart("Vertebrae", (0, y, 0), (width, width * 0.8, _ENDLESS), 320),
        BodyPart("Marrow", (0, y, 0), (width - 4, width * 0.8 - 4, _ENDLESS), 180),
        BodyPart("Lamina", (0, y + width * 0.8 + 10, 0), (width * 0.9, 12, _ENDLESS), 350),
        BodyPart("SpinalCanal", (0, y + width * 0.8 + 8, 0), (9, 8, _ENDLESS), 25),
    )


def _ribs() -> tuple[BodyPart, ...]:
    """Return the ribs, each as an ellipsoid of bone with an ellipsoid of soft tissue in it."""
    return tuple(
        part
        for number in range(12)
        for side in (-1, 1)
        for part in (
            BodyPart("Rib", (side * 78, 8, -128 + 22 * number), (64, 82, 6), 380),
            BodyPart("Pleura", (side * 78, 8, -128 + 22 * number), (59, 77, 7), 45),
        )
    )


BODIES: Final[dict[Site, Body]] = {
    "pelvis": Body(
        levels=(-150, -90, 0, 90, 150),
        half_width=(172, 184, 180, 168, 160),
        half_depth=(98, 112, 118, 112, 106),
        parts=(
            *_pair("Iliac", (92, 20, 70), (38, 34, 62), 420),
            *_pair("IliacMarrow", (92, 20, 70), (33, 29, 57), 170),
            BodyPart("Sacrum", (0, 78, 45), (46, 16, 55), 330),
            BodyPart("SacralMarrow", (0, 78, 45), (40, 11, 49), 190),
            BodyPart("Vertebrae", (0, 40, 130), (26, 21, 42), 330),
            *_pair("Acetabulum", (88, 4, -22), (36, 36, 36), 480),
            *_pair("JointSpace", (90, 2, -25), (27, 27, 27), 60),
            *_pair("Femur_Head", (90, 2, -25), (24, 24, 24), 380),
            *_pair("Femur", (112, 10, -125), (17, 17, 78), 900),
            *_pair("FemurMarrow", (112, 10, -125), (10, 10, 70), 40),
            *_pair("Pubis", (24, -48, -62), (24, 10, 14), 450),
            BodyPart("Bowel", (0, -40, 85), (95, 40, 55), 15),
            *_pair("BowelGas", (38, -58, 92), (20, 14, 16), -850),
            BodyPart("Bladder", (0, -28, 0), (38, 32, 34), 4),
            BodyPart("Prostate", (0, 2, -42), (24, 19, 20), 42),
            BodyPart("Rectum", (0, 44, -18), (19, 19, 62), 28),
            BodyPart("RectalGas", (0, 42, 8), (9, 9, 12), -800),
        ),
    ),
    "head-neck": Body(
        levels=(-150, -115, -85, -40, 0, 40, 90, 130, 150),
        half_width=(205, 150, 66, 63, 70, 76, 78, 64, 40),
        half_depth=(100, 84, 64, 70, 86, 96, 98, 80, 52),
        parts=(
            *_spine(22, 15),
            BodyPart("Skull", (0, 0, 62), (72, 92, 86), 850),
            BodyPart("Brain", (0, 0, 62), (65, 85, 79), 36),
            *_pair("Ventricle", (10, -2, 70), (6, 26, 12), 8),
            *_pair("Orbit", (31, -66, 30), (15, 14, 14), 12),
            BodyPart("Sinus", (0, -58, 14), (18, 18, 14), -920),
            *_pair("Mandible", (40, -26, -38), (8, 34, 12), 800),
            BodyPart("Chin", (0, -58, -42), (36, 7, 11), 800),
            BodyPart("Tongue", (0, -22, -32), (28, 28, 20), 55),
            *_pair("Parotid", (50, 6, -22), (12, 17, 22), -5),
            BodyPart("Pharynx", (0, -4, -48), (10, 7, 38), -940),
            BodyPart("Trachea", (0, -18, -125), (9, 10, 48), -950),
            *_pair("Clavicle", (75, -38, -128), (62, 8, 8), 500),
            *_pair("LungTop", (70, 12, -160), (38, 38, 34), -790),
        ),
    ),
    "thorax": Body(
        levels=(-150, -60, 40, 120, 150),
        half_width=(162, 172, 180, 186, 178),
        half_depth=(108, 116, 120, 110, 98),
        parts=(
            *_ribs(),
            *_spine(52, 20),
            BodyPart("Sternum", (0, -92, 20), (18, 7, 85), 300),
            *_pair("Lung", (77, 4, 12), (55, 73, 128), -790),
            BodyPart("Mediastinum", (0, -6, 20), (42, 62, 140), 48),
            BodyPart("Liver", (-62, -6, -128), (82, 78, 50), 95),
            BodyPart("Heart", (26, -30, -42), (56, 46, 52), 46),
            BodyPart("Aorta", (18, 30, 0), (13, 13, _ENDLESS), 50),
            BodyPart("Trachea", (0, 4, 105), (9, 9, 62), -950),
        ),
    ),
}


def slice_hu(body: Body, z: float, thickness: float, size: int, *, couch: bool = True) -> Floats:
    """Return one slice without noise, size x size, in HU; `z` and `thickness` in mm."""
    x = grid_mm(size)
    hu = np.full((size, size), AIR, np.float32)
    width, depth = body.half_axes_mm(z)
    skin = _SKIN_TO_MUSCLE_MM
    paint(hu, x, (0, 0, width, depth), FAT)
    paint(hu, x, (0, 0, width - skin, depth - skin * 0.8), 45.0)
    for part in body.parts:
        paint(hu, x, part.ellipse_mm(z, thickness), part.hu)
    if couch:
        _couch(hu, x)
    return hu


def grid_mm(size: int) -> Floats:
    """Return the centres of the pixels of a row (and of a column), in mm."""
    pixel = FIELD_MM / size
    return ((np.arange(size) + 0.5) * pixel - FIELD_MM / 2).astype(np.float32)


def paint(hu: Floats, x: Floats, ellipse: tuple[float, float, float, float], value: float) -> None:
    """Fill an ellipse: centre x, centre y, half width, half depth, in mm."""
    cx, cy, width, depth = ellipse
    if not width:
        return
    columns = slice(*np.searchsorted(x, (cx - width, cx + width)))
    rows = slice(*np.searchsorted(x, (cy - depth, cy + depth)))
    across = ((x[columns] - cx) / width) ** 2
    along = ((x[rows] - cy) / depth) ** 2
    hu[rows, columns][along[:, None] + across[None, :] < 1] = value


def _couch(hu: Floats, x: Floats) -> None:
    """Add a hollow couch top of carbon fibre behind the body."""
    columns = np.abs(x) < 190  # noqa: PLR2004 - mm, half its width
    for top, bottom, value in ((0, 3, -150.0), (3, 15, -930.0), (15, 18, -150.0)):
        rows = (x >= _COUCH_TOP_MM + top) & (x < _COUCH_TOP_MM + bottom)
        hu[np.ix_(rows, columns)] = value
