"""Parts of a scan with a slice spacing of their own: fine through the target, coarse beyond it.

Where slices were lost, the distances that are left are whole multiples of the true one. So parts
of which one spacing is a multiple of the other count only where something else says that none is
missing: the slice thickness changes as the spacing does, or the instance numbers leave none out.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import Final

LARGEST_STEP: Final = 1.5  # a distance this many times the usual one means a missing slice
_ALIKE: Final = 0.1  # how far, of the first, the distances of one part may differ
_ROUNDED_MM: Final = 0.05
_FEWEST: Final = 3  # distances of a part that nothing but their evenness speaks for
_FEWEST_PROVEN: Final = 2
_FARTHEST: Final = 4.5  # times: two parts of one scan do not differ more in their spacing
_WHOLE: Final = 0.2  # how far a multiple may be from a whole number
_FOLLOWS: Final = 0.25  # how far the thickness may lag behind the spacing
_BETWEEN: Final = 1.1  # times the larger spacing: the distance between two parts


@dataclass(frozen=True, slots=True)
class Zone:
    """Distances in a row that are alike."""

    start: int  # number of the first
    stop: int  # behind the last
    step: float  # their median, mm
    thick: float | None  # slice thickness of most slices in it, mm

    @property
    def count(self) -> int:
        """How many distances it has."""
        return self.stop - self.start


def as_multiple(times: float) -> int:
    """Return which whole multiple a distance is of the usual one; 1 where it is none.

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
    """Return the spacing that is usual around each distance; None where there are no such parts.

    Parameters
    ----------
    steps
        Distances between neighbours, mm.
    thickness
        *Slice Thickness* (0018,0050) of each slice, mm; one more than `steps`.
    largest_step
        How many times the usual distance two neighbours may lie apart.
    numbered
        Whether the instance numbers leave none out.
    """
    runs = list(_runs(steps, thickness))
    parts = [run for run in runs if run.count >= _FEWEST_PROVEN]
    differ = {round(run.step, 1) for run in parts}
    if len(differ) == 1 or not parts:
        return None
    if not all(_are_parts(one, other, numbered=numbered) for one, other in pairwise(parts)):
        return None
    local = []
    for number, run in enumerate(runs):
        if run in parts:
            local += [run.step] * run.count
            continue
        around = [one.step for one in runs[max(number - 1, 0) : number + 2] if one in parts]
        if not around or run.step < min(around) / _BETWEEN:
            return None  # lone and short: perhaps the only place where no slice is missing
        local.append(_around(run.step, min(around), max(around), largest_step))
    return local


def _around(step: float, small: float, large: float, largest_step: float) -> float:
    """Return the spacing that a lone distance beside, or between, parts is to be held against."""
    if small < large and step <= _BETWEEN * large:
        return step  # half of each
    return large if step > largest_step * large else small


def _runs(steps: Sequence[float], thickness: Sequence[float | None]) -> Iterator[Zone]:
    """Yield distances in a row that are alike."""
    start = 0
    for number in range(1, len(steps) + 1):
        first = steps[start]
        if number < len(steps) and abs(steps[number] - first) <= max(_ALIKE * first, _ROUNDED_MM):
            continue
        inner = [one for one in thickness[start + 1 : number] if one]  # of no other part
        yield Zone(start, number, median(steps[start:number]), median(inner) if inner else None)
        start = number


def _are_parts(one: Zone, other: Zone, *, numbered: bool) -> bool:
    """Tell whether two neighbouring parts may be of one whole scan."""
    small, large = sorted((one, other), key=lambda part: part.step)
    times = large.step / small.step
    if times > _FARTHEST:
        return False
    follows = (
        small.thick is not None
        and large.thick is not None
        and abs(large.thick / small.thick / times - 1) <= _FOLLOWS
    )
    proven = numbered or follows
    enough = min(one.count, other.count) >= (_FEWEST_PROVEN if proven else _FEWEST)
    return enough and (proven or as_multiple(times) == 1)
