"""Finished jobs by month.

archive/2026-11.json   jobs finished in this month, a TinyDB file with a digest like the ledger
archive/index          one line of fixed width for each job, sorted, for binary search

A job is in its month and in the index, durably, before it is removed from the ledger. A job that is
reopened is in both; the one in the ledger is valid, and is archived again when it is finished. The
index can be rebuilt from the months.
"""

import hashlib
import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator
from operator import itemgetter
from pathlib import Path
from typing import Final

from drawcli.adapters.ledger.rows import BadRowError, as_job, as_row, number_of
from drawcli.adapters.ledger.storage import (
    JOBS,
    SealedStorage,
    Tables,
    bad_record,
    damaged,
    not_accessible,
)
from drawcli.core.jobs.job import Job, State
from drawcli.core.jobs.ledger import ArchiveEntry
from drawcli.errors import LedgerError
from drawcli.system.files import make_private, write_durably

_HEAD: Final = "drawcli archive index 1 "
_LONGEST_STATE: Final = 10
_DIGEST: Final = 16  # hex digits
_STATES: Final = frozenset(state.value for state in State)
_REPAIR: Final = "Rebuild it from the months beside it with 'drawcli ledger repair'."
_is_line: Final = re.compile(
    r"(?P<key>[0-9a-f]{12})-(?P<number>[0-9]{5}) (?P<month>[0-9]{4}-(?:0[1-9]|1[0-2])) "
    r"(?P<state>[a-z]+) +(?P<digest>[!-~]{1,16})\n"
).fullmatch


def _line_of(entry: ArchiveEntry) -> str:
    """Return the line of the index of an entry, of fixed length."""
    key, _, number = entry.id.partition("-")
    digest = entry.source_digest or "-" * _DIGEST
    return f"{key}-{int(number):05d} {entry.month} {entry.state:<{_LONGEST_STATE}} {digest}\n"


def _entry_of(line: str) -> ArchiveEntry:
    """Return the entry of a line; raise LedgerError if the line is invalid."""
    match = _is_line(line)
    if match is None or match["state"] not in _STATES:
        raise LedgerError("archive/index has an invalid line", hint=_REPAIR)
    job_id = f"{match['key']}-{int(match['number'])}"
    return ArchiveEntry(job_id, match["month"], State(match["state"]), match["digest"].strip("-"))


_WIDTH: Final = len(_line_of(ArchiveEntry("0" * 12 + "-1", "2026-11", State.DONE, "")))


def _entries_of(series_key: str, lines: bytes) -> list[ArchiveEntry]:
    """Return the entries of a series from the lines of the index."""
    wanted = f"{series_key}-".encode("ascii", "replace")
    count = len(lines) // _WIDTH
    at = bisect_left(range(count), wanted, key=lambda n: lines[n * _WIDTH : (n + 1) * _WIDTH])
    entries = []
    while at < count and lines.startswith(wanted, at * _WIDTH):
        entries.append(_entry_of(lines[at * _WIDTH :][:_WIDTH].decode("ascii")))
        at += 1
    return entries


