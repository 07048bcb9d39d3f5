"""The signed distance to the contours of slices on a grid, where a surface can be.

Inside a contour the distance is negative. Between two slices, the interpolated distance changes
its sign only at points that lie inside the contours of one of them, or next to a contour. Only
there distances are computed; elsewhere the sign is right and the value arbitrary.
"""

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import shapely
from shapely.geometry.base import BaseGeometry

from drawcli.core.qa.axes import Floats, dot

Indices = npt.NDArray[np.intp]
Flags = npt.NDArray[np.bool_]
Seeds = npt.NDArray[np.int32]  # numbers of segments
_TINY: Final = 1e-18  # mm2


class PlaneGrid(NamedTuple):
    """The points of a square grid in the plane of the slices."""

    x: float  # of the first column, mm
    y: float  # of the first row, mm
    step: float  # mm
    columns: int
    rows: int

    @classmethod
    def around(cls, areas: Sequence[BaseGeometry], step: float) -> "PlaneGrid":
        """Return a grid that reaches two steps beyond areas."""
        left, low, right, high = shapely.total_bounds(areas).tolist()
        margin = 2 * step
        columns, rows = (int((size + margin) / step) + 4 for size in (right - left, high - low))
        return cls(left - margin, low - margin, step, columns, rows)


class _Segments(NamedTuple):
    """The segments of the contours of several slices."""

    begin: Floats  # n x 2, steps of the grid from its first point
    end: Floats
    layer: Indices  # n: the number of the slice


def signed_distances(
    areas: Sequence[BaseGeometry], grid: PlaneGrid, *, ends: Sequence[int]
) -> Floats:
    """Return the signed distance to the contours of neighbouring slices, mm.

    Parameters
    ----------
    areas
        What the contours of each slice enclose.
    grid
        The points.
    ends
        Numbers of slices at which the structure ends: there all points inside have distances, in
        this slice and in its neighbours.

    Returns
    -------
    numpy.ndarray
        Slices x rows x columns.
    """
    segments = _segments_of(areas, grid)
    inside = _inside(segments, grid, len(areas))
    wanted = _wanted(inside, ends)
    seeds = _seeds(segments, grid, len(areas))
    nearest = [_nearest(*layer) for layer in zip(seeds, wanted, strict=True)]
    away = np.ones(inside.shape)
    away[wanted] = _to_contour(wanted, np.concatenate(nearest, axis=1), segments)
    return np.where(inside, -away, away) * grid.step


def _segments_of(areas: Sequence[BaseGeometry], grid: PlaneGrid) -> _Segments:
    parts, layer_of_part = shapely.get_parts(areas, return_index=True)
    rings, part = shapely.get_rings(parts, return_index=True)
    points, ring = shapely.get_coordinates(rings, return_index=True)
    points = (points - (grid.x, grid.y)) / grid.step
    linked = ring[1:] == ring[:-1]
    layer = layer_of_part[part[ring[1:][linked]]]
    return _Segments(points[:-1][linked], points[1:][linked], layer)


def _inside(segments: _Segments, grid: PlaneGrid, layers: int) -> Flags:
    """Return which points the contours enclose (even-odd rule)."""
    begin, end, layer = segments
    low, high = np.minimum(begin[:, 1], end[:, 1]), np.maximum(begin[:, 1], end[:, 1])
    first = np.ceil(low).astype(np.intp)
    counts = np.ceil(high).astype(np.intp) - first
    edge, number, _ = counted(counts)
    row = first[edge] + number
    slope = (end[edge, 0] - begin[edge, 0]) / (end[edge, 1] - begin[edge, 1])
    column = np.ceil(begin[edge, 0] + (row - begin[edge, 1]) * slope).astype(np.intp)
    shape = (layers, grid.rows, grid.columns)
    place = np.ravel_multi_index((layer[edge], row, column), shape)
    crossed = np.bincount(place, minlength=layers * grid.rows * grid.columns).astype(np.uint8) & 1
    return np.bitwise_xor.accumulate(crossed.reshape(shape), axis=2).astype(bool)


