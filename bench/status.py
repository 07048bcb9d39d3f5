"""How long `status` takes with ten thousand jobs, beside an empty ledger, in one run.

Both are whole processes, in turn; medians are told, and the ratio.

    python bench/status.py [--jobs 10000] [--repeat 9] [--json]
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median

from drawcli.core.job import Event, Job, State
from drawcli.ledger import Ledger

NOW = datetime.now(UTC)
MOST_SECONDS = 0.5  # more than with an empty ledger
KINDS = (State.UNMATCHED, State.EXCLUDED, State.UPLOADED, State.DONE)


def a_job(number: int) -> Job:
    """Return a job of the usual size."""
    since = NOW - timedelta(minutes=number % 1000)
    words = ("found", "matched", "packaged", "uploaded")
    return Job(
        id=f"{number:012x}-1",
        state=KINDS[number % len(KINDS)],
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
        reason="the server says PROCESSING",
        events=tuple(Event(since, word) for word in words),
    )


def site(folder: Path, jobs: int) -> Path:
    """Make a site with so many jobs; return its settings file."""
    (folder / "store").mkdir(parents=True)
    words = ["init", str(folder / "site"), "--datastore", str(folder / "store")]
    subprocess.run([sys.executable, "-m", "drawcli", *words], check=True, capture_output=True)
    if jobs:
        with Ledger(folder / "site" / "state" / "ledger.json") as ledger:
            ledger.add(*map(a_job, range(1, jobs + 1)))
    return folder / "site" / "drawcli.yaml"


def taken(config: Path, *words: str) -> float:
    """Return how long `status` takes, s."""
    begun = time.perf_counter()
    command = [sys.executable, "-m", "drawcli", "status", "--config", str(config), *words]
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - begun


def main() -> int:
    """Run the bench; 1 where something that is asked for is not met."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--jobs", type=int, default=10_000)
    options.add_argument("--repeat", type=int, default=9)
    options.add_argument("--json", action="store_true")
    given = options.parse_args()
    slow, rows = False, []
    with tempfile.TemporaryDirectory(prefix="drawcli-bench-") as name:
        none, many = site(Path(name) / "none", 0), site(Path(name) / "many", given.jobs)
        for words in ([], ["--json"], ["--csv"], ["--all"], ["--state", "uploaded"]):
            pairs = [(taken(none, *words), taken(many, *words)) for _ in range(given.repeat)]
            bare, full = (median(column) for column in zip(*pairs, strict=True))
            slow |= not words and full - bare > MOST_SECONDS
            what = " ".join(("status", *words))
            rows.append({"name": what, "ours": full, "theirs": bare, "ratio": full / bare})
            if given.json:
                continue
            print(
                f"status {' '.join(words):<18} {given.jobs:,} jobs {full:.3f} s, none {bare:.3f} s,"
                f" ratio {full / bare:.2f}"
            )
    if given.json:
        print(json.dumps(rows))
    return int(slow)


if __name__ == "__main__":
    sys.exit(main())
