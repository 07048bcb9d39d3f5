"""The data of the pages, cached until the ledger changes."""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from pathlib import Path
from threading import RLock
from typing import Final

from drawcli.adapters.datastore.rule_header import header_of
from drawcli.adapters.rulebook.rulebook import Rulebook
from drawcli.core.jobs.job import Job
from drawcli.core.jobs.ledger import ArchiveEntry
from drawcli.core.rules.decision import decide
from drawcli.errors import ConfigError, DrawcliError, OutOfReach, UsageError
from drawcli.operations.doctor.outcome import CheckContext
from drawcli.operations.overview import Overview, RunHealth, newest_delivery
from drawcli.operations.report import Report, report_of
from drawcli.operations.verdict.findings import SetupStep, SiteVerdict
from drawcli.operations.verdict.site import SiteView, jobs_of_concern, setup_of_new_site, verdict_of
from drawcli.pipeline.actions import find_job
from drawcli.pipeline.context import Context
from drawcli.pipeline.explain import Explanation
from drawcli.pipeline.identity import patient_of
from drawcli.system.yaml_read import read_yaml

DAYS: Final = 14  # of the overview's report
_MOST_NAMES: Final = 5000  # patients kept in memory, with --identify
_MOST_MONTHS: Final = 4  # of the archive, kept in memory

Stamp = tuple[int, ...]
_FileStamp = tuple[int, int] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """Every open or recently finished job, at one write of the ledger."""

    stamp: Stamp
    jobs: tuple[Job, ...]  # by the time of their state, oldest first
    overview: Overview
    concerns: tuple[Job, ...]  # those that the verdict depends on
    archived: int
    last_delivered: datetime | None
    months: tuple[str, ...]  # of the archive, newest first


