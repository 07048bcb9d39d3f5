"""The first page: does it run, what is held, where everything is, what came home lately."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response

from drawcli.core.jobs.job import Job, State
from drawcli.dashboard.view import page, parts_of
from drawcli.operations.overview import Overview
from drawcli.operations.report import WHOLE, Report
from drawcli.operations.report_plots import stacked_bars
from drawcli.system.durations import ago

_LINE: Final = (
    (State.FOUND, "the series is whole"),
    (State.MATCHED, "template chosen"),
    (State.PACKAGED, "de-identified, in a package"),
    (State.UPLOADED, "at the server"),
    (State.SEGMENTED, "contours ready"),
    (State.FETCHED, "checked, here"),
    (State.DELIVERED, "in its place"),
    (State.DONE, "the server was told"),
)
_BESIDE: Final = (
    (State.WAITING, "still arriving"),
    (State.UNMATCHED, "no rule fits"),
    (State.AMBIGUOUS, "several rules fit"),
    (State.EXCLUDED, "left out by a rule"),
    (State.CANCELLED, "set aside"),
)
_MOST_HELD: Final = 12


@dataclass(frozen=True, slots=True)
class Station:
    """One state of the flow, and how many jobs stand there."""

    state: str
    what: str
    count: int
    held: int


def overview(request: Request) -> Response:
    """Show how the site stands."""
    site = parts_of(request).site
    snapshot = site.snapshot()
    report = site.report()
    return page(
        request,
        "overview.html",
        sentences=list(site.pulse.sentences(site.now)),
        line=_stations(snapshot.overview, _LINE),
        beside=_stations(snapshot.overview, _BESIDE),
        held_first=_longest_held(snapshot.overview),
        archived=snapshot.archived,
        last=snapshot.last_delivered,
        tiles=_tiles(report, snapshot.overview),
        plot=_plot(report),
        report=report,
    )


def _longest_held(overview: Overview) -> list[Job]:
    """Return the jobs that have waited longest for a person."""
    since = sorted(overview.held, key=lambda job: job.events[-1].at if job.events else job.since)
    return list(since[:_MOST_HELD])


def _stations(overview: Overview, states: tuple[tuple[State, str], ...]) -> list[Station]:
    held = [job.state for job in overview.held]
    return [
        Station(str(state), what, overview.counts[state], held.count(state))
        for state, what in states
    ]


def _tiles(report: Report, overview: Overview) -> list[tuple[str, str, str]]:
    """Return the figures that are read from afar: name, value, and what is said beside it."""
    whole = report.time_of(WHOLE)
    today = report.bins[-1]
    home = "none yet" if whole is None else ago(timedelta(seconds=whole.median))
    ninetieth = "" if whole is None else ago(timedelta(seconds=whole.ninetieth))
    return [
        ("On their way", f"{len(overview.open):,}", f"{today.found:,} found today"),
        ("Left by the rules", f"{len(overview.left):,}", _left(overview)),
        ("Delivered today", f"{today.delivered:,}", f"{report.total('delivered'):,} in 14 days"),
        ("Found to delivered", home, f"nine of ten in {ninetieth}" if ninetieth else "the median"),
    ]


def _left(overview: Overview) -> str:
    return f"{overview.counts[State.UNMATCHED]:,} that no rule takes"


def _plot(report: Report) -> Markup | None:
    """Return the throughput as SVG; None where nothing happened."""
    if not report.total("delivered") + report.total("held"):
        return None
    labels = [f"{one.begins:%b} {one.begins.day}" for one in report.bins]
    series = {
        "home": [float(one.delivered) for one in report.bins],
        "held": [float(one.held) for one in report.bins],
    }
    made = stacked_bars("Delivered and held by the day", labels, series)
    return Markup(made)  # noqa: S704 - made of numbers and days; `plots` escapes
