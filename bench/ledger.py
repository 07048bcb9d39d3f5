"""How fast the ledger is: beside a bare append that is as durable, and as the archive grows.

Every figure is a ratio of two things measured in the same run, in turn; medians are told.

    python bench/ledger.py [--jobs 1000 10000 100000] [--open 200] [--repeat 50] [--json]
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median

from drawcli.core.job import Event, Job, State
from drawcli.ledger import Ledger

NOW = datetime(2026, 11, 14, 12, 0, tzinfo=UTC)
MOST = 10.0  # times the floor
SAME = 1.5  # the largest archive over the smallest


@dataclass
class Row:
    """One size of ledger."""

    jobs: int
    update_ms: float
    floor_ms: float
    ratio: float  # of the medians of update and floor
    open_ms: float
    lookup_us: float  # whether a series is known, in the archive
    memory_mib: float  # of a process that opens the ledger and reads all that is open


def a_job(number: int, state: State, since: datetime) -> Job:
    """Return a job of the usual size: about 1.2 kB."""
    events = tuple(Event(since, word) for word in ("found", "matched", "packaged", "uploaded"))
    return Job(
        id=f"{number * 7919 % 2**48:012x}-1",
        state=state,
        since=since,
        modality="CT",
        slices=180,
        source_digest=f"{number:016x}",
        source_stamp=f"{number:016x}",
        template="Prostate_OAR",
        rule="pelvis-planning-ct",
        rules_digest="a" * 64,
        zip_sha256="b" * 64,
        zip_bytes=64_000_000,
        task_id=f"{number:032x}",
        events=events,
    )


def filled(path: Path, jobs: int, still_open: int) -> Ledger:
    """Return a ledger with so many jobs in all, spread over five years."""
    ledger = Ledger(path).__enter__()
    done = [
        a_job(n, State.DONE, NOW - timedelta(days=2 + n % 1800)) for n in range(jobs - still_open)
    ]
    ledger.archive.store(done)
    ledger.add(*(a_job(jobs + n, State.UPLOADED, NOW) for n in range(still_open)))
    return ledger


def taken(work: Callable[[], object]) -> float:
    """Return how long something takes, s."""
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


MEMORY = """
import sys
from pathlib import Path
from drawcli.ledger import Ledger

def peak():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))

before = peak()
with Ledger(Path(sys.argv[1])) as ledger:
    assert ledger.jobs()
    ledger.archive.of_series("0" * 12)
print((peak() - before) / 1024)
"""


def measured(folder: Path, jobs: int, still_open: int, repeat: int) -> Row:
    """Measure one size."""
    path = folder / f"{jobs}" / "ledger.json"
    path.parent.mkdir()
    ledger = filled(path, jobs, still_open)
    ids = [job.id for job in ledger.jobs()]
    updates, floors = [], []
    with (folder / "floor").open("ab", buffering=0) as stream:

        def append() -> None:
            stream.write(b"x" * 1200)
            os.fsync(stream.fileno())

        for number in range(repeat):
            job = ledger.get(ids[number % len(ids)])
            assert job is not None  # noqa: S101 - it was added
            after = replace(job, posts=number)
            updates.append(taken(lambda after=after: ledger.commit(after)))  # type: ignore[misc]
            floors.append(taken(append))
    opens = [taken(lambda: Ledger(path).__enter__().jobs()) for _ in range(5)]
    ledger.archive.of_series(ids[0][:12])  # the index is read once
    wanted = [f"{number * 7919:012x}" for number in range(500)]
    lookups = taken(lambda: [ledger.archive.of_series(one) for one in wanted]) / len(wanted)
    memory = 0.0
    if Path("/proc/self/status").exists():
        words = [sys.executable, "-c", MEMORY, str(path)]
        memory = float(subprocess.run(words, check=True, capture_output=True, text=True).stdout)
    update, floor = median(updates), median(floors)
    return Row(
        jobs=jobs,
        update_ms=round(update * 1000, 3),
        floor_ms=round(floor * 1000, 3),
        ratio=round(update / floor, 1),
        open_ms=round(median(opens) * 1000, 1),
        lookup_us=round(lookups * 1e6, 1),
        memory_mib=round(memory, 1),
    )


def main() -> int:
    """Run the bench; 1 where something that is asked for is not met."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--jobs", type=int, nargs="+", default=[1000, 10_000, 100_000])
    options.add_argument("--open", type=int, default=200)
    options.add_argument("--repeat", type=int, default=200)
    options.add_argument("--json", action="store_true")
    given = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="drawcli-bench-") as folder:
        rows = [measured(Path(folder), n, given.open, given.repeat) for n in given.jobs]
    if given.json:
        sys.stdout.write(json.dumps([asdict(row) for row in rows]) + "\n")
    else:
        titles = list(asdict(rows[0]))
        sys.stdout.write("".join(f"{title:>12}" for title in titles) + "\n")
        for row in rows:
            sys.stdout.write("".join(f"{value:>12}" for value in asdict(row).values()) + "\n")
    grows = rows[-1].update_ms / rows[0].update_ms
    sys.stdout.write("" if given.json else f"largest over smallest: {grows:.2f} (at most {SAME})\n")
    return int(grows > SAME or any(row.ratio > MOST for row in rows))


if __name__ == "__main__":
    sys.exit(main())
