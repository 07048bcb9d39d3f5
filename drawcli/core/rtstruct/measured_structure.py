"""The measurements of one structure: volume, centre, overlaps and crossings of its outlines."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from math import fsum
from typing import TYPE_CHECKING, Final, NamedTuple

from drawcli.core.gate.acceptance import Point
from drawcli.core.rtstruct.contour_table import FEWEST_POINTS
from drawcli.core.series.slice_grid import Grid

if TYPE_CHECKING:
    from drawcli.core.rtstruct.contour_batches import Floats, Indices, Which
    from drawcli.core.rtstruct.outline_shapes import Shape

_NEAR_A_TIE: Final = 1e-6
_WIDEST_GAP: Final = 2  # slices: shorter gaps are reported, longer ones separate two parts


class Drawn(NamedTuple):
    """Contours in the planes of their slices."""

    slices: "Indices"  # of each contour
    sizes: "Indices"  # points of each
    polygons: "Floats"  # points of all (n x 2), mm along row and column
    areas: "Floats"  # mm2
    stars: "Which"  # which are certainly star-shaped, with few parts that go up or down
    xs: "Floats"  # of all points, mm: LPS x, towards the patient's left

    @classmethod
    def joined(cls, parts: "list[Drawn]") -> "Drawn":
        """Return all contours that enclose an area; empty the list."""
        import numpy as np

        columns = [*zip(*parts, strict=True)]
        parts.clear()  # the points of a large structure are in memory once, and one column twice
        all_ = cls(*(np.concatenate(columns.pop(0)) for _ in cls._fields))
        areal = all_.sizes >= FEWEST_POINTS
        if areal.all():
            return all_
        slices, sizes, polygons, areas, stars, xs = all_
        points = np.repeat(areal, sizes)
        return cls(
            slices[areal], sizes[areal], polygons[points], areas[areal], stars[areal], xs[points]
        )

    def left(self) -> float | None:
        """Return LPS x of the centre, mm; None if no area is enclosed.

        It is computed without rounding where the last digit of a report depends on that.
        """
        import numpy as np

        begins = self.sizes.cumsum() - self.sizes
        lefts = np.add.reduceat(self.xs, begins) / self.sizes
        left = _weighted_mean(self.areas.tolist(), lefts.tolist())
        if left is None or abs(10 * left % 1 - 0.5) > _NEAR_A_TIE:
            return left
        parts = [slice(b, b + size) for b, size in zip(begins, self.sizes, strict=True)]
        means = [fsum(self.xs[part].tolist()) / len(self.xs[part]) for part in parts]
        return _weighted_mean([exact_area(self.polygons[part]) for part in parts], means)


class Note(NamedTuple):
    """A finding about a slice of a structure."""

    check: str
    contours: int  # or slices, or outlines
    place: Point  # mm, LPS


@dataclass(slots=True)
class MeasuredStructure:
    """A structure and the measurements of its contours."""

    name: str
    contours: int = 0
    slices: tuple[int, ...] = ()  # with outlines
    volume_cm3: float = 0.0
    left: float | None = None  # LPS x of its centre, mm; None if it encloses no area
    notes: list[Note] = field(default_factory=list)
    measured: bool = False
    plain: int = 0  # contours whose numbers are known to be a valid DS
    _drawn: list[Drawn] = field(default_factory=list)  # until it is measured

    def as_plain(self) -> dict[str, str | int | float | None]:
        """Return the measurements as JSON values, rounded."""
        return {
            "name": self.name,
            "contours": self.contours,
            "slices": len(self.slices),
            "volume_cm3": round(self.volume_cm3, 2),
            "left_mm": None if self.left is None else round(self.left, 1),
        }

    def add(self, drawn: Drawn) -> None:
        """Add contours."""
        self._drawn.append(drawn)

    def measure(self, grid: Grid) -> None:
        """Compute volume and centre; note overlaps, crossings and gaps; forget the outlines.

        The outlines of a whole structure set would fill the memory.
        """
        if self.measured:
            return
        self.measured = True
        if not self._drawn:
            return
        drawn, self._drawn = Drawn.joined(self._drawn), []
        if not len(drawn.sizes):
            return
        self.left = drawn.left()
        outlines = _Outlines(drawn, grid, self.notes)
        self.slices = tuple(outlines.of_slices)
        self.volume_cm3 = outlines.volume_mm3() / 1000
        outlines.note_gaps()


class _Outlines:
    """The outlines of a structure, by slices."""

    def __init__(self, drawn: Drawn, grid: Grid, notes: list[Note]) -> None:
        self._drawn, self._grid, self._notes = drawn, grid, notes
        self._begins = drawn.sizes.cumsum() - drawn.sizes
        self.of_slices: dict[int, list[int]] = defaultdict(list)  # numbers of outlines
        for number, index in enumerate(drawn.slices.tolist()):
            self.of_slices[index].append(number)

    def volume_mm3(self) -> float:
        """Return the volume: the area in each slice times its thickness."""
        points, shapes = self._shapes()
        areas = self._drawn.areas.tolist()
        volume = 0.0
        for index, numbers in self.of_slices.items():
            first = shapes.get(numbers[0])
            if first is None:
                area = areas[numbers[0]]
            elif len(numbers) == 1 and first.simple:
                area = first.mm2
            else:
                rings = [points[self._part(number)] for number in numbers]
                area = self._area(index, numbers, rings, [shapes[number] for number in numbers])
            volume += self._grid.thickness(index) * area
        return volume

    def _shapes(self) -> "tuple[Floats, dict[int, Shape]]":
        """Return the points of all outlines, and the shapes of outlines by their numbers.

        A star-shaped outline that is alone in its slice has no shape: its area is known. Outlines
        beside others are normalised.
        """
        import numpy as np

        from drawcli.core.rtstruct.enclosed_area import normalised
        from drawcli.core.rtstruct.outline_shapes import shapes_of

        points, counts = self._drawn.polygons, self._drawn.sizes
        unclear = ~self._drawn.stars
        several = [many for many in self.of_slices.values() if len(many) > 1]
        points = points.copy() if several else points
        wanted = np.zeros(len(counts), bool)
        for number in (number for many in several for number in many):
            wanted[number] = True
            points[self._part(number)] = normalised(self._polygon(number))
        unclear |= wanted
        shapes = shapes_of(points[np.repeat(unclear, counts)], counts[unclear], wanted[unclear])
        return points, dict(zip(np.flatnonzero(unclear).tolist(), shapes, strict=True))

    def note_gaps(self) -> None:
        """Note the slices that are missing between others."""
        gaps = _missing(self.of_slices)
        if gaps:
            self._note("structure-gaps", len(gaps), gaps[0])

    def _part(self, number: int) -> slice:
        begin = self._begins[number]
        return slice(begin, begin + self._drawn.sizes[number])

    def _polygon(self, number: int) -> "Floats":
        return self._drawn.polygons[self._part(number)]

    def _area(
        self,
        index: int,
        numbers: Sequence[int],
        rings: "Sequence[Floats]",
        shapes: "Sequence[Shape]",
    ) -> float:
        """Return the area that the outlines in one slice enclose, mm2."""
        from drawcli.core.rtstruct.enclosed_area import enclose
        from drawcli.core.rtstruct.outline_shapes import TooComplex, crosses_itself

        unclear = [n for n, shape in zip(numbers, shapes, strict=True) if not shape.simple]
        polygons = [self._polygon(number) for number in unclear]
        pixel = self._grid.pixel
        try:
            crossing = sum(crosses_itself(one, exact_area(one), pixel) for one in polygons)
            area, overlapping = enclose(rings, shapes)
        except TooComplex:
            self._note("contour-tangled", len(numbers), index)
            return 0.0
        for check, count in (("contour-crossing", crossing), ("contour-overlap", overlapping)):
            if count:
                self._note(check, count, index)
        return float(area.area)

    def _note(self, check: str, count: int, index: int) -> None:
        """Note a finding that is in a slice, which may have no contour itself."""
        numbers = self.of_slices.get(index) or self.of_slices[index - 1]
        along, down = self._polygon(numbers[0])[0].tolist()
        self._notes.append(Note(check, count, self._grid.point(index, (along, down))))


def _weighted_mean(weights: Sequence[float], values: Sequence[float]) -> float | None:
    whole = fsum(weights)
    if whole <= 0:
        return None
    return fsum(a * b for a, b in zip(weights, values, strict=True)) / whole


def exact_area(polygon: "Floats") -> float:
    """Return the area of a polygon (n x 2, mm) by the shoelace formula, mm2, rounded once."""
    corners: list[list[float]] = polygon.tolist()
    ends = [*corners[1:], corners[0]]
    doubled = fsum(a * d - b * c for (a, b), (c, d) in zip(corners, ends, strict=True))
    return abs(doubled) / 2


def _missing(slices: Iterable[int]) -> list[int]:
    """Return the slices that are missing in gaps of up to `_WIDEST_GAP` slices."""
    gaps = (range(before + 1, behind) for before, behind in pairwise(sorted(slices)))
    return [index for gap in gaps if len(gap) <= _WIDEST_GAP for index in gap]
