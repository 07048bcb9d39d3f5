"""Find the clinical structure set of each delivered series, compare, and record.

It only reads what deliveries use, and is safe to repeat: a scan that is killed loses nothing, and
what it has not looked at is left for the next one.
"""

import logging
from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import cached_property
from math import inf
from time import monotonic
from typing import TYPE_CHECKING, Final

from drawcli.adapters.state.logs import origin
from drawcli.adapters.state.qa_records import QaRecords
from drawcli.adapters.state.qa_watch import (
    WatchedJob,
    mark_scanned,
    read_watch,
    scan_lock,
    shares_frame,
    write_watch,
)
from drawcli.core.jobs.job import Job, State
from drawcli.core.qa.records import PairRecord, PairStatus
from drawcli.errors import SILENT, DrawcliError, JobError, OutOfReach
from drawcli.operations.qa.clinical.finder import Lookup, SetFinder, Sighting
from drawcli.operations.qa.clinical.scan_result import QaNews, QaScanOptions, QaScanResult
from drawcli.pipeline.context import Context
from drawcli.system.limits import PAIR_SECONDS
from drawcli.system.threads import ended_call

if TYPE_CHECKING:
    from drawcli.operations.qa.clinical.pair import PairMaker

_DELIVERED: Final = frozenset({State.DELIVERED, State.DONE})
_OPEN: Final = frozenset(
    {PairStatus.MISSING, PairStatus.WAITING, PairStatus.UNCLEAR, PairStatus.FAILED}
)
_KEPT: Final = 25  # pairs, after which the list of watched jobs is written
_log = logging.getLogger(__name__)


def scan_pairs(ctx: Context, options: QaScanOptions | None = None) -> QaScanResult:
    """Compare the delivered structure sets with the clinical ones that were found since.

    Raises
    ------
    AnotherRun
        If another process does so, or keeps an index locked.
    OutOfReach
        If a file server does not answer; what was compared is recorded.
    DiskFull, OSError
        If a record cannot be written.
    """
    options = options or QaScanOptions()
    lock = nullcontext() if options.dry_run else scan_lock(ctx.settings.state_dir)
    with lock:
        scan = _Scan(ctx=ctx, options=options)
        try:
            scan.run()
        finally:
            scan.keep()
        if not options.dry_run:
            from drawcli.operations.qa.summarize import update_summary

            update_summary(ctx.settings, ctx.now())
            mark_scanned(ctx.settings.state_dir, ctx.now())
        return scan.result


@dataclass(frozen=True, slots=True)
class _Earlier:
    """A shortened record: those of many jobs are in memory."""

    record: PairRecord  # without structures
    content: str  # digest

    @classmethod
    def of(cls, record: PairRecord) -> "_Earlier":
        """Return a record without its structures, and its digest with them."""
        return cls(replace(record, structures=()), record.content_digest)


