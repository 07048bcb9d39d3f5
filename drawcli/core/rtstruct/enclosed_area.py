"""The area that the outlines of a structure enclose in one slice.

The time is O(n log n) in the number of points. Outlines with more crossings or overlaps than any
real drawing has are refused, because results or run time would grow quadratically.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from shapely import (
    MultiPolygon,
    Polygon,
    STRtree,
    box,
    covers,
    make_valid,
    overlaps,
    prepare,
    union_all,
)
from shapely.geometry.base import BaseGeometry

if TYPE_CHECKING:
    from numpy import ndarray

Outline = list[tuple[float, float]]  # mm along row and column; not closed
_NEIGHBOURS: Final = 64  # allowed mean number of outlines, or parts of an outline, near each other
_AT_ONCE: Final = 64  # outlines per query
_SMALL: Final = 300  # points: the parts of smaller outlines are not checked
_DEEPEST: Final = 32  # allowed nesting levels
_SAME: Final = 0.999  # of the outer area: a larger inner outline repeats the outer outline


class TooComplex(Exception):
    """Outlines are so entangled, with themselves or each other, that no area can be computed."""


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
    if len(outlines) == 1:
        return Enclosed(_shape(outlines[0]), 0)
    different = list({_ring_key(outline): None for outline in outlines})
    repeated = len(outlines) - len(different)
    shapes = sorted(map(_shape, different), key=lambda shape: -shape.area)
    if len(shapes) == 1:
        return Enclosed(shapes[0], repeated)
    depth, overlapping = _nested(shapes)
    solid: BaseGeometry = Polygon()
    levels = sorted(set(depth))
    if len(levels) > _DEEPEST:
        raise TooComplex
    for level in levels:
        area = union_all(
            [shape for shape, deep in zip(shapes, depth, strict=True) if deep == level]
        )
        solid = solid.difference(area) if level % 2 else solid.union(area)
    return Enclosed(solid, repeated + overlapping)


def area_mm2(outlines: Sequence[Outline]) -> float:
    """Return the area that outlines in one slice enclose, mm2; 0 if it cannot be computed."""
    try:
        return float(find_enclosed(outlines).area.area)
    except TooComplex:
        return 0.0


def crosses_itself(outline: Outline, area: float, least_mm2: float) -> bool:
    """Return whether an outline crosses itself so that its area depends on the reader.

    An outline that only touches itself, as outlines of pixels do, does not cross itself.

    Parameters
    ----------
    outline, area
        The outline, and the area by the shoelace formula, mm2.
    least_mm2
        Differences of area up to this are ignored.

    Raises
    ------
    TooComplex
        If the outline crosses itself more often than it has points.
    """
    shape, valid = _shape_of(outline)
    return not valid and abs(shape.area - area) > least_mm2


def crossings(outline: Outline) -> int:
    """Return the number of crossings between segments of an outline.

    Raises
    ------
    TooComplex
        If more segments are near each other than in any real drawing.
    """
    import numpy as np

    ends = np.asarray([*outline, outline[0]])
    starts, steps = ends[:-1], np.diff(ends, axis=0)

    def parted(first: "ndarray", second: "ndarray") -> "ndarray":
        """Return which lines of `first` separate the ends of the segments of `second`."""
        (u, v), here = steps[first].T, starts[first]
        begin, end = (starts[second] - here).T, (ends[1:][second] - here).T
        sides: ndarray = (u * begin[1] - v * begin[0]) * (u * end[1] - v * end[0])
        return sides < 0

    pairs = _near(starts, ends[1:], _NEIGHBOURS * len(outline))
    return sum(int((parted(one, other) & parted(other, one)).sum()) for one, other in pairs)


def _near(starts: "ndarray", ends: "ndarray", most: int) -> "Iterator[tuple[ndarray, ndarray]]":
    """Yield pairs of segments whose bounding boxes intersect, each pair once, in portions.

    Raises
    ------
    TooComplex
        If there are more pairs than `most`.
    """
    import numpy as np

    boxes = box(*np.minimum(starts, ends).T, *np.maximum(starts, ends).T)
    tree, met = STRtree(boxes), 0
    for first in range(0, len(boxes), _AT_ONCE):
        one, other = tree.query(boxes[first : first + _AT_ONCE])
        one, later = one + first, other > one + first
        met += int(later.sum())
        if met > most:
            raise TooComplex
        yield one[later], other[later]


def _check_entangled(outline: Sequence[tuple[float, float]]) -> None:
    """Raise TooComplex if too many monotone parts of an outline are near each other.

    The library compares all monotone parts whose bounding boxes intersect. The boxes of long
    slanting spikes all intersect, although no spike crosses another.
    """
    import numpy as np

    if len(outline) <= _SMALL:
        return
    points = np.asarray([*outline, outline[0]])
    rising = np.diff(points, axis=0) >= 0
    turns = np.flatnonzero((rising[1:] != rising[:-1]).any(axis=1)) + 1
    parts = points[np.concatenate(([0], turns, [len(points) - 1]))]
    for _ in _near(parts[:-1], parts[1:], _NEIGHBOURS * len(outline)):
        pass


def _ring_key(outline: Outline) -> tuple[tuple[float, float], ...]:
    """Return the points of an outline with a normalised start and direction."""
    start = outline.index(min(outline))
    turned = [*outline[start:], *outline[:start]]
    other = [turned[0], *reversed(turned[1:])]
    return tuple(min(turned, other))


def _shape(outline: Sequence[tuple[float, float]]) -> BaseGeometry:
    """Return the area that an outline encloses; see `_shape_of`."""
    return _shape_of(outline)[0]


def _shape_of(outline: Sequence[tuple[float, float]]) -> tuple[BaseGeometry, bool]:
    """Return the area that an outline encloses, and whether the outline is simple.

    Raises
    ------
    TooComplex
        If it crosses itself more often than it has points: the result would grow quadratically.
    """
    import numpy as np

    _check_entangled(outline)
    polygon = Polygon(np.asarray(outline))  # five times as fast as from tuples
    if polygon.is_valid:
        return polygon, True
    if crossings(list(outline)) > len(outline):
        raise TooComplex
    return _areas(make_valid(polygon)), False


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
        if pairs > _NEIGHBOURS * len(shapes):
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


def _areas(geometry: BaseGeometry) -> BaseGeometry:
    """Return the polygons of a geometry, without its lines and points."""
    return MultiPolygon(list(polygons_in(geometry)))


def polygons_in(geometry: BaseGeometry) -> Iterator[Polygon]:
    """Yield the polygons of a geometry, also of nested collections."""
    if isinstance(geometry, Polygon):
        if not geometry.is_empty:
            yield geometry
        return
    for part in getattr(geometry, "geoms", ()):
        yield from polygons_in(part)
