"""The summary of quality assurance in words: for status, alarms, the digest and reports."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from pathlib import Path
from typing import Final

from drawcli.adapters.state.qa_summary import read_summary
from drawcli.core.qa.chart_limits import METRICS
from drawcli.core.qa.summary import INVESTIGATE, NOTED, WATCH, ChartSignal, ChartSummary, QaSummary
from drawcli.operations.alarm_conditions import Alarm, AlarmKind
from drawcli.operations.commissioning.changes import golden_alarms
from drawcli.system.durations import duration
from drawcli.system.printable import counted

_KIND_OF: Final = {INVESTIGATE: AlarmKind.QA, WATCH: AlarmKind.QA_WATCH}
KINDS: Final = frozenset(_KIND_OF.values())  # of alarms about contours
_STATUSES: Final = {
    "compared": "compared",
    "waiting": "waiting for approval",
    "missing": "without a clinical set",
    "unclear": "where the clinical set is unclear",
    "changed": "of a series that changed",
    "failed": "that cannot be compared",
    "closed": "closed without a clinical set",
}


def contour_alarms(state_dir: Path) -> list[Alarm]:
    """Return the present alarms about contours of a site: of charts and of golden cases."""
    summary = read_summary(state_dir)
    return [*([] if summary is None else alarms(summary)), *golden_alarms(state_dir)]


def contour_lines(state_dir: Path, since: datetime, now: datetime) -> list[str]:
    """Return the lines of a digest about contours; none if nothing is known of them."""
    summary = read_summary(state_dir)
    return [] if summary is None else [f"  {line}" for line in lines(summary, since, now)]


def lines(summary: QaSummary, since: datetime, now: datetime) -> Iterator[str]:
    """Yield lines for a digest or report: pairs, changes since, what is to be investigated."""
    yield pairs_text(summary, now)
    for change in summary.changes:
        if change.at >= since:
            yield f"{change.at:%Y-%m-%d}, {change.template}: {change.text}"
    for template in summary.golden:
        yield f"golden cases of {template} came back changed: 'drawcli qa golden list'"
    yield from causes(summary, INVESTIGATE)
    if watched := summary.states()[WATCH]:
        yield f"{counted(watched, 'chart')} to watch: 'drawcli qa report'"


def pairs_text(summary: QaSummary, now: datetime) -> str:
    """Return how many pairs have which status, in one line."""
    text = counts_text(summary.pairs) or "no delivered structure sets yet"
    if summary.oldest_unpaired is None:
        return text
    return f"{text}; the oldest without comparison: {duration(now - summary.oldest_unpaired)}"


def counts_text(pairs: Mapping[str, int]) -> str:
    """Return the numbers of pairs by status.

    >>> counts_text({"missing": 2, "compared": 20})
    '20 compared, 2 without a clinical set'
    """
    known = [(status, pairs[status]) for status in _STATUSES if pairs.get(status)]
    later = [(status, n) for status, n in pairs.items() if status not in _STATUSES]
    return ", ".join(f"{n:,} {_STATUSES.get(status, status)}" for status, n in (*known, *later))


def causes(summary: QaSummary, *states: str) -> list[str]:
    """Return what charts signal, in one text for all metrics of a structure with the same rule.

    What a chart says twice by one rule, with two states, is told for the more urgent one.
    """
    return [
        f"{group[0][1].state}: {_together(group)}" for group in _groups(summary, states, _is_told)
    ]


def alarms(summary: QaSummary) -> list[Alarm]:
    """Return an alarm for each chart and cause; those of the same structure have the same text."""
    found: dict[str, Alarm] = {}
    for group in _groups(summary, NOTED):
        for chart, signal in group:
            key = f"{chart.template}/{chart.roi}/{chart.metric}/{chart.version}/{signal.rule}"
            text = f"contours to {signal.state}: {_together(group)}; 'drawcli qa report'"
            alarm = Alarm(_KIND_OF[signal.state], key, text)
            found.setdefault(alarm.name, alarm)
    return list(found.values())


_Group = list[tuple[ChartSummary, ChartSignal]]


def _is_told(chart: ChartSummary, signal: ChartSignal) -> bool:
    return signal.state == INVESTIGATE or not any(
        (other.rule, other.state) == (signal.rule, INVESTIGATE) for other in chart.signals
    )


def _groups(
    summary: QaSummary,
    states: Sequence[str],
    is_told: Callable[[ChartSummary, ChartSignal], bool] = lambda *_: True,
) -> list[_Group]:
    """Return the signals of some states, by state, structure and rule."""
    found = [
        (chart, signal)
        for chart in summary.charts
        for signal in chart.signals
        if signal.state in states and is_told(chart, signal)
    ]
    found.sort(key=lambda pair: _cause(*pair))
    return [list(group) for _, group in groupby(found, lambda pair: _cause(*pair))]


def _cause(chart: ChartSummary, signal: ChartSignal) -> tuple[int, str, str, str]:
    return NOTED.index(signal.state), chart.template, chart.roi, signal.rule


def _together(group: _Group) -> str:
    """Return a signal in words: that of the first chart, and the metrics of the others."""
    chart, signal = group[0]
    also = also_in([each.metric for each, _ in group if each.metric != chart.metric])
    better = " (better)" if signal.better else ""
    label = _label(chart.metric)
    return f"{chart.template} {chart.roi}, {label}: {signal.text}{better}{also}"


def also_in(metrics: Iterable[str]) -> str:
    """Return the end of a sentence that holds for other metrics, too.

    >>> also_in([]), also_in(["hd95_mm", "apl_mm"])
    ('', '; also HD95, added path length')
    """
    labels = list(dict.fromkeys(map(_label, metrics)))
    return f"; also {', '.join(labels)}" if labels else ""


def _label(metric: str) -> str:
    """Return the name of a metric; a later version may have written one that is not known here."""
    return METRICS[metric].label if metric in METRICS else metric
