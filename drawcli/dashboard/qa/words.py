"""What the pages of quality assurance have in common: words, symbols and addresses."""

from collections.abc import Iterable
from typing import Final
from urllib.parse import urlencode

from drawcli.core.qa.chart_limits import METRICS
from drawcli.core.qa.records import PairStatus
from drawcli.core.qa.summary import INVESTIGATE, NEW, ROUTINE, STATES, WATCH

# CSS class of the badge, symbol: the shape of the mark in charts.
STATE_BADGES: Final = {
    INVESTIGATE: ("held", "◆"),
    WATCH: ("waits", "▲"),
    ROUTINE: ("home", "✓"),
    NEW: ("left", "…"),
}
STATE_TEXTS: Final = {
    INVESTIGATE: "the latest cases are worse than by chance: look at them, and at what changed",
    WATCH: "a rule of the chart is met, which chance does now and then: look again in a week",
    ROUTINE: "the latest cases are as the baseline",
    NEW: "the baseline is not complete",
}
STATUS_BADGES: Final = {
    PairStatus.COMPARED: ("home", "✓"),
    PairStatus.WAITING: ("waits", "…"),
    PairStatus.MISSING: ("left", "·"),
    PairStatus.UNCLEAR: ("waits", "?"),
    PairStatus.CHANGED: ("waits", "≠"),
    PairStatus.FAILED: ("held", "!"),
    PairStatus.CLOSED: ("left", "·"),
}
STATUS_TEXTS: Final = {
    PairStatus.COMPARED: "compared with the clinical structure set",
    PairStatus.WAITING: "the clinical structure set is not approved yet",
    PairStatus.MISSING: "no clinical structure set was found yet",
    PairStatus.UNCLEAR: "several structure sets could be the clinical one",
    PairStatus.CHANGED: "the series has changed since it was sent",
    PairStatus.FAILED: "one of the two files cannot be read or compared",
    PairStatus.CLOSED: "none was found while the job had its files",
}
NO_FIGURE: Final = "\N{EN DASH}"


def worst(states: Iterable[str]) -> str:
    """Return the most urgent state; `new` without any.

    >>> worst(["routine", "watch", "new"])
    'watch'
    """
    return max(states, key=STATES.index, default=NEW)


def figure_text(metric: str, value: float | None) -> str:
    """Return a figure with its unit; an en dash without one."""
    return NO_FIGURE if value is None else METRICS[metric].text(value + 0.0)


def title_of(metric: str) -> str:
    """Return the name of a metric, to begin a line.

    >>> title_of("surface_dice"), title_of("hd95_mm")
    ('Surface Dice', 'HD95')
    """
    label = METRICS[metric].label
    return label[:1].upper() + label[1:]


def chart_address(template: str, roi: str, metric: str, **more: object) -> str:
    """Return the address of a chart."""
    query: dict[str, object] = {"template": template, "roi": roi, "metric": metric}
    return f"/qa/chart?{urlencode(query | {k: v for k, v in more.items() if v})}"


def pair_address(job: str) -> str:
    """Return the address of the pair of a job."""
    return f"/qa/pair/{job}"
