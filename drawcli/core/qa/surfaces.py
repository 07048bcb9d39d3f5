"""The surface of a structure as triangles, from contours on parallel slices.

Between two slices the signed distance to the contour is interpolated linearly (shape-based
interpolation); at its ends a structure reaches half a slice beyond its last contour. The surface is
where that distance is zero, found by marching tetrahedra on a grid of a stated step.

References
----------
Raya and Udupa 1990, doi:10.1109/42.52980 (shape-based interpolation); Doi and Koide 1991 (an
efficient method of triangulating equi-valued surfaces by using tetrahedral cells).
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise, permutations
from math import ceil, sqrt
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
from shapely.geometry.base import BaseGeometry

from drawcli.core.qa.structures import Floats, Slab, Solid, dot
from drawcli.core.rtstruct.enclosed_area import polygons_in

Indices = npt.NDArray[np.intp]
FINEST_MM: Final = 0.25
COARSEST_MM: Final = 2.0
_CELLS: Final = 6_000  # aimed at: squares of the step on the surface
_CLOSE: Final = 2.0  # steps from the contour: where the surface may be
_CAP_MM: Final = 1e-3  # thickness of a flat end
_TETRAHEDRA: Final = tuple(
    (0, 1 << order[0], 1 << order[0] | 1 << order[1], 7) for order in permutations(range(3))
)
# For 1, 2 and 3 corners inside, sorted: the edges, three of them a triangle.
_EDGES: Final = {
    1: (((0, 1), (0, 2), (0, 3)),),
    2: (((0, 2), (0, 3), (1, 3)), ((0, 2), (1, 3), (1, 2))),
    3: (((0, 3), (1, 3), (2, 3)),),
}


class Surface(NamedTuple):
    """A surface: triangles, and one sample for each cell of the grid that it crosses."""

    triangles: Floats  # n x 3 corners x 3 coordinates along the axes, mm
    samples: Floats  # m x 3: the centres of the parts in a cell, mm
    areas: Floats  # m: of these parts, mm2


Node = tuple[float, Floats]  # level, and the signed distance at the points of the grid


def step_for(solid: Solid) -> float:
    """Return the step of the grid for a structure, mm: finer for smaller structures."""
    walls = sum(slab.area.length * (slab.high - slab.low) for slab in solid.slabs)
    caps = 2 * max(slab.area.area for slab in solid.slabs)
    return min(max(sqrt((walls + caps) / _CELLS), FINEST_MM), COARSEST_MM)


def surface_of(solid: Solid, step: float) -> Surface:
    """Return the surface of a structure on a grid of a step, mm."""
    boxes = np.array([slab.area.bounds for slab in solid.slabs])
    margin = 2 * step
    x = np.arange(boxes[:, 0].min() - margin, boxes[:, 2].max() + margin + step, step)
    y = np.arange(boxes[:, 1].min() - margin, boxes[:, 3].max() + margin + step, step)
    layers = [
        _march(x, y, *layer)
        for part in _connected(solid.slabs)
        for layer in pairwise(_nodes(part, x, y, step))
    ]
    return Surface(*(np.concatenate(parts) for parts in zip(*layers, strict=True)))


def _connected(slabs: Sequence[Slab]) -> Iterator[list[Slab]]:
    """Yield the runs of slabs without a gap between them."""
    run = [slabs[0]]
    for slab in slabs[1:]:
        if slab.low > run[-1].high + 1e-6:
            yield run
            run = []
        run.append(slab)
    yield run


def _nodes(run: Sequence[Slab], x: Floats, y: Floats, step: float) -> Iterator[Node]:
    """Yield levels with the signed distance (negative inside), at most a step apart."""
    last = run[-1]
    before, first = None, signed_distance(run[0].area, x, y)
    second = signed_distance(run[1].area, x, y) if len(run) > 1 else first
    bottom = first + np.maximum(first - second, 0) / 2
    yield run[0].low - _CAP_MM, np.abs(bottom) + step
    yield run[0].low, bottom
    yield from _between((run[0].low, bottom), (run[0].level, first), step)
    for slab, below in zip(run[1:], run, strict=False):
        before, here = first, second if slab is run[1] else signed_distance(slab.area, x, y)
        yield from _between((below.level, before), (slab.level, here), step)
        first = here
    top = first + (np.maximum(first - before, 0) / 2 if before is not None else 0)
    yield from _between((last.level, first), (last.high, top), step)
    yield last.high + _CAP_MM, np.abs(top) + step


def _between(low: Node, high: Node, step: float) -> Iterator[Node]:
    """Yield the nodes above `low` up to `high`."""
    count = max(1, ceil((high[0] - low[0]) / step - 1e-9))
    for number in range(1, count + 1):
        part = number / count
        yield low[0] + part * (high[0] - low[0]), low[1] + part * (high[1] - low[1])


def signed_distance(area: BaseGeometry, x: Floats, y: Floats) -> Floats:
    """Return the distance of grid points (len(y) x len(x)) to the contour; negative inside, mm.

    Exact next to the contour; farther away at most one step too large.
    """
    from scipy.ndimage import distance_transform_edt

    begin, end = _segments(area)
    step = float(x[1] - x[0])
    near, segment = _cells(begin, end, (x[0], y[0]), step)
    seeds = np.full((len(y), len(x)), -1)
    seeds[near[:, 1], near[:, 0]] = segment
    row, column = distance_transform_edt(seeds < 0, return_distances=False, return_indices=True)
    nearest = seeds[row, column]
    points = np.stack(np.broadcast_arrays(x[None, :], y[:, None]), axis=-1)
    away = _to_segments(points, begin[nearest], end[nearest])
    close = away < _CLOSE * step
    for other in _neighbours(nearest):
        segments = begin[other[close]], end[other[close]]
        away[close] = np.minimum(away[close], _to_segments(points[close], *segments))
    return np.where(_inside(begin, end, x, y), -away, away)


def _neighbours(nearest: Indices) -> Iterator[Indices]:
    """Yield what is nearest to the next points in each direction: corners lie between segments."""
    for axis in (0, 1):
        for shift in (1, -1):
            yield np.roll(nearest, shift, axis)


def _segments(area: BaseGeometry) -> tuple[Floats, Floats]:
    """Return both ends of each segment of the contours (n x 2)."""
    rings = [
        np.asarray(ring.coords)[:, :2]
        for polygon in polygons_in(area)
        for ring in (polygon.exterior, *polygon.interiors)
    ]
    return (
        np.concatenate([ring[:-1] for ring in rings]),
        np.concatenate([ring[1:] for ring in rings]),
    )


def _cells(
    begin: Floats, end: Floats, origin: tuple[float, float], step: float
) -> tuple[Indices, Indices]:
    """Return the grid points next to samples of the segments (n x 2), and their segments."""
    lengths = np.hypot(*(end - begin).T)
    counts = np.ceil(2 * lengths / step).astype(int) + 1
    segment = np.repeat(np.arange(len(begin)), counts)
    number = np.arange(len(segment)) - np.repeat(np.cumsum(counts) - counts, counts)
    part = (number / counts[segment])[:, None]
    samples = begin[segment] + part * (end - begin)[segment]
    return np.rint((samples - np.array(origin)) / step).astype(int), segment


def _to_segments(points: Floats, begin: Floats, end: Floats) -> Floats:
    along = end - begin
    square = np.maximum(dot(along, along), 1e-18)
    part = np.clip(dot(points - begin, along) / square, 0, 1)
    off = points - begin - part[..., None] * along
    return np.asarray(np.sqrt(dot(off, off)))


def _inside(begin: Floats, end: Floats, x: Floats, y: Floats) -> npt.NDArray[np.bool_]:
    """Return which grid points the contours enclose (even-odd rule)."""
    step = float(x[1] - x[0])
    low, high = np.sort(np.stack([begin[:, 1], end[:, 1]]), axis=0)
    first = np.ceil((low - y[0]) / step).astype(int)
    counts = np.maximum(np.ceil((high - y[0]) / step).astype(int) - first, 0)
    edge = np.repeat(np.arange(len(begin)), counts)
    row = first[edge] + np.arange(len(edge)) - np.repeat(np.cumsum(counts) - counts, counts)
    part = (y[0] + row * step - begin[edge, 1]) / (end[edge, 1] - begin[edge, 1])
    at = begin[edge, 0] + part * (end[edge, 0] - begin[edge, 0])
    toggles = np.zeros((len(y), len(x) + 1), np.intp)
    np.add.at(toggles, (row, np.ceil((at - x[0]) / step).astype(int)), 1)
    return np.asarray(np.cumsum(toggles, axis=1)[:, :-1] % 2 == 1)


def _march(x: Floats, y: Floats, low: Node, high: Node) -> Surface:
    """Return the surface between two levels."""
    field = np.stack([low[1], high[1]])  # z, y, x
    corners = np.stack(
        [
            field[
                bits >> 2,
                (bits >> 1 & 1) : len(y) - 1 + (bits >> 1 & 1),
                (bits & 1) : len(x) - 1 + (bits & 1),
            ]
            for bits in range(8)
        ]
    )
    active = np.nonzero((corners.min(axis=0) < 0) & (corners.max(axis=0) >= 0))
    values = corners[:, active[0], active[1]].T
    heights = (low[0], high[0])
    places = np.stack(
        [
            np.stack(
                [
                    x[active[1] + (bits & 1)],
                    y[active[0] + (bits >> 1 & 1)],
                    np.full(len(values), heights[bits >> 2]),
                ],
                axis=1,
            )
            for bits in range(8)
        ],
        axis=1,
    )
    tetrahedra = np.array(_TETRAHEDRA)
    triangles, number = _cut(
        values[:, tetrahedra].reshape(-1, 4), places[:, tetrahedra].reshape(-1, 4, 3)
    )
    return _sampled(triangles, number // len(_TETRAHEDRA))


def _sampled(triangles: Floats, cell: Indices) -> Surface:
    """Return triangles with one sample for each cell: the centre of area of those in it."""
    edges = triangles[:, 1:] - triangles[:, :1]
    normals = np.cross(edges[:, 0], edges[:, 1])
    area = np.sqrt(dot(normals, normals)) / 2
    weighted = triangles.mean(axis=1) * area[:, None]
    areas = np.asarray(np.bincount(cell, area), float)
    sums = np.stack([np.bincount(cell, weighted[:, axis]) for axis in range(3)], axis=1)
    real = areas > 0
    return Surface(triangles, sums[real] / areas[real, None], areas[real])


def _cut(values: Floats, places: Floats) -> tuple[Floats, Indices]:
    """Return the triangles where the values in tetrahedra (n x 4) are zero, and their numbers."""
    order = np.argsort(values, axis=1, kind="stable")
    values = np.take_along_axis(values, order, axis=1)
    places = np.take_along_axis(places, order[:, :, None], axis=1)
    inside = (values < 0).sum(axis=1)
    found, numbers = [], []
    for count, triangles in _EDGES.items():
        number = np.flatnonzero(inside == count)
        v, p = values[number], places[number]
        found += [np.stack([_zero(v, p, *edge) for edge in ends], axis=1) for ends in triangles]
        numbers += [number] * len(triangles)
    return np.concatenate(found), np.concatenate(numbers)


def _zero(values: Floats, places: Floats, a: int, b: int) -> Floats:
    """Return where the values are zero on an edge."""
    part = values[:, a] / (values[:, a] - values[:, b])
    return np.asarray(places[:, a] + part[:, None] * (places[:, b] - places[:, a]))
