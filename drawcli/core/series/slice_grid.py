"""Where the slices of a series lie in the patient, to hold contours against them."""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Self

from drawcli.core.dicom.geometry import Triple, dot, halves, normal_of, usual_step
from drawcli.core.series.crosswalk import Crosswalk

Key = tuple[str, int]  # SOPInstanceUID of an image, number of its frame from 1


@dataclass(frozen=True, slots=True)
class Grid:
    """Parallel slices of one shape, mm in the patient's coordinates (LPS, PS3.3 C.7.6.2.1.1)."""

    row: Triple  # direction in which the column index grows
    column: Triple  # direction in which the row index grows
    normal: Triple
    size: tuple[float, float]  # from the first pixel's centre to the last, along row and column
    pixel: float  # area, mm2
    places: Mapping[Key, Triple]  # the centre of the first pixel of each slice
    order: tuple[Triple, ...]  # the same, sorted along the normal
    offsets: tuple[float, ...]  # of them, along the normal
    step: float  # the usual distance of two slices

    @classmethod
    def of(cls, crosswalk: Crosswalk) -> Self | None:
        """Return the grid of a job's series; None where its vault does not say."""
        if not (crosswalk.orientation and crosswalk.spacing and crosswalk.files[0].positions):
            return None
        cosines, (rows, columns) = crosswalk.orientation, crosswalk.shape
        row, column = _triple(cosines[:3]), _triple(cosines[3:])
        normal = normal_of(cosines)
        between_rows, between_columns = crosswalk.spacing
        places = {
            (file.sop_uid, number): place
            for file in crosswalk.files
            for number, place in enumerate(file.positions, start=1)
        }
        order = tuple(sorted(places.values(), key=lambda place: dot(place, normal)))
        offsets = tuple(dot(place, normal) for place in order)
        return cls(
            row=row,
            column=column,
            normal=normal,
            size=((columns - 1) * between_columns, (rows - 1) * between_rows),
            pixel=between_rows * between_columns,
            places=places,
            order=order,
            offsets=offsets,
            step=usual_step(offsets),
        )

    def point(self, index: int, flat: tuple[float, float]) -> Triple:
        """Return a point of a slice in the patient, from mm along row and column."""
        along, down = flat
        x, y, z = (
            start + along * a + down * b
            for start, a, b in zip(self.order[index], self.row, self.column, strict=True)
        )
        return x, y, z

    def offset(self, point: Triple) -> float:
        """Return how far along the normal a point lies, mm."""
        return dot(point, self.normal)

    def nearest(self, offset: float) -> int:
        """Return the number of the slice next to an offset along the normal, from 0."""
        after = bisect_left(self.offsets, offset)
        around = [index for index in (after - 1, after) if 0 <= index < len(self.offsets)]
        return min(around, key=lambda index: abs(self.offsets[index] - offset))

    def thickness(self, index: int) -> float:
        """Return the part of the patient that a slice stands for, along the normal, mm."""
        return sum(halves(self.offsets, index, self.step))

    def reach(self, index: int) -> tuple[float, float]:
        """Return how far along the normal a slice is the nearest one, before and behind it, mm."""
        gaps = [b - a for a, b in pairwise(self.offsets[max(index - 1, 0) : index + 2])]
        before, behind = (gaps[0], gaps[-1]) if gaps else (self.step, self.step)
        return before / 2, behind / 2

    def flat(self, points: Sequence[Triple], origin: Triple) -> list[list[float]]:
        """Return how far points lie from the first pixel: along row, column and normal, mm."""
        return [
            [x * a + y * b + z * c - start for x, y, z in points]
            for (a, b, c) in (self.row, self.column, self.normal)
            for start in (dot(origin, (a, b, c)),)
        ]

    def above(self, index: int, mm: float) -> Triple:
        """Return the position of the first pixel of a slice, moved along the normal."""
        (x, y, z), (a, b, c) = self.order[index], self.normal
        return x + mm * a, y + mm * b, z + mm * c

    def points(self, flat: Iterable[tuple[float, float]], origin: Triple) -> Iterator[Triple]:
        """Yield where points on a slice lie in the patient, mm: what `flat` undoes."""
        (rx, ry, rz), (cx, cy, cz), (x, y, z) = self.row, self.column, origin
        for u, v in flat:
            yield x + u * rx + v * cx, y + u * ry + v * cy, z + u * rz + v * cz


def _triple(numbers: Iterable[float]) -> Triple:
    x, y, z = numbers
    return x, y, z
