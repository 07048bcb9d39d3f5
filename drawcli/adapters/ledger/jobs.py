"""The ledger: open and recently finished jobs in one small file with a digest; others archived.

Each change is a read-modify-write of the file under a lock between processes. Finished jobs move to
the archive, so that the size of the file, and the time of a change, stay constant.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from drawcli.adapters.ledger.archive import FileArchive
from drawcli.adapters.ledger.parts import Parts
from drawcli.adapters.ledger.rows import BadRowError, as_job, as_row, number_of
from drawcli.adapters.ledger.storage import FORMAT, JOBS, SealedStorage, Tables, bad_record
from drawcli.core.jobs.job import FINISHED, Job, State
from drawcli.core.jobs.warned import unseen_warnings
from drawcli.errors import LedgerError
from drawcli.system.files import write_durably

ARCHIVED_AFTER: Final = timedelta(days=1)  # after a job was finished
UNSEEN_KEPT: Final = timedelta(days=7)  # the same, of one with warnings that nobody has seen
COPIES: Final = 3  # ledger.json.bak1 is the newest


if TYPE_CHECKING:
    from drawcli.core.jobs.ledger import SharedFacts


class FileLedger:
    """Every job, by id. Any number of processes may have it open."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._rows = Parts(path)
        self._cache: dict[str, tuple[Mapping[str, Any], Job]] = {}
        self.archive = FileArchive(path.parent / "archive")
        self.shared: SharedFacts | None = None  # a side ledger has that of its site

    def __enter__(self) -> Self:
        """Read the ledger, so that damage is found at once; remove files of dead processes."""
        if self._rows.read() is None:
            self._check_new()
        if self._rows.format < FORMAT:
            with self._rows.locked():
                self._migrate()
        if self._rows.leftovers():
            with self._rows.locked():  # then no other process is writing
                for leftover in self._rows.leftovers():
                    leftover.unlink(missing_ok=True)
        return self

    def __exit__(self, *_: object) -> None:
        """Leave the ledger; no file stays open."""

    def get(self, job_id: str) -> Job | None:
        """Return a job, archived or not; None if there is none of this id."""
        row = self._rows.near(job_id).get(str(number_of(job_id)))
        if row is not None and row.get("id") == job_id:
            return self._as_job(row)
        return self.archive.get(job_id)

    def jobs(self, states: Iterable[State] | None = None) -> list[Job]:
        """Return the jobs that are not archived, optionally of some states, oldest state first."""
        wanted = set(State if states is None else states)
        rows = (self._rows.read() or {}).items()
        jobs = [self._cached_job(n, row) for n, row in rows if row["state"] in wanted]
        return sorted(jobs, key=lambda job: (job.since, job.id))

    def jobs_kept(self) -> list[Job]:
        """Return all of `jobs`, which are kept while they do not change."""
        return self.jobs()

    def find(self, ids: Iterable[str]) -> list[Job]:
        """Return jobs in the order of their ids; each month of the archive is read once."""
        wanted = set(ids)
        hot = [job for job in self.jobs() if job.id in wanted]
        archived = self.archive.find(wanted - {job.id for job in hot})
        return sorted((*hot, *archived), key=lambda job: job.id)

    def of_series(self, series_key: str) -> list[Job]:
        """Return all jobs of a series by number."""
        start, near = f"{series_key}-", self._rows.near(series_key).items()
        found = (self._cached_job(n, row) for n, row in near if row["id"].startswith(start))
        jobs = {job.id: job for job in found}
        for entry in self.archive.of_series(series_key):
            job = None if entry.id in jobs else self.archive.get(entry.id)
            if job is not None:
                jobs[job.id] = job
        return sorted(jobs.values(), key=lambda job: job.number)

    def all_jobs(self, since: str = "") -> Iterator[Job]:
        """Yield the jobs of `jobs`, then those of the archive from month `since` on ("2026-11")."""
        hot = self.jobs()
        yield from hot
        ids = {job.id for job in hot}
        yield from (job for job in self.archive.jobs(since) if job.id not in ids)

    def has_jobs(self) -> bool:
        """Return whether there is any job, archived or not."""
        return bool(self.jobs() or self.archive.months())

    def keys_used(self) -> set[str]:
        """Return the ids of the site keys that made the jobs which are not archived."""
        return {job.key_id for job in self.jobs() if job.key_id is not None}

    def archive_finished(self, now: datetime) -> int:
        """Move jobs finished more than a day ago to the archive; return their number.

        A job with a time in the future, from a wrong clock, is kept; so is one of which the server
        still has a replaced task. One with warnings that nobody has seen stays for a week.
        """
        done = (job for job in self.jobs(FINISHED) if not job.replaced)
        old = [job for job in done if job.since < now - stay_of(job)]
        if not old:
            return 0
        with self._rows.locked():
            fresh = {job.id: job for job in self.jobs(FINISHED)}
            old = [job for job in old if fresh.get(job.id) == job]
            self.archive.store(old)
            self._rows.put(dict.fromkeys(job.id for job in old))
            self._rows.join()
        return len(old)

    def add(self, *jobs: Job) -> list[Job]:
        """Insert jobs in one write; return those that are new."""
        with self._rows.locked():
            added = {job.id: job for job in reversed(jobs) if self.get(job.id) is None}
            self._rows.put({job.id: as_row(job) for job in added.values()})
        return [job for job in jobs if added.get(job.id) is job]

    def commit(self, job: Job, *, last: bool = False) -> Job:  # noqa: ARG002
        """Store a new version of a job; return it with its revision.

        An archived job moves back to the ledger.

        Raises
        ------
        LedgerError
            If another process has changed the job since it was read.
        """
        after = replace(job, revision=job.revision + 1)

        with self._rows.locked():
            stored = self.get(job.id)
            if stored is None or stored.revision != job.revision:
                raise LedgerError(
                    f"job {job.id} was changed by another process at the same time",
                    hint="Run the command again.",
                )
            self._rows.put({job.id: as_row(after)})
        return after

    def _cached_job(self, number: Any, row: Mapping[str, Any]) -> Job:
        """Return the job of a row, cached by row object: rows are never changed, only replaced."""
        name = str(row.get("id"))
        cached = self._cache.get(name)
        if cached is None or cached[0] is not row:
            cached = self._cache[name] = (row, self._as_job(row, number))
        return cached[1]

    def _as_job(self, row: Mapping[str, Any], number: Any = "") -> Job:
        """Return the job of a row; raise LedgerError if it is invalid or of a newer drawcli."""
        try:
            return as_job(row, number)
        except BadRowError as err:
            raise bad_record(self._path, err) from None

    def claim(self, job_id: str) -> AbstractContextManager[None]:  # noqa: ARG002
        """Do nothing: the file belongs to one machine, where the lock of the job is enough."""
        return nullcontext()

    def is_safe(self, job_id: str) -> bool:  # noqa: ARG002
        """Return True: the claim of a job does not end before its step."""
        return True

    def beat(self) -> None:
        """Do nothing: there is no other machine."""

    @property
    def stamp(self) -> tuple[int, ...]:
        """Changes with each write of the ledger."""
        return self._rows.stamp

    @property
    def generation(self) -> int:
        """Number of writes of the ledger; never decreases."""
        return self._rows.generation

    @property
    def copies(self) -> list[Path]:
        """The existing copies of the ledger file, newest first."""
        names = (self._path.with_name(f"{self._path.name}.bak{n}") for n in range(1, COPIES + 1))
        return [path for path in names if path.exists()]

    def keep_copy(self) -> None:
        """Copy all rows into one file, unless the newest copy is the same."""
        with self._rows.locked():
            newest, *older = [
                self._path.with_name(f"{self._path.name}.bak{n}") for n in range(1, COPIES + 1)
            ]
            whole = self._rows.whole()
            if whole is None or (newest.exists() and newest.read_bytes() == whole):
                return
            for younger, path in zip(reversed([newest, *older[:-1]]), reversed(older), strict=True):
                if younger.exists():
                    younger.replace(path)
            write_durably(newest, whole)  # a link would share its damage

    def rebuild_archive_index(self) -> None:
        """Rebuild the index of the archive from its months."""
        with self._rows.locked():
            self.archive.rebuild_index()

    def restore(self, copy: Path) -> Path | None:
        """Replace the ledger by a copy; return the path of the former ledger, if there was one.

        The generation continues from the higher of both.

        Raises
        ------
        LedgerError
            If the copy is damaged or has an invalid record.
        """
        source = SealedStorage(copy)
        tables = source.read()
        if tables is None:
            raise LedgerError(f"{copy} does not exist")
        _check_jobs(copy, tables)
        with self._rows.locked():
            aside = None
            if self._path.exists():
                aside = self._path.with_name(f"{self._path.name}.before-restore")
                write_durably(aside, self._path.read_bytes())
            generation = 0
            with suppress(LedgerError):
                generation = self._rows.generation
            self._rows.set_aside(".before-restore")
            self._rows.replace(tables.get(JOBS, {}), max(generation, source.generation))
        return aside

    def _check_new(self) -> None:
        """Refuse to create a ledger that is lost: every series would be sent again."""
        if self.copies or self.archive.months():
            raise LedgerError(
                f"{self._path} is missing, but there are copies or an archive of it",
                hint="Restore the newest good copy with 'drawcli ledger restore'.",
            )

    def _migrate(self) -> None:
        """Convert the file to the current format, keeping a copy of the old one."""
        rows = self._rows.read()
        if rows is None or self._rows.format >= FORMAT:
            return  # another process was first
        kept = self._path.with_name(f"{self._path.name}.format{self._rows.format}")
        write_durably(kept, self._path.read_bytes())
        self._rows.replace(rows)


def _check_jobs(path: Path, tables: Tables) -> None:
    """Raise LedgerError if a record is not a valid job."""
    for number, row in tables.get(JOBS, {}).items():
        try:
            as_job(row, number)
        except BadRowError as err:
            raise bad_record(path, err) from None


def stay_of(job: Job) -> timedelta:
    """Return how long a finished job stays out of the archive."""
    return UNSEEN_KEPT if unseen_warnings(job) else ARCHIVED_AFTER
