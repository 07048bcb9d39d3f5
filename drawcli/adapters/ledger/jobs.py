"""Every job, by id: those that are open, or lately finished, in one small sealed file.

Every change is a read-modify-write of that file under a lock between processes; what was finished
some time ago is in the archive, so that the file, and the time of a change, do not grow.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final, Self

from filelock import FileLock, Timeout
from tinydb import TinyDB
from tinydb.table import Document, Table

from drawcli.adapters.ledger.archive import Archive
from drawcli.adapters.ledger.rows import BadRowError, as_job, as_row, number_of
from drawcli.adapters.ledger.storage import FORMAT, JOBS, SealedStorage, Tables, refused
from drawcli.core.jobs.job import FINISHED, Job, State
from drawcli.errors import LedgerError
from drawcli.system.files import write_durably

ARCHIVED_AFTER: Final = timedelta(days=1)  # finished jobs stay in sight for so long
COPIES: Final = 3  # ledger.json.bak1 is the newest
_PATIENCE_SECONDS: Final = 60.0


class LockedTable(Table):
    """Holds the ledger's lock from reading the tables to having written them."""

    lock: FileLock

    def _update_table(self, updater: Callable[[dict[int, Mapping[str, Any]]], None]) -> None:
        with _held(self.lock):
            super()._update_table(updater)


