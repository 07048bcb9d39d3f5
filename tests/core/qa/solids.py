"""Analytic solids as ROIs: contours on parallel slices, in any orientation."""

from collections.abc import Callable, Sequence
from math import acos, cos, pi, sin, sqrt

import numpy as np
import numpy.typing as npt

from drawcli.core.qa.structures import RoiContours

Matrix = npt.NDArray[np.float64]
UPRIGHT: Matrix = np.eye(3)
FRAME = "1.2.3"
POINTS = 240


def turned(degrees: float) -> Matrix:
    """Return the axes of slices that are turned about an oblique axis; one row an axis."""
    axis = np.array([1.0, 2.0, 0.5])
    axis /= np.linalg.norm(axis)
    cross = np.array(
        [[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]], float
    )
    angle = degrees * pi / 180
    return np.asarray(np.eye(3) + sin(angle) * cross + (1 - cos(angle)) * cross @ cross)


def levels(step: float, reach: float = 30.0) -> list[float]:
    """Return the positions of slices, mm."""
    count = int(reach / step)
    return [number * step for number in range(-count, count + 1)]


def round_solid(
    name: str,
    radius: Callable[[float], float],
    at: Sequence[float],
    *,
    centre: tuple[float, float, float] = (0.0, 0.0, 0.0),
    axes: Matrix = UPRIGHT,
) -> RoiContours:
    """Return a solid of revolution: circles of a radius at each level, mm."""
    angles = np.linspace(0, 2 * pi, POINTS, endpoint=False)
    contours = []
    for level in at:
        r = radius(level)
        if r > 0:
            flat = [r * np.cos(angles), r * np.sin(angles), np.full(POINTS, level)]
            contours.append((np.stack(flat, axis=1) + np.array(centre)) @ axes)
    return RoiContours(1, name, FRAME, contours)


def box(
    name: str,
    size: tuple[float, float],
    at: Sequence[float],
    *,
    centre: tuple[float, float] = (0, 0),
) -> RoiContours:
    """Return a box: a rectangle at each level."""
    u, v = size[0] / 2, size[1] / 2
    corners = np.array([(-u, -v), (u, -v), (u, v), (-u, v)]) + np.array(centre)
    contours = [np.column_stack([corners, np.full(4, level)]) for level in at]
    return RoiContours(1, name, FRAME, contours)


def ball(radius: float) -> Callable[[float], float]:
    """Return the radius of a sphere's section at a level."""
    return lambda level: sqrt(max(radius * radius - level * level, 0.0))


def tube(radius: float) -> Callable[[float], float]:
    """Return the radius of a cylinder's section."""
    return lambda _: radius


def cone(base: float, height: float) -> Callable[[float], float]:
    """Return the radius of a cone's section, its base at level 0."""
    return lambda level: base * (1 - level / height) if 0 <= level < height else 0.0


def torus(
    name: str,
    radii: tuple[float, float],
    at: Sequence[float],
    *,
    axes: Matrix = UPRIGHT,
    keyholes: bool = False,
) -> RoiContours:
    """Return a torus round the normal, of two radii: at each level an outline, and its hole.

    The hole is an outline of its own, or joined to the outer one by a key-hole.
    """
    angles = np.linspace(0, 2 * pi, POINTS, endpoint=False)
    circle = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    contours = []
    for level in at:
        half = ball(radii[1])(level)
        if half > 0:
            outer, inner = ((radii[0] + side * half) * circle for side in (1, -1))
            joined = np.concatenate([outer, outer[:1], inner[:1], inner[:0:-1], inner[:1]])
            rings = [joined] if keyholes else [outer, inner]
            flat = [np.column_stack([ring, np.full(len(ring), level)]) for ring in rings]
            contours += [ring @ axes for ring in flat]
    return RoiContours(1, name, FRAME, contours)


def moved(roi: RoiContours, by: Sequence[float] | Matrix, axes: Matrix = UPRIGHT) -> RoiContours:
    """Return an ROI moved along axes, mm."""
    offset = np.asarray(by, float) @ axes
    return RoiContours(roi.number, roi.name, roi.frame, [one + offset for one in roi.contours])


def lens_mm2(radius: float, other: float, apart: float) -> float:
    """Return the area that two circles share."""
    if apart <= abs(radius - other):
        return pi * min(radius, other) ** 2
    if apart >= radius + other:
        return 0.0
    total = 0.0
    for own, its in ((radius, other), (other, radius)):
        half = acos((apart**2 + own**2 - its**2) / (2 * apart * own))
        total += own**2 * (half - sin(half) * cos(half))
    return total
