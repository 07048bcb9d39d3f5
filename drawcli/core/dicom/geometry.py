"""The geometry of parallel slices: normal, offsets along it, and spacing.

References
----------
PS3.3 C.7.6.2.1.1 (the normal is row x column).
"""

from collections.abc import Iterable, Sequence
from itertools import pairwise

Triple = tuple[float, float, float]


def normal_of(orientation: Sequence[float]) -> Triple:
    """Return row x column of *Image Orientation (Patient)* (0020,0037), six direction cosines."""
    rx, ry, rz, cx, cy, cz = orientation
    return ry * cz - rz * cy, rz * cx - rx * cz, rx * cy - ry * cx


def dot(one: Triple, other: Triple) -> float:
    """Return the scalar product of two vectors."""
    return sum((a * b for a, b in zip(one, other, strict=True)), 0.0)


def offsets_mm(positions: Iterable[Triple], orientation: Sequence[float]) -> list[float]:
    """Return the offset of each slice along the normal, mm.

    Parameters
    ----------
    positions
        *Image Position (Patient)* (0020,0032) of each slice, mm, LPS.
    orientation
        *Image Orientation (Patient)* (0020,0037), six direction cosines.

    *Slice Thickness* is not used: it is nominal.

    Examples
    --------
    >>> offsets_mm([(0, 0, 0), (5, 5, -9)], (1, 0, 0, 0, 1, 0))
    [0.0, -9.0]
    """
    normal = normal_of(orientation)
    return [dot(position, normal) for position in positions]


def usual_step(offsets: Sequence[float]) -> float:
    """Return the median distance of neighbours among ascending offsets, mm; 0 for one slice."""
    from statistics import median

    return median(b - a for a, b in pairwise(offsets)) if len(offsets) > 1 else 0.0


def halves(offsets: Sequence[float], index: int, step: float) -> tuple[float, float]:
    """Return the half distances from a slice to its neighbours, mm: before, after.

    `step` replaces the distance to a missing neighbour of the first and last slice.
    """
    before = offsets[index] - offsets[index - 1] if index > 0 else step
    after = offsets[index + 1] - offsets[index] if index + 1 < len(offsets) else step
    return before / 2, after / 2
