"""Statistics of a span of time, computed from ledger and archive."""

from collections import OrderedDict, defaultdict
from datetime import date, timedelta
from threading import Lock
from typing import Final, NamedTuple
from urllib.parse import urlencode

from starlette.requests import Request

from drawcli.core.jobs.job import Event, EventKind, Job, State
from drawcli.core.jobs.warned import WARNING
from drawcli.dashboard.find.series_texts import SeriesTexts
from drawcli.dashboard.records.listing import begin_of, day_in, end_of
from drawcli.dashboard.snapshot import SiteReader, Stamp
from drawcli.operations.report import WHOLE, Report, report_of

_USUAL: Final = timedelta(days=29)
LONGEST: Final = timedelta(days=366)
_EARLIEST: Final = date(2000, 1, 1)
_MOST_KEPT: Final = 8
UNKNOWN: Final = "not known"


class StatisticsQuery(NamedTuple):
    """Which jobs are counted, by the days of what happened to them."""

    first: date
    last: date
    template: str = ""
    modality: str = ""
    scanner: str = ""

    @classmethod
    def of(cls, request: Request, today: date) -> "StatisticsQuery":
        """Read it from an address: the last 30 days by default, a year at most."""
        query = request.query_params
        last = max(min(day_in(request, "to") or today, today), _EARLIEST)
        first = min(day_in(request, "from") or last - _USUAL, last)
        names = (query.get(name, "")[:200] for name in ("template", "modality", "scanner"))
        return cls(max(first, last - LONGEST), last, *names)

    def address(self, path: str) -> str:
        """Return the address of this query."""
        facts = {"from": self.first, "to": self.last}
        names = ("template", "modality", "scanner")
        words = {name: getattr(self, name) for name in names if getattr(self, name)}
        return f"{path}?{urlencode(facts | words)}"


class GroupRow(NamedTuple):
    """The figures of a template or scanner."""

    name: str
    delivered: int
    warned: int
    held: int
    median: float | None  # s, from found to delivered
    ninetieth: float | None

    @property
    def share(self) -> str:
        """The share of deliveries with warnings, in words."""
        return f"{self.warned / self.delivered:.0%}" if self.delivered else ""


class Statistics(NamedTuple):
    """The figures of a query."""

    report: Report
    warned: int
    templates: list[GroupRow]
    scanners: list[GroupRow]
    choices: dict[str, list[str]]  # of template, modality and scanner


class StatisticsReader:
    """Computes statistics from ledger and archive; keeps the last ones. Safe for any threads."""

    def __init__(self, site: SiteReader, series: SeriesTexts) -> None:
        self._site, self._series = site, series
        self._lock = Lock()
        self._kept: OrderedDict[tuple[Stamp, int, StatisticsQuery], Statistics] = OrderedDict()

    def of(self, query: StatisticsQuery) -> Statistics:
        """Return the statistics of a query."""
        key = (self._site.snapshot().stamp, self._series.count, query)
        with self._lock:
            if key not in self._kept:
                self._kept[key] = self._computed(query)
                while len(self._kept) > _MOST_KEPT:
                    self._kept.popitem(last=False)
            return self._kept[key]

    def _computed(self, query: StatisticsQuery) -> Statistics:
        since, until = begin_of(query.first), end_of(query.last)
        every = self._site.since(f"{since:%Y-%m}")
        scanners = {job.series_key: self._series.known(job).scanner or UNKNOWN for job in every}
        choices = {
            "template": sorted({job.template for job in every if job.template}),
            "modality": sorted({job.modality for job in every if job.modality}),
            "scanner": sorted({*scanners.values()}),
        }
        jobs = [
            job
            for job in every
            if query.template in ("", job.template)
            and query.modality in ("", job.modality)
            and query.scanner in ("", scanners[job.series_key])
        ]
        groups: dict[str, dict[str, list[Job]]] = {"t": defaultdict(list), "s": defaultdict(list)}
        for job in jobs:
            groups["t"][job.template or "no template"].append(job)
            groups["s"][scanners[job.series_key]].append(job)
        tables = [
            [row for name in sorted(by) if (row := _group(name, by[name], query)) is not None]
            for by in groups.values()
        ]
        warned = sum(_is_warned(job, query) for job in jobs)
        return Statistics(report_of(jobs, since, until), warned, tables[0], tables[1], choices)


def _group(name: str, jobs: list[Job], query: StatisticsQuery) -> GroupRow | None:
    report = report_of(jobs, begin_of(query.first), end_of(query.last))
    whole, delivered, held = report.time_of(WHOLE), report.total("delivered"), report.total("held")
    if not delivered and not held:
        return None
    warned = sum(_is_warned(job, query) for job in jobs)
    times = (None, None) if whole is None else (whole.median, whole.ninetieth)
    return GroupRow(name, delivered, warned, held, *times)


def _is_warned(job: Job, query: StatisticsQuery) -> bool:
    """Return whether a job was delivered in the span, with warnings."""
    has = any(_is_warning(event) for event in job.events)
    return has and any(
        event.reached(State.DELIVERED) and query.first <= event.at.date() <= query.last
        for event in job.events
    )


def _is_warning(event: Event) -> bool:
    return event.kind is EventKind.NOTED and event.code.startswith(WARNING)
