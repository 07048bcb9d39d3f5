"""How long `status` takes with ten thousand jobs, beside an empty ledger, in one run.

Both are whole processes, in turn.

    python bench/status.py [--jobs 10000] [--repeat 9] [--json]
"""

import subprocess
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

from measure import beside, options, started, tell

from drawcli.adapters.ledger import Ledger
from drawcli.core.jobs.job import Event, EventKind, Job, State

NOW = datetime.now(UTC)
MOST = 3.0  # times an empty ledger
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
        events=tuple(Event(since, EventKind.REACHED, word) for word in words),
    )


def site(folder: Path, jobs: int) -> Path:
    """Make a site with so many jobs; return its settings file."""
    (folder / "store").mkdir(parents=True)
    words = ["init", str(folder / "site"), "--datastore", str(folder / "store"), "--practice"]
    subprocess.run([sys.executable, "-m", "drawcli", *words], check=True, capture_output=True)
    if jobs:
        with Ledger(folder / "site" / "state" / "ledger.json") as ledger:
            ledger.add(*map(a_job, range(1, jobs + 1)))
    return folder / "site" / "drawcli.yaml"


def took(config: Path, *words: str) -> float:
    """Return how long `status` takes, s."""
    return started(["-m", "drawcli", "status", "--config", str(config), *words])


def main() -> int:
    """Run the bench; 1 where something that is asked for is not met."""
    given = options(__doc__, jobs=10_000, repeat=9).parse_args()
    found = []
    with tempfile.TemporaryDirectory(prefix="drawcli-bench-") as name:
        none, many = site(Path(name) / "none", 0), site(Path(name) / "many", given.jobs)
        for words in ([], ["--json"], ["--csv"], ["--all"], ["--state", "uploaded"]):
            pairs = [(took(many, *words), took(none, *words)) for _ in range(given.repeat)]
            what = " ".join(("status", *words))
            target = None if words else MOST
            found.append(beside(f"{what}, {given.jobs:,} jobs / none", pairs, target=target))
    return tell(found, as_json=given.json)


if __name__ == "__main__":
    sys.exit(main())