def _wanted(inside: Flags, ends: Sequence[int]) -> Flags:
    """Return the points at which the distance is needed; see the module."""
    wanted = np.zeros(inside.shape, bool)
    changed = inside[1:] ^ inside[:-1]
    wanted[1:] |= changed
    wanted[:-1] |= changed
    changed = wanted.copy()
    for axis in (1, 2):
        first, second = neighbours(axis)
        across = inside[first] ^ inside[second] | changed[first] | changed[second]
        wanted[first] |= across
        wanted[second] |= across
    for layer in ends:
        wanted[max(layer - 1, 0) : layer + 2] |= inside[layer]
    return wanted


def neighbours(axis: int) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """Return the indices of all points but the last, and but the first, along an axis."""
    every = slice(None)
    first = tuple(slice(-1) if number == axis else every for number in range(3))
    return first, tuple(slice(1, None) if number == axis else every for number in range(3))


def _seeds(segments: _Segments, grid: PlaneGrid, layers: int) -> Seeds:
    """Return for each point next to a contour the segment nearest to it, else -1."""
    begin, end, layer = segments
    lengths = np.hypot(*(end - begin).T)
    segment, number, parts = counted(np.ceil(2 * lengths).astype(np.intp) + 1)
    part = number / parts
    samples = begin[segment] + part[:, None] * (end - begin)[segment]
    near = np.rint(samples)
    order = np.argsort(-dot(samples - near, samples - near), kind="stable")
    column, row = near[order].astype(np.intp).T
    seeds = np.full((layers, grid.rows, grid.columns), -1, np.int32)
    seeds[layer[segment[order]], row, column] = segment[order]  # the nearest is the last
    return seeds


def counted(counts: Indices) -> tuple[Indices, Indices, Indices]:
    """Return for each n of `counts`, n times: its position, the numbers from 0 to n - 1, and n."""
    position = np.repeat(np.arange(len(counts)), counts)
    number = np.arange(len(position)) - np.repeat(np.cumsum(counts) - counts, counts)
    return position, number, counts[position]


def _nearest(seeds: Seeds, wanted: Flags) -> Seeds:
    """Return the segments nearest to points of a slice, and to their four neighbours: 5 x n."""
    from scipy.ndimage import distance_transform_edt

    row, column = np.nonzero(wanted)
    rows, columns = distance_transform_edt(seeds < 0, return_distances=False, return_indices=True)
    place = row * seeds.shape[1] + column
    beside = place + np.array([0, 1, -1, seeds.shape[1], -seeds.shape[1]])[:, None]
    return np.asarray(seeds[rows.ravel()[beside], columns.ravel()[beside]])


def _to_contour(wanted: Flags, nearest: Seeds, segments: _Segments) -> Floats:
    """Return the distance of points to the contour of their slice, in steps."""
    _, y, x = np.nonzero(wanted)
    square = np.full(len(x), np.inf)
    for segment in (*nearest, *_along(nearest[0], segments.layer)):
        (begin_x, begin_y), (end_x, end_y) = (
            segments.begin.T[:, segment],
            segments.end.T[:, segment],
        )
        u, v, to_x, to_y = end_x - begin_x, end_y - begin_y, x - begin_x, y - begin_y
        part = np.clip((to_x * u + to_y * v) / np.maximum(u * u + v * v, _TINY), 0, 1)
        to_x -= part * u
        to_y -= part * v
        np.minimum(square, to_x * to_x + to_y * to_y, out=square)
    return np.asarray(np.sqrt(square))


def _along(segment: Seeds, layer: Indices) -> Iterator[Seeds]:
    """Yield the segments before and after segments of a slice."""
    for by in (-2, -1, 1, 2):
        other = np.clip(segment + by, 0, len(layer) - 1)
        yield np.where(layer[other] == layer[segment], other, segment)
