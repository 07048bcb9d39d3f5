"""The images of a series as a stack of slices, and reformatted planes."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

from drawcli.core.dicom.geometry import Triple, halves, usual_step
from drawcli.core.pictures.frame import CoordinateFrame, Floats, Plane

Grey = npt.NDArray[np.float32]

_ALIKE_MM: Final = 1e-3
_FINEST_MM: Final = 0.2  # of a reformatted plane


@dataclass(frozen=True, slots=True, eq=False)
class PlaneCut:
    """The image of one plane: rows grow down, columns to the right."""

    values: Grey
    start: tuple[float, float]  # centre of the first pixel: right, down, mm
    step: tuple[float, float]  # between pixels, mm


@dataclass(frozen=True, eq=False)
class Stack:
    """Parallel slices, sorted and flipped so that indices grow along the axes of the frame."""

    frame: CoordinateFrame
    stored: npt.NDArray[Any]  # slices x i x j, stored values in the order of the files
    order: npt.NDArray[np.intp]  # index into `stored` of each slice
    starts: Floats  # slices x 3: centre of the first pixel in the frame, mm
    steps: tuple[float, float]  # between pixels along i and j, mm
    slopes: Grey  # of each slice
    intercepts: Grey

    @classmethod
    def of(
        cls,
        stored: npt.NDArray[Any],
        *,
        positions: Sequence[Triple],
        orientation: Sequence[float],
        spacing: tuple[float, float],
        scales: Sequence[tuple[float, float]],
    ) -> Self:
        """Return the stack of slices.

        Parameters
        ----------
        stored
            Slices x rows x columns, in the order of `positions`.
        positions
            *Image Position (Patient)* (0020,0032), mm.
        orientation
            *Image Orientation (Patient)* (0020,0037).
        spacing
            Between rows, between columns, mm.
        scales
            *Rescale Slope* and *Intercept* of each slice.
        """
        frame = CoordinateFrame.of(orientation)
        starts = frame.from_patient(positions)
        across = frame.images.index(2)
        order = np.argsort(starts[:, across], kind="stable")
        starts = starts[order]
        backward = [False, False]
        counts = stored.shape[:0:-1]
        for image, (count, mm) in enumerate(zip(counts, spacing[::-1], strict=True)):
            axis = frame.images.index(image)
            if frame.signs[axis] < 0:
                backward[1 - image] = True
                starts[:, axis] -= mm * (count - 1)
        turn = tuple(slice(None, None, -1 if back else None) for back in backward)
        stored = stored[(slice(None), *turn)]
        factors = np.array(scales, np.float32)[order]
        return cls(frame, stored, order, starts, spacing, factors[:, 0], factors[:, 1])

    @property
    def across(self) -> int:
        """The axis of the frame normal to the slices."""
        return self.frame.images.index(2)

    @property
    def along(self) -> tuple[int, int]:
        """The axes of the frame along i and j: from row to row, and along a row."""
        return self.frame.images.index(1), self.frame.images.index(0)

    @cached_property
    def levels(self) -> Floats:
        """The positions of the slices along their normal, mm, ascending."""
        return np.asarray(self.starts[:, self.across])

    @cached_property
    def gap(self) -> float:
        """The median distance of neighbouring slices, mm."""
        return float(usual_step(self.levels.tolist())) if len(self.levels) > 1 else max(self.steps)

    def extent(self, axis: int) -> tuple[float, float]:
        """Return the first and last pixel centre along an axis, mm."""
        if axis == self.across:
            return float(self.levels[0]), float(self.levels[-1])
        number = self.along.index(axis)
        length = (self.stored.shape[1 + number] - 1) * self.steps[number]
        starts = self.starts[:, axis]
        return float(starts.min()), float(starts.max() + length)

    def positions(self, plane: Plane) -> Floats:
        """Return the positions of the pictures of a plane along its normal, mm."""
        if plane.normal == self.across:
            return self.levels
        first, last = self.extent(plane.normal)
        step = self.steps[self.along.index(plane.normal)]
        return np.asarray(first + step * np.arange(round((last - first) / step) + 1), float)

    def nearest(self, plane: Plane, position: float) -> int:
        """Return the index of the picture nearest to a position."""
        return int(np.argmin(np.abs(self.positions(plane) - position)))

    def sample(self) -> Grey:
        """Return an even sample of the values, to choose a window."""
        every = (slice(None, None, max(1, len(self.order) // 24)), *[slice(None, None, 8)] * 2)
        picked = self.order.argsort()[every[0]]
        return np.asarray(
            self.stored[every].astype(np.float32) * self.slopes[picked, None, None]
            + self.intercepts[picked, None, None]
        )

    def slab(self, index: int) -> tuple[float, float]:
        """Return the range of a slice along the normal, mm: halfway to its neighbours."""
        here, (below, above) = self.levels[index], halves(self.levels.tolist(), index, self.gap)
        return float(here - below), float(here + above)

    def section(self, plane: Plane, position: float) -> PlaneCut:
        """Return the image of a plane."""
        if plane.normal == self.across:
            values, axes, starts, steps = self._slice(self.nearest(plane, position))
        else:
            values, axes, starts, steps = self._reformatted(plane.normal, position)
        if axes[0] != plane.down[0]:
            values, starts, steps = values.T, starts[::-1], steps[::-1]
        down, right = starts
        if plane.down[1] < 0:
            values = values[::-1]
            down = -(down + steps[0] * (len(values) - 1))
        return PlaneCut(np.ascontiguousarray(values), (right, down), (steps[1], steps[0]))

    def _slice(
        self, index: int
    ) -> tuple[Grey, tuple[int, int], tuple[float, float], tuple[float, float]]:
        i, j = self.along
        start = self.starts[index]
        return self._real(index), (i, j), (float(start[i]), float(start[j])), self.steps

    def _real(self, index: int) -> Grey:
        stored = self.stored[self.order[index]]
        return np.asarray(stored.astype(np.float32) * self.slopes[index] + self.intercepts[index])

    def _reformatted(
        self, normal: int, position: float
    ) -> tuple[Grey, tuple[int, int], tuple[float, float], tuple[float, float]]:
        """Return a plane across the slices; its rows are evenly spaced levels."""
        number = self.along.index(normal)
        other = 1 - number
        lines = self._lines(number, position)
        starts, step = self.starts[:, self.along[other]], self.steps[other]
        if np.ptp(starts) > _ALIKE_MM:  # a tilted gantry: slices start at different positions
            lines, first = _aligned(lines, starts, step)
        else:
            first = float(starts[0])
        levels = self.levels
        fine = max(min(step, self.gap), _FINEST_MM)
        begin = levels[0] - self.gap / 2
        count = max(1, round((levels[-1] - levels[0] + self.gap) / fine))
        at = begin + fine * (np.arange(count) + 0.5)
        weights = np.interp(at, levels, np.arange(len(levels)))
        below = np.minimum(weights.astype(int), max(len(levels) - 2, 0))
        above = np.minimum(below + 1, len(levels) - 1)
        part = (weights - below).astype(np.float32)[:, None]
        values = lines[below] * (1 - part) + lines[above] * part
        return values, (self.across, self.along[other]), (float(at[0]), first), (fine, step)

    def _lines(self, number: int, position: float) -> Grey:
        """Return the line of each slice in a plane, interpolated between two lines of pixels."""
        count, step = self.stored.shape[1 + number], self.steps[number]
        where = (position - self.starts[:, self.along[number]]) / step
        beside = (where < -1) | (where > count)
        where = np.clip(where, 0, count - 1)
        before = np.minimum(where.astype(int), max(count - 2, 0))
        behind = np.minimum(before + 1, count - 1)
        part = (where - before).astype(np.float32)[:, None]
        each = self.order
        if number == 0:
            first, second = self.stored[each, before], self.stored[each, behind]
        else:
            first, second = self.stored[each, :, before], self.stored[each, :, behind]
        lines = first.astype(np.float32) * (1 - part) + second.astype(np.float32) * part
        lines = lines * self.slopes[:, None] + self.intercepts[:, None]
        if beside.any():
            lines[beside] = lines.min()
        return np.asarray(lines, np.float32)


def _aligned(lines: Grey, starts: Floats, step: float) -> tuple[Grey, float]:
    """Return lines with different starts on one grid, and the start of the grid."""
    length = lines.shape[1]
    first, last = float(starts.min()), float(starts.max()) + step * (length - 1)
    grid = first + step * np.arange(round((last - first) / step) + 1)
    own = step * np.arange(length)
    dark = float(lines.min())
    rows = [
        np.interp(grid, start + own, line, left=dark, right=dark)
        for start, line in zip(starts, lines, strict=True)
    ]
    return np.array(rows, np.float32), first
