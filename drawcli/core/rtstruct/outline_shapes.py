"""The area that one outline encloses, of many outlines at once.

The time is O(n log n) in the number of points. Outlines with more crossings than any real drawing
has are refused, because results or run time would grow quadratically.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final, NamedTuple

from shapely import MultiPolygon, Polygon, STRtree, box, is_valid, make_valid
from shapely import area as get_area
from shapely import linearrings as make_rings
from shapely import polygons as make_polygons
from shapely.geometry.base import BaseGeometry

if TYPE_CHECKING:
    from numpy import ndarray

Outline = list[tuple[float, float]]  # mm along row and column; not closed
NEIGHBOURS: Final = 64  # allowed mean number of outlines, or parts of an outline, near each other
_AT_ONCE: Final = 64  # segments per query
_POINTS_AT_ONCE: Final = 50_000
_TRIANGLE: Final = 3  # points: outlines of up to so many are converted one by one
_SMALL: Final = 300  # points: the parts of smaller outlines are not checked


class TooComplex(Exception):
    """Outlines are so entangled, with themselves or each other, that no area can be computed."""


class Shape(NamedTuple):
    """The area that one outline encloses."""

    area: BaseGeometry | None  # None: not wanted, or `TooComplex`
    mm2: float
    simple: bool  # whether the outline neither crosses nor touches itself


def shapes_of(points: "ndarray", counts: "ndarray", wanted: "ndarray | None" = None) -> list[Shape]:
    """Return the area of each outline, many at once.

    Parameters
    ----------
    points
        The points of all outlines (n x 2, mm), one after the other.
    counts
        The number of points of each outline.
    wanted
        Whether the geometry of each outline is returned (always, if it is not simple). None: all.
    """
    found: list[Shape] = []
    first = 0
    ends = counts.cumsum()
    while first < len(counts):
        begin = ends[first] - counts[first]
        behind = max(first + 1, int(ends.searchsorted(begin + _POINTS_AT_ONCE, "right")))
        here = slice(first, behind)
        part = points[begin : ends[behind - 1]]
        found += _shapes_of(part, counts[here], None if wanted is None else wanted[here])
        first = behind
    return found


def _shapes_of(points: "ndarray", counts: "ndarray", wanted: "ndarray | None") -> Iterator[Shape]:
    import numpy as np

    usual = (counts > _TRIANGLE) & ~may_be_entangled(points, counts)
    which = slice(None) if usual.all() else np.repeat(usual, counts)
    polygons = np.full(len(counts), None, object)
    if usual.any():
        indices = np.repeat(np.arange(usual.sum()), counts[usual])
        polygons[usual] = make_polygons(make_rings(points[which], indices=indices))
    areas, simple = get_area(polygons), is_valid(polygons)
    if wanted is not None:
        polygons[~wanted] = None
    ends = counts.cumsum()
    for number in np.flatnonzero(~simple).tolist():
        ring = points[ends[number] - counts[number] : ends[number]]
        polygons[number], simple[number] = _one_shape(ring)
        areas[number] = get_area(polygons[number])
    return map(Shape, polygons.tolist(), areas.tolist(), simple.tolist())


def _one_shape(ring: "ndarray") -> tuple[BaseGeometry | None, bool]:
    try:
        return _shape_of(ring)
    except TooComplex:
        return None, False


def may_be_entangled(points: "ndarray", counts: "ndarray") -> "ndarray":
    """Return which outlines have so many monotone parts that `_check_entangled` is needed."""
    import numpy as np

    if counts.max() <= _SMALL:
        return np.zeros(len(counts), bool)
    ends = np.cumsum(counts)
    behind = np.roll(points, -1, axis=0)
    behind[ends - 1] = points[ends - counts]
    rising = np.ascontiguousarray(behind >= points).view(np.uint16)[:, 0]  # of both coordinates
    turns = np.zeros(len(points), bool)
    turns[1:] = rising[1:] != rising[:-1]
    turns[ends - counts] = False
    parts = np.add.reduceat(turns, ends - counts) + 1
    return np.asarray((counts > _SMALL) & (parts * (parts - 1) > 2 * NEIGHBOURS * counts))


def crosses_itself(outline: "Outline | ndarray", area: float, least_mm2: float) -> bool:
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


def crossings(outline: "Outline | ndarray") -> int:
    """Return the number of crossings between segments of an outline.

    Raises
    ------
    TooComplex
        If more segments are near each other than in any real drawing.
    """
    import numpy as np

    ends = _closed(outline)
    starts, steps = ends[:-1], np.diff(ends, axis=0)

    def parted(first: "ndarray", second: "ndarray") -> "ndarray":
        """Return which lines of `first` separate the ends of the segments of `second`."""
        (u, v), here = steps[first].T, starts[first]
        begin, end = (starts[second] - here).T, (ends[1:][second] - here).T
        sides: ndarray = (u * begin[1] - v * begin[0]) * (u * end[1] - v * end[0])
        return sides < 0

    pairs = _near(starts, ends[1:], NEIGHBOURS * len(outline))
    return sum(int((parted(one, other) & parted(other, one)).sum()) for one, other in pairs)


def polygons_in(geometry: BaseGeometry) -> Iterator[Polygon]:
    """Yield the polygons of a geometry, also of nested collections."""
    if isinstance(geometry, Polygon):
        if not geometry.is_empty:
            yield geometry
        return
    for part in getattr(geometry, "geoms", ()):
        yield from polygons_in(part)


def _shape_of(outline: "Outline | ndarray") -> tuple[BaseGeometry, bool]:
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
    if crossings(outline) > len(outline):
        raise TooComplex
    return _areas(make_valid(polygon)), False


def _check_entangled(outline: "Outline | ndarray") -> None:
    """Raise TooComplex if too many monotone parts of an outline are near each other.

    The library compares all monotone parts whose bounding boxes intersect. The boxes of long
    slanting spikes all intersect, although no spike crosses another.
    """
    import numpy as np

    if len(outline) <= _SMALL:
        return
    points = _closed(outline)
    rising = np.diff(points, axis=0) >= 0
    turns = np.flatnonzero((rising[1:] != rising[:-1]).any(axis=1)) + 1
    parts = points[np.concatenate(([0], turns, [len(points) - 1]))]
    for _ in _near(parts[:-1], parts[1:], NEIGHBOURS * len(outline)):
        pass


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


def _closed(outline: "Outline | ndarray") -> "ndarray":
    """Return the points of an outline, the first one also at the end."""
    import numpy as np

    points = np.asarray(outline, float)
    return np.concatenate((points, points[:1]))


def _areas(geometry: BaseGeometry) -> BaseGeometry:
    """Return the polygons of a geometry, without its lines and points."""
    return MultiPolygon(list(polygons_in(geometry)))
