"""One control chart: picture, signals in words, monthly means, cases as table and CSV."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from markupsafe import Markup
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from drawcli.core.pictures.chart import chart_picture
from drawcli.core.pictures.chart_months import months_picture
from drawcli.core.pictures.chart_words import month_state, signal_text
from drawcli.core.qa.charts import (
    METRICS,
    Chart,
    Month,
    Point,
    Signal,
    VersionShift,
    compare_versions,
)
from drawcli.dashboard.csv_download import csv_download
from drawcli.dashboard.qa.reader import QaReader
from drawcli.dashboard.qa.words import (
    STATE_BADGES,
    chart_address,
    figure_text,
    pair_address,
    title_of,
)
from drawcli.dashboard.view import page, parts_of
from drawcli.errors import UsageError
from drawcli.operations.qa.site_charts import RoiCharts

CASES: Final = (100, 300, 1000)  # that are shown
_USUAL: Final = "dice"  # if the site has no charts at all
_MOST_SIGNALS: Final = 30
_MOST_MONTHS: Final = 36


@dataclass(frozen=True, slots=True)
class ChartQuery:
    """Which chart is shown; a part of the address, and so never of a patient."""

    template: str
    roi: str
    metric: str
    version: str = ""  # "": all
    most: int = CASES[0]

    @classmethod
    def of(cls, request: Request, metrics: Sequence[str]) -> "ChartQuery":
        """Read a query from an address."""
        query = request.query_params
        metric, cases = query.get("metric", ""), query.get("cases", "")
        return cls(
            template=query.get("template", ""),
            roi=query.get("roi", ""),
            metric=metric if metric in metrics else next(iter(metrics), _USUAL),
            version=query.get("version", ""),
            most=int(cases) if cases in map(str, CASES) else CASES[0],
        )

    def address(self, **other: object) -> str:
        """Return the address of this chart, with some parts replaced."""
        given: dict[str, object] = {
            "metric": self.metric,
            "version": self.version,
            "cases": self.most if self.most != CASES[0] else "",
        } | other
        metric = str(given.pop("metric"))
        return chart_address(self.template, self.roi, metric, **given)


@dataclass(frozen=True, slots=True)
class CaseRow:
    """A case in the table."""

    case: Point
    version: int  # from 1
    text: str
    changed: bool
    signals: tuple[Signal, ...]


def chart(request: Request) -> Response:
    """Show one chart."""
    qa = parts_of(request).qa
    query = ChartQuery.of(request, qa.metrics)
    found = _found(query, qa)
    charts = _shown(found, query)
    rows, states = list(_rows(found, charts, query.most)), _states(query, qa)
    signals = [signal for one in charts for signal in one.signals]
    signals.sort(key=lambda signal: (signal.at, signal.job), reverse=True)
    return page(
        request,
        "qa_chart.html",
        query=query,
        found=found,
        present=found.present,
        state=found.state,
        badges=STATE_BADGES,
        title=title_of(query.metric),
        limits=_limits_text(charts[-1], qa.settings.qa.baseline),
        picture=_picture(charts, found, query, qa),
        months=Markup(months_picture(charts, most=_MOST_MONTHS)),  # noqa: S704 - it escapes
        month_rows=_month_rows(charts),
        metrics=[(metric, title_of(metric), states.get(metric, "")) for metric in qa.metrics],
        versions=_versions(found),
        rois=qa.rois(query.template),
        sizes=CASES,
        of=sum(len(one.points) for one in charts),
        rows=rows[::-1],
        signals=signals[:_MOST_SIGNALS],
        signal_count=len(signals),
        changes=found.changes[::-1],
        shifts=_shifts(found),
        worse=not METRICS[query.metric].two_sided,
        figure=figure_text,
        signal_text=signal_text,
        pair_address=pair_address,
    )


def chart_csv(request: Request) -> Response:
    """Return all cases of a chart as CSV."""
    qa = parts_of(request).qa
    query = ChartQuery.of(request, qa.metrics)
    found = _found(query, qa)
    columns = ["delivered_at", "job", "version", query.metric, "changed", "signals"]
    rows = []
    for row in _rows(found, _shown(found, query), None):
        version = found.charts[row.version - 1].version
        rules = " ".join(
            f"{'better' if signal.better else signal.state}:{signal.rule}" for signal in row.signals
        )
        case = row.case
        rows.append([case.at.isoformat(), case.job, version, case.value, int(row.changed), rules])
    return csv_download("chart.csv", columns, rows)


def _found(query: ChartQuery, qa: QaReader) -> RoiCharts:
    found = qa.charts(query.template, query.roi, query.metric)
    if found is None:
        raise UsageError(
            f"there is no chart of {METRICS[query.metric].label} for this template and structure",
            hint="Charts begin with the first pair that is compared: see QA.",
        )
    return found


def _shown(found: RoiCharts, query: ChartQuery) -> Sequence[Chart]:
    """Return the charts of the asked version, or of all."""
    charts = [one for one in found.charts if query.version in ("", one.version)]
    if not charts:
        raise HTTPException(404, "The chart has no such version.")
    return charts


def _picture(charts: Sequence[Chart], found: RoiCharts, query: ChartQuery, qa: QaReader) -> Markup:
    svg = chart_picture(
        charts,
        found.changes,
        baseline=qa.settings.qa.baseline,
        most=query.most,
        address=lambda case: pair_address(case.job),
    )
    return Markup(svg)  # noqa: S704 - it escapes


def _rows(found: RoiCharts, charts: Sequence[Chart], most: int | None) -> Iterator[CaseRow]:
    """Yield the latest cases of charts, at most `most`, in the order of time."""
    numbers = {one.version: number for number, one in enumerate(found.charts, start=1)}
    every = [(case, one) for one in charts for case in one.points[-most if most else None :]]
    every.sort(key=lambda pair: (pair[0].at, pair[0].job))
    signals: dict[str, list[Signal]] = {}
    for one in charts:
        for signal in one.signals:
            signals.setdefault(signal.job, []).append(signal)
    for case, one in every[-most if most else None :]:
        kind, own = METRICS[one.metric], tuple(signals.get(case.job, ()))
        yield CaseRow(
            case=case,
            version=numbers[one.version],
            text=kind.text(case.value),
            changed=not kind.is_best(case.value),
            signals=own,
        )


def _month_rows(charts: Sequence[Chart]) -> list[tuple[Month, str]]:
    """Return the months, the latest first, each with how it is marked."""
    months = [(month, one.metric) for one in charts for month in one.months]
    months.sort(key=lambda pair: pair[0].month, reverse=True)
    return [(month, month_state(month, metric)) for month, metric in months[:_MOST_MONTHS]]


def _limits_text(chart: Chart, baseline: int) -> str:
    """Return where the limits of a chart come from."""
    limits, kind = chart.limits, METRICS[chart.metric]
    if limits is None and chart.missing:
        have = baseline - chart.missing
        return f"Baseline: {have} of {baseline} cases. Limits follow with case {baseline}."
    if limits is None:
        return (
            "No limits: fewer than 20 cases were changed. The share of changed cases is judged "
            "alone."
        )
    lower, upper = kind.text(limits.lower), kind.text(limits.upper)
    source = {
        "baseline": f"from {limits.n} changed cases of the baseline",
        "commissioning": f"from {limits.n} changed cases at commissioning",
        "by hand": "set by hand",
    }.get(limits.source, limits.source)
    reason = f": {limits.reason}" if limits.reason else ""
    return f"Limits {lower} to {upper}, centre {kind.text(limits.centre)}, {source}{reason}."


def _states(query: ChartQuery, qa: QaReader) -> dict[str, str]:
    """Return the states of the structure's charts by metric, as the last scan found them."""
    summary = qa.summary()
    return {
        one.metric: one.state
        for one in (summary.charts if summary else ())
        if (one.template, one.roi) == (query.template, query.roi)
    }


def _shifts(found: RoiCharts) -> list[tuple[int, VersionShift]]:
    """Return how each version compares with the one before, with its number, the latest first."""
    pairs = enumerate(pairwise(found.charts), start=2)
    return [(number, compare_versions(old, new.points)) for number, (old, new) in pairs][::-1]


def _versions(found: RoiCharts) -> list[tuple[int, Chart]]:
    """Return the versions with their numbers, the present one first."""
    return list(enumerate(found.charts, start=1))[::-1]
