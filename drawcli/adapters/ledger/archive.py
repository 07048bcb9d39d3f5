"""Finished jobs by month, so that the hot ledger stays as small as what is open.

archive/2026-11.json   a sealed TinyDB file like the ledger: the jobs that were finished then
archive/index          one line of fixed width for each job, sorted: found in a few steps

A job is in its month and in the index, both durable, before it is dropped from the hot ledger. One
that is taken up again is in both; the hot one counts, and goes to the archive anew once it is
finished. The index says only what the months say, and can be made from them.
"""

import hashlib
import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from typing import Final

from drawcli.adapters.ledger.rows import BadRowError, as_job, as_row, number_of
from drawcli.adapters.ledger.storage import JOBS, SealedStorage, Tables, damaged, refused
from drawcli.core.jobs.job import Job, State
from drawcli.errors import LedgerError
from drawcli.system.files import make_private, write_durably

_HEAD: Final = "drawcli archive index 1 "
_LONGEST_STATE: Final = 10
_DIGEST: Final = 16  # hex digits
_STATES: Final = frozenset(state.value for state in State)
_is_line: Final = re.compile(
    r"(?P<key>[0-9a-f]{12})-(?P<number>[0-9]{5}) (?P<month>[0-9]{4}-(?:0[1-9]|1[0-2])) "
    r"(?P<state>[a-z]+) +(?P<digest>[!-~]{1,16})\n"
).fullmatch


@dataclass(frozen=True, slots=True, order=True)
class Archived:
    """What the index says of a job: enough for a scan to leave its series alone."""

    id: str
    month: str  # "2026-11"
    state: State
    source_digest: str  # "" where the job has none

    @property
    def series_key(self) -> str:
        """The part of the id that stands for the series."""
        return self.id.partition("-")[0]

    @property
    def line(self) -> str:
        """The line of the index: all are of the same length."""
        key, _, number = self.id.partition("-")
        digest = self.source_digest or "-" * _DIGEST
        return f"{key}-{int(number):05d} {self.month} {self.state:<{_LONGEST_STATE}} {digest}\n"

    @classmethod
    def of(cls, job: Job) -> "Archived":
        """Return what the index says of a job."""
        return cls(job.id, f"{job.since:%Y-%m}", job.state, job.source_digest or "")

    @classmethod
    def from_line(cls, line: str) -> "Archived":
        """Return what a line of the index says; raise LedgerError where it is none of ours."""
        found = _is_line(line)
        if found is None or found["state"] not in _STATES:
            raise LedgerError(
                "archive/index has a line that is none of a job",
                hint="'drawcli ledger repair' makes it anew from the months beside it.",
            )
        job_id = f"{found['key']}-{int(found['number'])}"
        return cls(job_id, found["month"], State(found["state"]), found["digest"].strip("-"))


_WIDTH: Final = len(Archived("0" * 12 + "-1", "2026-11", State.DONE, "").line)


