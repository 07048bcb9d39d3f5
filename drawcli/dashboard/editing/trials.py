"""A changed rules file applied to the series of the ledger, in a thread, before it is saved.

Headers are read from the images, once: they are kept in memory, compressed, for the next trial.
Newest series come first; what could not be tried is counted.
"""

import json
import secrets
import zlib
from collections import OrderedDict
from dataclasses import dataclass, field, replace
from datetime import date
from functools import partial
from threading import Event, Lock
from time import monotonic
from typing import Final

from drawcli.adapters.datastore.rule_header import header_of
from drawcli.adapters.rulebook.rulebook import Rulebook
from drawcli.core.jobs.job import Job
from drawcli.core.rules.conditions import RuleHeader
from drawcli.dashboard.snapshot import SiteReader
from drawcli.errors import DrawcliError
from drawcli.pipeline.explain import Change, LedgerSeries, Trial, compare_rulebooks, try_case
from drawcli.system.threads import run_in_thread

MOST_SERIES: Final = 5000
MOST_LISTED: Final = 100
_MOST_TRIALS: Final = 8  # remembered
_MOST_RUNNING: Final = 3
_SECONDS: Final = 600.0
_CACHE_BYTES: Final = 64 << 20


@dataclass(slots=True)
class RuleTrials:
    """The progress and result of one trial; read by pages while a thread fills it."""

    name: str
    owner: str
    total: int = 0
    done: int = 0
    gone: int = 0  # series whose images cannot be read
    older: int = 0  # series beyond the limit
    many: int = 0  # series that would be decided differently
    changes: list[Change] = field(default_factory=list)
    failed: list[Trial] = field(default_factory=list)  # tests that need images, and fail
    state: str = "running"  # then: done, stopped, late, failed
    stop: Event = field(default_factory=Event)

    @property
    def runs(self) -> bool:
        """Whether it is still running."""
        return self.state == "running"

    @property
    def untried(self) -> int:
        """The series that were not tried."""
        return self.total - self.done + self.gone + self.older


class HeaderCache:
    """Headers of series, compressed, the most recently used ones."""

    def __init__(self, most_bytes: int = _CACHE_BYTES) -> None:
        self._kept: OrderedDict[tuple[str, str, date], bytes] = OrderedDict()
        self._most, self._size, self._lock = most_bytes, 0, Lock()

    def header(self, job: Job, site: SiteReader) -> RuleHeader:
        """Return the header of a job's series; raise an error if its images cannot be read."""
        today = site.now.date()
        key = (job.series_key, job.source_stamp or job.source_digest or "", today)
        with self._lock:
            packed = self._kept.get(key)
            if packed is not None:
                self._kept.move_to_end(key)
        if packed is not None:
            values, mixed = json.loads(zlib.decompress(packed))
            return RuleHeader(_tuples(values), {path: _many(v) for path, v in mixed.items()}, today)
        found = header_of(site.ctx.crosswalk(job), today)  # it decodes what is asked for: all
        mixed = {path: list(found.mixed[path]) for path in found.mixed}
        header = RuleHeader(dict(found.values), mixed, today)
        self._keep(key, zlib.compress(json.dumps([header.values, header.mixed]).encode(), 1))
        return header

    def _keep(self, key: tuple[str, str, date], packed: bytes) -> None:
        with self._lock:
            self._size += len(packed) - len(self._kept.pop(key, b""))
            self._kept[key] = packed
            while self._size > self._most:
                self._size -= len(self._kept.popitem(last=False)[1])


class TrialRuns:
    """The trials of a site: few at once, one of each user, stopped when the user begins another."""

    def __init__(self, site: SiteReader) -> None:
        self._site, self.headers = site, HeaderCache()
        self._runs: OrderedDict[str, RuleTrials] = OrderedDict()
        self._lock = Lock()

    def start(self, owner: str, before: Rulebook, after: Rulebook) -> RuleTrials | None:
        """Start a trial; None if too many run."""
        with self._lock:
            for run in self._runs.values():
                if run.owner == owner:
                    run.stop.set()
            if (
                sum(run.runs and not run.stop.is_set() for run in self._runs.values())
                >= _MOST_RUNNING
            ):
                return None
            run = RuleTrials(secrets.token_urlsafe(9), owner)
            self._runs[run.name] = run
            while len(self._runs) > _MOST_TRIALS:
                self._runs.popitem(last=False)[1].stop.set()
        run_in_thread(partial(self._try, run, before, after))
        return run

    def get(self, name: str) -> RuleTrials | None:
        """Return a trial by its name."""
        with self._lock:
            return self._runs.get(name)

    def _try(self, run: RuleTrials, before: Rulebook, after: Rulebook) -> None:
        state = "failed"
        try:
            state = self._tried(run, before, after)
        finally:
            run.state = state

    def _tried(self, run: RuleTrials, before: Rulebook, after: Rulebook) -> str:
        deadline, jobs = monotonic() + _SECONDS, self._newest()
        run.older = max(len(jobs) - MOST_SERIES, 0)
        run.total = len(jobs) - run.older
        on_many, today = self._site.ctx.settings.match.on_many, self._site.now.date()
        without_cases = replace(after, cases=())
        for job in jobs[:MOST_SERIES]:
            if run.stop.is_set():
                return "stopped"
            if monotonic() > deadline:
                return "late"
            try:
                known = LedgerSeries(((job.id, self.headers.header(job, self._site)),), 0)
            except (OSError, DrawcliError):
                run.gone += 1
            else:
                found = compare_rulebooks(
                    before, without_cases, known, on_many=on_many, today=today
                )
                run.many += len(found)
                run.changes += found if len(run.changes) < MOST_LISTED else []
            run.done += 1
        self._try_files(run, after)
        return "stopped" if run.stop.is_set() else "done"

    def _try_files(self, run: RuleTrials, book: Rulebook) -> None:
        """Run the tests that name images."""
        settings, today = self._site.ctx.settings, self._site.now.date()
        for case in (case for case in book.cases if case.file is not None):
            if run.stop.is_set():
                return
            try:
                found = list(try_case(case, book, on_many=settings.match.on_many, today=today))
            except (OSError, DrawcliError):
                found = [
                    Trial(case.name, case.expectation, "its images cannot be read", passed=False)
                ]
            run.failed += [trial for trial in found if not trial.passed]

    def _newest(self) -> list[Job]:
        """Return one job of each series, the newest first."""
        with self._site.lock:
            jobs = sorted(self._site.ctx.ledger.all_jobs(), key=lambda job: -job.number)
        first = {job.series_key: job for job in jobs}
        return sorted(first.values(), key=lambda job: job.since, reverse=True)


def _tuples(values: dict[str, list[str]]) -> dict[str, tuple[str, ...]]:
    return {path: tuple(texts) for path, texts in values.items()}


def _many(slices: list[list[str]]) -> list[tuple[str, ...]]:
    return [tuple(texts) for texts in slices]
