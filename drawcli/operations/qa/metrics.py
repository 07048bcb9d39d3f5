"""Metrics for Prometheus of contour QA, from the summary of a site.

The labels are names that the site gave to its templates and structures. No more charts than
`MOST_CHARTS` have metrics of their own, the urgent ones first.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Final

from drawcli.core.qa.summary import STATES, ChartSummary, QaSummary
from drawcli.operations.metrics import Gauge, by_label, moment, single

MOST_CHARTS: Final = 500
_LABELS: Final = ("template", "roi", "metric")
_OF_CHARTS: Final = {  # metric: help text, field of a chart
    "qa_cases": ("Cases of the present version in a chart.", "n"),
    "qa_last": ("The figure of the latest case, in its unit.", "last"),
    "qa_centre": ("Centre of a chart.", "centre"),
    "qa_lower_limit": ("Lower limit of a chart.", "lower"),
    "qa_upper_limit": ("Upper limit of a chart.", "upper"),
}


def contour_gauges(summary: QaSummary, now: datetime) -> Iterator[Gauge]:
    """Yield the metrics of charts and pairs."""
    yield moment("qa_charts_timestamp_seconds", "When charts were last made.", summary.at)
    pairs = {status: float(n) for status, n in summary.pairs.items()}
    yield by_label("qa_pairs", "Delivered structure sets by what was compared.", "status", pairs)
    age = None
    if summary.oldest_unpaired is not None:
        age = max((now - summary.oldest_unpaired).total_seconds(), 0.0)
    yield single("qa_oldest_unpaired_seconds", "Since the oldest delivery not yet compared.", age)
    counts = summary.states()
    states = {state: float(counts[state]) for state in STATES}
    yield by_label("qa_charts", "Charts by state.", "state", states)
    changes = {change.template: change.at.timestamp() for change in summary.changes}
    what = "When what a template's contours come from changed last."
    yield by_label("qa_version_changed_timestamp_seconds", what, "template", changes)
    golden = {template: float(template in summary.golden) for template in _templates(summary)}
    what = "1 while a golden case has changed and nobody has accepted it."
    yield by_label("qa_golden_changed", what, "template", golden)
    yield from _of_charts(_most_urgent(summary))


def _templates(summary: QaSummary) -> list[str]:
    return sorted({*summary.golden, *(one.template for one in summary.templates)})


def _most_urgent(summary: QaSummary) -> list[ChartSummary]:
    charts = sorted(summary.charts, key=lambda chart: STATES.index(chart.state), reverse=True)
    return charts[:MOST_CHARTS]


def _of_charts(charts: list[ChartSummary]) -> Iterator[Gauge]:
    what = "State of a chart: 0 new, 1 routine, 2 watch, 3 investigate."
    states = {_key(chart): float(STATES.index(chart.state)) for chart in charts}
    yield Gauge("qa_state", what, states, _LABELS)
    for name, (text, field) in _OF_CHARTS.items():
        values = {
            _key(chart): value for chart in charts if (value := getattr(chart, field)) is not None
        }
        yield Gauge(name, text, values, _LABELS)


def _key(chart: ChartSummary) -> tuple[str, ...]:
    return chart.template, chart.roi, chart.metric
