"""Structures that a template makes of those that came: from contours to solids, and back."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from drawcli.core.appearance import Derived
from drawcli.core.contours import Contour
from drawcli.core.drawing import FEWEST_POINTS, slice_of
from drawcli.core.frames import Triple
from drawcli.core.grid import Grid, Key


@dataclass(frozen=True, slots=True)
class Made:
    """A structure that was made of others."""

    number: int  # ROINumber
    name: str  # in the template
    rule: Derived
    outlines: tuple[tuple[Key, tuple[Triple, ...]], ...]  # the image, and points, mm


def made_of(
    rules: Mapping[str, Derived],
    names: Mapping[int, str],
    contours: Iterable[Contour],
    grid: Grid,
    originals: Mapping[str, str],
) -> Iterator[Made]:
    """Yield the structures that rules make of others, in their order; each may use those before.

    Parameters
    ----------
    rules
        By the name of what they make.
    names
        ROI number -> name, of the structures that came.
    contours
        All of theirs, as accepted.
    grid
        The slices.
    originals
        Stand-in -> UID, as contours name images by stand-ins.
    """
    from drawcli.core.solids import derived, outlines_of, solid_of

    flat = _flat(names, contours, grid, originals)
    solids = {name: solid_of(flat[number]) for number, name in names.items()}
    images = {place: key for key, place in grid.places.items()}
    for number, (name, rule) in enumerate(rules.items(), start=max(names, default=0) + 1):
        solids[name] = derived(rule, [solids.get(source, {}) for source in rule.sources], grid)
        outlines = tuple(
            (images[grid.order[index]], tuple(grid.points(outline, grid.order[index])))
            for index, outline in outlines_of(solids[name])
        )
        yield Made(number, name, rule, outlines)


def _flat(
    names: Mapping[int, str],
    contours: Iterable[Contour],
    grid: Grid,
    originals: Mapping[str, str],
) -> dict[int, list[tuple[int, list[tuple[float, float]]]]]:
    """Return the outlines of each structure: number of the slice, and points on it."""
    found: dict[int, list[tuple[int, list[tuple[float, float]]]]] = {n: [] for n in names}
    for contour in contours:
        points = contour.points() or []
        if len(points) >= FEWEST_POINTS:
            index, origin = slice_of(contour, points[0], grid, originals)
            along, down, _ = grid.flat(points, origin)
            found[contour.roi].append((index, list(zip(along, down, strict=True))))
    return found
