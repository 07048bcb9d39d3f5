"""Contours of structures in the patient, and their outlines in a plane."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
import numpy.typing as npt

from drawcli.core.dicom.geometry import Triple
from drawcli.core.pictures.frame import CoordinateFrame, Floats, Plane
from drawcli.core.rtstruct.displayed import Displayed
from drawcli.core.rtstruct.enclosed_area import area_mm2

Indices = npt.NDArray[np.intp]

_SAME_LEVEL_MM: Final = 0.2  # smaller differences are rounding
_LARGE_GAP: Final = 1.5  # times the slice distance: no interpolation across a larger gap
_ROUNDED: Final = 1.5  # times the slice distance: the largest move of an edge between levels
_FINEST_MM: Final = 0.25
_MOST_POINTS: Final = 240  # points across a cut
_TRIED: Final = 15  # planes through a structure, to find the largest cut
_LEAST_SHARE: Final = 0.5  # of the largest cut
_FEWEST_POINTS: Final = 3
_MM3_OF_CM3: Final = 1000.0
_NEARLY_NOTHING: Final = 1e-9  # mm2


@dataclass(frozen=True, slots=True, eq=False)
class CutLine:
    """A closed line in a plane: points (n x 2) to the right and down, mm."""

    points: Floats


class Outlines:
    """One structure: polygons at levels along the normal of the slices.

    Polygons within polygons are holes (PS3.3 C.8.8.6.3): even-odd rule.
    """

    def __init__(
        self,
        number: int,
        look: Displayed,
        contours: Iterable[Sequence[Triple] | Floats],
        frame: CoordinateFrame,
    ) -> None:
        """Transform contours (mm, LPS) to the frame of the images."""
        self.number = number
        self.name = look.name
        self.color = look.color
        self._across = frame.images.index(2)
        self._ends: dict[float, tuple[Floats, Indices]] = {}
        self.polygons = [
            frame.from_patient(points) for points in contours if len(points) >= _FEWEST_POINTS
        ]

    @cached_property
    def _counts(self) -> Indices:
        """The number of points of each polygon."""
        return np.array([len(points) for points in self.polygons])

    @cached_property
    def _means(self) -> Floats:
        """The mean of the points of each polygon (n x 3), mm."""
        starts = np.cumsum(self._counts) - self._counts
        sums = np.add.reduceat(np.concatenate(self.polygons), starts)
        return np.asarray(sums / self._counts[:, None])

    @cached_property
    def _heights(self) -> Floats:
        """The position of each polygon along the normal, mm."""
        return self._means[:, self._across]

    @cached_property
    def _levels(self) -> tuple[Floats, Indices]:
        """The positions of the levels, ascending, and the level of each polygon."""
        order = np.argsort(self._heights, kind="stable")
        steps = np.diff(self._heights[order], prepend=-np.inf) > _SAME_LEVEL_MM
        numbers = np.empty(len(order), np.intp)
        numbers[order] = np.cumsum(steps) - 1
        return self._heights[order][steps], numbers

    @cached_property
    def _edges(self) -> tuple[Floats, Floats, Indices]:
        """Both ends of every edge (3 x n), and the level of each edge."""
        counts = self._counts
        begin = np.concatenate(self.polygons).T.copy()
        last = np.cumsum(counts) - 1
        end = np.roll(begin, -1, axis=1)
        end[:, last] = begin[:, last - counts + 1]
        return begin, end, np.repeat(self._levels[1], counts)

    @cached_property
    def box(self) -> tuple[Floats, Floats]:
        """The smallest and the largest coordinates in the frame, mm."""
        points = np.concatenate(self.polygons)
        return points.min(axis=0), points.max(axis=0)

    @cached_property
    def _areas(self) -> Floats:
        """The area of each polygon, mm2."""
        counts = self._counts
        begin, end, _ = self._edges
        across, down = self._flat
        turns = begin[across] * end[down] - begin[down] * end[across]
        return np.asarray(np.abs(np.add.reduceat(turns, np.cumsum(counts) - counts)) / 2)

    @cached_property
    def _flat(self) -> tuple[int, int]:
        """The two axes along the slices."""
        return (self._across + 1) % 3, (self._across + 2) % 3

    @property
    def levels(self) -> list[float]:
        """The positions of its contours along the normal of the slices, mm, ascending."""
        return [float(level) for level in self._levels[0]] if self.polygons else []

    def volume_cm3(self, thickness: Callable[[float], float]) -> float:
        """Return its volume: the area of each level times its thickness, mm."""
        if not self.polygons:
            return 0.0
        levels, numbers = self._levels
        single = np.bincount(numbers) == 1  # no holes
        areas = np.bincount(numbers, self._areas)
        for level in np.flatnonzero(~single).tolist():
            areas[level] = area_mm2(
                [self._outline(n) for n in np.flatnonzero(numbers == level).tolist()]
            )
        thick = [thickness(level) for level in levels.tolist()]
        return float(areas @ np.array(thick)) / _MM3_OF_CM3

    def _outline(self, number: int) -> list[tuple[float, float]]:
        return [(u, v) for u, v in self.polygons[number][:, self._flat].tolist()]

    @cached_property
    def middle(self) -> Floats:
        """Its centre in the frame, mm: the mean of the polygons weighted by area."""
        weights = self._areas + _NEARLY_NOTHING  # for areas of zero
        return np.asarray(weights @ self._means / weights.sum())

    def best_position(self, plane: Plane) -> float:
        """Return the position of the plane that shows it best, mm along the normal.

        Its centre, or the largest cut if the cut there is small, as between two lungs.
        """
        normal = plane.normal
        places, sizes = self._sizes(normal)
        middle = int(np.argmin(np.abs(places - self.middle[normal])))
        enough = sizes[middle] >= _LEAST_SHARE * sizes.max()
        return float(places[middle if enough else int(np.argmax(sizes))])

    def _sizes(self, normal: int) -> tuple[Floats, Floats]:
        """Return positions along an axis, and the size of the cut there: area or length."""
        if normal == self._across:
            levels, numbers = self._levels
            return levels, np.bincount(numbers, self._areas, len(levels)).astype(float)
        low, high = self.box[0][normal], self.box[1][normal]
        tried = low + (high - low) * (np.arange(_TRIED) + 0.5) / _TRIED
        return tried, np.array([self._cut_length(normal, float(place)) for place in tried])

    def lines(
        self, plane: Plane, position: float, slab: tuple[float, float], gap: float
    ) -> list[CutLine]:
        """Return its outlines in a plane.

        Parameters
        ----------
        plane, position
            The plane, and its position along its normal, mm.
        slab
            For a plane of the slices: the range along the normal whose contours belong to it, mm.
        gap
            The median distance of slices, mm.
        """
        if not self.polygons:
            return []
        if plane.normal == self._across:
            inside = (self._heights >= slab[0]) & (self._heights < slab[1])
            return [_cut_line(self.polygons[number], plane) for number in np.flatnonzero(inside)]
        low, high = self.box[0][plane.normal], self.box[1][plane.normal]
        if not low <= position <= high:
            return []
        return list(self._reformatted(plane, position, gap))

    def _crossings(self, normal: int, position: float) -> tuple[Indices, Floats]:
        """Return the crossings of edges and a plane in order: level and third coordinate."""
        other = 3 - normal - self._across
        begin, end, level = self._edges
        hit = np.flatnonzero((begin[normal] > position) != (end[normal] > position))
        a, b = begin[normal, hit], end[normal, hit]
        from_, to = begin[other, hit], end[other, hit]
        at = from_ + (position - a) / (b - a) * (to - from_)
        order = np.lexsort((at, level[hit]))
        return level[hit][order], at[order]

    def _with_ends(self, gap: float) -> tuple[Floats, Indices]:
        """Return `_with_ends` of its levels; the distance of slices is that of the images."""
        if gap not in self._ends:
            heights, which = _with_ends(self._levels[0], gap)
            self._ends[gap] = heights, np.array(which)
        return self._ends[gap]

    def _cut_length(self, normal: int, position: float) -> float:
        _, at = self._crossings(normal, position)
        return float((at[1::2] - at[::2]).sum())  # each level has an even number of crossings

    def _reformatted(self, plane: Plane, position: float, gap: float) -> Iterator[CutLine]:
        """Yield the outlines in a plane across the slices.

        Levels are cut exactly. Between them the distance to the edge is interpolated linearly; at
        the ends the structure extends by half a slice, as its volume does.
        """
        from contourpy import contour_generator

        level, at = self._crossings(plane.normal, position)
        if not len(at):
            return
        heights, which = self._with_ends(gap)
        fine = max(_FINEST_MM, float(np.ptp(at)) / _MOST_POINTS)
        reach = _ROUNDED * gap
        grid = np.arange(at.min() - reach, at.max() + reach + fine, fine)
        first = np.flatnonzero(np.diff(level, prepend=-1))
        field = np.full((len(heights), len(grid)), -reach)
        rows = np.flatnonzero(which >= 0)[level[first]]
        field[rows] = _depth(grid, at, first).clip(-reach, reach)
        other = 3 - plane.normal - self._across
        for line in contour_generator(grid, heights, field).lines(0.0):
            points = np.asarray(line)
            whole = np.zeros((len(points), 3))
            whole[:, other], whole[:, self._across] = points[:, 0], points[:, 1]
            yield _cut_line(whole, plane)


def _cut_line(points: Floats, plane: Plane) -> CutLine:
    (right, right_sign), (down, down_sign) = plane.right, plane.down
    return CutLine(np.stack([points[:, right] * right_sign, points[:, down] * down_sign], axis=1))


def _depth(grid: Floats, at: Floats, first: Indices) -> Floats:
    """Return the depth of points inside the outline, for each level; negative outside, mm.

    Parameters
    ----------
    grid
        The points on a line, mm.
    at
        The crossings of the outline, level by level, mm.
    first
        The index of the first crossing of each level.
    """
    counts = np.diff(first, append=len(at))
    edges = np.full((len(first), int(counts.max())), np.inf)
    edges[
        np.repeat(np.arange(len(first)), counts), np.arange(len(at)) - np.repeat(first, counts)
    ] = at
    depth = np.full((len(first), len(grid)), -np.inf)
    for enter, leave in zip(edges.T[::2, :, None], edges.T[1::2, :, None], strict=True):
        np.maximum(depth, np.minimum(grid - enter, leave - grid), out=depth)
    return depth


def _with_ends(levels: Floats, gap: float) -> tuple[Floats, list[int]]:
    """Return levels with empty ones at the ends and in gaps, and their numbers (-1: empty)."""
    heights, which = [float(levels[0]) - gap], [-1]
    for number, height in enumerate(levels.tolist()):
        apart = height - heights[-1] if number else 0.0
        if apart > _LARGE_GAP * gap:
            empty = min(gap, apart / 2)
            heights += [heights[-1] + empty] + ([height - empty] if apart > 2 * empty else [])
            which += [-1] * (len(heights) - len(which))
        heights.append(height)
        which.append(number)
    return np.array([*heights, heights[-1] + gap]), [*which, -1]
