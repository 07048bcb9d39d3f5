"""Figures that are exact from polygons: overlap, volume inside and outside, path length.

The time is linear in the number of slices and contour points.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from shapely import Polygon
from shapely.geometry.base import BaseGeometry

from drawcli.core.qa.structures import SAME_LEVEL_MM, Slab, Solid

SAME_MM: Final = 0.01  # contours this close are the same
_ROUND: Final = 16  # segments per quarter circle: at most 0.12 % of tau off
_NO_AREA: Final = Polygon()


@dataclass(frozen=True, slots=True)
class PathLengths:
    """Lengths of the contours of B, mm."""

    total: float
    added: float  # farther than tau from A's contour in the slice, or in slices without A
    slices: int  # whose contours are the same


def common_mm3(a: Solid, b: Solid) -> float:
    """Return the volume that two solids share, also if their slices are at other levels."""
    return sum(
        _common_mm2(one.area, other.area) * (min(one.high, other.high) - max(one.low, other.low))
        for one, other in _meeting(a, b)
    )


def _common_mm2(one: BaseGeometry, other: BaseGeometry) -> float:
    same = one.equals_exact(other, 0.0)  # most slices of an edited structure
    return float((one if same else one.intersection(other)).area)


def _meeting(a: Solid, b: Solid) -> Iterator[tuple[Slab, Slab]]:
    """Yield the pairs of slabs whose ranges along the normal overlap."""
    i = j = 0
    while i < len(a.slabs) and j < len(b.slabs):
        one, other = a.slabs[i], b.slabs[j]
        if min(one.high, other.high) > max(one.low, other.low):
            yield one, other
        i, j = (i + 1, j) if one.high < other.high else (i, j + 1)


def same_slices(a: Solid, b: Solid) -> Iterator[tuple[Slab | None, Slab | None]]:
    """Yield the slabs of both solids slice by slice; None if one has no contour there."""
    i = j = 0
    while i < len(a.slabs) or j < len(b.slabs):
        here = a.slabs[i].level if i < len(a.slabs) else float("inf")
        there = b.slabs[j].level if j < len(b.slabs) else float("inf")
        if abs(here - there) <= SAME_LEVEL_MM:
            yield a.slabs[i], b.slabs[j]
            i, j = i + 1, j + 1
        elif here < there:
            yield a.slabs[i], None
            i += 1
        else:
            yield None, b.slabs[j]
            j += 1


def path_lengths(a: Solid, b: Solid, tau_mm: float) -> PathLengths:
    """Return the lengths of B's contours; see `PathLengths`.

    References
    ----------
    Vaassen et al. 2020, doi:10.1016/j.phro.2019.12.001: added path length, there on pixels.
    """
    total = added = 0.0
    slices = 0
    for one, other in same_slices(a, b):
        if other is None:
            continue
        line = other.area.boundary
        total += line.length
        if one is None:
            added += line.length
        elif is_same(one.area, other.area):
            slices += 1
        else:
            added += _beyond(line, one.area.boundary, tau_mm)
    return PathLengths(total, added, slices)


def kept_length(a: Solid, b: Solid) -> float:
    """Return the length of B's contours that lie on A's, within SAME_MM, mm."""
    lines = [
        (one.area.boundary, other.area.boundary)
        for one, other in same_slices(a, b)
        if one and other
    ]
    return sum(line.length - _beyond(line, own, SAME_MM) for own, line in lines)


def _beyond(line: BaseGeometry, other: BaseGeometry, mm: float) -> float:
    """Return the length of a line farther than a distance from another."""
    return float(line.difference(other.buffer(max(mm, SAME_MM), quad_segs=_ROUND)).length)


def is_same(one: BaseGeometry, other: BaseGeometry) -> bool:
    """Return whether two areas have the same contours, within SAME_MM."""
    if max(abs(mm - mm_b) for mm, mm_b in zip(one.bounds, other.bounds, strict=True)) > SAME_MM:
        return False
    if any(one.equals_exact(other, SAME_MM, normalize=turned) for turned in (False, True)):
        return True
    a, b = one.boundary, other.boundary
    return _beyond(a, b, SAME_MM) == _beyond(b, a, SAME_MM) == 0


def is_untouched(a: Solid, b: Solid) -> bool:
    """Return whether all contours of two solids are the same."""
    return len(a.slabs) == len(b.slabs) and all(
        one is not None
        and other is not None
        and abs(one.level - other.level) <= SAME_MM
        and is_same(one.area, other.area)
        for one, other in same_slices(a, b)
    )


def ends_moved(a: Solid, b: Solid) -> tuple[int, int]:
    """Return the slices added (negative: removed) at the lower and at the upper end."""
    low = sum(_side(pair) for pair in _until_both(a, b, reverse=False))
    high = sum(_side(pair) for pair in _until_both(a, b, reverse=True))
    return low, high


def _until_both(a: Solid, b: Solid, *, reverse: bool) -> Iterator[tuple[Slab | None, Slab | None]]:
    pairs = list(same_slices(a, b))
    for pair in reversed(pairs) if reverse else pairs:
        if None not in pair:
            return
        yield pair


def _side(pair: tuple[Slab | None, Slab | None]) -> int:
    return 1 if pair[0] is None else -1
