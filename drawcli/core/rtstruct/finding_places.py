"""Where in the patient the findings about contours are."""

from collections.abc import Iterable, Mapping

from drawcli.core.gate.acceptance import FileContour, Point
from drawcli.core.rtstruct.contour_batches import batches
from drawcli.core.rtstruct.measured_contours import ContourChecks
from drawcli.core.rtstruct.measured_structure import MeasuredStructure
from drawcli.core.series.slice_grid import Grid


def find_places(
    contours: Iterable[FileContour],
    names: Mapping[int, str],
    grid: Grid,
    originals: Mapping[str, str],
) -> Mapping[tuple[str, str], Point]:
    """Return a point (mm, LPS) of the first contour of each finding, by code and structure.

    Parameters are those of `inspect_contours`, whose checks these are.
    """
    structures = {number: MeasuredStructure(name) for number, name in names.items()}
    checks = ContourChecks(grid, originals, structures)
    for batch in batches(contours):
        checks.add(batch)
    checks.measure_all()
    return checks.places
