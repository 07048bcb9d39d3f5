"""What drawcli did in a span of time, from the histories of its jobs: times, volumes, failures.

Pure computing: whoever has jobs can have a report of them. It holds job ids, names that the site
gave to templates and rules, and counts; nothing of a patient.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from statistics import median, quantiles
from typing import Any, Final

from drawcli.core.jobs.job import Event, EventKind, Job, State
from drawcli.core.jobs.timeline import stays
from drawcli.core.qa.summary import QaSummary
from drawcli.operations.former_report import KIND, FormerReport

WHOLE: Final = "found to delivered"
_MOST_DAYS: Final = 62  # more are counted by the week
# Transitions between states, by the step that works or is waited for.
_WAYS: Final = {
    (State.WAITING, State.FOUND): "arrival",
    (State.FOUND, State.MATCHED): "match",
    (State.MATCHED, State.PACKAGED): "deidentify",
    (State.PACKAGED, State.UPLOADED): "upload",
    (State.UPLOADED, State.SEGMENTED): "server",
    (State.SEGMENTED, State.FETCHED): "fetch",
    (State.FETCHED, State.DELIVERED): "reidentify",
    (State.DELIVERED, State.DONE): "confirm",
}
STEPS: Final = (*_WAYS.values(), WHOLE)


@dataclass(frozen=True, slots=True)
class Took:
    """How long a step took, from the job's arrival at it until it was done.

    This includes the wait for the next run of cron.
    """

    step: str
    seconds: tuple[float, ...]  # sorted

    @property
    def median(self) -> float:
        """Median, s."""
        return median(self.seconds)

    @property
    def ninetieth(self) -> float:
        """90th percentile, interpolated, s."""
        if len(self.seconds) == 1:
            return self.seconds[0]
        return quantiles(self.seconds, n=10, method="inclusive")[-1]


@dataclass(slots=True)
class Bin:
    """The counts of a day, or of the week that begins with it."""

    begins: date
    found: int = 0
    sent: int = 0
    delivered: int = 0
    held: int = 0
    failed: int = 0
    bytes_sent: int = 0
    delivered_jobs: set[str] = field(default_factory=set)  # ids: each job counts once
    held_jobs: set[str] = field(default_factory=set)


@dataclass(slots=True, kw_only=True)
class Report:
    """The activity from `since` to `until`, UTC."""

    since: datetime
    until: datetime
    took: list[Took] = field(default_factory=list)
    bins: list[Bin] = field(default_factory=list)
    by_week: bool = False
    failures: Counter[str] = field(default_factory=Counter)  # failed attempts, by reason
    holds: Counter[str] = field(default_factory=Counter)  # holds, by reason
    held_now: int = 0
    templates: Counter[str] = field(default_factory=Counter)  # delivered structure sets
    left: dict[str, list[str]] = field(
        default_factory=dict
    )  # unmatched, ambiguous and excluded: state, job ids
    former: FormerReport | None = None  # what a former client did, if that was imported
    contours: QaSummary | None = None  # quality assurance of contours, at present

    def total(self, what: str) -> int:
        """Return the sum of one count over all days."""
        return sum(int(getattr(period, what)) for period in self.bins)

    def time_of(self, step: str) -> Took | None:
        """Return how long a step took; None if no job made it."""
        return next((taken for taken in self.took if taken.step == step), None)

    def as_plain(self) -> dict[str, Any]:
        """Return it as plain values for JSON."""
        return {
            "since": self.since.isoformat(),
            "until": self.until.isoformat(),
            "totals": {what: self.total(what) for what in _TOTALS},
            "held_now": self.held_now,
            "turnaround": [
                {
                    "step": taken.step,
                    "jobs": len(taken.seconds),
                    "median_seconds": round(taken.median, 3),
                    "p90_seconds": round(taken.ninetieth, 3),
                }
                for taken in self.took
            ],
            "by": "week" if self.by_week else "day",
            "bins": [
                {"begins": period.begins.isoformat()}
                | {what: getattr(period, what) for what in _TOTALS}
                | {what: len(getattr(period, what)) for what in ("delivered_jobs", "held_jobs")}
                for period in self.bins
            ],
            "failures": dict(self.failures.most_common()),
            "holds": dict(self.holds.most_common()),
            "templates": dict(self.templates.most_common()),
            "left": {state: ids for state, ids in self.left.items() if ids},
            "former": None if self.former is None else self.former.as_plain(),
            "contours": None if self.contours is None else self.contours.brief(),
        }

    def rows(self) -> Iterator[dict[str, Any]]:
        """Yield every figure as a row of kind, name, measure, value and unit."""
        for taken in self.took:
            yield _row("turnaround", taken.step, "jobs", len(taken.seconds), "")
            yield _row("turnaround", taken.step, "median", round(taken.median, 3), "s")
            yield _row("turnaround", taken.step, "p90", round(taken.ninetieth, 3), "s")
        for span in self.bins:
            for what in _TOTALS:
                unit = "bytes" if what == "bytes_sent" else ""
                kind = "week" if self.by_week else "day"
                yield _row(kind, span.begins.isoformat(), what, getattr(span, what), unit)
        kinds: dict[str, Mapping[str, int]] = {
            "failures": self.failures,
            "holds": self.holds,
            "templates": self.templates,
            "left by the rules": {state: len(ids) for state, ids in self.left.items()},
            "pairs": {} if self.contours is None else self.contours.pairs,
            "charts": {} if self.contours is None else self.contours.states(),
        }
        for kind, counts in kinds.items():
            for name, count in counts.items():
                yield _row(kind, name, "count", count, "")
        for figure in self.former.rows() if self.former else ():
            yield _row(KIND, *figure)


_TOTALS: Final = ("found", "sent", "delivered", "held", "failed", "bytes_sent")
COLUMNS: Final = ("kind", "name", "measure", "value", "unit")


def report_of(jobs: Iterable[Job], since: datetime, until: datetime) -> Report:
    """Return the activity of jobs in a span of time.

    A step counts where it ended within the span; a failure, a hold or a delivery where it
    happened. Only the last 60 events of a job are known: of one that failed for days, the first
    are forgotten.
    """
    report = Report(since=since, until=until)
    report.by_week = (until - since).days > _MOST_DAYS
    bins = {period.begins: period for period in _bins(since, until, by_week=report.by_week)}
    spans: dict[str, list[float]] = defaultdict(list)
    for job in jobs:
        for event in job.events:
            if since <= event.at <= until:
                _count(event, job, report, bins[_begin(event.at.date(), bins, report)])
        for step, seconds, ended in _times(job):
            if since <= ended <= until:
                spans[step].append(seconds)
        _note_present(job, report)
    report.took = [Took(step, tuple(sorted(spans[step]))) for step in STEPS if spans[step]]
    report.bins = list(bins.values())
    return report


def _count(event: Event, job: Job, report: Report, span: Bin) -> None:
    match event.kind, event.code:
        case EventKind.REACHED, State.FOUND:
            span.found += 1
        case EventKind.REACHED, State.UPLOADED:
            span.sent += 1
            span.bytes_sent += job.zip_bytes or 0
        case EventKind.REACHED, State.DELIVERED:
            span.delivered += 1
            span.delivered_jobs.add(job.id)
            report.templates.update(filter(None, [job.template]))
        case EventKind.FAILED, code:
            span.failed += 1
            report.failures[code] += 1
        case EventKind.HELD, code:
            span.held += 1
            span.held_jobs.add(job.id)
            report.holds[code] += 1


def _times(job: Job) -> Iterator[tuple[str, float, datetime]]:
    """Yield step, seconds and end of each transition of a job; last the whole cycle."""
    found = None
    for stay in stays(job):
        step = _WAYS.get((stay.state, stay.following))
        if step is not None:
            yield step, stay.span.total_seconds(), stay.ended
        if stay.state is State.FOUND:
            found = stay.begun
        if stay.following is State.DELIVERED and found is not None:
            yield WHOLE, max((stay.ended - found).total_seconds(), 0.0), stay.ended
            found = None


def _note_present(job: Job, report: Report) -> None:
    """Record jobs that the rules left."""
    report.held_now += job.held
    left = job.state in (State.UNMATCHED, State.AMBIGUOUS, State.EXCLUDED)
    if left and report.since <= job.since <= report.until:
        report.left.setdefault(str(job.state), []).append(job.id)


def _bins(since: datetime, until: datetime, *, by_week: bool) -> Iterator[Bin]:
    day, step = since.date(), timedelta(days=7 if by_week else 1)
    while day <= until.date():
        yield Bin(day)
        day += step


def _begin(day: date, bins: Mapping[date, Bin], report: Report) -> date:
    """Return the first day of the bin of a day."""
    if day in bins:
        return day
    first = report.since.date()
    return first + timedelta(days=(day - first).days // 7 * 7)


def _row(kind: str, name: str, measure: str, value: float, unit: str) -> dict[str, Any]:
    return dict(zip(COLUMNS, (kind, name, measure, value, unit), strict=True))
