"""The surface of a structure, from contours on parallel slices.

Between two slices the signed distance to the contour is interpolated linearly (shape-based
interpolation); at its ends a structure reaches half a slice beyond its last contour. The surface is
where that distance is zero. Each cell of the grid that the surface crosses has a vertex, the mean
of the places where it crosses the edges of the cell; each such edge joins four vertices to a quad.

References
----------
Raya and Udupa 1990, doi:10.1109/42.52980 (shape-based interpolation); Gibson 1998,
doi:10.1007/BFb0056277 (surface nets).
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from math import cbrt, ceil, sqrt
from typing import Any, Final, NamedTuple

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from drawcli.core.qa.axes import Floats, dot
from drawcli.core.qa.signed_distance import (
    Flags,
    Indices,
    PlaneGrid,
    counted,
    neighbours,
    signed_distances,
)
from drawcli.core.qa.structures import Slab, Solid

FINEST_MM: Final = 0.25
COARSEST_MM: Final = 2.0  # unless a structure is so large that it would take too much memory
_CELLS: Final = 6_000  # aimed at: squares of the step on the surface
_MOST_POINTS: Final = 20_000_000  # of the grid of a structure
_AT_ONCE: Final = 1_000_000  # points of the grid
_CAP_MM: Final = 1e-3  # thickness of a flat end
_NARROW: Final = 2.0  # steps: parts of a structure that a grid may not see
_MISSED: Final = 1.5  # steps from a contour to the surface


class Surface(NamedTuple):
    """A surface: quads, and a sample for each cell of the grid that it crosses."""

    quads: Floats  # n x 4 corners x 3 coordinates along the axes, mm
    samples: Floats  # m x 3: the corners of the quads, mm
    areas: Floats  # m: of the surface around them, mm2


Node = tuple[float, Floats]  # level, and the signed distance at the points of the grid


def step_for(solid: Solid) -> float:
    """Return the step of the grid for a structure, mm: finer for smaller structures."""
    areas = np.array([slab.area for slab in solid.slabs])
    walls = sum(slab.area.length * (slab.high - slab.low) for slab in solid.slabs)
    step = sqrt((walls + 2 * shapely.area(areas).max()) / _CELLS)
    left, low, right, high = shapely.total_bounds(areas).tolist()
    plane, height = (right - left) * (high - low), solid.slabs[-1].high - solid.slabs[0].low
    in_planes, in_all = sqrt(plane * len(areas) / _MOST_POINTS), cbrt(plane * height / _MOST_POINTS)
    return max(min(max(step, FINEST_MM), COARSEST_MM), in_planes, in_all)


def surface_of(solid: Solid, step: float) -> Surface:
    """Return the surface of a structure on a grid of a step, mm.

    Contours so narrow that the grid does not see them become walls as high as their slice.
    """
    grid = PlaneGrid.around([slab.area for slab in solid.slabs], step)
    layers = [
        _net(grid, stack, is_last=is_last)
        for run in _connected(solid.slabs)
        for stack, is_last in _stacks(_nodes(run, grid), grid)
    ]
    layers.append(_walls(solid.slabs, np.concatenate([layer.samples for layer in layers]), step))
    return Surface(*(np.concatenate(parts) for parts in zip(*layers, strict=True)))


def _walls(slabs: Sequence[Slab], samples: Floats, step: float) -> Surface:
    """Return the walls of contours that are far from all samples of the surface."""
    from scipy.spatial import cKDTree

    begin, end, slab = _narrow([slab.area for slab in slabs], _NARROW * step)
    level, low, high = (np.array([one[:3] for one in slabs])[slab]).T
    middles = np.column_stack([(begin + end) / 2, level])
    if len(samples) and len(middles):
        far, _ = cKDTree(samples).query(middles, distance_upper_bound=_MISSED * step)
        begin, end, low, high = (one[np.isinf(far)] for one in (begin, end, low, high))
    number, part, parts = counted(np.ceil((high - low) / step).astype(np.intp))
    begin, end, height = begin[number], end[number], (high - low)[number] / parts
    low = low[number] + part * height
    corners = [
        np.column_stack(one)
        for one in ((begin, low), (end, low), (end, low + height), (begin, low + height))
    ]
    quads = np.stack(corners, axis=1)
    return Surface(quads, quads.mean(axis=1), _areas(quads))


def _narrow(areas: Sequence[BaseGeometry], width: float) -> tuple[Floats, Floats, Indices]:
    """Return segments of contours of parts or holes narrower than a width, and their slices."""
    parts, slab = shapely.get_parts(areas, return_index=True)
    rings, part = shapely.get_rings(parts, return_index=True)
    discs = shapely.polygons(rings)
    narrow = np.minimum(_width(parts)[part], _width(discs)) < width
    points, ring = shapely.get_coordinates(
        shapely.segmentize(rings[narrow], width / _NARROW), return_index=True
    )
    linked = ring[1:] == ring[:-1]
    return points[:-1][linked], points[1:][linked], slab[part[narrow]][ring[1:][linked]]


def _width(polygons: Any) -> Floats:
    """Return the width of polygons if they were strips, half of it if they were discs."""
    return np.asarray(2 * shapely.area(polygons) / shapely.length(polygons))


def _connected(slabs: Sequence[Slab]) -> Iterator[list[Slab]]:
    """Yield the runs of slabs without a gap between them."""
    run = [slabs[0]]
    for slab in slabs[1:]:
        if slab.low > run[-1].high + 1e-6:
            yield run
            run = []
        run.append(slab)
    yield run


def _nodes(run: Sequence[Slab], grid: PlaneGrid) -> Iterator[Node]:
    """Yield levels with the signed distance (negative inside), at most a step apart."""
    for number, (below, above) in enumerate(_gaps(run, grid)):
        if number == 0:
            bottom = _tapered(below[1], above[1])
            yield run[0].low - _CAP_MM, np.abs(bottom) + grid.step
            yield run[0].low, bottom
            yield from _between((run[0].low, bottom), below, grid.step)
        if len(run) > 1:
            yield from _between(below, above, grid.step)
    top = _tapered(above[1], below[1])
    yield from _between(above, (run[-1].high, top), grid.step)
    yield run[-1].high + _CAP_MM, np.abs(top) + grid.step


def _tapered(end: Floats, beside: Floats) -> Floats:
    """Return the distance at an end: a structure that tapers does so for half a slice more."""
    return np.asarray(end + np.maximum(end - beside, 0) / 2)


def _gaps(run: Sequence[Slab], grid: PlaneGrid) -> Iterator[tuple[Node, Node]]:
    """Yield each slice with the next, as level and signed distance; a single slice with itself."""
    many = max(2, _AT_ONCE // (grid.columns * grid.rows))
    for first in range(0, max(len(run) - 1, 1), many - 1):
        part = run[first : first + many]
        ends = [number for number, slab in enumerate(part) if slab in (run[0], run[-1])]
        found = signed_distances([slab.area for slab in part], grid, ends=ends)
        nodes = [(slab.level, away) for slab, away in zip(part, found, strict=True)]
        yield from pairwise(nodes if len(nodes) > 1 else nodes * 2)


def _between(low: Node, high: Node, step: float) -> Iterator[Node]:
    """Yield the nodes above `low` up to `high`."""
    count = max(1, ceil((high[0] - low[0]) / step - 1e-9))
    for number in range(1, count + 1):
        part = number / count
        yield low[0] + part * (high[0] - low[0]), low[1] + part * (high[1] - low[1])


def _stacks(nodes: Iterator[Node], grid: PlaneGrid) -> Iterator[tuple[list[Node], bool]]:
    """Yield the nodes in stacks, and whether it is the last; stacks share two nodes."""
    many = max(4, _AT_ONCE // (grid.columns * grid.rows))
    stack: list[Node] = []
    for node in nodes:
        if len(stack) == many:
            yield stack, False
            stack = stack[-2:]
        stack.append(node)
    yield stack, True


class _Crossings(NamedTuple):
    """Where the surface crosses the edges of the grid along an axis."""

    places: Floats  # n x 3, mm
    weights: Floats  # n: of the place in the vertices of its cells
    cells: Indices  # n x 4: around the edge, in a circle
    is_own: Flags  # n: whether the quad belongs to this stack


def _net(grid: PlaneGrid, stack: Sequence[Node], *, is_last: bool) -> Surface:
    """Return the surface in a stack of nodes.

    Vertices are those of all cells. The quads around edges in the outer nodes and, unless it is the
    last stack, around those up to the last node are left to the next stack.
    """
    levels = np.array([level for level, _ in stack])
    field = np.stack([away for _, away in stack])
    along = [_crossings(field, axis, levels, grid, is_last=is_last) for axis in range(3)]
    places, weights, cells, is_own = (np.concatenate(parts) for parts in zip(*along, strict=True))
    used, vertex = np.unique(cells, return_inverse=True)
    each = np.repeat(weights, 4)
    total = np.bincount(vertex.ravel(), each)
    vertices = np.stack(
        [np.bincount(vertex.ravel(), each * np.repeat(mm, 4)) / total for mm in places.T], axis=1
    )
    corners = vertex.reshape(-1, 4)[is_own]
    quads = vertices[corners]
    each = np.repeat(_areas(quads) / 4, 4)
    area = np.bincount(corners.ravel(), each, minlength=len(used)).astype(float)
    real = area > 0
    return Surface(quads, vertices[real], area[real])


def _crossings(
    field: Floats, axis: int, levels: Floats, grid: PlaneGrid, *, is_last: bool
) -> _Crossings:
    """Return where the surface crosses the edges along an axis: 0 normal, 1 row, 2 column."""
    first, second = neighbours(axis)
    inside = field < 0
    edge = np.nonzero(inside[first] ^ inside[second])
    value, beyond = field[first][edge], field[second][edge]
    at = np.stack(edge, axis=1).astype(float)
    at[:, axis] += value / (value - beyond)
    level = np.interp(at[:, 0], np.arange(len(levels)), levels)
    places = np.stack([grid.x + grid.step * at[:, 2], grid.y + grid.step * at[:, 1], level], axis=1)
    if axis == 0:
        weights = (
            np.diff(levels)[edge[0]] / grid.step
        )  # flat ends: the edge along the normal is short
        is_own = (edge[0] < len(levels) - 2) | is_last
    else:
        weights = np.ones(len(at))
        is_own = (edge[0] > 0) & (edge[0] < len(levels) - 1)
    one, other = (stride for number, stride in enumerate(_strides(grid)) if number != axis)
    cell = np.stack(edge, axis=1) @ np.array(_strides(grid))
    cells = cell[:, None] + np.array([0, -one, -one - other, -other])
    return _Crossings(places, weights, cells, is_own)


def _strides(grid: PlaneGrid) -> tuple[int, int, int]:
    return grid.rows * grid.columns, grid.columns, 1


def _areas(quads: Floats) -> Floats:
    """Return the areas of quads as two triangles each, mm2."""
    edges = quads[:, 1:] - quads[:, :1]
    normals = np.cross(edges[:, :2], edges[:, 1:])
    return np.asarray(np.sqrt(dot(normals, normals)).sum(axis=1) / 2)
