"""Closed contours in slices: at a level, their area, and whether one is inside another."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from contourpy import LineType, contour_generator

from drawcli.sandbox.segmentation.volume import Floats, PhantomSlice

_SAMPLES: Final = 16  # points of a line that are tested


@dataclass(frozen=True, slots=True, eq=False)
class Polygon:
    """A closed line in a slice (n x 2: column, row), around high values or around a hole."""

    points: Floats
    area_mm2: float  # negative: a hole, with lower values inside


def cut(each: PhantomSlice, centre: Floats, semi: Floats) -> list[Polygon]:
    """Return the outline of an ellipsoid (mm) in a slice; only pixels around it are used."""
    steps = np.array([each.along_row, each.along_column])
    spacing = np.linalg.norm(steps, axis=1)
    middle = (steps @ (centre - each.origin)) / spacing**2
    reach = np.linalg.norm(steps * semi, axis=1) / spacing
    first = np.maximum(np.floor(middle - reach / spacing) - 1, 0).astype(int)
    last = np.minimum(np.ceil(middle + reach / spacing) + 2, each.stored.shape[::-1]).astype(int)
    if (last - first < 2).any():  # noqa: PLR2004 - no line runs through a single pixel
        return []
    columns, rows = np.arange(first[0], last[0]), np.arange(first[1], last[1])
    from_centre = (
        (each.origin - centre)
        + columns[None, :, None] * each.along_row
        + rows[:, None, None] * each.along_column
    )
    inside = 1 - ((from_centre / semi) ** 2).sum(axis=2)
    lines = polygons(inside, 0.0, each)
    return [Polygon(line.points + first, line.area_mm2) for line in lines]


def polygons(values: Floats, level: float, each: PhantomSlice) -> list[Polygon]:
    """Return every closed contour at a level.

    A border of low values closes contours at the edge of the image.
    """
    framed = np.pad(values, 1, constant_values=min(level - 1.0, float(values.min())))
    lines = contour_generator(z=framed, line_type=LineType.Separate).lines(level)
    return [
        Polygon(np.asarray(line)[:-1] - 1, _area(np.asarray(line)) * each.pixel_mm2)
        for line in lines
        if isinstance(line, np.ndarray) and len(line) > 3  # noqa: PLR2004 - a triangle, closed
    ]


def _area(line: Floats) -> float:
    """Return the area in a closed line (pixels²), positive if the higher values are inside."""
    x, y = line[:, 0], line[:, 1]
    return float(x[:-1] @ y[1:] - x[1:] @ y[:-1]) / 2


def within(line: Polygon, outline: Polygon) -> bool:
    """Return whether a line is inside an outline, by the even-odd rule on some of its points."""
    samples = line.points[:: max(1, len(line.points) // _SAMPLES)]
    x, y = samples[:, :1], samples[:, 1:]
    x1, y1 = outline.points.T
    x2, y2 = np.roll(outline.points, -1, axis=0).T
    crosses = (y1 > y) != (y2 > y)
    at = x1 + (y - y1) / np.where(y2 == y1, 1.0, y2 - y1) * (x2 - x1)
    return bool((((at > x) & crosses).sum(axis=1) % 2 == 1).all())


def thinned(points: Floats, most: int = 400) -> Floats:
    """Return a contour with every n-th point, at most `most`."""
    return points[:: -(-len(points) // most)]