class SiteReader:
    """Reads a site for the pages; safe for any number of threads.

    Parameters
    ----------
    ctx
        The site, open while the page is served; only read.
    reopen
        Opens the site again, for an action.
    config
        The settings file.
    """

    def __init__(
        self, ctx: Context, reopen: Callable[[], AbstractContextManager[Context]], config: Path
    ) -> None:
        self.ctx = ctx
        self._open = reopen
        self.config = config
        self.lock = RLock()  # one thread at a time reads the ledger
        self._snapshot: Snapshot | None = None
        self._report: tuple[Stamp, date, Report] | None = None
        self._months: OrderedDict[str, tuple[tuple[int, ...], dict[str, Job]]] = OrderedDict()
        self._archive = ctx.ledger.archive.reader()
        self._month_lock = RLock()  # a month takes long to read: nobody waits for it with `lock`
        self._rulebook: tuple[tuple[_FileStamp, _FileStamp], Rulebook] | None = None
        self._names: dict[tuple[str, int], str] = {}

    @contextmanager
    def reopen(self, by: str = "") -> Iterator[Context]:
        """Open the site again for an action of a user of the page; "": of its one password."""
        with self._open() as ctx:
            yield replace(ctx, by=by)

    def record(self, by: str, action: str, job: Job | None = None, **facts: object) -> None:
        """Write what a user is about to do into the audit log; see `Context.record`."""
        replace(self.ctx, by=by).record(action, job, **facts)

    @property
    def now(self) -> datetime:
        """The present time, UTC."""
        return self.ctx.now()

    @property
    def health(self) -> RunHealth:
        """The health of the runs."""
        return RunHealth.of_site(self.ctx.settings, self.ctx.ledger.shared)._replace(zone=None)

    def verdict(self) -> SiteVerdict:
        """Return the verdict on the site."""
        with self.lock:
            snapshot, health = self.snapshot(), self.health
            setup = setup_of_new_site(self.ctx, self.config, health, snapshot.jobs)
            return verdict_of(SiteView(self.ctx, health, snapshot.concerns, self.now, setup))

    def setup(self) -> list[SetupStep]:
        """Return the steps of setting up the site, until something is delivered."""
        if self.snapshot().last_delivered is not None:
            return []
        from drawcli.operations.verdict.setup import setup_steps

        with self.lock:
            asked = CheckContext(
                settings=self.ctx.settings,
                config=self.config,
                now=self.now,
                ctx=self.ctx,
                probes=False,
            )
            return setup_steps(asked, self.health)

    def snapshot(self) -> Snapshot:
        """Return the present ledger."""
        with self.lock:
            stamp = self.ctx.ledger.stamp
            if self._snapshot is None or self._snapshot.stamp != stamp:
                jobs = self.ctx.ledger.jobs_kept()
                archive = self.ctx.ledger.archive
                self._snapshot = Snapshot(
                    stamp=stamp,
                    jobs=tuple(jobs),
                    overview=Overview.of(jobs),
                    concerns=tuple(jobs_of_concern(jobs)),
                    archived=len(archive),
                    last_delivered=newest_delivery(jobs, archive),
                    months=tuple(reversed(archive.months())),
                )
            return self._snapshot

    def month(self, month: str) -> Mapping[str, Job]:
        """Return the archived jobs of one month by id."""
        archive = self._archive
        with self._month_lock:
            if month not in archive.months():  # an address may name any
                return {}
            stamp = archive.stamp_of(month)
            kept = self._months.pop(month, None)
            if kept is None or kept[0] != stamp:
                kept = (stamp, {job.id: job for job in archive.of_month(month)})
            self._months[month] = kept
            while len(self._months) > _MOST_MONTHS:
                self._months.popitem(last=False)
            return kept[1]

    def between(self, first: date, last: date) -> list[Job]:
        """Return every job, archived or not, whose state was reached on these days (UTC)."""
        months = (month for month in self.snapshot().months if f"{first:%Y-%m}" <= month)
        archived = [self.month(month) for month in months if month <= f"{last:%Y-%m}"]
        jobs = {id_: job for found in archived for id_, job in found.items()}
        jobs |= {job.id: job for job in self.snapshot().jobs}
        return [job for job in jobs.values() if first <= job.since.date() <= last]

    def since(self, month: str) -> list[Job]:
        """Return every open job, and those of the archive from a month on ("2026-11")."""
        snapshot = self.snapshot()
        months = [self.month(one) for one in snapshot.months if one >= month]
        jobs = {id_: job for found in months for id_, job in found.items()}
        return [*(jobs | {job.id: job for job in snapshot.jobs}).values()]

    def jobs_named(self, ids: Iterable[str]) -> list[Job]:
        """Return jobs by id, archived or not; unknown ones are left out."""
        wanted = set(ids)
        found = [job for job in self.snapshot().jobs if job.id in wanted]
        archived = wanted - {job.id for job in found}
        if archived:
            with self.lock:
                months = {entry.month for one in archived for entry in self._entries_of(one)}
            found += [job for m in months for id_, job in self.month(m).items() if id_ in archived]
        return found

    def _entries_of(self, job_id: str) -> list[ArchiveEntry]:
        near = self.ctx.ledger.archive.of_series(job_id.partition("-")[0])
        return [entry for entry in near if entry.id == job_id]

    def report(self) -> Report:
        """Return the report of the last days."""
        with self._month_lock:
            stamp, now = self.snapshot().stamp, self.now
            if self._report is None or self._report[:2] != (stamp, now.date()):
                since = (now - timedelta(days=DAYS - 1)).replace(hour=0, minute=0, second=0)
                jobs = self.since(f"{since:%Y-%m}")
                self._report = (stamp, now.date(), report_of(jobs, since, now))
            return self._report[2]

    def job(self, name: str) -> Job:
        """Return a job by its id or an unambiguous prefix; UsageError if there is none."""
        if "." in name:
            raise UsageError(
                "a UID must not be in an address: browsers store addresses",
                hint="Use the job's id; 'drawcli show' accepts a SeriesInstanceUID.",
            )
        with self.lock:
            return find_job(name, self.ctx)

    def rulebook(self) -> Rulebook:
        """Return the present rules and templates; ConfigError if they are invalid."""
        settings = self.ctx.settings
        stamps = (_stamp_of(settings.rules), _stamp_of(settings.templates))
        with self.lock:
            if self._rulebook is None or self._rulebook[0] != stamps:
                self._rulebook = (stamps, replace(self.ctx).rulebook)
            return self._rulebook[1]

    def template_names(self) -> list[str]:
        """Return the names of the templates; none if the file cannot be read."""
        try:
            data = read_yaml(self.ctx.settings.templates).data
        except ConfigError:
            return []
        names = data.get("templates") if isinstance(data, dict) else None
        return sorted(map(str, names)) if isinstance(names, dict) else []

    def explain(self, job: Job) -> Explanation:
        """Apply the present rules to the images of a job; OutOfReach if these cannot be read."""
        try:
            header = header_of(self.ctx.crosswalk(job), self.now.date())
        except ConfigError:
            raise
        except (OSError, DrawcliError):
            raise OutOfReach(
                f"the images of job {job.id} can no longer be read",
                hint="Check that the datastore is mounted: rules are applied to the images.",
            ) from None
        decision = decide(header, self.rulebook().rules, on_many=self.ctx.settings.match.on_many)
        return Explanation(job.id, header, decision)

    def patient(self, job: Job) -> str:
        """Return the patient of a job; only with --identify."""
        key = (job.id, job.revision)
        with self.lock:
            if key not in self._names:
                if len(self._names) > _MOST_NAMES:
                    self._names.clear()
                self._names[key] = patient_of(job, self.ctx)
            return self._names[key]


def _stamp_of(path: Path) -> _FileStamp:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size
