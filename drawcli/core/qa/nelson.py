"""Chart of individual values: limits by the mean moving range, Nelson's rules 1 to 3.

Plain numbers without units or direction; `chart_limits` has the scales of the metrics.

References
----------
L. S. Nelson, "The Shewhart control chart - tests for special causes", J. Quality Technology 16
(1984) 237-239. D. C. Montgomery, Introduction to Statistical Quality Control, chapter 6.4.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise
from math import comb, sqrt
from statistics import fmean
from typing import Final

LIMIT, RUN, TREND = "limit", "run", "trend"  # Nelson's rules 1, 2 and 3
RUN_LENGTH: Final = 9
TREND_LENGTH: Final = 6
_CONFIRM_LENGTH: Final = 3  # cases of which two are beyond 2 sigma
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
    is_confirmed: bool = False  # by a second condition, see `confirmed_hits`


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


def sigma_of_mean(limits: Limits, n: int) -> float:
    """Return sigma of the difference between the mean of n values and the centre.

    The centre is itself the mean of `limits.n` values (0: it is exact).
    """
    return limits.sigma * sqrt(1 / n + (1 / limits.n if limits.n else 0))


def rule_hits(values: Sequence[float], limits: Limits) -> list[Hit]:
    """Return each value that completes one of Nelson's rules 1 to 3, in their order."""
    hits = [*_beyond(values, limits), *_runs(values, limits), *_trends(values)]
    return sorted(hits, key=lambda hit: hit.index)


def confirmed_hits(values: Sequence[float], limits: Limits) -> list[Hit]:
    """Return the hits of the rules, marked where a second condition confirms them.

    A value beyond a limit is confirmed by another of the same three values beyond 2 sigma, on the
    same side. If that comes after it, it is itself a hit, although it may be within the limits. A
    row of nine is confirmed if the mean of the nine is beyond its own 3 sigma.
    """
    hits = [*rule_hits(values, limits), *_within(values, limits)]
    return [replace(hit, is_confirmed=_is_confirmed(hit, values, limits)) for hit in hits]


def _beyond(values: Sequence[float], limits: Limits) -> Iterator[Hit]:
    slack = _slack(limits)
    for index, value in enumerate(values):
        if value > limits.upper + slack or value < limits.lower - slack:
            yield Hit(LIMIT, index, 1 if value > limits.centre else -1)


def _within(values: Sequence[float], limits: Limits) -> Iterator[Hit]:
    """Yield the values within the limits that confirm one beyond."""
    beyond = {hit.index for hit in _beyond(values, limits)}
    for index in {later for hit in beyond for later in (hit + 1, hit + 2)} - beyond:
        if index < len(values):
            hit = Hit(LIMIT, index, 1 if values[index] > limits.centre else -1)
            if _is_confirmed(hit, values, limits):
                yield hit


def _is_confirmed(hit: Hit, values: Sequence[float], limits: Limits) -> bool:
    length = RUN_LENGTH if hit.rule == RUN else _CONFIRM_LENGTH
    last = [
        (value - limits.centre) * hit.side
        for value in values[max(hit.index + 1 - length, 0) : hit.index + 1]
    ]
    if hit.rule == RUN:
        return fmean(last) > 3 * sigma_of_mean(limits, length)
    far = [value for value in last if value > 2 * limits.sigma]
    limit = (limits.upper if hit.side > 0 else limits.lower) - limits.centre
    return hit.rule == LIMIT and last[-1] in far and len(far) > 1 and max(far) > limit * hit.side


def _runs(values: Sequence[float], limits: Limits) -> Iterator[Hit]:
    """Nine in a row on one side of the centre; a value on it ends the row."""
    slack = _slack(limits)
    sides = [_sign(value - limits.centre, slack) for value in values]
    for index, length in enumerate(_lengths(sides)):
        if length >= RUN_LENGTH:
            yield Hit(RUN, index, sides[index])


def _trends(values: Sequence[float]) -> Iterator[Hit]:
    """Six in a row, each above (each below) the one before."""
    steps = [0, *(_sign(after - before) for before, after in pairwise(values))]
    for index, length in enumerate(_lengths(steps)):
        if length >= TREND_LENGTH - 1:
            yield Hit(TREND, index, steps[index])


def _slack(limits: Limits) -> float:
    """Return a difference that is rounding: the centre of equal values may differ from them."""
    return 1e-12 * (abs(limits.centre) + limits.sigma)


def _sign(difference: float, slack: float = 0.0) -> int:
    return (difference > slack) - (difference < -slack)


def _lengths(signs: Sequence[int]) -> Iterator[int]:
    """For each sign, the number of equal ones that end with it; 0 where it is 0."""
    length, last = 0, 0
    for sign in signs:
        length = (length + 1 if sign == last else 1) if sign else 0
        last = sign
        yield length


@lru_cache(maxsize=4096)
def share_chance(before: int, cases: int, after: int, latest: int) -> float:
    """Return the chance of a share at least as far from the one before, on the same side.

    Before, so many of so many cases had a property; of the latest, so many of so many. The chance
    is that of so many or more (if the share grew; otherwise so many or fewer) among the latest, if
    all were spread at random: the hypergeometric distribution, Fisher's exact test.

    Examples
    --------
    >>> round(share_chance(0, 30, 5, 20), 4)
    0.0073
    """
    total = before + after
    counts = range(after, latest + 1) if after * cases > before * latest else range(after + 1)
    ways = sum(comb(latest, n) * comb(cases, total - n) for n in counts if n <= total)
    return ways / comb(cases + latest, total)
