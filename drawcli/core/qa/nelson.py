"""Chart of individual values: limits by the mean moving range, Nelson's rules 1 to 3.

Plain numbers without units; `charts` says on which scale a metric is judged.

References
----------
L. S. Nelson, "The Shewhart control chart - tests for special causes", J. Quality Technology 16
(1984) 237-239. D. C. Montgomery, Introduction to Statistical Quality Control, chapter 6.4.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean
from typing import Final

LIMIT, RUN, TREND = "limit", "run", "trend"  # Nelson's rules 1, 2 and 3
RUN_LENGTH: Final = 9
TREND_LENGTH: Final = 6
_D2: Final = 1.128  # mean range of two values of a normal distribution with sigma 1


@dataclass(frozen=True, slots=True)
class Limits:
    """Centre and limits of a chart.

    Centre and limits are in the units of the values; sigma is in those of the scale on which they
    are judged (see `charts`), 1.128 times smaller than the mean moving range.
    """

    centre: float
    lower: float
    upper: float
    sigma: float
    n: int  # cases that they come from; 0 if they are to be taken as exact
    source: str = "baseline"  # or "commissioning", "by hand"
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Hit:
    """A value that completes a rule."""

    rule: str
    index: int
    side: int  # 1 above the centre or rising, -1 below or falling


def limits_of(values: Sequence[float], source: str = "baseline", reason: str = "") -> Limits:
    """Return the mean of the values and the limits 3 sigma from it.

    Sigma is the mean moving range / 1.128.

    Raises
    ------
    ValueError
        Fewer than two values.

    Examples
    --------
    >>> limits_of([39, 41, 41, 41, 43, 44, 41, 42, 40, 41, 44, 40]).upper
    46.010...
    """
    if len(values) < 2:  # noqa: PLR2004 - a range needs two
        raise ValueError("limits need two values or more")
    centre = fmean(values)
    sigma = fmean(abs(after - before) for before, after in pairwise(values)) / _D2
    return Limits(
        centre, centre - 3 * sigma, centre + 3 * sigma, sigma, len(values), source, reason
    )


def rule_hits(values: Sequence[float], limits: Limits) -> list[Hit]:
    """Return each value that completes one of Nelson's rules 1 to 3, in their order."""
    hits = [*_beyond(values, limits), *_runs(values, limits.centre), *_trends(values)]
    return sorted(hits, key=lambda hit: hit.index)


def _beyond(values: Sequence[float], limits: Limits) -> Iterator[Hit]:
    for index, value in enumerate(values):
        if not limits.lower <= value <= limits.upper:
            yield Hit(LIMIT, index, 1 if value > limits.upper else -1)


def _runs(values: Sequence[float], centre: float) -> Iterator[Hit]:
    """Nine in a row on one side of the centre; a value on it ends the row."""
    sides = [_sign(value - centre) for value in values]
    for index, length in enumerate(_lengths(sides)):
        if length >= RUN_LENGTH:
            yield Hit(RUN, index, sides[index])


def _trends(values: Sequence[float]) -> Iterator[Hit]:
    """Six in a row, each above (each below) the one before."""
    steps = [0, *(_sign(after - before) for before, after in pairwise(values))]
    for index, length in enumerate(_lengths(steps)):
        if length >= TREND_LENGTH - 1:
            yield Hit(TREND, index, steps[index])


def _sign(difference: float) -> int:
    return (difference > 0) - (difference < 0)


def _lengths(signs: Sequence[int]) -> Iterator[int]:
    """For each sign, the number of equal ones that end with it; 0 where it is 0."""
    length, last = 0, 0
    for sign in signs:
        length = (length + 1 if sign == last else 1) if sign else 0
        last = sign
        yield length
