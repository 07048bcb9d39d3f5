"""The scale on which the figures of a metric are judged, and limits in the units of the metric."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from math import asinh, exp, log, sinh
from typing import Final

from drawcli.core.qa.nelson import Limits, limits_of

MIN_CHANGED: Final = 20  # changed cases that limits need
_SAME: Final = 5e-5  # records have four decimals
_LEAST_SIGMA: Final = 0.02  # on the scale of a metric: 2 percent of a distance


@dataclass(frozen=True, slots=True)
class Metric:
    """How the figures of a metric are judged.

    The scale is the logarithm of the odds (`share`: figures from 0 to 1), the logarithm
    (`distance`: 0 and more) or the inverse hyperbolic sine (`shift`: both signs). `offset` is added
    before: deviations much smaller than it count as equal.
    """

    label: str
    kind: str
    offset: float
    falls: bool = False  # a lower figure is worse
    unit: str = ""
    decimals: int = 1

    @property
    def best(self) -> float:
        """The figure of two equal structures."""
        return 1.0 if self.falls else 0.0

    @property
    def two_sided(self) -> bool:
        """Whether both directions are worse."""
        return self.kind == "shift"

    def is_best(self, value: float) -> bool:
        """Whether the figure is the best possible, in the four decimals of a record."""
        return abs(value - self.best) < _SAME

    def scaled(self, value: float) -> float:
        """Return the figure on the scale, where more is worse."""
        if self.kind == "shift":
            return asinh(value / self.offset)
        defect = abs(value - self.best)
        rest = 1 - defect + self.offset if self.kind == "share" else 1.0
        return log((defect + self.offset) / rest)

    def unscaled(self, place: float) -> float:
        """Return the figure at a place on the scale, within what is possible."""
        if self.kind == "shift":
            return self.offset * sinh(place)
        odds = exp(place)
        defect = odds - self.offset
        if self.kind == "share":
            defect = min((odds * (1 + self.offset) - self.offset) / (1 + odds), 1.0)
        return abs(self.best - max(defect, 0.0))

    def text(self, value: float) -> str:
        """Return the figure with its unit."""
        return f"{value:.{self.decimals}f} {self.unit}".strip()


METRICS: Final = {
    "dice": Metric("Dice", "share", 0.01, falls=True, decimals=3),
    "surface_dice": Metric("surface Dice", "share", 0.01, falls=True, decimals=3),
    "apl_share": Metric("share of added path length", "share", 0.01, decimals=3),
    "hd_mm": Metric("HD", "distance", 2.0, unit="mm"),
    "hd95_mm": Metric("HD95", "distance", 1.0, unit="mm"),
    "mean_distance_mm": Metric("mean distance", "distance", 0.2, unit="mm", decimals=2),
    "apl_mm": Metric("added path length", "distance", 20.0, unit="mm", decimals=0),
    "over_cm3": Metric("volume removed", "distance", 0.2, unit="cm3", decimals=2),
    "under_cm3": Metric("volume added", "distance", 0.2, unit="cm3", decimals=2),
    "shift_left_mm": Metric("shift to the left", "shift", 0.5, unit="mm"),
    "shift_posterior_mm": Metric("shift to posterior", "shift", 0.5, unit="mm"),
    "shift_superior_mm": Metric("shift to superior", "shift", 0.5, unit="mm"),
}


def baseline_limits(
    values: Iterable[float], metric: str, source: str = "baseline", reason: str = ""
) -> Limits | None:
    """Return the limits of figures of a metric in their order; None if fewer than 20 are changed.

    Mean and mean moving range of the changed cases are taken on the scale of the metric. A sigma
    below 0.02 counts as 0.02: equal figures would leave no room at all.
    """
    kind = METRICS[metric]
    places = [kind.scaled(value) for value in values if not kind.is_best(value)]
    if len(places) < MIN_CHANGED:
        return None
    found = limits_of(places)
    return _unscaled(kind, replace(found, source=source, reason=reason))


def limits_by_hand(metric: str, centre: float, limit: float, reason: str) -> Limits:
    """Return limits from a centre and the limit on the worse side, set with a reason.

    The other limit is as far away on the scale of the metric.

    Raises
    ------
    ValueError
        The limit is not on the worse side of the centre.
    """
    kind = METRICS[metric]
    middle, worst = kind.scaled(centre), kind.scaled(limit)
    if worst <= middle:
        raise ValueError(
            f"{kind.label}: the limit {limit:g} is not worse than the centre {centre:g}"
        )
    sigma = (worst - middle) / 3
    return _unscaled(kind, Limits(middle, 0.0, 0.0, sigma, 0, "by hand", reason))


def _unscaled(kind: Metric, limits: Limits) -> Limits:
    """Return limits in the units of the metric from a centre and sigma on its scale."""
    sigma = max(limits.sigma, _LEAST_SIGMA)
    lower, upper = band(kind, limits.centre, 3 * sigma)
    centre = kind.unscaled(limits.centre)
    return replace(limits, centre=centre, lower=lower, upper=upper, sigma=sigma)


def band(kind: Metric, middle: float, width: float) -> tuple[float, float]:
    """Return the lower and the upper figure so far from a middle on the scale."""
    ends = kind.unscaled(middle - width), kind.unscaled(middle + width)
    return min(ends), max(ends)


def on_scale(kind: Metric, limits: Limits) -> Limits:
    """Return limits as places on the scale of the metric, where more is worse."""
    centre = kind.scaled(limits.centre)
    lower, upper = sorted((kind.scaled(limits.lower), kind.scaled(limits.upper)))
    sigma = limits.sigma or (upper - centre) / 3
    return replace(limits, centre=centre, lower=lower, upper=upper, sigma=sigma)
