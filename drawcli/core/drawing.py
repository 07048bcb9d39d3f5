"""What the contours of a structure set say for themselves: where they lie, and how large they are.

The second half of the acceptance gate. A site may weigh its checks (`accept.checks`); those of
whose patient and which images are in `acceptance.py`, and nobody weighs them.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from math import fsum
from types import MappingProxyType
from typing import Final, NamedTuple

from drawcli.core.acceptance import Finding, Severity
from drawcli.core.contours import Contour
from drawcli.core.frames import Triple
from drawcli.core.grid import Grid

MARGIN_MM: Final = 5.0  # how far a contour may lie outside the image
FEWEST_POINTS: Final = 3
_ROUNDING_MM: Final = 0.01
_CLOSED: Final = "CLOSED_PLANAR"
_WIDEST_GAP: Final = 2  # slices: more are a space between two parts, fewer have been forgotten
_MOST_PARTS: Final = 100  # of a structure in one slice that are looked at for holes
_SIDES_MM: Final = 1.0  # how clearly left must be right of right before it is told

# The checks, and what each does where a site does not say otherwise.
CHECKS: Final[Mapping[str, Severity]] = MappingProxyType(
    {
        "contour-type": Severity.BLOCK,
        "contour-points": Severity.BLOCK,
        "contour-off-slice": Severity.BLOCK,
        "contour-outside": Severity.BLOCK,
        "contour-short": Severity.WARN,
        "contour-specks": Severity.WARN,
        "contour-crossing": Severity.WARN,
        "structure-gaps": Severity.WARN,
        "structure-sides": Severity.BLOCK,
        "structure-volume": Severity.BLOCK,
    }
)
_TEXTS: Final = {
    "contour-type": f"contours that are not {_CLOSED}",
    "contour-points": "contours whose points are not as many numbers as they say",
    "contour-off-slice": "contours beside the slice they name, or where no slice is",
    "contour-outside": f"contours more than {MARGIN_MM:g} mm outside the image",
    "contour-short": f"contours of fewer than {FEWEST_POINTS} points",
    "contour-specks": "contours that enclose less than one pixel",
    "contour-crossing": "contours that cross themselves: what they enclose depends on the reader",
    "structure-gaps": "slices without a contour between slices with one",
}

Polygon = list[tuple[float, float]]  # mm


class Outline(NamedTuple):
    """A contour on its slice."""

    polygon: Polygon
    area: float  # mm2
    left: float  # how far its points lie to the patient's left, mean, mm (LPS)


@dataclass(slots=True)
class Measured:
    """One structure, as its contours measure it."""

    name: str
    contours: int = 0
    slices: dict[int, list[Outline]] = field(default_factory=lambda: defaultdict(list))
    volume_cm3: float = 0.0

    def as_plain(self) -> dict[str, str | int | float]:
        """Return what is stored and shown."""
        volume, slices = round(self.volume_cm3, 2), len(self.slices)
        return {
            "name": self.name,
            "contours": self.contours,
            "slices": slices,
            "volume_cm3": volume,
        }

    @property
    def left(self) -> float | None:
        """How far to the patient's left its middle lies, mm; None where it encloses nothing."""
        outlines = [one for many in self.slices.values() for one in many]
        area = fsum(one.area for one in outlines)
        return fsum(one.area * one.left for one in outlines) / area if area > 0 else None


def inspect_contours(
    contours: Iterable[Contour],
    names: Mapping[int, str],
    grid: Grid,
    originals: Mapping[str, str],
    bounds: Mapping[str, tuple[float, float]] = MappingProxyType({}),
) -> tuple[list[tuple[str, str]], list[Measured]]:
    """Hold every contour against the slices it was drawn on.

    Parameters
    ----------
    contours
        In the patient's coordinates, mm.
    names
        ROI number -> name.
    grid
        Of the series.
    originals
        Stand-in -> UID, as the contours name images by stand-ins.
    bounds
        Name -> least and largest volume, cm3.

    Returns
    -------
    tuple
        Check and text of everything found, without patient values; and each structure measured.
    """
    found: dict[str, Counter[str]] = defaultdict(Counter)
    structures = {number: Measured(name) for number, name in names.items()}
    for contour in contours:
        structure = structures.setdefault(contour.roi, Measured(f"ROI {contour.roi}"))
        structure.contours += 1
        for check in _look_at(contour, structure, grid, originals):
            found[check][structure.name] += 1
    measured = list(structures.values())
    for structure in measured:
        structure.volume_cm3 = _volume_mm3(structure, grid) / 1000
        for check, count in _in_the_whole(structure, grid):
            found[check][structure.name] = count
    told = [(check, _told(_TEXTS[check], many)) for check, many in found.items()]
    return [*told, *_out_of_bounds(measured, bounds), *_on_the_wrong_side(measured)], measured


def _in_the_whole(structure: Measured, grid: Grid) -> Iterator[tuple[str, int]]:
    """Yield what only all outlines of a structure show, and how many times."""
    from drawcli.core.solids import crosses_itself

    outlines = [one for many in structure.slices.values() for one in many]
    crossing = sum(crosses_itself(one.polygon, one.area, grid.pixel) for one in outlines)
    if crossing:
        yield "contour-crossing", crossing
    missing = _forgotten(structure.slices)
    if missing:
        yield "structure-gaps", missing


def weighed(
    found: Iterable[tuple[str, str]], choices: Mapping[str, Severity | None]
) -> list[Finding]:
    """Return findings as severe as the site wants them; those it switched off are left out."""
    severities = {check: choices.get(check, usual) for check, usual in CHECKS.items()}
    pairs = ((severities[check], check, text) for check, text in found)
    return [Finding(severity, check, text) for severity, check, text in pairs if severity]


