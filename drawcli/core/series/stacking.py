"""Do planes lie in one gapless stack? The geometry of a series, in mm."""

from collections.abc import Sequence
from itertools import pairwise
from math import dist
from statistics import median, median_low
from typing import Final

from drawcli.core.dicom.geometry import offsets_mm
from drawcli.core.dicom.multiframe import ImagePlane
from drawcli.core.series.verdict import Verdict, waiting
from drawcli.core.series.zones import LARGEST_STEP, as_multiple, local_steps

SAME_PLACE_MM: Final = 0.01
_CLOSE_MM: Final = 0.1  # slices of phases, beside others that lie far apart
_APART: Final = 5  # times that: then the others lie far apart
_JITTER: Final = 0.1  # of the distance of two positions: how far phases may be off
STRAIGHT_MM: Final = 0.5  # less than a pixel; rounding of positions stays far below
ALIGNED: Final = 1e-3  # how far two direction cosines, or pixel spacings in mm, may differ


def not_planes(slices: Sequence[ImagePlane]) -> Verdict | None:
    """Return why the slices are no parallel planes with the same grid, or None."""
    lacking = sum(
        None in (slice_.position, slice_.orientation, slice_.spacing) for slice_ in slices
    )
    if lacking:
        text = f"{lacking} of {len(slices)} slices are without position, orientation or "
        return waiting("no-geometry", f"{text}pixel spacing")
    if not _all_near([slice_.orientation or () for slice_ in slices]):
        return waiting("mixed-orientations", "more than one orientation in one series")
    if not _all_near([slice_.spacing or () for slice_ in slices]):
        return waiting("mixed-spacings", "more than one pixel spacing in one series")
    return None


def one_orientation(slices: Sequence[ImagePlane]) -> bool:
    """Tell whether all slices that say how they lie, lie alike."""
    told = [slice_.orientation for slice_ in slices if slice_.orientation is not None]
    return not told or _all_near(told)


def not_together(slices: Sequence[ImagePlane]) -> Verdict | None:
    """Return why parallel planes are more than one image at a place, or None."""
    offsets = sorted(_offsets(slices))
    steps = [upper - lower for lower, upper in pairwise(offsets)]
    if not steps:
        return None
    many = _phases(offsets) if min(steps) < _JITTER * max(steps) else 0
    if many:
        text = (
            f"{many} images at each of {len(offsets) // many} positions: phases of a 4D or gated "
            "scan, echoes, or several reconstructions, in one series"
        )
        return waiting("phases", text)
    shared = sum(step < _same_place(steps) for step in steps)
    if shared:
        text = f"{shared} of {len(offsets)} slices lie at the position of another"
        return waiting("same-position", text)
    return None


def not_gapless(
    slices: Sequence[ImagePlane], largest_step: float = LARGEST_STEP, *, numbered: bool = False
) -> Verdict | None:
    """Return where slices are missing among parallel planes, or lie unevenly; or None.

    Parameters
    ----------
    slices
        Planes that all say where they lie, of one orientation.
    largest_step
        How many times the usual distance two neighbours may lie apart.
    numbered
        Whether the instance numbers of the slices leave none out: then none is missing between
        two parts of different spacing.
    """
    placed = sorted(
        zip(_offsets(slices), (slice_.thickness for slice_ in slices), strict=True),
        key=lambda pair: pair[0],
    )
    offsets = [offset for offset, _ in placed]
    steps = [upper - lower for lower, upper in pairwise(offsets)]
    if not steps:
        return None
    usual = _usual(steps, largest_step)
    if max(steps) <= largest_step * usual:
        return None
    thickness = [thick for _, thick in placed]
    local = local_steps(steps, thickness, largest_step, numbered=numbered)
    usually = local or [usual] * len(steps)
    gaps = [
        (low, step, near)
        for low, step, near in zip(offsets, steps, usually, strict=False)
        if step > largest_step * near
    ]
    if not gaps:
        return None
    missing = sum(as_multiple(step / near) - 1 for _, step, near in gaps)
    if missing > 0:
        low, _, near = next(gap for gap in gaps if as_multiple(gap[1] / gap[2]) > 1)
        text = (
            f"missing slices: {len(slices) + missing} expected, {len(slices)} present, "
            f"gap at {low + near:.1f} mm"
        )
        return waiting("missing-slices", text)
    low, step, near = max(gaps, key=lambda gap: gap[1] / gap[2])
    text = (
        f"uneven slice spacing: {len(gaps)} of {len(steps)} distances are larger than "
        f"{largest_step:g} times the usual {near:.1f} mm, the largest {step:.1f} mm at {low:.1f} mm"
    )
    return waiting("uneven-spacing", text)


def not_straight(slices: Sequence[ImagePlane]) -> Verdict | None:
    """Return that parallel planes do not lie one straight behind the other, or None."""
    drift = _largest_drift_mm(slices, slices[0].orientation or ()) if len(slices) > 1 else 0
    if drift > STRAIGHT_MM:
        return waiting("crooked", "slices do not lie one straight behind the other")
    return None


def _offsets(slices: Sequence[ImagePlane]) -> list[float]:
    first = slices[0].orientation or ()
    return offsets_mm((slice_.position for slice_ in slices if slice_.position), first)


def _usual(steps: Sequence[float], largest_step: float) -> float:
    """Return the distance of slices that no slice is missing between, mm.

    That of most of them, unless some lie closer: of half a scan, most neighbours lie two steps
    apart.
    """
    usual = median_low(steps)
    short = [step for step in steps if step * largest_step < usual]
    out_of_place = len(short) == 1 and max(steps) >= 1.1 * usual  # nearer to one, farther from one
    return usual if not short or out_of_place else min(steps)


def _phases(offsets: Sequence[float]) -> int:
    """Return how many slices lie together at every position; 0 where they do not."""
    count = len(offsets)
    for many in range(2, count // 2 + 1):
        if count % many:
            continue
        groups = [offsets[start : start + many] for start in range(0, count, many)]
        width = max(group[-1] - group[0] for group in groups)
        between = min(after[0] - before[-1] for before, after in pairwise(groups))
        if between > SAME_PLACE_MM and width <= max(_JITTER * between, SAME_PLACE_MM):
            return many
    return 0


def _same_place(steps: Sequence[float]) -> float:
    """Return below which distance two slices lie at one place, mm."""
    others = [step for step in steps if step >= _CLOSE_MM]
    apart = bool(others) and median(others) >= _APART * _CLOSE_MM
    return _CLOSE_MM if apart else SAME_PLACE_MM


def _largest_drift_mm(slices: Sequence[ImagePlane], orientation: Sequence[float]) -> float:
    """Return how far a slice lies beside the straight line from the first slice to the last, mm.

    The line need not be along the normal: the slices of a tilted gantry are sheared.
    """
    positions = [slice_.position for slice_ in slices if slice_.position]
    placed = sorted(zip(offsets_mm(positions, orientation), positions, strict=True))
    (start, begin), (stop, finish) = placed[0], placed[-1]
    if stop - start < SAME_PLACE_MM:
        return 0.0
    along = [(b - a) / (stop - start) for a, b in zip(begin, finish, strict=True)]
    return max(
        dist(place, [a + step * (offset - start) for a, step in zip(begin, along, strict=True)])
        for offset, place in placed
    )


def _all_near(many: Sequence[Sequence[float]]) -> bool:
    """Tell whether direction cosines, or pixel spacings in mm, are the same but for rounding."""
    first = many[0]
    return all(abs(a - b) <= ALIGNED for values in many for a, b in zip(first, values, strict=True))
