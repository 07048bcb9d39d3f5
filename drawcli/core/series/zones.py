"""Zones of a scan with different slice spacing: fine through the target, coarse beyond it.

Where slices are missing, the remaining distances are whole multiples of the spacing. So two zones
whose spacings are such multiples count only with other evidence that no slice is missing: the slice
thickness changes with the spacing, or the instance numbers are consecutive.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Final, NamedTuple

LARGEST_STEP: Final = 1.5  # a distance this many times the usual one means a missing slice
_ALIKE: Final = 0.1  # relative tolerance of the distances in a zone
_ROUNDED_MM: Final = 0.05
_FEWEST: Final = 3  # distances of a zone without other evidence
_FEWEST_PROVEN: Final = 2
_FARTHEST: Final = 4.5  # largest ratio of the spacings of two zones
_WHOLE: Final = 0.2  # tolerance of a whole multiple
_FOLLOWS: Final = 0.25  # relative tolerance of thickness ratio to spacing ratio
_BETWEEN: Final = 1.1  # times the larger spacing: the longest distance between two zones


class Zone(NamedTuple):
    """Consecutive distances that are alike."""

    start: int  # index of the first
    stop: int  # index after the last
    step: float  # their median, mm
    thick: float | None  # median slice thickness, mm

    @property
    def length(self) -> int:
        """The number of distances."""
        return self.stop - self.start


def as_multiple(times: float) -> int:
    """Return the whole multiple that a distance is of the usual one, or 1.

    >>> [as_multiple(times) for times in (1.53, 1.75, 1.9, 3.1, 7.4)]
    [1, 1, 2, 3, 7]
    """
    whole = round(times)
    near = abs(times - whole) <= _WHOLE or times > _FARTHEST
    return whole if near and whole > 1 else 1


def local_steps(
    steps: Sequence[float],
    thickness: Sequence[float | None],
    largest_step: float,
    *,
    numbered: bool,
) -> list[float] | None:
    """Return the usual spacing at each distance; None if the scan has no zones.

    Parameters
    ----------
    steps
        Distances between neighbours, mm.
    thickness
        *Slice Thickness* (0018,0050) of each slice, mm; one value more than `steps`.
    largest_step
        The largest distance of neighbours, in multiples of the usual one.
    numbered
        Whether the instance numbers are consecutive.
    """
    runs = list(_runs(steps, thickness))
    parts = [run for run in runs if run.length >= _FEWEST_PROVEN]
    differ = {round(run.step, 1) for run in parts}
    if len(differ) == 1 or not parts:
        return None
    if not all(_are_zones(zone, other, numbered=numbered) for zone, other in pairwise(parts)):
        return None
    local = []
    for number, run in enumerate(runs):
        if run in parts:
            local += [run.step] * run.length
            continue
        around = [near.step for near in runs[max(number - 1, 0) : number + 2] if near in parts]
        if not around or run.step < min(around) / _BETWEEN:
            return None  # single and short: maybe the only distance without missing slices
        local.append(_expected(run.step, min(around), max(around), largest_step))
    return local


def _expected(step: float, small: float, large: float, largest_step: float) -> float:
    """Return the spacing with which a single distance beside or between zones is compared."""
    if small < large and step <= _BETWEEN * large:
        return step  # half of each
    return large if step > largest_step * large else small


def _runs(steps: Sequence[float], thickness: Sequence[float | None]) -> Iterator[Zone]:
    """Yield runs of distances that are alike."""
    from statistics import median

    start = 0
    for number in range(1, len(steps) + 1):
        first = steps[start]
        if number < len(steps) and abs(steps[number] - first) <= max(_ALIKE * first, _ROUNDED_MM):
            continue
        inner = [value for value in thickness[start + 1 : number] if value]  # of this run only
        yield Zone(start, number, median(steps[start:number]), median(inner) if inner else None)
        start = number


def _are_zones(zone: Zone, other: Zone, *, numbered: bool) -> bool:
    """Return whether two neighbouring zones may belong to a complete scan."""
    small, large = sorted((zone, other), key=lambda part: part.step)
    times = large.step / small.step
    if times > _FARTHEST:
        return False
    follows = (
        small.thick is not None
        and large.thick is not None
        and abs(large.thick / small.thick / times - 1) <= _FOLLOWS
    )
    proven = numbered or follows
    enough = min(zone.length, other.length) >= (_FEWEST_PROVEN if proven else _FEWEST)
    return enough and (proven or as_multiple(times) == 1)
