"""Structures as their contours lie in the patient, and what a plane cuts out of them."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
import numpy.typing as npt

from drawcli.core.dicom.geometry import Triple
from drawcli.core.pictures.frame import Floats, Frame, Plane
from drawcli.core.rtstruct.displayed import Displayed
from drawcli.core.rtstruct.enclosed_area import area_mm2

Indices = npt.NDArray[np.intp]

_SAME_LEVEL_MM: Final = 0.2  # less is rounding
_FORGOTTEN: Final = 1.5  # times the usual distance: farther apart, nothing lies between two levels
_ROUNDED: Final = 1.5  # times the distance of levels: how far an edge may move from one to the next
_FINEST_MM: Final = 0.25
_FINE: Final = 240  # points across a cut: between them the edge is interpolated
_TRIED: Final = 15  # planes through a structure, to find where it is seen best
_ENOUGH: Final = 0.5  # of the largest cut
_FEWEST_POINTS: Final = 3
_MM3_OF_CM3: Final = 1000.0
_NEARLY_NOTHING: Final = 1e-9  # mm2


@dataclass(frozen=True, slots=True, eq=False)
class CutLine:
    """A line in a plane: points (n x 2) to the right and down, mm; the last joined to the first."""

    points: Floats


class Outlines:
    """One structure: polygons at levels along the normal of the slices.

    Polygons within polygons are holes (PS3.3 C.8.8.6.3): a plane is inside where a ray to a point
    crosses an odd number of edges.
    """

    def __init__(
        self, number: int, look: Displayed, contours: Iterable[Sequence[Triple]], frame: Frame
    ) -> None:
        """Turn contours (mm, LPS) into the frame of the images."""
        self.number = number
        self.name = look.name
        self.color = look.color
        self._across = frame.images.index(2)
        self.polygons = [
            frame.inside(points) for points in contours if len(points) >= _FEWEST_POINTS
        ]

    @cached_property
    def _heights(self) -> Floats:
        """Where each polygon lies along the normal, mm."""
        return np.array([one[:, self._across].mean() for one in self.polygons])

    @cached_property
    def _levels(self) -> tuple[Floats, Indices]:
        """The levels, rising, and the level of each polygon."""
        order = np.argsort(self._heights, kind="stable")
        steps = np.diff(self._heights[order], prepend=-np.inf) > _SAME_LEVEL_MM
        numbers = np.empty(len(order), np.intp)
        numbers[order] = np.cumsum(steps) - 1
        return self._heights[order][steps], numbers

    @cached_property
    def _edges(self) -> tuple[Floats, Floats, Indices]:
        """Both ends of every edge (3 x n), and its level."""
        counts = np.array([len(one) for one in self.polygons])
        begin = np.concatenate(self.polygons).T.copy()
        last = np.cumsum(counts) - 1
        end = np.roll(begin, -1, axis=1)
        end[:, last] = begin[:, last - counts + 1]
        return begin, end, np.repeat(self._levels[1], counts)

    @cached_property
    def box(self) -> tuple[Floats, Floats]:
        """The least and the greatest coordinates in the frame, mm."""
        points = np.concatenate(self.polygons)
        return points.min(axis=0), points.max(axis=0)

    @cached_property
    def _areas(self) -> Floats:
        """What each polygon encloses, mm2."""
        one, other = self._flat
        turned = [
            (p[:, one], np.roll(p[:, other], -1), p[:, other], np.roll(p[:, one], -1))
            for p in self.polygons
        ]
        return np.array(
            [abs(float(u @ next_v - v @ next_u)) / 2 for u, next_v, v, next_u in turned]
        )

    @cached_property
    def _flat(self) -> tuple[int, int]:
        """The two axes along the slices."""
        return (self._across + 1) % 3, (self._across + 2) % 3

    @property
    def levels(self) -> list[float]:
        """Where it has contours, mm along the normal of the slices, rising."""
        return [float(one) for one in self._levels[0]] if self.polygons else []

    def volume_cm3(self, thickness: Callable[[float], float]) -> float:
        """Return its volume: of each level the area that is enclosed, times how thick it is, mm."""
        if not self.polygons:
            return 0.0
        levels, numbers = self._levels
        single = np.bincount(numbers) == 1  # no holes to be asked for
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
        """The middle of what it encloses, mm in the frame: polygons weigh by their area."""
        means = np.array([one.mean(axis=0) for one in self.polygons])
        weights = self._areas + _NEARLY_NOTHING  # a speck has a middle, too
        return np.asarray(weights @ means / weights.sum())

    def best_position(self, plane: Plane) -> float:
        """Return where a plane is worth a picture, mm along its normal.

        Through its middle; where that cuts little, as between two lungs, where it cuts most.
        """
        normal = plane.normal
        places, sizes = self._sizes(normal)
        middle = int(np.argmin(np.abs(places - self.middle[normal])))
        enough = sizes[middle] >= _ENOUGH * sizes.max()
        return float(places[middle if enough else int(np.argmax(sizes))])

    def _sizes(self, normal: int) -> tuple[Floats, Floats]:
        """Return places along an axis, and how much a plane cuts there: an area, or lengths."""
        if normal == self._across:
            levels, numbers = self._levels
            return levels, np.bincount(numbers, self._areas, len(levels)).astype(float)
        low, high = self.box[0][normal], self.box[1][normal]
        tried = low + (high - low) * (np.arange(_TRIED) + 0.5) / _TRIED
        return tried, np.array([self._cut_length(normal, float(place)) for place in tried])

    def lines(
        self, plane: Plane, position: float, slab: tuple[float, float], gap: float
    ) -> list[CutLine]:
        """Return what a plane cuts out of it.

        Parameters
        ----------
        plane, position
            The plane, and where it lies along its normal, mm.
        slab
            For a plane of the slices: from where to where along the normal contours belong to it.
        gap
            The usual distance of slices, mm.
        """
        if not self.polygons:
            return []
        if plane.normal == self._across:
            inside = (self._heights >= slab[0]) & (self._heights < slab[1])
            return [_shown(self.polygons[number], plane) for number in np.flatnonzero(inside)]
        low, high = self.box[0][plane.normal], self.box[1][plane.normal]
        if not low <= position <= high:
            return []
        return list(self._reformatted(plane, position, gap))

    def _crossings(self, normal: int, position: float) -> tuple[Indices, Floats]:
        """Return where edges cross a plane, in order: the level, and the third coordinate."""
        other = 3 - normal - self._across
        begin, end, level = self._edges
        hit = np.flatnonzero((begin[normal] > position) != (end[normal] > position))
        a, b = begin[normal, hit], end[normal, hit]
        from_, to = begin[other, hit], end[other, hit]
        at = from_ + (position - a) / (b - a) * (to - from_)
        order = np.lexsort((at, level[hit]))
        return level[hit][order], at[order]

    def _cut_length(self, normal: int, position: float) -> float:
        _, at = self._crossings(normal, position)
        return float((at[1::2] - at[::2]).sum())  # each level has an even number of crossings

    def _reformatted(self, plane: Plane, position: float, gap: float) -> Iterator[CutLine]:
        """Yield the outline in a plane across the slices.

        Each level is cut exactly. Between levels the distance to the edge is followed in a straight
        line; at the ends the structure reaches half a slice farther, as its volume does.
        """
        from contourpy import contour_generator

        level, at = self._crossings(plane.normal, position)
        if not len(at):
            return
        heights, which = _with_ends(self._levels[0], gap)
        fine = max(_FINEST_MM, float(np.ptp(at)) / _FINE)
        reach = _ROUNDED * gap
        grid = np.arange(at.min() - reach, at.max() + reach + fine, fine)
        cut, first = np.unique(level, return_index=True)
        field = np.full((len(heights), len(grid)), -reach)
        field[np.flatnonzero(np.isin(which, cut))] = _depth(grid, at, first).clip(-reach, reach)
        other = 3 - plane.normal - self._across
        for line in contour_generator(grid, heights, field).lines(0.0):
            points = np.asarray(line)
            whole = np.zeros((len(points), 3))
            whole[:, other], whole[:, self._across] = points[:, 0], points[:, 1]
            yield _shown(whole, plane)


def _shown(points: Floats, plane: Plane) -> CutLine:
    (right, one), (down, other) = plane.right, plane.down
    return CutLine(np.stack([points[:, right] * one, points[:, down] * other], axis=1))


def _depth(grid: Floats, at: Floats, first: Indices) -> Floats:
    """Return how far inside the points of a line lie, for each level that is cut.

    Parameters
    ----------
    grid
        The points, mm.
    at
        Where the outline enters or leaves, level by level.
    first
        The first edge of each level.
    """
    counts = np.diff(first, append=len(at))
    edges = np.full((len(first), int(counts.max())), np.inf)
    edges[
        np.repeat(np.arange(len(first)), counts), np.arange(len(at)) - np.repeat(first, counts)
    ] = at
    inside = np.zeros((len(first), len(grid)), bool)
    away = np.full(inside.shape, np.inf)
    for edge in edges.T[:, :, None]:
        inside ^= grid > edge
        np.minimum(away, np.abs(grid - edge), out=away)
    return np.where(inside, away, -away)


def _with_ends(levels: Floats, gap: float) -> tuple[Floats, list[int]]:
    """Return levels with empty ones beside the ends and in gaps, and which level each is; or -1."""
    heights, which = [float(levels[0]) - gap], [-1]
    for number, height in enumerate(levels.tolist()):
        apart = height - heights[-1] if number else 0.0
        if apart > _FORGOTTEN * gap:
            empty = min(gap, apart / 2)
            heights += [heights[-1] + empty] + ([height - empty] if apart > 2 * empty else [])
            which += [-1] * (len(heights) - len(which))
        heights.append(height)
        which.append(number)
    return np.array([*heights, heights[-1] + gap]), [*which, -1]
