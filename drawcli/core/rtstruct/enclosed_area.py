"""The area that the outlines of a structure enclose in one slice.

The time is O(n log n) in the number of points. Outlines with more overlaps than any real drawing
has are refused, because results or run time would grow quadratically.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from shapely import Polygon, STRtree, covers, overlaps, prepare, union_all
from shapely.geometry.base import BaseGeometry

from drawcli.core.rtstruct.outline_shapes import (
    NEIGHBOURS,
    Outline,
    Shape,
    TooComplex,
    shapes_of,
)

if TYPE_CHECKING:
    from numpy import ndarray

_AT_ONCE: Final = 64  # outlines per query
_DEEPEST: Final = 32  # allowed nesting levels
_SAME: Final = 0.999  # of the outer area: a larger inner outline repeats the outer outline


class Enclosed(NamedTuple):
    """The area that the outlines of a structure enclose in one slice."""

    area: BaseGeometry
    overlapping: int  # outlines that repeat or partly overlap another


def find_enclosed(outlines: Sequence[Outline]) -> Enclosed:
    """Return the area that outlines in one slice enclose.

    Identical outlines count once, an outline inside another is a hole, and partly overlapping
    outlines are united.

    Raises
    ------
    TooComplex
        If an outline crosses itself more often than it has points, or too many overlap or lie
        within each other.
    """
    import numpy as np

    rings = [np.asarray(outline, float) for outline in outlines]
    rings = rings if len(rings) == 1 else list(map(normalised, rings))
    points = np.concatenate(rings) if rings else np.empty((0, 2))
    return enclose(rings, shapes_of(points, np.array([len(ring) for ring in rings], int)))


def enclose(rings: "Sequence[ndarray]", shapes: Sequence[Shape]) -> Enclosed:
    """Return the area that the outlines of one slice enclose; see `find_enclosed`.

    Parameters
    ----------
    rings
        The outlines (n x 2, mm); several ones are `normalised`, so that equal ones are equal.
    shapes
        The area of each.
    """
    areas = [(shape.area, shape.mm2) for shape in shapes if shape.area is not None]
    if len(areas) < len(shapes):
        raise TooComplex
    different = {ring.tobytes(): area for ring, area in zip(rings, areas, strict=True)}
    repeated = len(rings) - len(different)
    ordered = [area for area, _ in sorted(different.values(), key=lambda pair: -pair[1])]
    if len(ordered) == 1:
        return Enclosed(ordered[0], repeated)
    depth, overlapping = _nested(ordered)
    solid: BaseGeometry = Polygon()
    levels = sorted(set(depth))
    if len(levels) > _DEEPEST:
        raise TooComplex
    for level in levels:
        area = union_all(
            [shape for shape, deep in zip(ordered, depth, strict=True) if deep == level]
        )
        solid = solid.difference(area) if level % 2 else solid.union(area)
    return Enclosed(solid, repeated + overlapping)


def area_mm2(outlines: Sequence[Outline]) -> float:
    """Return the area that outlines in one slice enclose, mm2; 0 if it cannot be computed."""
    try:
        return float(find_enclosed(outlines).area.area)
    except TooComplex:
        return 0.0


def normalised(ring: "ndarray") -> "ndarray":
    """Return an outline that starts at its smallest point, in the direction of smaller ones."""
    import numpy as np

    x, y = ring.T
    leftmost = np.flatnonzero(x == x.min())
    turned = np.roll(ring, -int(leftmost[np.argmin(y[leftmost])]), axis=0)
    other = np.concatenate((turned[:1], turned[:0:-1]))
    differing = np.flatnonzero((turned != other).any(axis=1))
    if differing.size and tuple(other[differing[0]]) < tuple(turned[differing[0]]):
        turned = other
    return np.asarray(turned + 0.0)  # -0.0 equals 0.0


def _nested(shapes: Sequence[BaseGeometry]) -> tuple[list[int], int]:
    """Return the nesting depth of each shape, and how many shapes partly overlap another.

    Parameters
    ----------
    shapes
        Sorted by area, the largest first.
    """
    tree, depth = STRtree(shapes), [0] * len(shapes)
    overlapping: set[int] = set()
    pairs = 0
    for first in range(0, len(shapes), _AT_ONCE):
        outer, inner = tree.query(shapes[first : first + _AT_ONCE])
        pairs += len(outer)
        if pairs > NEIGHBOURS * len(shapes):
            raise TooComplex
        for number in sorted(set(outer)):
            others = [index for index in inner[outer == number] if index > first + number]
            _compare(shapes, first + number, others, depth, overlapping)
    return depth, len(overlapping)


def _compare(
    shapes: Sequence[BaseGeometry],
    number: int,
    others: Sequence[int],
    depth: list[int],
    overlapping: set[int],
) -> None:
    """Compare the smaller shapes near a shape with it; update `depth` and `overlapping`."""
    shape, near = shapes[number], [shapes[other] for other in others]
    prepare(shape)
    inside, across = covers(shape, near), overlaps(shape, near)
    for other, is_inside, partly in zip(others, inside, across, strict=True):
        same = is_inside and shapes[other].area > _SAME * shape.area
        if partly or same:
            overlapping.add(other)
        elif is_inside:
            depth[other] += 1
