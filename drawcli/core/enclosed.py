"""What the outlines of a structure enclose on one slice.

The time grows with n log n in the number of points: more crossings and overlaps than any drawing
has are refused, because the results would grow with the square.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

from shapely import MultiPolygon, Polygon, STRtree, covers, make_valid, overlaps, prepare, union_all
from shapely.geometry.base import BaseGeometry

Outline = list[tuple[float, float]]  # mm along row and column; not closed
_MOST_POINTS: Final = 10_000  # of an outline that is looked at for crossings
_CROSSINGS_AT_ONCE: Final = 200  # segments that are held against all others together
_NEIGHBOURS: Final = 64  # outlines on a slice that may overlap, on average
_AT_ONCE: Final = 64  # outlines that are looked up together
_SAME: Final = 0.999  # of the area: an outline inside that is larger repeats the outer one


class TooComplex(Exception):
    """Outlines cross themselves or each other so often that no area can be given."""


class Enclosed(NamedTuple):
    """What the outlines of a structure enclose on one slice."""

    area: BaseGeometry
    overlapping: int  # outlines that repeat another one, or partly overlap one


def enclosed_by(outlines: Sequence[Outline]) -> Enclosed:
    """Return what outlines on one slice enclose.

    Identical outlines count once, an outline inside another one is a hole, and outlines that
    partly overlap are united. The time grows with n log n; more overlaps than any drawing has are
    refused.

    Raises
    ------
    TooComplex
        If an outline crosses itself more often than it has points, or too many overlap.
    """
    different = list({_ring_key(outline): None for outline in outlines})
    repeated = len(outlines) - len(different)
    shapes = sorted(map(_shape, different), key=lambda shape: -shape.area)
    if len(shapes) == 1:
        return Enclosed(shapes[0], repeated)
    depth, overlapping = _nested(shapes)
    solid: BaseGeometry = Polygon()
    for level in sorted(set(depth)):
        area = union_all([one for one, deep in zip(shapes, depth, strict=True) if deep == level])
        solid = solid.difference(area) if level % 2 else solid.union(area)
    return Enclosed(solid, repeated + overlapping)


def area_mm2(outlines: Sequence[Outline]) -> float:
    """Return the area that outlines on one slice enclose; 0 if it cannot be computed."""
    try:
        return float(enclosed_by(outlines).area.area)
    except TooComplex:
        return 0.0


def crosses_itself(outline: Outline, area: float, least_mm2: float) -> bool:
    """Tell whether an outline crosses itself so that the area it encloses depends on the reader.

    An outline that only touches itself, as outlines of pixels do, does not.

    Parameters
    ----------
    outline, area
        The outline, and the area by the shoelace formula, mm2.
    least_mm2
        Differences up to this do not count.

    Raises
    ------
    TooComplex
        If the outline crosses itself more often than it has points.
    """
    polygon = Polygon(outline)
    if polygon.is_valid:
        return False
    return abs(_shape(outline).area - area) > least_mm2


def crossings(outline: Outline) -> int:
    """Return how often segments of an outline cross each other between their ends.

    Takes time and memory that grow with the square of the number of points.
    """
    import numpy as np

    ends = np.asarray([*outline, outline[0]])
    starts, steps = ends[:-1], np.diff(ends, axis=0)

    def parted(first: slice, second: slice) -> Any:
        """Return which lines of `first` have an end of a segment of `second` on either side."""
        (u, v), here = steps[first].T[:, :, None], starts[first][:, None]
        begin, end = starts[second] - here, ends[1:][second] - here
        return (u * begin[..., 1] - v * begin[..., 0]) * (u * end[..., 1] - v * end[..., 0]) < 0

    everything, found = slice(None), 0
    for first in range(0, len(starts), _CROSSINGS_AT_ONCE):
        some = slice(first, first + _CROSSINGS_AT_ONCE)
        found += int((parted(some, everything) & parted(everything, some).T).sum())
    return found // 2


def _ring_key(outline: Outline) -> tuple[tuple[float, float], ...]:
    """Return the points of an outline from a fixed start in a fixed direction."""
    start = outline.index(min(outline))
    turned = [*outline[start:], *outline[:start]]
    other = [turned[0], *reversed(turned[1:])]
    return tuple(min(turned, other))


def _shape(outline: Sequence[tuple[float, float]]) -> BaseGeometry:
    """Return what one outline encloses.

    Raises
    ------
    TooComplex
        If it crosses itself more often than it has points: the result would grow with the square.
    """
    polygon = Polygon(outline)
    if polygon.is_valid:
        return polygon
    if len(outline) > _MOST_POINTS or crossings(list(outline)) > len(outline):
        raise TooComplex
    return _areas(make_valid(polygon))


def _nested(shapes: Sequence[BaseGeometry]) -> tuple[list[int], int]:
    """Return inside how many others each shape lies, and how many partly overlap another one.

    Parameters
    ----------
    shapes
        The largest first.
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
            others = [one for one in inner[outer == number] if one > first + number]
            _compare(shapes, first + number, others, depth, overlapping)
    return depth, len(overlapping)


def _compare(
    shapes: Sequence[BaseGeometry],
    number: int,
    others: Sequence[int],
    depth: list[int],
    overlapping: set[int],
) -> None:
    """Hold the smaller shapes near a shape against it."""
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
    """Return the areas of a geometry, without the lines and points that it may have besides."""
    return MultiPolygon(list(polygons_in(geometry)))


def polygons_in(geometry: BaseGeometry) -> Iterator[Polygon]:
    """Yield the polygons of a geometry, at every depth."""
    if isinstance(geometry, Polygon):
        if not geometry.is_empty:
            yield geometry
        return
    for part in getattr(geometry, "geoms", ()):
        yield from polygons_in(part)
