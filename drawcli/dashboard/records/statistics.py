"""Statistics of a span of time: deliveries, turnaround, warnings, causes; also as CSV."""

from datetime import timedelta
from typing import Final

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response

from drawcli.dashboard.csv_download import csv_download
from drawcli.dashboard.records.statistics_reader import LONGEST, Statistics, StatisticsQuery
from drawcli.dashboard.view import page, parts_of
from drawcli.operations.report import COLUMNS, WHOLE, Report, Took
from drawcli.operations.report_plots import BarSeries, grouped_bars, spans
from drawcli.system.durations import duration


def statistics(request: Request) -> Response:
    """Show the statistics."""
    parts = parts_of(request)
    query = StatisticsQuery.of(request, parts.site.now.date())
    found = parts.statistics.of(query)
    return page(
        request,
        "statistics.html",
        query=query,
        found=found,
        tiles=_tiles(found),
        bars=_bars(found.report),
        times=_times(found.report),
        longest=LONGEST.days,
    )


def statistics_csv(request: Request) -> Response:
    """Return every figure as a row."""
    parts = parts_of(request)
    found = parts.statistics.of(StatisticsQuery.of(request, parts.site.now.date()))
    rows: list[list[object]] = [[row[name] for name in COLUMNS] for row in found.report.rows()]
    for kind, groups in (("template", found.templates), ("scanner", found.scanners)):
        for one in groups:
            for measure in ("delivered", "warned", "held", "median", "ninetieth"):
                value, unit = getattr(one, measure), "s" if measure in _SECONDS else ""
                rows.append([kind, one.name, measure, "" if value is None else value, unit])
    return csv_download("statistics.csv", COLUMNS, rows)


_SECONDS: Final = ("median", "ninetieth")


def _tiles(found: Statistics) -> list[tuple[str, str, str]]:
    """Return the large figures: name, value and note."""
    report, whole = found.report, found.report.time_of(WHOLE)
    delivered, held = report.total("delivered"), report.total("held")
    share = f"{found.warned / delivered:.0%} of them" if delivered else ""
    return [
        ("Delivered", f"{delivered:,}", f"{report.total('found'):,} series found"),
        ("Found to delivered", _time(whole, "median"), _percentile_note(whole)),
        ("With warnings", f"{found.warned:,}", share),
        ("Held", f"{held:,}", f"{report.held_now:,} at present"),
    ]


def _time(took: Took | None, what: str) -> str:
    return "none" if took is None else duration(timedelta(seconds=getattr(took, what)))


def _percentile_note(took: Took | None) -> str:
    return "" if took is None else f"the median; 90 % within {_time(took, 'ninetieth')}"


def _bars(report: Report) -> Markup:
    """Return deliveries and held jobs over time, as SVG."""
    labels = [f"{one.begins:%b} {one.begins.day}" for one in report.bins]
    series = [
        BarSeries("home", "delivered", [float(one.delivered) for one in report.bins]),
        BarSeries("held", "held", [float(one.held) for one in report.bins]),
    ]
    plot = grouped_bars("Delivered and held", labels, series)
    return Markup(plot)  # noqa: S704 - numbers and days; `grouped_bars` escapes


def _times(report: Report) -> Markup | None:
    """Return how long each step took, as SVG."""
    if not report.took:
        return None
    rows = [
        (one.step, one.median, one.ninetieth, f"{_time(one, 'median')}; {_percentile_note(one)}")
        for one in report.took
    ]
    plot = spans("How long each step took: median to 90th percentile", rows)
    return Markup(plot)  # noqa: S704 - numbers and names of steps; `spans` escapes