@dataclass(kw_only=True)
class _Scan:
    ctx: Context
    options: QaScanOptions
    result: QaScanResult = field(default_factory=QaScanResult)
    deadline: float = inf
    earlier: dict[str, "_Earlier"] = field(default_factory=dict)  # last records, as far as needed
    loaded: set[str] = field(default_factory=set)  # jobs whose records were looked for

    def __post_init__(self) -> None:
        self.deadline = monotonic() + self.options.seconds
        state_dir = self.ctx.settings.state_dir
        known = read_watch(state_dir)
        self.is_first = known is None  # or the list was lost
        now = self.ctx.now()
        self.watched = {job: one.known_at(now) for job, one in (known or {}).items()}
        self.before = dict(self.watched)
        self.records = QaRecords(state_dir)
        self.folders = frozenset(self.ctx.work.job_ids())

    def run(self) -> None:
        """Take up new jobs, compare what has changed, close what is gone."""
        self._begin(self._new_jobs())
        if self.options.job is None:
            self._close()
        wanted = {job: one for job, one in self.watched.items() if self._is_wanted(job)}
        self.result.jobs = len(wanted)
        found = self.finder.look(wanted, self._is_due)
        self.result.warnings += found.lost
        self._compare_all(found)

    def keep(self) -> None:
        """Write the list of watched jobs, if it has changed and is whole."""
        is_part = self.is_first and self.options.job is not None
        if self.watched != self.before and not is_part and not self.options.dry_run:
            write_watch(self.ctx.settings.state_dir, self.watched)
            self.before = dict(self.watched)

    @cached_property
    def finder(self) -> SetFinder:
        """What finds the structure sets."""
        return SetFinder(
            ctx=self.ctx,
            deadline=self.deadline,
            answer_seconds=min(self.ctx.settings.scan.answer_seconds, self.options.seconds),
            throwaway=self.options.dry_run,
        )

    def load(self, jobs: Iterable[str]) -> None:
        """Read the last records of some jobs, unless they are known."""
        wanted = set(jobs) - self.loaded
        if wanted:
            self.loaded |= wanted
            known = self.records.of_jobs(wanted)
            self.earlier |= {record.job: _Earlier.of(record) for record in known}

    def _new_jobs(self) -> list[Job]:
        """Return the delivered jobs that are not watched yet."""
        new = self.folders - self.watched.keys()
        if self.options.job is not None:
            new &= {self.options.job}
        return [job for job in self.ctx.ledger.find(new) if _is_delivered(job)]

    def _begin(self, jobs: Sequence[Job]) -> None:
        """Record at once what produced the contours of new jobs, and watch them."""
        if not jobs:
            return
        from drawcli.operations.qa.clinical.delivered_set import first_record

        self.load(job.id for job in jobs)
        begun = []
        for job in jobs:
            try:
                crosswalk = self.ctx.crosswalk(job)
            except JobError as err:
                _log.warning("job=%s step=qa outcome=skipped code=%s", job.id, err.code)
                self.result.warnings.append(err.replaced(hint=f"Job {job.id} is not compared."))
                continue
            key = self.finder.key
            frame = key(crosswalk.frame_uid) if crosswalk.frame_uid else ""
            self.watched[job.id] = WatchedJob(series=key(crosswalk.series_uid), frame=frame)
            if job.id not in self.earlier:
                begun.append(first_record(job, self.ctx))
        self._add(begun)

    def _close(self) -> None:
        """Close the records of jobs whose work folders are gone."""
        known = self.records.jobs_in(_OPEN) if self.is_first else set(self.watched)
        gone = sorted(known - self.folders)
        self.load(gone)
        records = [self.earlier[job].record for job in gone if job in self.earlier]
        for job in gone:
            self.watched.pop(job, None)
        self._add([self._closed(record) for record in records if record.status in _OPEN])

    def _closed(self, record: PairRecord) -> PairRecord:
        note = f"the work folder was removed (deliver.keep_days); until then: {record.note}"
        return replace(record, status=PairStatus.CLOSED, at=self.ctx.now(), note=note)

    def _is_wanted(self, job: str) -> bool:
        return job in self.folders and self.options.job in (None, job)

    def _is_due(self, job: str) -> bool:
        """Return whether a pair is compared although no file has changed."""
        since, wait = self.watched[job].waits_since, self.ctx.settings.qa.wait_days
        is_over = since is not None and self.ctx.now() - since >= timedelta(days=wait)
        return self.options.again or is_over

    def _compare_all(self, found: Lookup) -> None:
        """Compare the pairs of which something has changed, the latest delivered first."""
        due = [job for job, one in found.sightings.items() if one.paths is not None]
        jobs = self.ctx.ledger.find(due)
        self.load(due)
        jobs.sort(key=lambda job: (self._earlier(job).delivered_at, job.id), reverse=True)
        for number, job in enumerate(jobs):
            if monotonic() > self.deadline:
                self.result.left = len(jobs) - number
                return
            self._compare(job, found.sightings[job.id])
            if number % _KEPT == _KEPT - 1:
                self.keep()

    def _compare(self, job: Job, sighting: Sighting) -> None:
        """Compare one pair and record it; a failure concerns this pair only."""
        from drawcli.operations.qa.clinical.pair import PairMaker

        earlier, watched = self._earlier(job), self.watched[job.id]
        maker = PairMaker(
            job=job,
            ctx=self.ctx,
            finder=self.finder,
            paths=sighting.paths or (),
            earlier=earlier,
            waits={watched.waits_for: watched.waits_since} if watched.waits_since else {},
            frame_is_shared=shares_frame(watched, self.watched.values()),
        )
        record = self._made(job, maker)
        if record is not None and _stays(earlier, record, maker):
            record = None
        for_, since = "", None
        if record is not None and record.status is PairStatus.WAITING:
            for_ = maker.choice.chosen.contours if maker.choice.chosen else ""
            is_same = for_ == watched.waits_for and watched.waits_since is not None
            since = watched.waits_since if is_same else self.ctx.now()
        stamp = self.finder.stamp_with(sighting, maker.named)
        self._add([record] if record is not None else [])
        self.watched[job.id] = replace(
            watched, stamp=stamp, sets=maker.sets, waits_for=for_, waits_since=since
        )

    def _made(self, job: Job, maker: "PairMaker") -> PairRecord | None:
        """Return the record of a pair, made in a thread of its own; never fails for one pair."""
        call = ended_call(maker.record, PAIR_SECONDS)
        err = call.exception() if call.done() else JobError(f"it took {PAIR_SECONDS:g} s")
        if err is None:
            return call.result()
        if isinstance(err, TimeoutError):
            raise OutOfReach(
                f"a file server does not answer; job {job.id} is left for the next scan",
                code=SILENT,
                hint="Check the file servers of qa.folders, the datastore and deliver.folder.",
            )
        if isinstance(err, DrawcliError) and not isinstance(err, JobError):
            raise err  # not caused by this pair
        where = str(err) if isinstance(err, JobError) else f"{type(err).__name__}, {origin(err)}"
        _log.warning("job=%s step=qa outcome=failed code=%s", job.id, origin(err))
        note, at = f"the comparison failed: {where}", self.ctx.now()
        return replace(maker.earlier, status=PairStatus.FAILED, at=at, note=note, unpaired=0)

    def _earlier(self, job: Job) -> PairRecord:
        from drawcli.operations.qa.clinical.delivered_set import first_record

        known = self.earlier.get(job.id)
        return known.record if known is not None else first_record(job, self.ctx)

    def _add(self, records: Iterable[PairRecord]) -> None:
        """Record what is new, durably."""
        new = [record for record in records if self._is_news(record)]
        if not self.options.dry_run:
            self.records.add(new)
        self.earlier |= {record.job: _Earlier.of(record) for record in new}
        self.result.news |= {record.job: QaNews.of(record) for record in new}

    def _is_news(self, record: PairRecord) -> bool:
        known = self.earlier.get(record.job)
        return known is None or known.content != record.content_digest


def _stays(earlier: PairRecord, record: PairRecord, maker: "PairMaker") -> bool:
    """Return whether a comparison stays, because only its files were moved away since."""
    if earlier.status is not PairStatus.COMPARED:
        return False
    if record.status is PairStatus.FAILED:
        return record.b_sha256 == earlier.b_sha256
    seen = {one.facts.digest for one in maker.candidates if one.facts is not None}
    return record.status is PairStatus.MISSING and earlier.b_sha256 not in seen


def _is_delivered(job: Job) -> bool:
    return job.state in _DELIVERED and bool(job.delivered_sha256) and not job.of_folder