class Archive:
    """The finished jobs of a site. Who writes holds the lock of the ledger."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._index_file = folder / "index"
        self._lines = b""
        self._read_from: tuple[int, int, int] | None = None  # the index file as it was read

    def get(self, job_id: str) -> Job | None:
        """Return an archived job, or None."""
        one = next((one for one in self._near(job_id) if one.id == job_id), None)
        return None if one is None else self._jobs_of(one.month).get(job_id)

    def of_series(self, series_key: str) -> list[Archived]:
        """Return what the index says of the jobs of one series."""
        lines = self._index()
        wanted = f"{series_key}-".encode("ascii", "replace")
        count = len(lines) // _WIDTH
        at = bisect_left(range(count), wanted, key=lambda n: lines[n * _WIDTH : (n + 1) * _WIDTH])
        found = []
        while at < count and lines.startswith(wanted, at * _WIDTH):
            found.append(Archived.from_line(lines[at * _WIDTH :][:_WIDTH].decode("ascii")))
            at += 1
        return found

    def _near(self, job_id: str) -> list[Archived]:
        return self.of_series(job_id.partition("-")[0])

    def jobs(self, since: str = "") -> Iterator[Job]:
        """Yield every archived job, month by month: no more than one month is held at a time.

        Only the months from `since` on, such as "2026-11", if it is given.
        """
        for month in (month for month in self.months() if month >= since):
            for job in self._of(month):
                if any(one.id == job.id and one.month == month for one in self._near(job.id)):
                    yield job  # else it has moved to another month, or is still in the hot ledger

    def listed(self) -> Iterator[Archived]:
        """Yield what the index says of every job."""
        lines = self._index()
        for start in range(0, len(lines), _WIDTH):
            yield Archived.from_line(lines[start : start + _WIDTH].decode("ascii"))

    def __len__(self) -> int:
        """Return how many jobs are archived."""
        return len(self._index()) // _WIDTH

    def months(self) -> list[str]:
        """Return the months that have a file."""
        return sorted(path.stem for path in self._folder.glob("????-??.json"))

    def store(self, jobs: Iterable[Job]) -> None:
        """Add finished jobs, in place of what is there of them; durable when this returns."""
        by_month: dict[str, list[Job]] = defaultdict(list)
        for job in jobs:
            by_month[Archived.of(job).month].append(job)
        before = {one.id: one for one in self.listed()}
        now = {job.id: Archived.of(job) for many in by_month.values() for job in many}
        if not self._index_file.exists():
            self._write_index([])  # months without an index are damage
        for month, many in by_month.items():
            self._change(month, add=many)
        self._write_index((before | now).values())
        moved = [one for one in before.values() if one.id in now and now[one.id].month != one.month]
        for one in moved:
            self._change(one.month, drop=[one.id])

    def check(self, month: str) -> None:
        """Raise LedgerError where the file of a month is damaged."""
        self._jobs_of(month)

    def differences(self) -> list[str]:
        """Return the ids of jobs of which index and months do not say the same."""
        stored = {Archived.of(job) for month in self.months() for job in self._of(month)}
        return sorted({one.id for one in stored ^ set(self.listed())})

    def rebuild_index(self) -> None:
        """Make the index from the months; of a job in two of them the latest version stays."""
        found = [(job.revision, month, job) for month in self.months() for job in self._of(month)]
        latest = {job.id: (month, job) for _, month, job in sorted(found, key=itemgetter(0, 1))}
        self._write_index(Archived.of(job) for _, job in latest.values())
        for _, month, job in found:
            if latest[job.id][0] != month:
                self._change(month, drop=[job.id])

    def _of(self, month: str) -> Iterable[Job]:
        return self._jobs_of(month).values()

    def _jobs_of(self, month: str) -> dict[str, Job]:
        path = self._folder / f"{month}.json"
        tables = SealedStorage(path).read() or {}
        try:
            return {row["id"]: as_job(row, n) for n, row in tables.get(JOBS, {}).items()}
        except BadRowError as err:
            raise refused(path, err) from None

    def _change(self, month: str, *, add: Iterable[Job] = (), drop: Iterable[str] = ()) -> None:
        storage = SealedStorage(self._folder / f"{month}.json")
        tables: Tables = storage.read() or {}
        rows = {int(number): row for number, row in tables.get(JOBS, {}).items()}
        for job_id in drop:
            rows.pop(number_of(job_id), None)
        rows |= {number_of(job.id): dict(as_row(job)) for job in add}
        storage.write({JOBS: {str(number): row for number, row in rows.items()}})

    def _index(self) -> bytes:
        """Return the lines of the index, read anew where the file is another."""
        try:
            status = self._index_file.stat()
        except FileNotFoundError:
            if self.months():
                raise self._no_index("it is missing") from None
            return b""
        seen = (status.st_ino, status.st_mtime_ns, status.st_size)
        if seen != self._read_from:
            head, _, lines = self._index_file.read_bytes().partition(b"\n")
            if head != _head(lines) or len(lines) % _WIDTH:
                raise self._no_index("its digest does not fit")
            self._lines, self._read_from = lines, seen
        return self._lines

    def _write_index(self, every: Iterable[Archived]) -> None:
        lines = "".join(sorted(one.line for one in every)).encode("ascii")
        make_private(self._folder)
        try:
            write_durably(self._index_file, _head(lines) + b"\n" + lines)
        except OSError as err:
            raise LedgerError(f"{self._index_file} cannot be written: {err.strerror}") from None
        self._read_from = None

    def _no_index(self, what: str) -> LedgerError:
        hint = "'drawcli ledger repair' makes it anew from the months beside it."
        return damaged(self._index_file, what).replaced(hint=hint)


def _head(lines: bytes) -> bytes:
    return f"{_HEAD}{hashlib.sha256(lines).hexdigest()}".encode("ascii")
