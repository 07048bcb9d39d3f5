"""Do planes lie in one gapless stack? The geometry of a series, in mm."""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from math import dist
from statistics import median
from typing import Final

from drawcli.core.frames import Plane, Triple
from drawcli.core.verdict import Verdict, waiting

LARGEST_STEP: Final = 1.5  # a distance this many times the usual one means a missing slice
SAME_PLACE_MM: Final = 0.01
STRAIGHT_MM: Final = 0.5  # less than a pixel; rounding of positions stays far below
ALIGNED: Final = 1e-3  # how far two direction cosines, or pixel spacings in mm, may differ


def not_planes(slices: Sequence[Plane]) -> Verdict | None:
    """Return why the slices are no parallel planes with the same grid, or None."""
    if any(None in (one.position, one.orientation, one.spacing) for one in slices):
        return waiting("no-geometry", "slices without position, orientation or pixel spacing")
    if not _all_near([one.orientation or () for one in slices]):
        return waiting("mixed-orientations", "more than one orientation in one series")
    if not _all_near([one.spacing or () for one in slices]):
        return waiting("mixed-spacings", "more than one pixel spacing in one series")
    return None


def one_orientation(slices: Sequence[Plane]) -> bool:
    """Tell whether all slices that say how they lie, lie alike."""
    told = [one.orientation for one in slices if one.orientation is not None]
    return not told or _all_near(told)


def not_stack(slices: Sequence[Plane], largest_step: float = LARGEST_STEP) -> Verdict | None:
    """Return why parallel planes are no gapless stack, or None.

    Parameters
    ----------
    slices
        Planes that all say where they lie, of one orientation.
    largest_step
        How many times the usual distance two neighbours may lie apart.
    """
    first = slices[0].orientation or ()
    offsets = sorted(offsets_mm((one.position for one in slices if one.position), first))
    steps = [upper - lower for lower, upper in pairwise(offsets)]
    if not steps:
        return None
    if min(steps) < SAME_PLACE_MM:
        return _same_position(steps)
    usual = _usual(steps, largest_step)
    gaps = [
        (low, step)
        for low, step in zip(offsets, steps, strict=False)
        if step > largest_step * usual
    ]
    if gaps:
        missing = sum(round(step / usual) - 1 for _, step in gaps)
        text = (
            f"missing slices: {len(slices) + missing} expected, {len(slices)} present, "
            f"gap at {gaps[0][0] + usual:.1f} mm"
        )
        return waiting("missing-slices", text)
    if _largest_drift_mm(slices, first) > STRAIGHT_MM:
        return waiting("crooked", "slices do not lie one straight behind the other")
    return None


def _usual(steps: Sequence[float], largest_step: float) -> float:
    """Return the distance of slices that no slice is missing between, mm.

    That of most of them, unless some lie closer: of half a scan, most neighbours lie two steps
    apart.
    """
    usual = median(steps)
    short = [one for one in steps if one * largest_step < usual]
    out_of_place = len(short) == 1 and max(steps) >= 1.1 * usual  # nearer to one, farther from one
    return usual if not short or out_of_place else min(steps)


def _same_position(steps: Sequence[float]) -> Verdict:
    """Return what slices at the same position are: phases of one scan, or a mistake."""
    at_each = [1]
    for step in steps:
        if step < SAME_PLACE_MM:
            at_each[-1] += 1
        else:
            at_each.append(1)
    many = at_each[0]
    if many > 1 and len(at_each) > 1 and set(at_each) == {many}:
        text = (
            f"{many} images at each of {len(at_each)} positions: phases of a 4D or gated scan, "
            "or echoes, in one series"
        )
        return waiting("phases", text)
    return waiting("same-position", "two slices lie at the same position")


def _largest_drift_mm(slices: Sequence[Plane], orientation: Sequence[float]) -> float:
    """Return how far a slice lies beside the straight line from the first slice to the last, mm.

    The line need not be along the normal: the slices of a tilted gantry are sheared.
    """
    positions = [one.position for one in slices if one.position]
    placed = sorted(zip(offsets_mm(positions, orientation), positions, strict=True))
    (start, begin), (stop, finish) = placed[0], placed[-1]
    along = [(b - a) / (stop - start) for a, b in zip(begin, finish, strict=True)]
    return max(
        dist(place, [a + step * (offset - start) for a, step in zip(begin, along, strict=True)])
        for offset, place in placed
    )


def _all_near(many: Sequence[Sequence[float]]) -> bool:
    """Tell whether direction cosines, or pixel spacings in mm, are the same but for rounding."""
    first = many[0]
    return all(abs(a - b) <= ALIGNED for one in many for a, b in zip(first, one, strict=True))


def offsets_mm(positions: Iterable[Triple], orientation: Sequence[float]) -> list[float]:
    """Return how far each slice lies along the normal of the slices, in mm.

    Parameters
    ----------
    positions
        *Image Position (Patient)* (0020,0032) of each slice, mm, LPS.
    orientation
        *Image Orientation (Patient)* (0020,0037), six direction cosines.

    References
    ----------
    PS3.3 C.7.6.2.1.1 (the normal is row x column). *Slice Thickness* is not used: it is nominal.

    Examples
    --------
    >>> offsets_mm([(0, 0, 0), (5, 5, -9)], (1, 0, 0, 0, 1, 0))
    [0.0, -9.0]
    """
    rx, ry, rz, cx, cy, cz = orientation
    normal = (ry * cz - rz * cy, rz * cx - rx * cz, rx * cy - ry * cx)
    return [
        sum(p * n for p, n in zip(position, normal, strict=True)) * 1.0 for position in positions
    ]
