"""Positions and areas of contours: the checks of each contour and the measures of structures."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import TYPE_CHECKING, Final, NamedTuple

from drawcli.core.dicom.geometry import Triple, dot
from drawcli.core.gate.acceptance import FileContour, Point
from drawcli.core.rtstruct.contour_batches import ContourBatch
from drawcli.core.rtstruct.contour_table import CLOSED, FEWEST_POINTS, MARGIN_MM, ROUNDING_MM
from drawcli.core.rtstruct.measured_structure import Drawn, MeasuredStructure, exact_area
from drawcli.core.series.slice_grid import Grid

if TYPE_CHECKING:
    from drawcli.core.rtstruct.contour_batches import Floats, Indices, Which

_ROUNDED_MM2: Final = 1e-6  # areas as close as this to a limit are computed without rounding


def locate_slice(
    contour: FileContour, point: Point, grid: Grid, originals: Mapping[str, str]
) -> tuple[int, Point]:
    """Return the slice of a contour and the position of its first pixel.

    The slice is that of the referenced image, or the nearest slice if there is no such image.
    """
    uid, frame = contour.image or ("", 1)
    named = grid.places.get((originals.get(uid, ""), frame))
    index = grid.nearest(grid.offset(named or point))
    return index, named or grid.order[index]


class _Located(NamedTuple):
    """The slice of a contour, as a row of numbers."""

    slice: float  # index
    along: float  # of its first pixel, along row, column and normal
    down: float
    height: float
    below: float  # how far the slice is the nearest one, before and behind it, mm
    above: float


@dataclass(slots=True)
class ContourChecks:
    """Collects the findings and measurements of contours."""

    grid: Grid
    originals: Mapping[str, str]
    structures: dict[int, MeasuredStructure]
    found: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    places: dict[tuple[str, str], Point] = field(default_factory=dict)  # of check and structure
    offsets: list[float] = field(default_factory=list)  # from each contour to its slice, mm
    contours: int = 0
    points: int = 0
    _slices: dict[tuple[str, int], _Located] = field(default_factory=dict)  # by referenced image

    def add(self, batch: ContourBatch) -> None:
        """Check the contours of a batch and add their outlines to their structure.

        Raises
        ------
        ValueError
            If the structure has been measured.
        """
        structure = self.structures.setdefault(batch.roi, MeasuredStructure(f"ROI {batch.roi}"))
        if structure.measured:
            raise ValueError("the contours of a structure are not together")
        structure.contours += len(batch.contours)
        structure.plain += batch.plain
        self.contours += len(batch.contours)
        failed = [*batch.faults]
        if batch.drawn:
            for check, which in self._checked(batch, structure):
                failed += [(batch.drawn[n], check) for n in which.nonzero()[0].tolist()]
        for number, check in sorted(failed, key=itemgetter(0)):  # of one contour: in their order
            self.found[check][structure.name] += 1
            for place in (batch.contours[number].points() or [])[:1]:
                self.places.setdefault((check, structure.name), place)

    def _checked(
        self, batch: ContourBatch, structure: MeasuredStructure
    ) -> "Iterator[tuple[str, Which]]":
        """Yield each check, and which contours fail it; add the outlines to the structure."""
        import numpy as np

        from drawcli.core.rtstruct.outline_shapes import may_be_entangled

        points, counts = batch.points()
        begins = counts.cumsum() - counts
        contours = [batch.contours[number] for number in batch.drawn]
        self.points += points.shape[1]
        rows = self._located(contours, points, begins)
        index, *starts, below, above = np.array(rows).T
        along, down, beside = (
            _along(points, axis) - np.repeat(start, counts)
            for axis, start in zip(
                (self.grid.row, self.grid.column, self.grid.normal), starts, strict=True
            )
        )
        yield "contour-type", np.array([contour.kind != CLOSED for contour in contours])
        yield "contour-short", counts < FEWEST_POINTS
        lowest, highest = _extent(beside, begins)
        offsets = (lowest + highest) / 2
        self.offsets += offsets.tolist()
        yield "contour-not-planar", highest - lowest > ROUNDING_MM
        off = (lowest < -below - ROUNDING_MM) | (highest > above + ROUNDING_MM)
        for number, contour in enumerate(contours):
            if len(contour.images) > 1:
                off[number] |= self._names_others(contour, int(index[number]))
        yield "contour-off-slice", off
        yield "contour-shifted", ~off & (np.abs(offsets) > ROUNDING_MM)
        across, length = self.grid.size
        outside = _is_outside(along, begins, across) | _is_outside(down, begins, length)
        yield "contour-outside", outside
        areas, stars = _areas(along, down, begins, counts, self.grid.pixel)
        yield "contour-specks", (counts >= FEWEST_POINTS) & (areas < self.grid.pixel)
        polygons = np.stack((along, down), axis=1)
        stars &= ~may_be_entangled(polygons, counts)
        structure.add(
            Drawn(index.astype(np.intp), counts, polygons, areas, stars, points[0].copy())
        )

    def _located(
        self, contours: Sequence[FileContour], points: "Floats", begins: "Indices"
    ) -> list[_Located]:
        """Return the slice of each contour."""
        known = self._slices
        rows = [known.get(contour.images[0]) if contour.images else None for contour in contours]
        for number, row in enumerate(rows):
            if row is None:
                x, y, z = points[:, begins[number]].tolist()
                rows[number] = self._locate(contours[number], (x, y, z))
        return [row for row in rows if row]

    def _locate(self, contour: FileContour, point: Point) -> _Located:
        index, origin = locate_slice(contour, point, self.grid, self.originals)
        axes = (self.grid.row, self.grid.column, self.grid.normal)
        row, column, normal = (dot(origin, axis) for axis in axes)
        located = _Located(index, row, column, normal, *self.grid.reach(index))
        image = contour.image
        if image and (self.originals.get(image[0], ""), image[1]) in self.grid.places:
            self._slices[image] = located
        return located

    def _names_others(self, contour: FileContour, index: int) -> bool:
        """Return whether a contour also references an image in another slice."""
        others = ((self.originals.get(uid, ""), frame) for uid, frame in contour.images[1:])
        places = filter(None, map(self.grid.places.get, others))
        return any(self.grid.nearest(self.grid.offset(place)) != index for place in places)

    def measure(self, roi: int) -> None:
        """Measure a structure, all of whose contours were added; its outlines are forgotten."""
        self.structures[roi].measure(self.grid)

    def measure_all(self) -> None:
        """Measure every structure, and add the findings about their slices in their order."""
        for structure in self.structures.values():
            structure.measure(self.grid)
            for check, count, place in structure.notes:
                self.found[check][structure.name] += count
                self.places.setdefault((check, structure.name), place)


def _along(points: "Floats", axis: Triple) -> "Floats":
    """Return how far points (3 x n) lie along an axis; most axes are those of the patient."""
    parts = [
        values if share == 1 else values * share
        for values, share in zip(points, axis, strict=True)
        if share
    ]
    whole: Floats = sum(parts[1:], parts[0])
    return whole


def _extent(values: "Floats", begins: "Indices") -> "tuple[Floats, Floats]":
    """Return the least and the largest value of each contour."""
    import numpy as np

    return np.minimum.reduceat(values, begins), np.maximum.reduceat(values, begins)


def _is_outside(values: "Floats", begins: "Indices", length: float) -> "Which":
    """Return which contours reach beyond an image by more than the margin, on either side."""
    import numpy as np

    if values.min() >= -MARGIN_MM and values.max() <= length + MARGIN_MM:  # as nearly always
        return np.zeros(len(begins), bool)
    least, most = _extent(values, begins)
    return (least < -MARGIN_MM) | (most > length + MARGIN_MM)


def _areas(
    along: "Floats", down: "Floats", begins: "Indices", counts: "Indices", limit: float
) -> "tuple[Floats, Which]":
    """Return the area of each polygon, mm2, and whether it is certainly star-shaped.

    The area is exact where it is near 0 or a limit. A polygon is star-shaped, and so simple, if
    seen from its centre all edges lead in the same direction, and once around. Rounding can change
    the direction of an edge in line with the centre, but not an area by more than rounding.
    """
    import numpy as np

    ends = begins + counts - 1
    x, y = (
        values - np.repeat(np.add.reduceat(values, begins) / counts, counts)
        for values in (along, down)
    )
    u, v = np.roll(x, -1), np.roll(y, -1)
    u[ends], v[ends] = x[begins], y[begins]
    turns = x * v - y * u
    areas = np.abs(np.add.reduceat(turns, begins)) / 2
    least, most = _extent(turns, begins)
    rounds = np.add.reduceat((y < 0) & (v >= 0), begins)
    stars = ((least > 0) | (most < 0)) & (rounds == 1)
    near = (areas < _ROUNDED_MM2) | (np.abs(areas - limit) < _ROUNDED_MM2)
    for number in np.flatnonzero(near).tolist():
        part = slice(begins[number], ends[number] + 1)
        areas[number] = exact_area(np.stack((along[part], down[part]), axis=1))
    return areas, stars
