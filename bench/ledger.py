"""How fast the ledger is: beside a bare append that is as durable, and as the archive grows.

python bench/ledger.py [--jobs 1000 10000 100000] [--open 200] [--repeat 200]
    [--backlog 200 10000] [--json]
"""

import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median

from measure import Row, beside, options, peak_mib, taken, tell
from stores import sample_job

from drawcli.adapters.ledger import FileLedger
from drawcli.core.jobs.job import Job, State

NOW = datetime(2026, 11, 14, 12, 0, tzinfo=UTC)
MOST = 10.0  # times the floor
SAME = 1.5  # the largest archive over the smallest
BACKLOG = 2.0  # the cost of a call with many open jobs over that with few


@dataclass(frozen=True)
class Measured:
    """One size of ledger."""

    updates: list[tuple[float, float]]  # an update and a bare append, s
    opening: float  # s
    lookup: float  # whether a series is known, in the archive, s
    memory: float  # of a process that opens the ledger and reads all that is open, MiB


def a_job(number: int, state: State, since: datetime) -> Job:
    """Return a job of the usual size, with a task at the server."""
    job_id = f"{number * 7_919_000_001 % 2**48:012x}-1"
    return sample_job(number, state, since, id=job_id, task_id=f"{number:032x}")


def filled(path: Path, jobs: int, still_open: int) -> FileLedger:
    """Return a ledger with so many jobs in all, spread over five years."""
    ledger = FileLedger(path).__enter__()
    done = [
        a_job(n, State.DONE, NOW - timedelta(days=2 + n % 1800)) for n in range(jobs - still_open)
    ]
    ledger.archive.store(done)
    ledger.add(*(a_job(jobs + n, State.UPLOADED, NOW) for n in range(still_open)))
    return ledger


READ = """
import sys
from pathlib import Path
from drawcli.adapters.ledger import FileLedger

with FileLedger(Path(sys.argv[1])) as ledger:
    assert ledger.jobs()
    ledger.archive.of_series("0" * 12)
"""


def measured(folder: Path, jobs: int, still_open: int, repeat: int) -> Measured:
    """Measure one size."""
    path = folder / f"{jobs}" / "ledger.json"
    path.parent.mkdir()
    ledger = filled(path, jobs, still_open)
    ids = [job.id for job in ledger.jobs()]
    updates = []
    with (folder / "floor").open("ab", buffering=0) as stream:

        def append() -> None:
            stream.write(b"x" * 1200)
            os.fsync(stream.fileno())

        for number in range(repeat):
            job = ledger.get(ids[number % len(ids)])
            assert job is not None  # noqa: S101 - it was added
            after = replace(job, posts=number)
            took = taken(lambda after=after: ledger.commit(after))  # type: ignore[misc]
            updates.append((took, taken(append)))
    opens = [taken(lambda: FileLedger(path).__enter__().jobs()) for _ in range(5)]
    ledger.archive.of_series(ids[0][:12])  # the index is read once
    wanted = [f"{number * 7_919_000_001 % 2**48:012x}" for number in range(500)]
    lookups = taken(lambda: [ledger.archive.of_series(one) for one in wanted]) / len(wanted)
    return Measured(updates, median(opens), lookups, peak_mib(["-c", READ, str(path)]))


def rows(sizes: dict[int, Measured]) -> Iterator[Row]:
    """Yield each update beside a bare append, and what grows beside the smallest ledger."""
    curve = "ledger: an update over a bare append, by jobs"
    for jobs, one in sizes.items():
        name = f"update, {jobs:,} jobs / append, fsync"
        yield beside(name, one.updates, target=MOST, curve=curve, size=jobs)
    least = min(sizes)
    small = sizes[least]
    mine = median(took for took, _ in small.updates)
    for jobs, one in sizes.items():
        if jobs == least:
            continue
        of = f"{jobs:,} / {least:,} jobs"
        grown = [(took, mine) for took, _ in one.updates]
        yield beside(f"update, {of}", grown, target=SAME)
        yield beside(f"opening, {of}", [(one.opening, small.opening)])
        yield beside(f"is a series known? {of}", [(one.lookup, small.lookup)])
        yield beside(f"memory of a reader, {of}", [(one.memory, small.memory)], unit="MiB")


@dataclass(frozen=True)
class Backlog:
    """The cost of one call with so many open jobs, CPU s, and of reading all of them once."""

    commit: float
    get: float
    of_series: float
    reading: float


def backlog(folder: Path, still_open: int, repeat: int) -> Backlog:
    """Measure a ledger with a number of open jobs."""
    path = folder / f"open-{still_open}" / "ledger.json"
    path.parent.mkdir()
    ledger = filled(path, still_open, still_open)
    ids = [job.id for job in ledger.jobs()][:: max(1, still_open // repeat)][:repeat]
    jobs = {job.id: job for job in ledger.find(ids)}

    def each(call: Callable[[str], object]) -> float:
        return median(taken(lambda one=one: call(one), time.process_time) for one in ids)  # type: ignore[misc]

    commit = each(lambda one: ledger.commit(jobs[one]))
    get, of_series = each(ledger.get), each(lambda one: ledger.of_series(one[:12]))
    reading = median(taken(ledger.jobs, time.process_time) for _ in range(5))
    return Backlog(commit, get, of_series, reading)


def rows_of_backlog(sizes: dict[int, Backlog]) -> Iterator[Row]:
    """Yield the cost with many open jobs beside that with the fewest."""
    least = min(sizes)
    for many, one in sizes.items():
        if many == least:
            continue
        few, of = sizes[least], f"{many:,} / {least:,} open jobs"
        yield beside(f"a commit, {of}", [(one.commit, few.commit)], target=BACKLOG)
        yield beside(f"a job by its id, {of}", [(one.get, few.get)], target=BACKLOG)
        yield beside(f"jobs of a series, {of}", [(one.of_series, few.of_series)], target=BACKLOG)
        each = (one.reading / many, few.reading / least)
        yield beside(f"reading all, for each job, {of}", [each])


def main() -> int:
    """Run the bench; 1 where something that is asked for is not met."""
    asked = options(__doc__, open=200, repeat=200)
    asked.add_argument("--jobs", type=int, nargs="+", default=[1000, 10_000, 100_000])
    asked.add_argument("--backlog", type=int, nargs="+", default=[200, 10_000])
    given = asked.parse_args()
    with tempfile.TemporaryDirectory(prefix="drawcli-bench-") as folder:
        sizes = {n: measured(Path(folder), n, given.open, given.repeat) for n in given.jobs}
        full = {n: backlog(Path(folder), n, given.repeat) for n in given.backlog}
    return tell([*rows(sizes), *rows_of_backlog(full)], as_json=given.json)


if __name__ == "__main__":
    sys.exit(main())
