"""Cases for charts: one a day, with figures that are normal on the scale of HD95."""

import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from math import exp, log

from drawcli.core.qa.charts import Chart, Point, chart

START = datetime(2026, 1, 1, 12, tzinfo=UTC)
CENTRE, SIGMA = log(5.0), 0.5  # of ln(HD95 + 1 mm)


def hd95(place: float) -> float:
    """Return the HD95 that is so many sigma from the centre."""
    return exp(CENTRE + SIGMA * place) - 1


def cases(values: Sequence[float], first: int = 0, every: float = 1.0) -> list[Point]:
    """Return one case a day, or every so many days; `first` is the number of the first."""
    return [
        Point(START + timedelta(days=every * (first + i)), value, f"{first + i:04d}")
        for i, value in enumerate(values)
    ]


def distances(n: int, seed: int = 1, by: float = 0.0) -> list[float]:
    """Return figures of HD95 of a process in control, or moved by so many sigma."""
    dice = random.Random(seed)  # noqa: S311 - a simulation
    return [max(hd95(dice.gauss(by, 1)), 0.01) for _ in range(n)]


def steady(n: int = 30) -> list[float]:
    """Return figures whose centre is 0 and whose sigma is 1 / 1.128, without any signal."""
    return [hd95(0.5 if i % 2 else -0.5) for i in range(n)]


def made(values: Sequence[float], metric: str = "hd95_mm", baseline: int = 30) -> Chart:
    """Return the chart of one case a day."""
    return chart(cases(values), metric=metric, baseline=baseline)
