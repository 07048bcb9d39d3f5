"""Derive structures from received ones, as a template defines: contours to solids and back."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Final

from drawcli.core.dicom.geometry import Triple
from drawcli.core.gate.acceptance import FileContour
from drawcli.core.rtstruct.contour_table import FEWEST_POINTS
from drawcli.core.rtstruct.measured_contours import locate_slice
from drawcli.core.series.slice_grid import Grid, Key
from drawcli.core.templates.appearance import Derived, Empty
from drawcli.errors import BadStructureSet

_HIGH: Final = 1 << 30  # ROI numbers above this are not continued (PS3.5: an IS has 32 bits)

Flat = tuple[int, list[tuple[float, float]]]  # slice index, and points in its plane, mm
Planes = dict[int, float]  # slice index -> distance of the contours from it, mm


@dataclass(frozen=True, slots=True)
class DerivedStructure:
    """A structure derived from others, or an empty one."""

    number: int  # ROINumber
    name: str  # in the template
    rule: Derived | Empty
    outlines: tuple[tuple[Key, tuple[Triple, ...]], ...]  # image, and points (LPS), mm


def derive_structures(
    rules: Mapping[str, Derived],
    names: Mapping[int, str],
    contours: Iterable[FileContour],
    grid: Grid,
    originals: Mapping[str, str],
) -> Iterator[DerivedStructure]:
    """Yield the derived structures in the order of their rules.

    A rule may use structures of earlier rules. The contours are in the planes of the first source
    structure.

    Parameters
    ----------
    rules
        By the name of the derived structure.
    names
        ROI number -> name, of the received structures.
    contours
        All contours of these structures, as accepted.
    grid
        The slices.
    originals
        Stand-in -> image UID; contours refer to images by stand-ins.

    Raises
    ------
    BadStructureSet
        If contours are so entangled that their area cannot be computed.
    """
    from drawcli.core.rtstruct.outline_shapes import TooComplex
    from drawcli.core.rtstruct.solids import derive_solid, outlines_of, solid_of

    flat, planes = _flat(names, contours, grid, originals)
    try:
        solids = {name: solid_of(flat[name]) for name in names.values()}
        images = {place: key for key, place in grid.places.items()}
        for number, (name, rule) in zip(_free_numbers(names), rules.items(), strict=False):
            sources = [solids.get(source, {}) for source in rule.sources]
            solids[name] = derive_solid(rule, sources, grid)
            parents = [planes.get(source, {}) for source in rule.sources]
            planes[name] = {index: _plane(index, parents) for index in solids[name]}
            outlines = tuple(
                (
                    images[grid.order[index]],
                    tuple(grid.points(outline, grid.above(index, planes[name][index]))),
                )
                for index, outline in outlines_of(solids[name])
            )
            yield DerivedStructure(number, name, rule, outlines)
    except TooComplex:
        text = "contours are so entangled that no structure can be derived from them"
        raise BadStructureSet(text, code="contour-tangled") from None


def empty_structures(
    wanted: Mapping[str, Empty], taken: Collection[int]
) -> Iterator[DerivedStructure]:
    """Yield the empty structures of a template; `taken` are the ROI numbers in use."""
    for number, (name, look) in zip(_free_numbers(taken), wanted.items(), strict=False):
        yield DerivedStructure(number, name, look, ())


def _free_numbers(taken: Collection[int]) -> Iterator[int]:
    """Yield unused ROI numbers, from above the largest, within 32 bits."""
    largest = max(taken, default=0)
    above = count(largest + 1) if largest < _HIGH else count(1)
    return (number for number in above if number not in taken)


def _plane(index: int, parents: Sequence[Planes]) -> float:
    """Return the distance of a derived contour from a slice: that of its parents' contours there.

    If no parent has a contour there, the nearest contour of the first parent with any is used.
    """
    here = next((one[index] for one in parents if index in one), None)
    if here is not None:
        return here
    drawn = next(filter(None, parents), {index: 0.0})
    return drawn[min(drawn, key=lambda other: abs(other - index))]


def _flat(
    names: Mapping[int, str],
    contours: Iterable[FileContour],
    grid: Grid,
    originals: Mapping[str, str],
) -> tuple[dict[str, list[Flat]], dict[str, Planes]]:
    """Return the outlines of each structure, and their distances from the slices."""
    found: dict[str, list[Flat]] = {name: [] for name in names.values()}
    planes: dict[str, Planes] = {name: {} for name in names.values()}
    for contour in contours:
        points = contour.points() or []
        if len(points) >= FEWEST_POINTS:
            index, origin = locate_slice(contour, points[0], grid, originals)
            along, down, beside = grid.flat(points, origin)
            name = names[contour.roi]
            found[name].append((index, list(zip(along, down, strict=True))))
            planes[name].setdefault(index, (min(beside) + max(beside)) / 2)
    return found, planes