class Ledger:
    """Every job, by id. Any number of processes may have it open."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._storage = SealedStorage(path)
        self._db = TinyDB(storage=lambda: self._storage)
        self._table = LockedTable(self._storage, JOBS, cache_size=0)
        self._table.lock = FileLock(f"{path}.lock", mode=0o600)
        self._met: dict[str, tuple[Mapping[str, Any], Job]] = {}
        self.archive = Archive(path.parent / "archive")

    def __enter__(self) -> Self:
        """Read the ledger once, so that damage is told before anything is done."""
        if self._storage.read() is None:
            self._check_new()
        if self._storage.format < FORMAT:
            with _held(self._table.lock):
                self._migrate()
        if any(_leftovers(self._path)):
            with _held(self._table.lock):  # who holds it knows that nobody else is writing
                for leftover in _leftovers(self._path):
                    leftover.unlink(missing_ok=True)
        return self

    def __exit__(self, *_: object) -> None:
        """Close the ledger."""
        self._db.close()

    def get(self, job_id: str) -> Job | None:
        """Return a job, or None where there is none of that id."""
        row = self._table.get(doc_id=number_of(job_id))
        if isinstance(row, Document) and row.get("id") == job_id:
            return self._as_job(row)
        return self.archive.get(job_id)

    def jobs(self, states: Iterable[State] | None = None) -> list[Job]:
        """Return the jobs that are open or lately finished, or those of them in some states.

        Those that came to their state first come first.
        """
        wanted = None if states is None else set(states)
        rows = (self._storage.read() or {}).get(JOBS, {}).items()
        found = [self._known(*one) for one in rows if wanted is None or one[1]["state"] in wanted]
        return sorted(found, key=lambda job: (job.since, job.id))

    def of_series(self, series_key: str) -> list[Job]:
        """Return the jobs of one series, the first sending first."""
        found = {job.id: job for job in self.jobs() if job.series_key == series_key}
        for one in self.archive.of_series(series_key):
            job = None if one.id in found else self.archive.get(one.id)
            if job is not None:
                found[job.id] = job
        return sorted(found.values(), key=lambda job: job.number)

    def every(self, since: str = "") -> Iterator[Job]:
        """Yield every job there ever was: those of `jobs`, then the archive month by month.

        Of the archive only the months from `since` on, such as "2026-11".
        """
        hot = self.jobs()
        yield from hot
        ids = {job.id for job in hot}
        yield from (job for job in self.archive.jobs(since) if job.id not in ids)

    def archive_finished(self, now: datetime) -> int:
        """Move jobs that were finished a day ago to the archive; return how many.

        A time in the future comes from a clock that was wrong: such a job waits for the clock.
        """
        old = [job for job in self.jobs(FINISHED) if job.since < now - ARCHIVED_AFTER]
        if not old:
            return 0
        with _held(self._table.lock):
            fresh = {job.id: job for job in self.jobs(FINISHED)}
            old = [job for job in old if fresh.get(job.id) == job]
            self.archive.store(old)
            self._table._update_table(lambda table: _drop(table, old))  # noqa: SLF001 - one write
        return len(old)

    def add(self, *jobs: Job) -> list[Job]:
        """Insert new jobs in one write; return those that were not there yet."""
        added: list[Job] = []

        def insert(table: dict[int, Mapping[str, Any]]) -> None:
            for job in jobs:
                if number_of(job.id) not in table and self.archive.get(job.id) is None:
                    table[number_of(job.id)] = as_row(job)
                    added.append(job)

        self._table._update_table(insert)  # noqa: SLF001 - the one way to check and write at once
        return added

    def commit(self, job: Job) -> Job:
        """Replace a job by a later version of itself; return it as it stands now.

        One from the archive comes back into the hot ledger by it.

        Raises
        ------
        LedgerError
            Where another process has changed the job since it was read.
        """
        after = replace(job, revision=job.revision + 1)

        def store(table: dict[int, Mapping[str, Any]]) -> None:
            row = table.get(number_of(job.id))
            stored = self.archive.get(job.id) if row is None else self._as_job(row)
            if stored is None or stored.revision != job.revision:
                raise LedgerError(
                    f"job {job.id} was changed by another drawcli at the same time",
                    hint="Run the command again.",
                )
            table[number_of(job.id)] = as_row(after)

        self._table._update_table(store)  # noqa: SLF001 - likewise
        return after

    def _known(self, number: Any, row: Mapping[str, Any]) -> Job:
        """Return the job of a row; a row that was met before is not read again.

        Rows are only ever replaced, so that the same object says the same.
        """
        name = str(row.get("id"))
        known = self._met.get(name)
        if known is None or known[0] is not row:
            known = self._met[name] = (row, self._as_job(row, number))
        return known[1]

    def _as_job(self, row: Mapping[str, Any], number: Any = "") -> Job:
        """Return a job as it is stored.

        Raises
        ------
        LedgerError
            Where it is no job of ours, or a later drawcli has written something into it that this
            one does not know.
        """
        try:
            return as_job(row, number)
        except BadRowError as err:
            raise refused(self._path, err) from None

    @property
    def stamp(self) -> tuple[int, int, int]:
        """What tells whether the hot ledger was written since: its file is another each time."""
        try:
            status = self._path.stat()
        except FileNotFoundError:
            return (0, 0, 0)
        return (status.st_ino, status.st_mtime_ns, status.st_size)

    @property
    def generation(self) -> int:
        """How often the hot ledger has been written; it never goes back."""
        self._storage.read()
        return self._storage.generation

    @property
    def copies(self) -> list[Path]:
        """The copies of the hot ledger that are there, the newest first."""
        names = (self._path.with_name(f"{self._path.name}.bak{n}") for n in range(1, COPIES + 1))
        return [path for path in names if path.exists()]

    def keep_copy(self) -> None:
        """Keep the hot ledger as it is now as a copy, unless the newest is the same."""
        with _held(self._table.lock):
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
        """Make the index of the archive anew, from its months."""
        with _held(self._table.lock):
            self.archive.rebuild_index()

    def put_back(self, copy: Path) -> Path | None:
        """Put a copy in the place of the ledger; return where the one of before is kept.

        Its generation goes on from the highest that is known, so that it never goes back.

        Raises
        ------
        LedgerError
            Where the copy is damaged itself, or a record of it is none of ours.
        """
        source = SealedStorage(copy)
        tables = source.read()
        if tables is None:
            raise LedgerError(f"{copy} is not there")
        _check_every(copy, tables)
        with _held(self._table.lock):
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
        """Refuse to begin a ledger where there was one: every series would be sent again."""
        if self.copies or self.archive.months():
            raise LedgerError(
                f"{self._path} is missing, but there are copies or an archive of it",
                hint="'drawcli ledger restore' puts the newest good copy back.",
            )

    def _migrate(self) -> None:
        """Bring the file to the format of today; as it was it is kept beside."""
        tables = self._storage.read()
        if tables is None or self._storage.format >= FORMAT:
            return  # another process was quicker
        kept = self._path.with_name(f"{self._path.name}.format{self._storage.format}")
        write_durably(kept, self._path.read_bytes())
        self._storage.write(tables)


def _check_every(path: Path, tables: Tables) -> None:
    """Raise LedgerError where a record is no job of ours."""
    for number, row in tables.get(JOBS, {}).items():
        try:
            as_job(row, number)
        except BadRowError as err:
            raise refused(path, err) from None


def _drop(table: dict[int, Mapping[str, Any]], jobs: Iterable[Job]) -> None:
    for job in jobs:
        table.pop(number_of(job.id), None)


def _held(lock: FileLock) -> Any:
    try:
        return lock.acquire(timeout=_PATIENCE_SECONDS)
    except Timeout:
        raise LedgerError(
            f"another process holds {lock.lock_file} for more than {_PATIENCE_SECONDS:.0f} seconds",
            hint="Look for a drawcli that hangs; the lock is free once it has ended.",
        ) from None


def _leftovers(path: Path) -> Iterator[Path]:
    """Yield the temporary files of this ledger: one is being written now, or its writer died."""
    return path.parent.glob(f".{path.name}.*.tmp")
