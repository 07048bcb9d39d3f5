"""Geometric checks of contours: position, planarity, overlaps, volume, left and right.

This is the second half of the acceptance gate. A site can set the severity of each check
(`accept.checks`). The checks of patient, series and images in `structure_set_checks.py` are fixed.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from math import fsum
from statistics import median
from types import MappingProxyType
from typing import Final, NamedTuple

from drawcli.core.gate.acceptance import FileContour, Finding, Point, Severity
from drawcli.core.rtstruct.contour_table import (
    CHECKS,
    CLOSED,
    FEWEST_POINTS,
    KINDS,
    LARGEST_SHIFT,
    MARGIN_MM,
    MOST_CONTOURS,
    MOST_POINTS,
    ROUNDING_MM,
    TEXTS,
)
from drawcli.core.rtstruct.laterality import other_side
from drawcli.core.series.slice_grid import Grid
from drawcli.system.printable import volume_with_unit

_WIDEST_GAP: Final = 2  # slices: shorter gaps are reported, longer ones separate two parts
_SIDES_MM: Final = 1.0  # smallest left/right swap that is reported, mm

Polygon = list[tuple[float, float]]  # mm


class Outline(NamedTuple):
    """A contour in the plane of its slice."""

    polygon: Polygon
    area: float  # mm2
    left: float  # mean position of its points towards the patient's left, mm (LPS x)


@dataclass(slots=True)
class MeasuredStructure:
    """A structure and the measurements of its contours."""

    name: str
    contours: int = 0
    slices: dict[int, list[Outline]] = field(default_factory=lambda: defaultdict(list))
    volume_cm3: float = 0.0

    def as_plain(self) -> dict[str, str | int | float | None]:
        """Return the measurements as JSON values, rounded."""
        left = self.left
        return {
            "name": self.name,
            "contours": self.contours,
            "slices": len(self.slices),
            "volume_cm3": round(self.volume_cm3, 2),
            "left_mm": None if left is None else round(left, 1),
        }

    @property
    def left(self) -> float | None:
        """The LPS x of its centre, mm (positive: patient's left); None if it encloses no area."""
        outlines = [outline for many in self.slices.values() for outline in many]
        area = fsum(outline.area for outline in outlines)
        return (
            fsum(outline.area * outline.left for outline in outlines) / area if area > 0 else None
        )


def inspect_contours(
    contours: Iterable[FileContour],
    names: Mapping[int, str],
    grid: Grid,
    originals: Mapping[str, str],
    bounds: Mapping[str, tuple[float, float]] = MappingProxyType({}),
) -> tuple[list[tuple[str, str]], list[MeasuredStructure]]:
    """Check every contour against the slices of its series.

    The time is O(n log n) in the number of points.

    Parameters
    ----------
    contours
        In patient coordinates (LPS), mm.
    names
        ROI number -> name.
    grid
        The slices of the series.
    originals
        Image UID in the contours -> image UID in the grid.
    bounds
        Name -> smallest and largest allowed volume, cm3.

    Returns
    -------
    tuple
        Code and text of each finding, without patient values; and the measured structures.
    """
    seen = ContourChecks(
        grid, originals, {number: MeasuredStructure(name) for number, name in names.items()}
    )
    for contour in contours:
        seen.add(contour)
        if seen.contours > MOST_CONTOURS or seen.points > MOST_POINTS:
            text = f"more than {MOST_CONTOURS:,} contours or {MOST_POINTS:,} points"
            return [("contour-tangled", text)], []
    measured = list(seen.structures.values())
    for structure in measured:
        seen.measure(structure)
    findings = [(check, _counted(TEXTS[check], many)) for check, many in seen.found.items()]
    findings += [*_shifted(seen.offsets, grid), *_out_of_bounds(measured, bounds)]
    return [*findings, *_on_the_wrong_side(measured)], measured


def apply_severities(
    found: Iterable[tuple[str, str]], choices: Mapping[str, Severity | None]
) -> list[Finding]:
    """Return findings with the severities of the site, without the checks it switched off.

    Findings whose severity a site cannot set always block: such values cannot be delivered.
    """
    severities = {check: choices.get(check, usual) for check, usual in CHECKS.items()}
    pairs = ((severities.get(check, Severity.BLOCK), check, text) for check, text in found)
    return [Finding(severity, check, text) for severity, check, text in pairs if severity]


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

    def add(self, contour: FileContour) -> None:
        """Check one contour and add its outline to its structure."""
        structure = self.structures.setdefault(contour.roi, MeasuredStructure(f"ROI {contour.roi}"))
        structure.contours += 1
        self.contours += 1
        for check in self._check(contour, structure):
            self.found[check][structure.name] += 1
            for point in (contour.points() or [])[:1]:
                self.places.setdefault((check, structure.name), point)

    def _check(self, contour: FileContour, structure: MeasuredStructure) -> Iterator[str]:
        points = contour.points()
        if contour.kind not in KINDS or (points is None and contour.numbers() is None):
            yield "contour-values"
            return
        if points is None:
            yield "contour-points"
            return
        if contour.kind != CLOSED:
            yield "contour-type"
        if len(points) < FEWEST_POINTS:
            yield "contour-short"
        self.points += len(points)
        index, origin = locate_slice(contour, points[0], self.grid, self.originals)
        along, down, beside = self.grid.flat(points, origin)
        yield from self._position(contour, index, beside)
        sides = zip((along, down), self.grid.size, strict=True)
        if not all(_is_within(values, 0.0, length, MARGIN_MM) for values, length in sides):
            yield "contour-outside"
        if len(points) >= FEWEST_POINTS:
            polygon = list(zip(along, down, strict=True))
            left = fsum(x for x, _, _ in points) / len(points)
            outline = Outline(polygon, _area(polygon), left)
            structure.slices[index].append(outline)
            if outline.area < self.grid.pixel:
                yield "contour-specks"

    def _position(self, contour: FileContour, index: int, beside: Sequence[float]) -> Iterator[str]:
        """Yield the findings about a contour's distance from its slice and its planarity."""
        lowest, highest = min(beside), max(beside)
        offset = (lowest + highest) / 2
        self.offsets.append(offset)
        if highest - lowest > ROUNDING_MM:
            yield "contour-not-planar"
        below, above = self.grid.reach(index)
        beyond = lowest < -below - ROUNDING_MM or highest > above + ROUNDING_MM
        if beyond or self._names_others(contour, index):
            yield "contour-off-slice"
        elif abs(offset) > ROUNDING_MM:
            yield "contour-shifted"

    def _names_others(self, contour: FileContour, index: int) -> bool:
        """Return whether a contour also references an image in another slice."""
        others = ((self.originals.get(uid, ""), frame) for uid, frame in contour.images[1:])
        places = filter(None, map(self.grid.places.get, others))
        return any(self.grid.nearest(self.grid.offset(place)) != index for place in places)

    def measure(self, structure: MeasuredStructure) -> None:
        """Compute the volume of a structure; record its overlaps, crossings and gaps."""
        volume_mm3 = 0.0
        for index, outlines in structure.slices.items():
            volume_mm3 += self.grid.thickness(index) * self._area_of(index, outlines, structure)
        structure.volume_cm3 = volume_mm3 / 1000
        missing = _forgotten(structure.slices)
        if missing:
            self._note("structure-gaps", len(missing), missing[0], structure)

    def _note(self, check: str, count: int, index: int, structure: MeasuredStructure) -> None:
        """Count a finding; it is in a slice, which may have no contour itself."""
        self.found[check][structure.name] += count
        outline = (structure.slices.get(index) or structure.slices[index - 1])[0]
        point = self.grid.point(index, outline.polygon[0])
        self.places.setdefault((check, structure.name), point)

    def _area_of(
        self, index: int, outlines: Sequence[Outline], structure: MeasuredStructure
    ) -> float:
        """Return the area that the outlines of a structure enclose in one slice, mm2."""
        from drawcli.core.rtstruct.enclosed_area import TooComplex, crosses_itself, find_enclosed

        try:
            crossing = sum(crosses_itself(o.polygon, o.area, self.grid.pixel) for o in outlines)
            area, overlapping = find_enclosed([outline.polygon for outline in outlines])
        except TooComplex:
            self._note("contour-tangled", len(outlines), index, structure)
            return 0.0
        for check, count in (("contour-crossing", crossing), ("contour-overlap", overlapping)):
            if count:
                self._note(check, count, index, structure)
        return float(area.area)


def _shifted(offsets: Sequence[float], grid: Grid) -> Iterator[tuple[str, str]]:
    """Yield a finding if the median contour is off its slice: the whole set is shifted."""
    shift = median(offsets) if offsets else 0.0
    if abs(shift) > max(LARGEST_SHIFT * grid.step, ROUNDING_MM):
        text = f"the structure set is shifted by {shift:.2f} mm along the normal of the slices"
        yield "contours-shifted", text


def _is_within(values: Sequence[float], least: float, most: float, margin: float) -> bool:
    return least - margin <= min(values) and max(values) <= most + margin


def _area(polygon: Sequence[tuple[float, float]]) -> float:
    """Return the area of a polygon by the shoelace formula, mm2."""
    ends = [*polygon[1:], polygon[0]]
    doubled = fsum(a * d - b * c for (a, b), (c, d) in zip(polygon, ends, strict=True))
    return abs(doubled) / 2


def _forgotten(slices: Iterable[int]) -> list[int]:
    """Return the slices that are missing in gaps of up to `_WIDEST_GAP` slices."""
    gaps = (range(before + 1, behind) for before, behind in pairwise(sorted(slices)))
    return [index for gap in gaps if len(gap) <= _WIDEST_GAP for index in gap]


def _out_of_bounds(
    measured: Iterable[MeasuredStructure], bounds: Mapping[str, tuple[float, float]]
) -> Iterator[tuple[str, str]]:
    for structure in measured:
        least, most = bounds.get(structure.name, (0.0, float("inf")))
        if structure.contours and not least <= structure.volume_cm3 <= most:
            wanted = f"the template allows {least:g} to {most:g}"
            volume = volume_with_unit(structure.volume_cm3)
            yield "structure-volume", f"{structure.name}: {volume}, {wanted}"


def _on_the_wrong_side(measured: Sequence[MeasuredStructure]) -> Iterator[tuple[str, str]]:
    """Yield pairs whose left structure is on the patient's right (LPS)."""
    lefts = {structure.name: structure.left for structure in measured}
    for name, other in other_side(lefts).items():
        left, right = lefts[name], lefts[other]
        if left is not None and right is not None and left < right - _SIDES_MM:
            yield "structure-sides", f"left and right are swapped: {name} is right of {other}"


def _counted(text: str, many: Counter[str]) -> str:
    """Return the text of a finding with its structures, the most frequent first."""
    worst = ", ".join(f"{name} {count}" for name, count in many.most_common(6))
    return f"{text}: {worst}" + (" ..." if len(many) > 6 else "")  # noqa: PLR2004 - as above
