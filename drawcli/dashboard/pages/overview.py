"""The overview: health of the runs, held jobs, jobs by state, and recent deliveries."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response

from drawcli.core.jobs.job import Job, State
from drawcli.core.jobs.waiting import held_since
from drawcli.core.jobs.warned import unseen_warnings
from drawcli.dashboard.access.rights import visitor_of
from drawcli.dashboard.next_steps import Possible, of_finding, of_step
from drawcli.dashboard.runs.controls import controls_of
from drawcli.dashboard.snapshot import Snapshot
from drawcli.dashboard.view import page, parts_of
from drawcli.operations.overview import Overview
from drawcli.operations.report import WHOLE, Report
from drawcli.operations.report_page import jobs_series
from drawcli.operations.report_plots import grouped_bars
from drawcli.system.durations import duration

_FLOW: Final = (
    (State.FOUND, "series complete"),
    (State.MATCHED, "template chosen"),
    (State.PACKAGED, "de-identified, packaged"),
    (State.UPLOADED, "at the server"),
    (State.SEGMENTED, "contours ready"),
    (State.FETCHED, "downloaded, checked"),
    (State.DELIVERED, "delivered"),
    (State.DONE, "confirmed to the server"),
)
_OTHER_STATES: Final = (
    (State.WAITING, "still arriving"),
    (State.UNMATCHED, "no rule matches"),
    (State.AMBIGUOUS, "several rules match"),
    (State.EXCLUDED, "by a rule"),
    (State.CANCELLED, "by a user"),
)
_MOST_HELD: Final = 12


@dataclass(frozen=True, slots=True)
class StateCount:
    """A state, and the number of jobs in it."""

    state: str
    description: str
    count: int
    held: int
    warned: int  # with warnings that nobody has seen


def overview(request: Request) -> Response:
    """Show the state of the site."""
    site = parts_of(request).site
    snapshot = site.snapshot()
    report = site.report()
    setup, controls = site.setup(), controls_of(parts_of(request))
    unmatched = snapshot.overview.counts[State.UNMATCHED]
    now = Possible(visitor_of(request), unmatched, controls.is_running)
    verdict = site.verdict()  # once: what is true may change before the page is drawn
    return page(
        request,
        "overview.html",
        verdict=verdict,
        sentences=list(site.health.sentences(site.now)),
        flow=_counts(snapshot, _FLOW),
        others=_counts(snapshot, _OTHER_STATES),
        setup=setup,
        by_step={step.name: of_step(step, now) for step in setup},
        by_finding={one.code: of_finding(one, setup, now) for one in verdict.findings},
        controls=controls,
        held_first=_longest_held(snapshot.overview),
        archived=snapshot.archived,
        last=snapshot.last_delivered,
        tiles=_tiles(report, snapshot.overview),
        plot=_plot(report),
        report=report,
    )


def _longest_held(overview: Overview) -> list[Job]:
    """Return the jobs that have been held longest."""
    return sorted(overview.held, key=held_since)[:_MOST_HELD]


def _counts(snapshot: Snapshot, states: tuple[tuple[State, str], ...]) -> list[StateCount]:
    overview = snapshot.overview
    held = [job.state for job in overview.held]
    warned = [job.state for job in snapshot.concerns if unseen_warnings(job)]
    return [
        StateCount(
            str(state),
            description,
            overview.counts[state],
            held.count(state),
            warned.count(state),
        )
        for state, description in states
    ]


def _tiles(report: Report, overview: Overview) -> list[tuple[str, str, str]]:
    """Return the large figures: name, value and note."""
    whole = report.time_of(WHOLE)
    today = report.bins[-1]
    jobs = set().union(*(day.delivered_jobs for day in report.bins))
    unmatched = f"{overview.counts[State.UNMATCHED]:,} that no rule matches"
    median = "none yet" if whole is None else duration(timedelta(seconds=whole.median))
    ninetieth = "" if whole is None else duration(timedelta(seconds=whole.ninetieth))
    return [
        ("In progress", f"{len(overview.open):,}", f"{today.found:,} found today"),
        ("Not sent", f"{len(overview.left):,}", unmatched),
        ("Delivered today", f"{len(today.delivered_jobs):,}", f"{len(jobs):,} in 14 days"),
        ("Found to delivered", median, f"90 % within {ninetieth}" if ninetieth else "the median"),
    ]


def _plot(report: Report) -> Markup | None:
    """Return the throughput as SVG; None without deliveries and held jobs."""
    if not report.total("delivered") + report.total("held"):
        return None
    labels = [f"{day.begins:%b} {day.begins.day}" for day in report.bins]
    plot = grouped_bars("Jobs delivered and held per day", labels, jobs_series(report))
    return Markup(plot)  # noqa: S704 - numbers and days; `grouped_bars` escapes
