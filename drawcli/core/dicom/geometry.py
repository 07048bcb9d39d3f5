"""The geometry of parallel slices: their normal, where they are along it, and how far apart.

References
----------
PS3.3 C.7.6.2.1.1 (the normal is row x column).
"""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from statistics import median

Triple = tuple[float, float, float]


def normal_of(orientation: Sequence[float]) -> Triple:
    """Return row x column of *Image Orientation (Patient)* (0020,0037), six direction cosines."""
    rx, ry, rz, cx, cy, cz = orientation
    return ry * cz - rz * cy, rz * cx - rx * cz, rx * cy - ry * cx


def dot(one: Triple, other: Triple) -> float:
    """Return the scalar product of two vectors."""
    return sum((a * b for a, b in zip(one, other, strict=True)), 0.0)


def offsets_mm(positions: Iterable[Triple], orientation: Sequence[float]) -> list[float]:
    """Return how far each slice lies along the normal of the slices, in mm.

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
    """Return the median distance of neighbours among rising offsets, mm; 0 of a single slice."""
    return median(b - a for a, b in pairwise(offsets)) if len(offsets) > 1 else 0.0


def halves(offsets: Sequence[float], index: int, step: float) -> tuple[float, float]:
    """Return how far a slice stands for the patient before and behind it, mm along the normal.

    Half the way to its neighbours; `step` is the distance to those that the first and last lack.
    """
    before = offsets[index] - offsets[index - 1] if index > 0 else step
    behind = offsets[index + 1] - offsets[index] if index + 1 < len(offsets) else step
    return before / 2, behind / 2
