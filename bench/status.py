"""How long `status` takes with ten thousand jobs, beside an empty ledger, in one run.

Also with a hundred thousand in a database, beside a thousand in the file.

Both are whole processes, in turn.

    python bench/status.py [--jobs 10000] [--in-database 100000] [--repeat 9] [--json]
"""

import subprocess
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

from measure import Row, beside, options, started, tell, unmeasured
from stores import sample_job

sys.path.insert(0, str(Path(__file__).parents[1]))
from drawcli.adapters.ledger import FileLedger
from drawcli.adapters.ledger.postgres.site import database_ledger
from drawcli.config.load import load_settings
from drawcli.core.jobs.job import Job, State
from tests.postgres import PROGRAMS, password_file, postgres, with_tables

NOW = datetime.now(UTC)
MOST = 5.0  # times an empty ledger, whose status is little more than the start
LARGE = 2.0  # a hundred thousand in a database over a thousand in the file
KINDS = (State.UNMATCHED, State.EXCLUDED, State.UPLOADED, State.DONE)


def a_job(number: int) -> Job:
    """Return a job of the usual size, in one of several states."""
    since = NOW - timedelta(minutes=number % 1000)
    state = KINDS[number % len(KINDS)]
    return sample_job(number, state, since, reason="the server says PROCESSING")


def site(folder: Path, jobs: int) -> Path:
    """Make a site with so many jobs; return its settings file."""
    (folder / "store").mkdir(parents=True)
    words = ["init", str(folder / "site"), "--datastore", str(folder / "store"), "--practice"]
    subprocess.run([sys.executable, "-m", "drawcli", *words], check=True, capture_output=True)
    if jobs:
        with FileLedger(folder / "site" / "state" / "ledger.json") as ledger:
            ledger.add(*map(a_job, range(1, jobs + 1)))
    return folder / "site" / "drawcli.yaml"


def took(config: Path, *words: str) -> float:
    """Return how long `status` takes, s."""
    return started(["-m", "drawcli", "status", "--config", str(config), *words])


def in_database(folder: Path, jobs: int, repeat: int) -> Row:
    """Return a line for so many jobs in PostgreSQL beside a thousand in the file."""
    name = f"status, {jobs:,} jobs in a database / 1,000 in the file"
    if PROGRAMS is None:
        return unmeasured(name, "PostgreSQL is not installed")
    few, many = site(folder / "few", 1000), site(folder / "database", 0)
    with postgres(folder / "server") as server:
        with_tables(server, "ledger")
        lines = f"ledger: {server.url('north', 'ledger')}\n"
        lines += f"cluster: {{password_file: '{password_file(server)}'}}\n"
        with many.open("a", encoding="utf-8") as stream:
            stream.write(lines)
        with database_ledger(load_settings(many, {})) as ledger:
            for first in range(1, jobs + 1, 5000):
                ledger.add(*map(a_job, range(first, min(first + 5000, jobs + 1))))
        server.execute("ANALYZE drawcli.job", database="ledger")
        pairs = [(took(many), took(few)) for _ in range(repeat)]
    return beside(name, pairs, target=LARGE)


def main() -> int:
    """Run the bench; 1 where something that is asked for is not met."""
    asked = options(__doc__, jobs=10_000, repeat=9)
    asked.add_argument("--in-database", type=int, default=100_000)
    given = asked.parse_args()
    found = []
    with tempfile.TemporaryDirectory(prefix="drawcli-bench-") as name:
        none, many = site(Path(name) / "none", 0), site(Path(name) / "many", given.jobs)
        for words in ([], ["--json"], ["--csv"], ["--all"], ["--state", "uploaded"]):
            pairs = [(took(many, *words), took(none, *words)) for _ in range(given.repeat)]
            what = " ".join(("status", *words))
            target = None if words else MOST
            found.append(beside(f"{what}, {given.jobs:,} jobs / none", pairs, target=target))
        found.append(in_database(Path(name), given.in_database, given.repeat))
    return tell(found, as_json=given.json)


if __name__ == "__main__":
    sys.exit(main())
