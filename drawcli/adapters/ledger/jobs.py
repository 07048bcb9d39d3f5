"""The ledger: open and recently finished jobs in one small file with a digest; others archived.

Each change is a read-modify-write of the file under a lock between processes. Finished jobs move to
the archive, so that the size of the file, and the time of a change, stay constant.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from drawcli.adapters.ledger.archive import Archive
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
    from drawcli.adapters.ledger.table import LockedTable


class Ledger:
    """Every job, by id. Any number of processes may have it open."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._storage = SealedStorage(path)
        self._cache: dict[str, tuple[Mapping[str, Any], Job]] = {}
        self.archive = Archive(path.parent / "archive")

    def __enter__(self) -> Self:
        """Read the ledger, so that damage is found at once; remove files of dead processes."""
        if self._storage.read() is None:
            self._check_new()
        if self._storage.format < FORMAT:
            with self._table.locked():
                self._migrate()
        if any(_leftovers(self._path)):
            with self._table.locked():  # then no other process is writing
                for leftover in _leftovers(self._path):
                    leftover.unlink(missing_ok=True)
        return self

    def __exit__(self, *_: object) -> None:
        """Leave the ledger; no file stays open."""

    @cached_property
    def _table(self) -> "LockedTable":
        """The table for changes and its lock; what only reads does without."""
        from drawcli.adapters.ledger.table import LockedTable

        return LockedTable(self._storage, self._path)

    def get(self, job_id: str) -> Job | None:
        """Return a job, archived or not; None if there is none of this id."""
        row = (self._storage.read() or {}).get(JOBS, {}).get(str(number_of(job_id)))
        if row is not None and row.get("id") == job_id:
            return self._as_job(row)
        return self.archive.get(job_id)

    def jobs(self, states: Iterable[State] | None = None) -> list[Job]:
        """Return the jobs that are not archived, optionally of some states, oldest state first."""
        wanted = set(State if states is None else states)
        rows = (self._storage.read() or {}).get(JOBS, {}).items()
        jobs = [self._cached_job(n, row) for n, row in rows if row["state"] in wanted]
        return sorted(jobs, key=lambda job: (job.since, job.id))

    def find(self, ids: Iterable[str]) -> list[Job]:
        """Return jobs in the order of their ids; each month of the archive is read once."""
        wanted = set(ids)
        hot = [job for job in self.jobs() if job.id in wanted]
        archived = self.archive.find(wanted - {job.id for job in hot})
        return sorted((*hot, *archived), key=lambda job: job.id)

    def of_series(self, series_key: str) -> list[Job]:
        """Return all jobs of a series by number."""
        jobs = {job.id: job for job in self.jobs() if job.series_key == series_key}
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

    def archive_finished(self, now: datetime) -> int:
        """Move jobs finished more than a day ago to the archive; return their number.

        A job with a time in the future, from a wrong clock, is kept; so is one of which the server
        still has a replaced task. One with warnings that nobody has seen stays for a week.
        """
        done = (job for job in self.jobs(FINISHED) if not job.replaced)
        old = [job for job in done if job.since < now - _stay(job)]
        if not old:
            return 0
        with self._table.locked():
            fresh = {job.id: job for job in self.jobs(FINISHED)}
            old = [job for job in old if fresh.get(job.id) == job]
            self.archive.store(old)
            self._table.change(lambda table: _drop(table, old))
        return len(old)

    def add(self, *jobs: Job) -> list[Job]:
        """Insert jobs in one write; return those that are new."""
        added: list[Job] = []

        def insert(table: dict[int, Mapping[str, Any]]) -> None:
            for job in jobs:
                if number_of(job.id) not in table and self.archive.get(job.id) is None:
                    table[number_of(job.id)] = as_row(job)
                    added.append(job)

        self._table.change(insert)
        return added

    def commit(self, job: Job) -> Job:
        """Store a new version of a job; return it with its revision.

        An archived job moves back to the ledger.

        Raises
        ------
        LedgerError
            If another process has changed the job since it was read.
        """
        after = replace(job, revision=job.revision + 1)

        def store(table: dict[int, Mapping[str, Any]]) -> None:
            row = table.get(number_of(job.id))
            stored = self.archive.get(job.id) if row is None else self._as_job(row)
            if stored is None or stored.revision != job.revision:
                raise LedgerError(
                    f"job {job.id} was changed by another process at the same time",
                    hint="Run the command again.",
                )
            table[number_of(job.id)] = as_row(after)

        self._table.change(store)
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

    @property
    def stamp(self) -> tuple[int, int, int]:
        """Changes with each write of the ledger file."""
        try:
            status = self._path.stat()
        except FileNotFoundError:
            return (0, 0, 0)
        return (status.st_ino, status.st_mtime_ns, status.st_size)

    @property
    def generation(self) -> int:
        """Number of writes of the ledger file; never decreases."""
        self._storage.read()
        return self._storage.generation

    @property
    def copies(self) -> list[Path]:
        """The existing copies of the ledger file, newest first."""
        names = (self._path.with_name(f"{self._path.name}.bak{n}") for n in range(1, COPIES + 1))
        return [path for path in names if path.exists()]

    def keep_copy(self) -> None:
        """Copy the ledger file, unless the newest copy is the same."""
        with self._table.locked():
            newest, *older = [
                self._path.with_name(f"{self._path.name}.bak{n}") for n in range(1, COPIES + 1)
            ]
            if not self._path.exists():
                return
            if newest.exists() and newest.read_bytes() == self._path.read_bytes():
                return
            for younger, path in zip(reversed([newest, *older[:-1]]), reversed(older), strict=True):
                if younger.exists():
                    younger.replace(path)
            write_durably(newest, self._path.read_bytes())  # a link would share its damage

    def rebuild_archive_index(self) -> None:
        """Rebuild the index of the archive from its months."""
        with self._table.locked():
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
        with self._table.locked():
            aside = None
            if self._path.exists():
                aside = self._path.with_name(f"{self._path.name}.before-restore")
                write_durably(aside, self._path.read_bytes())
            with suppress(LedgerError):
                self._storage.read()
            self._storage.generation = max(self._storage.generation, source.generation)
            self._storage.write(tables)
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
        tables = self._storage.read()
        if tables is None or self._storage.format >= FORMAT:
            return  # another process was first
        kept = self._path.with_name(f"{self._path.name}.format{self._storage.format}")
        write_durably(kept, self._path.read_bytes())
        self._storage.write(tables)


def _check_jobs(path: Path, tables: Tables) -> None:
    """Raise LedgerError if a record is not a valid job."""
    for number, row in tables.get(JOBS, {}).items():
        try:
            as_job(row, number)
        except BadRowError as err:
            raise bad_record(path, err) from None


def _stay(job: Job) -> timedelta:
    return UNSEEN_KEPT if unseen_warnings(job) else ARCHIVED_AFTER


def _drop(table: dict[int, Mapping[str, Any]], jobs: Iterable[Job]) -> None:
    for job in jobs:
        table.pop(number_of(job.id), None)


def _leftovers(path: Path) -> Iterator[Path]:
    """Yield the temporary files of this ledger, of running or dead processes."""
    return path.parent.glob(f".{path.name}.*.tmp")
