"""Structures as solids: set operations, margins and other operations of derived structures.

A solid maps a slice index to the area in that slice, in mm along row and column. Operations across
slices (margins, parts) use the positions of the slices. Outlines inside outlines are holes
(PS3.3 C.8.8.6.3); partly overlapping outlines are united.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import reduce
from math import fsum, sqrt
from typing import Final

from shapely import MultiPolygon, Polygon, union_all
from shapely.geometry.base import BaseGeometry
from shapely.geometry.polygon import orient

from drawcli.core.rtstruct.enclosed_area import find_enclosed
from drawcli.core.rtstruct.outline_shapes import Outline, polygons_in
from drawcli.core.series.slice_grid import Grid
from drawcli.core.templates.appearance import Derived

Solid = Mapping[int, BaseGeometry]
_SEGMENTS: Final = 16  # per quarter circle: at most 0.12 % of the radius off
_TOLERANCE_MM: Final = 0.02  # allowed movement of an outline when it is simplified
_SMALLEST_MM2: Final = 0.01


def solid_of(outlines: Iterable[tuple[int, Outline]]) -> Solid:
    """Return the solid that outlines enclose: each with its slice index.

    Raises
    ------
    TooComplex
        See `find_enclosed`.
    """
    slices: dict[int, list[Outline]] = defaultdict(list)
    for index, outline in outlines:
        slices[index].append(outline)
    return _cleaned({index: find_enclosed(many).area for index, many in slices.items()})


def derive_solid(rule: Derived, sources: Sequence[Solid], grid: Grid) -> Solid:
    """Return the solid that a rule of the template derives from others.

    Parameters
    ----------
    rule
        The operation.
    sources
        The solids of `rule.sources`, in that order.
    grid
        The slices.
    """
    first = sources[0]
    one_by_one: dict[str, Callable[[], Solid]] = {
        "union": lambda: reduce(_union, sources),
        "intersection": lambda: reduce(_intersection, sources),
        "subtraction": lambda: reduce(_subtraction, sources),
        "margin": lambda: add_margin(first, rule.mm, grid),
        "crop": lambda: _cropped(rule, first, sources[1], grid),
        "smooth": lambda: {index: _smoothed(area, rule.mm) for index, area in first.items()},
        "fill_holes": lambda: {index: _filled(area) for index, area in first.items()},
        "remove_small": lambda: _joined(
            part for part in connected_parts(first) if volume_mm3(part, grid) >= rule.cm3 * 1000
        ),
        "keep_largest": lambda: max(
            connected_parts(first), key=lambda part: volume_mm3(part, grid), default={}
        ),
    }
    return _cleaned(one_by_one[rule.operation]())


def add_margin(solid: Solid, mm: float, grid: Grid) -> Solid:
    """Return a solid grown by `mm` in all directions, or shrunk if `mm` is negative.

    The structuring element is a ball: each slice within its radius contributes a disk, the section
    of the ball at that distance. Slices beyond the series are ignored.
    """
    if mm >= 0:
        return {
            index: union_all([area.buffer(r, quad_segs=_SEGMENTS) for area, r in near])
            for index in range(len(grid.offsets))
            if (near := [(solid[i], r) for i, r in _reached(index, mm, grid) if i in solid])
        }
    shrunk = {}
    for index in solid:
        areas: list[BaseGeometry] = [
            solid[i].buffer(-r, quad_segs=_SEGMENTS) if i in solid else Polygon()
            for i, r in _reached(index, -mm, grid)
        ]
        shrunk[index] = reduce(lambda first, other: first.intersection(other), areas)
    return shrunk


def connected_parts(solid: Solid) -> list[Solid]:
    """Return the connected parts of a solid: overlapping areas of adjacent slices."""
    areas = [(index, area) for index in sorted(solid) for area in polygons_in(solid[index])]
    group = list(range(len(areas)))

    def root(number: int) -> int:
        """Return the number that stands for the part with an area (union-find)."""
        while group[number] != number:
            group[number] = number = group[group[number]]
        return number

    numbers: dict[int, list[int]] = defaultdict(list)
    for number, (index, area) in enumerate(areas):
        for other in numbers[index - 1]:
            if area.intersects(areas[other][1]):
                group[root(number)] = root(other)
        numbers[index].append(number)
    together: dict[int, dict[int, list[Polygon]]] = defaultdict(lambda: defaultdict(list))
    for number, (index, area) in enumerate(areas):
        together[root(number)][index].append(area)
    return [
        {index: MultiPolygon(many) for index, many in solid.items()} for solid in together.values()
    ]


def volume_mm3(solid: Solid, grid: Grid) -> float:
    """Return the volume: the sum of area times thickness of each slice."""
    return fsum(grid.thickness(index) * area.area for index, area in solid.items())


def outlines_of(solid: Solid) -> Iterator[tuple[int, Outline]]:
    """Yield slice index and outline, slice by slice: each area followed by its holes."""
    for index in sorted(solid):
        for area in polygons_in(solid[index]):
            whole = orient(area)
            for ring in (whole.exterior, *whole.interiors):
                yield index, [(u, v) for u, v, *_ in ring.coords[:-1]]


def _reached(index: int, mm: float, grid: Grid) -> Iterator[tuple[int, float]]:
    """Yield the slices within `mm` of a slice, and the radius of the ball's section there, mm."""
    here = grid.offsets[index]
    for other, offset in enumerate(grid.offsets):
        if abs(offset - here) <= mm:
            yield other, sqrt(mm * mm - (offset - here) ** 2)


def _cropped(rule: Derived, solid: Solid, border: Solid, grid: Grid) -> Solid:
    """Keep the part inside `border` at least `mm` from its edge, or outside at that distance."""
    if rule.inside is not None:
        return _intersection(solid, add_margin(border, -rule.mm, grid))
    return _subtraction(solid, add_margin(border, rule.mm, grid))


def _union(first: Solid, other: Solid) -> Solid:
    both = first.keys() | other.keys()
    return {i: first.get(i, Polygon()).union(other.get(i, Polygon())) for i in both}


def _intersection(first: Solid, other: Solid) -> Solid:
    return {i: first[i].intersection(other[i]) for i in first.keys() & other.keys()}


def _subtraction(first: Solid, other: Solid) -> Solid:
    return {i: area.difference(other.get(i, Polygon())) for i, area in first.items()}


def _joined(solids: Iterable[Solid]) -> Solid:
    return reduce(_union, solids, {})


def _smoothed(area: BaseGeometry, mm: float) -> BaseGeometry:
    """Open, then close: remove parts, then fill gaps, that are narrower than twice `mm`."""
    opened = area.buffer(-mm, quad_segs=_SEGMENTS).buffer(2 * mm, quad_segs=_SEGMENTS)
    return opened.buffer(-mm, quad_segs=_SEGMENTS)


def _filled(area: BaseGeometry) -> BaseGeometry:
    return union_all([Polygon(polygon.exterior) for polygon in polygons_in(area)])


def _cleaned(solid: Solid) -> Solid:
    """Return a simplified solid, without specks, lines and empty slices."""
    clean = {}
    for index, area in solid.items():
        simple = area.simplify(_TOLERANCE_MM)
        areas = [polygon for polygon in polygons_in(simple) if polygon.area >= _SMALLEST_MM2]
        if areas:
            clean[index] = MultiPolygon(areas)
    return clean
