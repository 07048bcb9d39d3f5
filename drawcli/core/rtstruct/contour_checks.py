"""Geometric checks of contours: position, planarity, overlaps, volume, left and right.

This is the second half of the acceptance gate. A site can set the severity of each check
(`accept.checks`). The checks of patient, series and images in `structure_set_checks.py` are fixed.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import inf
from statistics import median
from types import MappingProxyType
from typing import Final

from drawcli.core.gate.acceptance import FileContour, Finding, Severity
from drawcli.core.rtstruct.contour_batches import batches
from drawcli.core.rtstruct.contour_table import (
    CHECKS,
    LARGEST_SHIFT,
    MOST_CONTOURS,
    MOST_POINTS,
    ROUNDING_MM,
    TEXTS,
)
from drawcli.core.rtstruct.laterality import other_side
from drawcli.core.rtstruct.measured_contours import ContourChecks
from drawcli.core.rtstruct.measured_structure import MeasuredStructure
from drawcli.core.series.slice_grid import Grid
from drawcli.system.printable import volume_with_unit

_SIDES_MM: Final = 1.0 + 1e-9  # smallest left/right swap that is reported, mm; and rounding


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
        In patient coordinates (LPS), mm; those of a structure one after the other.
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
    latest: int | None = None
    for batch in batches(contours):
        if latest is not None and batch.roi != latest:
            seen.measure(latest)
        latest = batch.roi
        seen.add(batch)
        if seen.contours > MOST_CONTOURS or seen.points > MOST_POINTS:
            text = f"more than {MOST_CONTOURS:,} contours or {MOST_POINTS:,} points"
            return [("contour-tangled", text)], []
    seen.measure_all()
    measured = list(seen.structures.values())
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


def _shifted(offsets: Sequence[float], grid: Grid) -> Iterator[tuple[str, str]]:
    """Yield a finding if the median contour is off its slice: the whole set is shifted."""
    shift = median(offsets) if offsets else 0.0
    if abs(shift) > max(LARGEST_SHIFT * grid.step, ROUNDING_MM):
        text = f"the structure set is shifted by {shift:.2f} mm along the normal of the slices"
        yield "contours-shifted", text


def _out_of_bounds(
    measured: Iterable[MeasuredStructure], bounds: Mapping[str, tuple[float, float]]
) -> Iterator[tuple[str, str]]:
    for structure in measured:
        least, most = bounds.get(structure.name, (0.0, inf))
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
