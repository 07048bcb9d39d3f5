"""Acceptance criteria of commissioning: what a structure must reach on past patients.

A criterion is a metric and a text such as `>= 0.90` (the median), `mean <= 8`, `worst >= 0.7` or
`>= 0.80 in 95 %` (of the cases). A case in which the model drew nothing, although the clinical set
has contours, counts as worse than any figure.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Final

from drawcli.core.qa.outcomes import ContourOutcome, StructureComparison
from drawcli.system.records import suggest

CASES: Final = "n"  # a metric: how many cases were compared
LARGER_IS_BETTER: Final = frozenset({"dice", "surface_dice", CASES})
_FIELDS: Final = (
    *("dice", "surface_dice", "hd_mm", "hd95_mm", "mean_distance_mm", "apl_mm", "apl_share"),
    CASES,
)
_SHARES: Final = frozenset({"dice", "surface_dice", "apl_share"})
NEED_DISTANCES: Final = frozenset({"surface_dice", "hd_mm", "hd95_mm", "mean_distance_mm"})
_WITH_TAU: Final = re.compile(r"(surface_dice|apl_share)_(\d+(?:\.\d+)?)mm")
_TEXT: Final = re.compile(
    r"(?:(median|mean|worst)\s+)?(>=|<=|>|<)\s*(\d+(?:\.\d+)?)(?:\s+in\s+(\d+(?:\.\d+)?)\s*%)?"
)
_HOLDS: Final[dict[str, Callable[[float, float], bool]]] = {
    ">=": lambda value, limit: value >= limit,
    "<=": lambda value, limit: value <= limit,
    ">": lambda value, limit: value > limit,
    "<": lambda value, limit: value < limit,
}
_COUNTED: Final = frozenset(
    {
        ContourOutcome.UNTOUCHED,
        ContourOutcome.RENAMED,
        ContourOutcome.EDITED,
        ContourOutcome.REDRAWN,
    }
)
# The clinical set has contours and the model none: an empty structure, or not even that.
_MISSED: Final = frozenset({ContourOutcome.FILLED, ContourOutcome.ADDED})
_WHOLE: Final = 100.0  # percent


@dataclass(frozen=True, slots=True, kw_only=True)
class Criterion:
    """One demand on a structure."""

    metric: str  # as written: surface_dice_2mm
    text: str  # as written: >= 0.85 in 90 %
    field: str  # of `StructureComparison`, or `n`
    tau_mm: float | None  # None: that of the site
    statistic: str  # median, mean, worst or share
    relation: str
    limit: float
    percent: float | None = None  # of share

    @property
    def larger_is_better(self) -> bool:
        """Whether a larger figure is better."""
        return self.field in LARGER_IS_BETTER


@dataclass(frozen=True, slots=True)
class Judgement:
    """What became of a criterion; `passed` is None without cases."""

    criterion: Criterion
    passed: bool | None
    value: float | None  # of the statistic; the share of cases in percent

    @property
    def words(self) -> str:
        """The outcome in a word or two."""
        return {True: "pass", False: "fail", None: "no case"}[self.passed]


def read_criterion(metric: str, text: str) -> Criterion:
    """Return a criterion.

    Raises
    ------
    ValueError
        With what is wrong, and what would be right.

    Examples
    --------
    >>> one = read_criterion("surface_dice_2mm", ">= 0.85 in 90 %")
    >>> one.field, one.tau_mm, one.statistic, one.limit, one.percent
    ('surface_dice', 2.0, 'share', 0.85, 90.0)
    """
    field, tau = _metric(metric)
    found = _TEXT.fullmatch(str(text).strip())
    if found is None:
        raise ValueError(
            f"'{text}' is no criterion; write '>= 0.90', 'mean <= 8', 'worst >= 0.7' or "
            "'>= 0.80 in 95 %'"
        )
    statistic, relation, limit, percent = found[1], found[2], float(found[3]), found[4]
    if statistic and percent:
        raise ValueError(f"'{text}' has both '{statistic}' and a share of the cases; choose one")
    if (relation in (">=", ">")) != (field in LARGER_IS_BETTER):
        better = "larger is better: use >=" if field in LARGER_IS_BETTER else "less is better: <="
        raise ValueError(f"'{metric}: {text}' asks for bad figures; of {metric} {better}")
    if field in _SHARES and limit > 1:
        raise ValueError(f"{metric} is between 0 and 1, not {found[3]}")
    if percent and not 0 < float(percent) <= _WHOLE:
        raise ValueError(f"'{text}': the share of the cases is above 0 and at most 100 %")
    if field == CASES and (statistic or percent):
        raise ValueError("n is the number of cases: write '>= 15'")
    return Criterion(
        metric=metric,
        text=str(text).strip(),
        field=field,
        tau_mm=tau,
        statistic=statistic or ("share" if percent else "median"),
        relation=relation,
        limit=limit,
        percent=float(percent) if percent else None,
    )


def _metric(metric: str) -> tuple[str, float | None]:
    if metric in _FIELDS:
        return metric, None
    found = _WITH_TAU.fullmatch(metric)
    if found is not None and float(found[2]) > 0:
        return found[1], float(found[2])
    near = suggest(metric, _FIELDS)
    known = near or f"; there are {', '.join(_FIELDS)}, and surface_dice_2mm"
    raise ValueError(f"unknown metric '{metric}'{known}")


def judge(criterion: Criterion, structures: Sequence[StructureComparison]) -> Judgement:
    """Judge the comparisons of one structure in all cases."""
    values = values_of(criterion.field, structures)
    if criterion.field == CASES:
        return Judgement(criterion, _holds(criterion, len(values)), float(len(values)))
    if not values:
        return Judgement(criterion, None, None)
    if criterion.percent is not None:
        share = _WHOLE * fmean(_holds(criterion, value) for value in values)
        return Judgement(criterion, share >= criterion.percent, share)
    value = statistic_of(criterion.statistic, values, larger=criterion.larger_is_better)
    return Judgement(criterion, _holds(criterion, value), value)


def values_of(field: str, structures: Sequence[StructureComparison]) -> list[float | None]:
    """Return the figure of each case that counts; None where the model drew nothing."""
    name = "slices_b" if field == CASES else field
    found: list[float | None] = []
    for structure in structures:
        value = getattr(structure, name)
        if structure.outcome in _MISSED:
            found.append(None)
        elif structure.outcome in _COUNTED and value is not None:
            found.append(float(value))
    return found


def statistic_of(statistic: str, values: Sequence[float | None], *, larger: bool) -> float | None:
    """Return the median, mean, worst, or a quartile of values; None if it is worse than any.

    Parameters
    ----------
    statistic
        median, mean, worst, q1 or q3 (the 25th and the 75th percentile).
    values
        At least one; None is worse than any figure.
    larger
        Whether larger is better.
    """
    if statistic == "mean":
        drawn = [value for value in values if value is not None]
        return fmean(drawn) if len(drawn) == len(values) else None
    ordered = sorted(values, key=lambda value: _rank(value, larger=larger))  # the worst first
    share = {"worst": 0.0, "median": 0.5, "q1": 0.25, "q3": 0.75}[statistic]
    if statistic in ("q1", "q3") and not larger:
        share = 1 - share
    at = share * (len(ordered) - 1)
    low, high = ordered[int(at)], ordered[min(int(at) + 1, len(ordered) - 1)]
    weight = at - int(at)
    if low is None or (high is None and weight):
        return None
    return low if high is None else low + (high - low) * weight


def _rank(value: float | None, *, larger: bool) -> float:
    """Return a number that is smaller for a worse value."""
    if value is None:
        return float("-inf")
    return value if larger else -value


def _holds(criterion: Criterion, value: float | None) -> bool:
    return value is not None and _HOLDS[criterion.relation](value, criterion.limit)


@dataclass(frozen=True, slots=True)
class StructureResult:
    """What commissioning found about one structure."""

    name: str
    structures: tuple[StructureComparison, ...]  # one for each case that was compared
    judgements: tuple[Judgement, ...] = ()

    @property
    def n(self) -> int:
        """The number of cases that count."""
        return len(values_of(CASES, self.structures))

    @property
    def passed(self) -> bool | None:
        """Whether all criteria are met; None without criteria, or if one has no case."""
        if any(one.passed is False for one in self.judgements):
            return False
        undecided = not self.judgements or any(one.passed is None for one in self.judgements)
        return None if undecided else True

    @property
    def others(self) -> dict[str, int]:
        """How many cases do not count, or count as worst, by outcome."""
        kinds = [one.outcome for one in self.structures if one.outcome not in _COUNTED]
        return {str(kind): kinds.count(kind) for kind in dict.fromkeys(kinds)}


def worst_cases(
    field: str, structures: Mapping[int, StructureComparison], most: int = 3
) -> list[int]:
    """Return the numbers of the cases with the worst figures, the worst first."""
    larger = field in LARGER_IS_BETTER
    ranked = {
        number: _rank(values[0], larger=larger)
        for number, structure in structures.items()
        if (values := values_of(field, [structure]))
    }
    return sorted(ranked, key=lambda number: (ranked[number], number))[:most]