def slice_of(
    contour: Contour, point: Triple, grid: Grid, originals: Mapping[str, str]
) -> tuple[int, Triple]:
    """Return the slice of a contour and where its first pixel lies: the one named, or the next."""
    uid, frame = contour.image or ("", 1)
    named = grid.places.get((originals.get(uid, ""), frame))
    index = grid.nearest(grid.offset(named or point))
    return index, named or grid.order[index]


def _look_at(
    contour: Contour, structure: Measured, grid: Grid, originals: Mapping[str, str]
) -> Iterator[str]:
    """Yield what speaks against one contour; take its outline into the structure."""
    points = contour.points()
    if points is None:
        yield "contour-points"
        return
    if contour.kind != _CLOSED:
        yield "contour-type"
    if len(points) < FEWEST_POINTS:
        yield "contour-short"
    if not points:
        return
    index, origin = slice_of(contour, points[0], grid, originals)
    *flat, beside = grid.flat(points, origin)
    yield from _beside_the_image(flat, beside, grid)
    if len(points) >= FEWEST_POINTS:
        outline = _outline(points, list(zip(*flat, strict=True)))
        structure.slices[index].append(outline)
        if outline.area < grid.pixel:
            yield "contour-specks"


def _beside_the_image(
    flat: Iterable[Sequence[float]], beside: Sequence[float], grid: Grid
) -> Iterator[str]:
    """Yield whether points lie beside their slice, or beyond its margin."""
    if not _is_within(beside, -grid.step / 2, grid.step / 2, _ROUNDING_MM):
        yield "contour-off-slice"
    sides = zip(flat, grid.size, strict=True)
    if not all(_is_within(along, 0.0, length, MARGIN_MM) for along, length in sides):
        yield "contour-outside"


def _outline(points: Sequence[Triple], polygon: Polygon) -> Outline:
    return Outline(polygon, _area(polygon), fsum(x for x, _, _ in points) / len(points))


def _is_within(values: Sequence[float], least: float, most: float, margin: float) -> bool:
    return least - margin <= min(values) and max(values) <= most + margin


def _area(polygon: Sequence[tuple[float, float]]) -> float:
    """Return the area that a polygon encloses, mm2."""
    ends = [*polygon[1:], polygon[0]]
    doubled = fsum(a * d - b * c for (a, b), (c, d) in zip(polygon, ends, strict=True))
    return abs(doubled) / 2


def _volume_mm3(structure: Measured, grid: Grid) -> float:
    """Return area times thickness; a contour within another is a hole (PS3.3 C.8.8.6.3)."""
    return fsum(
        grid.thickness(index) * enclosed_mm2(outlines)
        for index, outlines in structure.slices.items()
    )


def enclosed_mm2(outlines: Sequence[Outline]) -> float:
    """Return what outlines on one slice enclose: those within others are holes."""
    return fsum(_signed_areas(outlines))


def _signed_areas(outlines: Sequence[Outline]) -> Iterator[float]:
    for number, one in enumerate(outlines):
        others = [*outlines[:number], *outlines[number + 1 :]][:_MOST_PARTS]
        depth = sum(_is_inside(one.polygon[0], other.polygon) for other in others)
        yield -one.area if depth % 2 else one.area


def _is_inside(point: tuple[float, float], polygon: Polygon) -> bool:
    """Tell whether a ray from the point crosses the outline an odd number of times."""
    u, v = point
    crossed = False
    for (a, b), (c, d) in pairwise([*polygon, polygon[0]]):
        if (b > v) != (d > v) and u < a + (v - b) * (c - a) / (d - b):
            crossed = not crossed
    return crossed


def _forgotten(slices: Iterable[int]) -> int:
    """Return how many slices lie between neighbours, too few to be a space between two parts."""
    gaps = (behind - before - 1 for before, behind in pairwise(sorted(slices)))
    return sum(gap for gap in gaps if gap <= _WIDEST_GAP)


def _out_of_bounds(
    measured: Iterable[Measured], bounds: Mapping[str, tuple[float, float]]
) -> Iterator[tuple[str, str]]:
    for one in measured:
        least, most = bounds.get(one.name, (0.0, float("inf")))
        if one.contours and not least <= one.volume_cm3 <= most:
            wanted = f"the template allows {least:g} to {most:g}"
            yield "structure-volume", f"{one.name}: {one.volume_cm3:.1f} cm3, {wanted}"


def _on_the_wrong_side(measured: Iterable[Measured]) -> Iterator[tuple[str, str]]:
    """Yield pairs whose left lies to the right. LPS: it is the patient's left however he lies."""
    lefts = {one.name: one.left for one in measured}
    for name, left in lefts.items():
        for other in _other_sides(name):
            right = lefts.get(other)
            if left is not None and right is not None and left < right - _SIDES_MM:
                yield "structure-sides", f"{name} lies to the right of {other}"


def _other_sides(name: str) -> Iterator[str]:
    """Yield what the right one of a left structure may be called (TG-263: the suffix _L)."""
    for left, right in (("_L", "_R"), ("_Lt", "_Rt"), ("_Left", "_Right"), (" L", " R")):
        for one, other in ((left, right), (left.lower(), right.lower())):
            if name.endswith(one):
                yield name.removesuffix(one) + other
    for left, right in (("Left", "Right"), ("Lt_", "Rt_"), ("L_", "R_")):
        for one, other in ((left, right), (left.lower(), right.lower())):
            if name.startswith(one):
                yield other + name.removeprefix(one)


def _told(text: str, many: Counter[str]) -> str:
    """Return a finding with the structures that have it, the worst first."""
    worst = ", ".join(f"{name} {count}" for name, count in many.most_common(6))
    return f"{text}: {worst}" + (" ..." if len(many) > 6 else "")  # noqa: PLR2004 - as above
