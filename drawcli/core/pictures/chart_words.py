"""What control charts show, in words: cases, months, states."""

from collections.abc import Sequence
from datetime import datetime

from drawcli.core.qa.chart_signals import MIN_MEAN
from drawcli.core.qa.charts import METRICS, Chart, ChartState, Month, Point, Signal


def chart_text(charts: Sequence[Chart], shown: int) -> str:
    """Return the charts of all versions in words; of their cases, `shown` are shown."""
    last = charts[-1]
    kind, cases = METRICS[last.metric], sum(len(chart.points) for chart in charts)
    signals = sum(len(chart.signals) for chart in charts)
    limits = "no limits yet"
    if last.limits:
        lower, upper = kind.text(last.limits.lower), kind.text(last.limits.upper)
        limits = f"centre {kind.text(last.limits.centre)}, limits {lower} to {upper}"
    latest = f"the latest {shown} of {cases} cases" if shown < cases else f"{cases} cases"
    return f"{kind.label} of {last.roi or 'a structure'}: {latest}, {limits}, {signals} signals"


def state_of_case(signals: Sequence[Signal]) -> str:
    """Return how a case with these signals is marked: "", better, watch or investigate."""
    if any(signal.state is ChartState.INVESTIGATE for signal in signals):
        return "investigate"
    if any(not signal.better for signal in signals):
        return "watch"
    return "better" if signals else ""


def signal_text(signal: Signal) -> str:
    """Return a signal in words."""
    return f"{'better' if signal.better else signal.state}: {signal.text}"


def case_text(case: Point, metric: str, signals: Sequence[Signal]) -> str:
    """Return a case in words."""
    kind = METRICS[metric]
    text = f"{dated(case.at)}: {kind.label} {kind.text(case.value)}"
    if signals:
        return "; ".join([text, *map(signal_text, signals)])
    return f"{text}, not changed" if kind.is_best(case.value) else text


def month_state(month: Month, metric: str) -> str:
    """Return how a month is marked: "", better or investigate; "" too with fewer than 5 cases."""
    if month.n < MIN_MEAN or month.lower <= month.mean <= month.upper:
        return ""
    kind = METRICS[metric]
    is_better = (month.mean > month.upper) == kind.falls and not kind.two_sided
    return "better" if is_better else "investigate"


def month_text(month: Month, metric: str) -> str:
    """Return a month in words."""
    kind = METRICS[metric]
    where = "within" if month.lower <= month.mean <= month.upper else "outside"
    return (
        f"{month.month}: mean {kind.label} {kind.text(month.mean)} of {month.n} changed cases "
        f"({month.cases} in all), {where} {kind.text(month.lower)} to {kind.text(month.upper)}"
    )


def dated(at: datetime) -> str:
    """Return a day as text.

    >>> dated(datetime(2026, 3, 9))
    '2026-03-09'
    """
    return f"{at:%Y-%m-%d}"
