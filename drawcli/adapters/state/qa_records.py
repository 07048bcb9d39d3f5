"""The records of quality assurance: `pairs.jsonl` and `ratings.jsonl` in `state_dir/qa`.

One JSON object a line. Records are appended, and the last one of a job counts. A line that a crash
cut short is skipped. Nothing is removed: records stay when work folders go.
"""

import json
import os
from collections import deque
from collections.abc import Callable, Container, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from drawcli.core.qa.ratings import Rating
from drawcli.core.qa.records import PairRecord
from drawcli.system.files import PRIVATE, make_private, report_disk_full

FOLDER: Final = "qa"
PAIRS: Final = "pairs.jsonl"
RATINGS: Final = "ratings.jsonl"
BASELINES: Final = "baselines.jsonl"
_RECENT_BYTES: Final = 4 << 20
_FIRST: Final = b'{"job": "'  # how a record begins


class LineFile:
    """A file of JSON objects, one a line, to which lines are added durably."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def add(self, rows: Iterable[dict[str, Any]]) -> None:
        """Append lines; they are durable on return.

        Raises
        ------
        DiskFull, OSError
            If they cannot be written.
        """
        text = "".join("\n" + json.dumps(row) for row in rows)  # the last line may be torn
        if not text:
            return
        make_private(self.path.parent)
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
        with (
            report_disk_full(self.path),
            open(os.open(self.path, flags, PRIVATE), "ab") as stream,  # noqa: PTH123 - the mode
        ):
            stream.write(text.encode("ascii"))
            stream.flush()
            os.fsync(stream.fileno())

    def rows(
        self, having: str = "", unless: Callable[[bytes], bool] | None = None
    ) -> Iterator[dict[str, Any]]:
        """Yield the lines that are whole, in order.

        With `having`, those that contain the text; `unless` a function returns true for the line.
        """
        return (row for row, _ in self.rows_from(0, having, unless))

    def rows_from(
        self, place: int, having: str = "", unless: Callable[[bytes], bool] | None = None
    ) -> Iterator[tuple[dict[str, Any], int]]:
        """Yield the whole lines from a place in the file on, each with the place of its end."""
        wanted = having.encode("ascii")
        try:
            stream = self.path.open("rb")
        except FileNotFoundError:
            return
        with stream:
            stream.seek(place)
            for line in stream:
                place += len(line)
                if wanted not in line or (unless is not None and unless(line)):
                    continue
                try:
                    row = json.loads(line)
                except (ValueError, RecursionError):
                    continue
                if isinstance(row, dict):
                    yield row, place


class QaRecords:
    """The records of a site, by job."""

    def __init__(self, state_dir: Path) -> None:
        self.path = state_dir / FOLDER / PAIRS
        self._file = LineFile(self.path)

    @property
    def size(self) -> int:
        """The bytes of the file; a restored copy may be shorter than what was read before."""
        return self.path.stat().st_size if self.path.exists() else 0

    def add(self, records: Iterable[PairRecord]) -> None:
        """Append records; they are durable on return."""
        self._file.add(record.as_plain() for record in records)

    def by_job(self) -> dict[str, PairRecord]:
        """Return the last record of each job, in the order of the first."""
        return {record.job: record for record in self.every()}

    def every(self) -> Iterator[PairRecord]:
        """Yield the records in the order in which they were added."""
        return _records_in(self._file.rows())

    def of_jobs(self, jobs: Container[str]) -> Iterator[PairRecord]:
        """Yield the records of some jobs; other lines are hardly looked at, for there are many."""
        rows = self._file.rows(unless=lambda line: _job_of(line) not in jobs)
        return (record for record in _records_in(rows) if record.job in jobs)

    def jobs_in(self, statuses: Container[str]) -> set[str]:
        """Return the jobs whose last record has one of some statuses."""
        last = {str(row.get("job")): row.get("status") for row in self._file.rows()}
        return {job for job, status in last.items() if status in statuses}

    def of_template(self, template: str) -> dict[str, PairRecord]:
        """Return the last record of each job of a template; a job keeps its template."""
        rows = self._file.rows(f'"template": {json.dumps(template)}')
        return {record.job: record for record in _records_in(rows)}

    def recent_of_template(self, template: str, most: int) -> Iterator[PairRecord]:
        """Yield the records of a template that were added last, in the last megabytes."""
        place = max(0, self.size - _RECENT_BYTES)
        rows = self._file.rows_from(place, f'"template": {json.dumps(template)}')
        return _records_in(deque((row for row, _ in rows), maxlen=most))

    def of_job(self, job: str) -> PairRecord | None:
        """Return the last record of a job."""
        found = None
        for row in self._file.rows(json.dumps(job)):
            with suppress(ValueError):
                record = PairRecord.from_plain(row)
                found = record if record.job == job else found
        return found

    def rows_from(self, place: int) -> Iterator[tuple[dict[str, Any], int]]:
        """Yield records as JSON objects from a place in the file on, with the place of their end.

        A reader that keeps the place of the last one reads only what was appended since.
        """
        return self._file.rows_from(place)


def _job_of(line: bytes) -> str:
    """Return the job of a line without parsing the rest: it is the first member of the object."""
    return line[len(_FIRST) :].partition(b'"')[0].decode("ascii", "replace")


def _records_in(rows: Iterable[dict[str, Any]]) -> Iterator[PairRecord]:
    for row in rows:
        with suppress(ValueError):
            yield PairRecord.from_plain(row)


class QaRatings:
    """The ratings of a site; see `current_ratings` for which of them count."""

    def __init__(self, state_dir: Path) -> None:
        self._file = LineFile(state_dir / FOLDER / RATINGS)

    def add(self, ratings: Iterable[Rating]) -> None:
        """Append ratings; they are durable on return."""
        self._file.add(rating.as_plain() for rating in ratings)

    def every(self) -> Iterator[Rating]:
        """Yield all ratings in the order in which they were added."""
        return _ratings_in(self._file.rows())

    def of_job(self, job: str) -> list[Rating]:
        """Return the ratings of a job in the order in which they were added."""
        return [rating for rating in _ratings_in(self._file.rows(job)) if rating.job == job]


def _ratings_in(rows: Iterable[dict[str, Any]]) -> Iterator[Rating]:
    for row in rows:
        try:
            yield Rating.from_plain(row)
        except ValueError:
            continue