class FileArchive:
    """The finished jobs of a site. Callers that write hold the lock of the ledger."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._index_file = folder / "index"
        self._lines = b""
        self._read_from: tuple[int, int, int] | None = None  # the index file as it was read

    def reader(self) -> "FileArchive":
        """Return another one of the same files, for another thread."""
        return FileArchive(self._folder)

    def get(self, job_id: str) -> Job | None:
        """Return an archived job, or None."""
        entry = next((entry for entry in self._near(job_id) if entry.id == job_id), None)
        return None if entry is None else self._jobs_of(entry.month).get(job_id)

    def find(self, ids: Iterable[str]) -> list[Job]:
        """Return archived jobs by id; each month is read once."""
        months: dict[str, set[str]] = defaultdict(set)
        for job_id in ids:
            for entry in (entry for entry in self._near(job_id) if entry.id == job_id):
                months[entry.month].add(job_id)
        jobs = (job for month in months for job in self._jobs_of(month).values())
        return [job for job in jobs if job.id in months.get(f"{job.since:%Y-%m}", ())]

    def of_series(self, *series_keys: str) -> list[ArchiveEntry]:
        """Return the entries of the jobs of some series."""
        lines = self._index()
        return [entry for one in series_keys for entry in _entries_of(one, lines)]

    def _near(self, job_id: str) -> list[ArchiveEntry]:
        return self.of_series(job_id.partition("-")[0])

    def jobs(self, since: str = "") -> Iterator[Job]:
        """Yield every archived job from month `since` on ("2026-11"), one month in memory."""
        for month in (month for month in self.months() if month >= since):
            yield from self.of_month(month)

    def of_month(self, month: str) -> Iterator[Job]:
        """Yield the archived jobs of one month."""
        for job in self._jobs_of(month).values():
            if any(entry.id == job.id and entry.month == month for entry in self._near(job.id)):
                yield job  # else it has moved to another month, or is still in the ledger

    def stamp_of(self, month: str) -> tuple[int, ...]:
        """Return what changes with each write of a month or of the index."""
        paths = (self._folder / f"{month}.json", self._index_file)
        found = [path.stat() for path in paths if path.exists()]
        return tuple(n for one in found for n in (one.st_ino, one.st_mtime_ns, one.st_size))

    def entries(self) -> Iterator[ArchiveEntry]:
        """Yield every entry of the index."""
        lines = self._index()
        for start in range(0, len(lines), _WIDTH):
            yield _entry_of(lines[start : start + _WIDTH].decode("ascii"))

    def __len__(self) -> int:
        """Return the number of archived jobs."""
        return len(self._index()) // _WIDTH

    def months(self) -> list[str]:
        """Return the months that have a file."""
        return sorted(path.stem for path in self._folder.glob("????-??.json"))

    def store(self, jobs: Iterable[Job]) -> None:
        """Add or replace finished jobs; durable when this returns."""
        by_month: dict[str, list[Job]] = defaultdict(list)
        for job in jobs:
            by_month[ArchiveEntry.of(job).month].append(job)
        before = {entry.id: entry for entry in self.entries()}
        after = {job.id: ArchiveEntry.of(job) for many in by_month.values() for job in many}
        if not self._index_file.exists():
            self._write_index([])  # months without an index would count as damage
        for month, many in by_month.items():
            self._change(month, add=many)
        self._write_index((before | after).values())
        for entry in before.values():
            if entry.id in after and after[entry.id].month != entry.month:
                self._change(entry.month, drop=[entry.id])

    def check(self, month: str) -> None:
        """Raise LedgerError if the file of a month is damaged."""
        self._jobs_of(month)

    def differences(self) -> list[str]:
        """Return the ids of jobs that differ between index and months."""
        stored = {ArchiveEntry.of(job) for _, job in self._jobs_by_month()}
        return sorted({entry.id for entry in stored ^ set(self.entries())})

    def rebuild_index(self) -> None:
        """Rebuild the index from the months; of a job in two months the latest revision is kept."""
        jobs = [(job.revision, month, job) for month, job in self._jobs_by_month()]
        latest = {job.id: (month, job) for _, month, job in sorted(jobs, key=itemgetter(0, 1))}
        self._write_index(ArchiveEntry.of(job) for _, job in latest.values())
        for _, month, job in jobs:
            if latest[job.id][0] != month:
                self._change(month, drop=[job.id])

    def _jobs_by_month(self) -> Iterator[tuple[str, Job]]:
        for month in self.months():
            yield from ((month, job) for job in self._jobs_of(month).values())

    def _jobs_of(self, month: str) -> dict[str, Job]:
        path = self._folder / f"{month}.json"
        tables = SealedStorage(path).read() or {}
        try:
            return {row["id"]: as_job(row, n) for n, row in tables.get(JOBS, {}).items()}
        except BadRowError as err:
            raise bad_record(path, err) from None

    def _change(self, month: str, *, add: Iterable[Job] = (), drop: Iterable[str] = ()) -> None:
        storage = SealedStorage(self._folder / f"{month}.json")
        tables: Tables = storage.read() or {}
        rows = {int(number): row for number, row in tables.get(JOBS, {}).items()}
        for job_id in drop:
            rows.pop(number_of(job_id), None)
        rows |= {number_of(job.id): dict(as_row(job)) for job in add}
        storage.write({JOBS: {str(number): row for number, row in rows.items()}})

    def _index(self) -> bytes:
        """Return the lines of the index; read again if the file has changed."""
        try:
            status = self._index_file.stat()
        except FileNotFoundError:
            if self.months():
                raise self._damaged_index("it is missing") from None
            return b""
        seen = (status.st_ino, status.st_mtime_ns, status.st_size)
        if seen != self._read_from:
            head, _, lines = self._index_file.read_bytes().partition(b"\n")
            if head != _head(lines) or len(lines) % _WIDTH:
                raise self._damaged_index("its digest does not match")
            self._lines, self._read_from = lines, seen
        return self._lines

    def _write_index(self, entries: Iterable[ArchiveEntry]) -> None:
        lines = "".join(sorted(map(_line_of, entries))).encode("ascii")
        make_private(self._folder)
        try:
            write_durably(self._index_file, _head(lines) + b"\n" + lines)
        except OSError as err:
            raise not_accessible(self._index_file, "written", err) from None
        self._read_from = None

    def _damaged_index(self, what: str) -> LedgerError:
        return damaged(self._index_file, what).replaced(hint=_REPAIR)


def _head(lines: bytes) -> bytes:
    return f"{_HEAD}{hashlib.sha256(lines).hexdigest()}".encode("ascii")
