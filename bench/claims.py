"""How fast hosts take jobs from the ledger in PostgreSQL, beside bare loops of SKIP LOCKED.

The bare loop does least: it has no lease, no fence and no revision. It takes a job in one
transaction and ends it in another, as a step must that waits for a server. All run on one server
that syncs each transaction to its disk.

python bench/claims.py [--jobs 200] [--repeat 7] [--json]
"""

import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from measure import Row, beside, options, taken, tell, unmeasured
from stores import sample_job

sys.path.insert(0, str(Path(__file__).parents[1]))
from drawcli.adapters.ledger.postgres.claims import LeaseHolder
from drawcli.adapters.ledger.postgres.database import Database
from drawcli.adapters.ledger.postgres.jobs import DatabaseLedger
from drawcli.config.sections_cluster import Cluster
from drawcli.core.jobs.job import Job, State
from tests.postgres import PROGRAMS, password_file, postgres, with_tables

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
LEAST = 0.7  # of the bare loop
_PICK = """
SELECT id, record FROM bare WHERE site = 'north' AND state = 'found' AND month IS NULL
ORDER BY priority DESC, since, id LIMIT 1 FOR UPDATE SKIP LOCKED
"""
_TAKE = "UPDATE bare SET state = 'taken' WHERE site = 'north' AND id = %s"
_END = (
    "UPDATE bare SET state = 'matched', record = %s, revision = 1 WHERE site = 'north' AND id = %s"
)


def a_job(number: int) -> Job:
    """Return a job that was just found."""
    return sample_job(number, State.FOUND, NOW, id=f"{number * 7919 % 2**48:012x}-1")


class Bare:
    """A loop of SKIP LOCKED over a table with the same rows and indexes."""

    def __init__(self, ledger: DatabaseLedger) -> None:
        import psycopg

        self.connection: psycopg.Connection[Any] = psycopg.connect(
            **ledger.database.parameters(), autocommit=True
        )

    def in_two(self, jobs: int) -> None:
        """Take jobs in one transaction each, and end them in another."""
        for _ in range(jobs):
            job_id, record = self.taken()
            self.connection.execute(_END.encode(), (record, job_id))

    def take(self, jobs: int) -> None:
        """Take jobs."""
        for _ in range(jobs):
            self.taken()

    def taken(self) -> tuple[str, str]:
        """Take a job in a transaction."""
        with self.connection.transaction():
            job_id, record = self._picked()
            self.connection.execute(_TAKE.encode(), (job_id,))
        return job_id, record

    def _picked(self) -> tuple[str, str]:
        row = self.connection.execute(_PICK.encode()).fetchone()
        assert row is not None  # noqa: S101 - there are enough jobs
        return row[0], row[1]


def by_id(ledger: DatabaseLedger, due: list[Job]) -> None:
    """Claim jobs by id, as a run does, and commit and release each in one statement."""
    for job in due:
        with ledger.claim(job.id):
            ledger.commit(job.to(State.MATCHED, at=NOW), last=True)


def claims(ledger: DatabaseLedger, due: list[Job]) -> None:
    """Claim jobs by id, and no more."""
    for job in due:
        ledger.leases.claim(job.id)


def given_back(ledger: DatabaseLedger) -> None:
    """Give back what is claimed."""
    for lease in [*ledger.leases.held.held.values()]:
        ledger.leases.release(lease)


@contextmanager
def served(jobs: int) -> Iterator[DatabaseLedger]:
    """Run a server with so many jobs in the ledger, and as many in a bare table."""
    with (
        tempfile.TemporaryDirectory(prefix="drawcli-bench-") as folder,
        postgres(Path(folder) / "server", durable=True) as server,
    ):
        with_tables(server, "bench")
        cluster = Cluster(password_file=password_file(server))
        database = Database(server.url("north", "bench"), cluster)
        with DatabaseLedger(database, "", LeaseHolder.present("host1"), 60) as ledger:
            ledger.add(*map(a_job, range(jobs)))
            server.execute(
                "CREATE TABLE bare (LIKE drawcli.job INCLUDING ALL)",
                "INSERT INTO bare SELECT * FROM drawcli.job",
                "GRANT SELECT, UPDATE ON bare TO drawcli_site",
                "VACUUM ANALYZE",
                database="bench",
            )
            yield ledger


Ours = Callable[[DatabaseLedger, list[Job]], None]
WAYS: dict[str, tuple[Ours, Callable[[Bare, int], None]]] = {
    "claim / bare claim": (claims, Bare.take),
    "claim by id, commit, release / bare, 2 transactions": (by_id, Bare.in_two),
}


def rows(jobs: int, repeat: int) -> Iterator[Row]:
    """Yield how many times as fast as a bare loop each way of taking jobs is."""
    if PROGRAMS is None:
        yield unmeasured(next(iter(WAYS)), "not installed: PostgreSQL")
        return
    with served(jobs * (repeat + 1) * len(WAYS)) as ledger:
        bare = Bare(ledger)
        for name, (ours, theirs) in WAYS.items():
            pairs = []
            for _ in range(repeat + 1):
                due = ledger.jobs([State.FOUND])[:jobs]
                mine = taken(partial(ours, ledger, due))
                given_back(ledger)
                pairs.append((mine, taken(partial(theirs, bare, jobs))))
            yield beside(name, pairs[1:], target=LEAST, faster=True)  # the first prepares queries


def main() -> int:
    """Run the bench; 1 where something that is asked for is not met."""
    given = options(__doc__, repeat=7, jobs=200).parse_args()
    return tell(list(rows(given.jobs, given.repeat)), as_json=given.json)


if __name__ == "__main__":
    sys.exit(main())
